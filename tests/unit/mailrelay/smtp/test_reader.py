"""Command lines out of a stream, however they arrive."""

import asyncio

import pytest

from services.mailrelay.smtp.data_reader import DataReader
from services.mailrelay.smtp.reader import LINE_LIMIT_BYTES, Disconnected, Incoming, LineTooLong


def incoming(*chunks: bytes) -> Incoming:
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return Incoming(stream)


async def test_lines_come_one_by_one():
    lines = incoming(b"NOOP\r\nRS", b"ET\r", b"\nQUIT\n")

    assert [await lines.line() for _ in range(3)] == [b"NOOP", b"RSET", b"QUIT"]


async def test_the_end_of_the_stream_is_the_end_even_within_a_line():
    with pytest.raises(Disconnected):
        await incoming(b"QUI").line()


@pytest.mark.parametrize("length", [LINE_LIMIT_BYTES + 1, 2000, 10_000_000])
async def test_a_line_that_is_too_long_is_skipped_and_the_next_one_read(length: int):
    lines = incoming(b"x" * length + b"\r\n", b"NOOP\r\n")

    with pytest.raises(LineTooLong):
        await lines.line()
    assert await lines.line() == b"NOOP"


async def test_commands_behind_a_mail_are_read_in_order():
    pipelined = incoming(b"DATA\r\ntext\r\n.\r\nMAIL FROM:<>\r\nQUIT\r\n")
    reader = DataReader(1000)

    assert await pipelined.line() == b"DATA"
    await pipelined.mail(reader, lambda _bytes: None)

    assert reader.mail() == b"text\r\n"
    assert [await pipelined.line(), await pipelined.line()] == [b"MAIL FROM:<>", b"QUIT"]
