"""A mail beyond a limit is shown as far as it was read, and says that something was cut."""

import pytest

from services.mailrelay.parsing.body import MAX_ATTACHMENTS, MAX_TEXT_CHARS
from services.mailrelay.parsing.filenames import MAX_FILENAME_CHARS
from services.mailrelay.parsing.mail import (
    MAX_SUBJECT_CHARS,
    ParsedMail,
    parse_unguarded,
)
from services.mailrelay.parsing.mailboxes import MAX_ADDRESS_CHARS, MAX_NAME_CHARS
from services.mailrelay.parsing.recognition import MAX_ORDER_IDS
from services.mailrelay.parsing.safe_html import MAX_HTML_CHARS
from services.mailrelay.parsing.structure import (
    MAX_BOUNDARY_LINE_BYTES,
    MAX_CONTENT_ID_CHARS,
    MAX_DECODED_BYTES,
    MAX_DELIMITERS,
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_HEADER_BYTES,
    MAX_PARAMETERS,
    MAX_PART_HEADER_BYTES,
    MAX_PARTS,
    MAX_VALUE_BYTES,
)
from services.mailrelay.parsing.well_nested_html import MAX_DEPTH as MAX_HTML_DEPTH
from services.mailrelay.parsing.well_nested_html import MAX_TAGS

HEAD = b"From: Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: Lamp\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"
HTML = HEAD + b"Content-Type: text/html\r\n\r\nhello "
LEVELS = b"".join(
    b'Content-Type: multipart/mixed; boundary="n%d"\r\n\r\n--n%d\r\n' % (i, i) for i in range(MAX_DEPTH + 1)
)

# Limit → the least mail beyond it that still has something to show.
BEYOND = {
    "MAX_DEPTH": MIXED.removesuffix(b"--b\r\n\r\nhello\r\n") + b"--b\r\n\r\nhello\r\n--b\r\n" + LEVELS,
    "MAX_PARTS": MIXED + b"--b\r\n\r\nx\r\n" * MAX_PARTS,
    "MAX_DELIMITERS": MIXED + b"\n--bx" * MAX_DELIMITERS,
    "MAX_HEADER_BYTES": HEAD + b"X: " + b"a" * MAX_HEADER_BYTES + b"\r\n\r\nhello",
    "MAX_PART_HEADER_BYTES": MIXED + b"--b\r\nX: " + b"a" * MAX_PART_HEADER_BYTES + b"\r\n\r\nx",
    "MAX_FIELDS": HEAD + b"x:\r\n" * MAX_FIELDS + b"\r\nhello",
    "MAX_DECODED_BYTES": MIXED + b"--b\r\nContent-Type: a/b\r\n\r\n" + b"a" * MAX_DECODED_BYTES,
    "MAX_FILENAME_CHARS": MIXED + b"--b\r\nContent-Type: a/b; name=%s\r\n\r\nx" % (b"a" * (MAX_FILENAME_CHARS + 1)),
    "MAX_SUBJECT_CHARS": b"Subject: " + b"a" * (MAX_SUBJECT_CHARS + 1) + b"\r\n\r\nhello",
    "MAX_TEXT_CHARS": HEAD + b"\r\nhello" + b"a" * MAX_TEXT_CHARS,
    "MAX_ATTACHMENTS": MIXED + b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n" * (MAX_ATTACHMENTS + 1),
    "MAX_HTML_CHARS": HTML + b"a" * MAX_HTML_CHARS,
    "MAX_HTML_DEPTH": HTML + b"<div>" * (MAX_HTML_DEPTH + 1),
    "MAX_TAGS": HTML + b"<br>" * (MAX_TAGS + 1),
}  # fmt: skip

BELOW = {
    "MAX_FIELDS": HEAD + b"x:\r\n" * (MAX_FIELDS - 2) + b"\r\nhello",
    "MAX_PARTS": MIXED + b"--b\r\n\r\nx\r\n" * (MAX_PARTS - 1),
    "MAX_SUBJECT_CHARS": b"Subject: " + b"a" * MAX_SUBJECT_CHARS + b"\r\n\r\nhello",
    "MAX_TEXT_CHARS": HEAD + b"\r\n" + b"a" * MAX_TEXT_CHARS,
    "MAX_ATTACHMENTS": MIXED + b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n" * MAX_ATTACHMENTS,
    "MAX_HTML_DEPTH": HTML + b"<div>" * MAX_HTML_DEPTH,
    "MAX_TAGS": HTML + b"<br>" * MAX_TAGS,
}


@pytest.mark.parametrize("limit", BEYOND)
def test_mail_beyond_a_limit_is_shown(limit: str):
    mail = parse_unguarded(BEYOND[limit])

    assert mail.truncated
    assert (mail.subject or "").startswith(("Lamp", "aaa"))
    assert mail.text.startswith("hello")


@pytest.mark.parametrize("limit", BELOW)
def test_mail_just_below_a_limit_is_whole(limit: str):
    assert not parse_unguarded(BELOW[limit]).truncated


def _sender(value: bytes) -> ParsedMail:
    return parse_unguarded(b"From: " + value + b"\r\nSubject: Lamp\r\n\r\nhello")


def test_a_value_that_is_too_long_is_cut_and_the_mail_shown():
    mail = parse_unguarded(
        b"X: y\r\nSubject: Lamp\r\nReply-To: " + b"a" * 2 * MAX_VALUE_BYTES + b"\r\n\r\nhello"
    )

    assert (mail.subject, mail.text) == ("Lamp", "hello")


def test_an_address_that_is_too_long_is_no_address_and_is_shown():
    mail = _sender(b"Kim <" + b"a" * MAX_ADDRESS_CHARS + b"@mail.example>")

    assert mail.sender_address is None
    assert 0 < len(mail.sender_name or "") <= MAX_NAME_CHARS


def test_a_name_that_is_too_long_is_cut():
    mail = _sender(b"K" * (MAX_NAME_CHARS + 1) + b" <kim@mail.example>")

    assert (mail.sender_name, mail.sender_address) == ("K" * MAX_NAME_CHARS, "kim@mail.example")


def test_order_ids_are_counted_no_further_than_their_limit():
    ids = [f"302-1234567-{number:07}" for number in range(MAX_ORDER_IDS + 1)]

    assert parse_unguarded(f"Subject: x\r\n\r\n{' '.join(ids)}".encode()).order_ids == tuple(
        ids[:MAX_ORDER_IDS]
    )


def test_a_delimiter_line_that_is_too_long_delimits_nothing():
    mail = parse_unguarded(MIXED + b"--b" + b" " * MAX_BOUNDARY_LINE_BYTES + b"x\r\n\r\nmore")

    assert mail.text.startswith("hello")


def test_a_content_id_that_is_too_long_is_none():
    part = b"--b\r\nContent-Type: a/b\r\nContent-ID: <" + b"a" * (MAX_CONTENT_ID_CHARS + 1) + b">\r\n\r\nx"

    assert [a.content_id for a in parse_unguarded(MIXED + part).attachments] == [None]


def test_a_parameter_beyond_the_last_one_is_not_read():
    """The standard library takes quadratic time for them: 8 MB of such parts took nine seconds."""
    first, last = b";a=b" * (MAX_PARAMETERS - 2), b";a=b" * MAX_PARAMETERS
    part = b"--b\r\nContent-Type: a/b%s;name=x\r\n\r\nx\r\n"

    assert [a.filename for a in parse_unguarded(MIXED + part % first + part % last).attachments] == [
        "x",
        None,
    ]
