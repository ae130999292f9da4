"""Command lines out of a stream, however they arrive."""

import asyncio

import pytest

from services.mailrelay.smtp.data_reader import DataReader
from services.mailrelay.smtp.reader import LINE_LIMIT_BYTES, ClientReader, Disconnected, LineTooLong


def client_reader(*chunks: bytes) -> ClientReader:
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return ClientReader(stream)


async def test_lines_come_one_by_one():
    lines = client_reader(b"NOOP\r\nRS", b"ET\r", b"\nQUIT\n")

    assert [await lines.read_line() for _ in range(3)] == [b"NOOP", b"RSET", b"QUIT"]


async def test_the_end_of_the_stream_is_the_end_even_within_a_line():
    with pytest.raises(Disconnected):
        await client_reader(b"QUI").read_line()


@pytest.mark.parametrize("length", [LINE_LIMIT_BYTES + 1, 2000, 10_000_000])
async def test_a_line_that_is_too_long_is_skipped_and_the_next_one_read(length: int):
    lines = client_reader(b"x" * length + b"\r\n", b"NOOP\r\n")

    with pytest.raises(LineTooLong):
        await lines.read_line()
    assert await lines.read_line() == b"NOOP"


async def test_commands_behind_a_mail_are_read_in_order():
    pipelined = client_reader(b"DATA\r\ntext\r\n.\r\nMAIL FROM:<>\r\nQUIT\r\n")
    data_reader = DataReader(1000)

    assert await pipelined.read_line() == b"DATA"
    await pipelined.read_mail(data_reader, lambda _bytes: None)

    assert data_reader.take_mail() == b"text\r\n"
    assert [await pipelined.read_line(), await pipelined.read_line()] == [b"MAIL FROM:<>", b"QUIT"]
