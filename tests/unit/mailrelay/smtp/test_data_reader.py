"""The reader of mails: one end only, nothing lost, nothing smuggled, however the bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailrelay.smtp.data_reader import DataReader

LIMIT = 10_000
END = b"\r\n.\r\n"


def read(*chunks: bytes, limit: int = LIMIT) -> tuple[bytes, bytes] | None:
    """Mail and what followed, or None if the end has not come."""
    reader = DataReader(limit)
    for position, chunk in enumerate(chunks):
        rest = reader.feed(chunk)
        if rest is not None:
            return reader.take_mail(), rest + b"".join(chunks[position + 1 :])
    return None


# Smuggling (CVE-2024-27305 and its kin): each looks like an end to somebody, none of them is one.
NO_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n..\r\n",
    b"\r\n. \r\n",
    b"\n\r.\r\n",
    b"\r\r\n.\r\r\n",
]


@pytest.mark.parametrize("sequence", NO_ENDS)
def test_no_other_sequence_ends_a_mail_wherever_it_is_split(sequence: bytes):
    smuggled = b"MAIL FROM:<x@y.example>\r\nRCPT TO:<z@y.example>\r\nDATA\r\nforged"
    text = b"real" + sequence + smuggled + END
    expected = (b"real" + sequence + smuggled + b"\r\n").replace(b"\r\n.", b"\r\n")

    for cut in range(len(text) + 1):
        assert read(text[:cut], text[cut:]) == (expected, b""), cut
    assert read(*(bytes([byte]) for byte in text)) == (expected, b"")


@pytest.mark.parametrize(
    ("text", "mail"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..stuffed\r\n.\r\n", b".stuffed\r\n"),
        (b".odd\r\n.\r\n", b"odd\r\n"),
        (b"a\r\n..\r\n...\r\n.\r\n", b"a\r\n.\r\n..\r\n"),
        (b"bare \r and \n stay\r\n.\r\n", b"bare \r and \n stay\r\n"),
        (b"nul \0 stays\r\n.\r\n", b"nul \0 stays\r\n"),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
    ],
)
def test_the_end_is_found_wherever_it_is_split(text: bytes, mail: bytes):
    for cut in range(len(text) + 1):
        assert read(text[:cut], text[cut:] + b"QUIT\r\n") == (mail, b"QUIT\r\n")


def test_what_follows_the_end_is_given_back_in_order():
    assert read(b"one\r\n.\r\nMAIL FROM:<>\r\n.\r\n") == (b"one\r\n", b"MAIL FROM:<>\r\n.\r\n")


def test_without_an_end_there_is_no_mail():
    assert read(b"no end", b" in sight\r\n.", b"\r") is None


def stuffed(mail: bytes) -> bytes:
    """What an honest client sends (RFC 5321 §4.5.2)."""
    dotted = mail.replace(b"\r\n.", b"\r\n..")
    return (b"." + dotted if dotted.startswith(b".") else dotted) + b".\r\n"


_pieces = st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\0", b"text", b"\xff"]), max_size=30)


@given(_pieces, st.lists(st.integers(1, 9), max_size=30))
def test_every_mail_comes_out_as_it_went_in(pieces: list[bytes], cuts: list[int]):
    mail = b"".join(pieces) + b"\r\n"
    text = stuffed(mail) + b"NOOP\r\n"
    chunks = []
    for cut in cuts:
        chunks.append(text[:cut])
        text = text[cut:]

    assert read(*chunks, text) == (mail, b"NOOP\r\n")


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
@pytest.mark.parametrize("line", [b"x" * 8, b".." + b"x" * 7], ids=["plain", "stuffed"])
def test_the_limit_is_exact_and_dots_of_transparency_do_not_count(step: int, line: bytes):
    text = (line + b"\r\n") * 10 + b".\r\n"
    size = len(line.replace(b"..", b".")) * 10 + 20

    for limit, is_too_large in ((size, False), (size - 1, True)):
        reader = DataReader(limit)
        rests = [reader.feed(text[at : at + step]) for at in range(0, len(text), step)]

        assert rests[-1] is not None
        assert reader.is_too_large == is_too_large
        assert len(reader.take_mail()) == (0 if is_too_large else size)


def test_a_mail_that_is_too_large_is_not_kept_and_its_end_is_still_found():
    reader = DataReader(1000)
    for _ in range(1000):
        assert reader.feed(b"x" * 1000) is None
        assert len(reader._buffer) <= 2002

    assert reader.feed(b"\r\n.") is None
    assert reader.feed(b"\r\nNOOP\r\n") == b"NOOP\r\n"
    assert reader.is_too_large
