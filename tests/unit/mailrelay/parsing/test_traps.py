"""Traps that are known from mail of others, each by name. Huge ones are in test_any_bytes."""

import base64
import tracemalloc
from datetime import UTC, datetime

import pytest

from services.mailrelay.parsing.filenames import safe_filename
from services.mailrelay.parsing.mail import MailKind, ParsedMail, parse_unguarded

HEAD = b"From: Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: Lamp\r\n"


def body(content: bytes, *headers: bytes) -> ParsedMail:
    return parse_unguarded(HEAD + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + content)


def test_encoded_words_cut_inside_a_character():
    mail = parse_unguarded(b"Subject: =?utf-8?Q?Gr=C3?=\r\n =?utf-8?Q?=BC=C3=9F?= =?utf-8?B?ZQ==?=\r\n\r\nx")

    assert mail.subject == "Grüße"


def test_encoded_words_cut_inside_a_character_of_a_stateful_charset():
    first, second = (base64.b64encode(word.encode("iso-2022-jp")).decode() for word in ("注文", "番号"))

    mail = parse_unguarded(f"Subject: =?iso-2022-jp?B?{first}?= =?ISO-2022-JP?B?{second}?=\r\n\r\nx".encode())

    assert mail.subject == "注文番号"


@pytest.mark.parametrize("charset", ["unknown-8bit", "x-unknown", '""', "utf-8; x", "hz-gb-2312"])
def test_charset_that_nobody_knows(charset: str):
    mail = body("Grüße".encode(), f"Content-Type: text/plain; charset={charset}".encode())

    assert mail.text == "Grüße"


def test_charset_that_lies():
    assert body("Grüße".encode(), b"Content-Type: text/plain; charset=us-ascii").text == "Grüße"
    assert body("Grüße".encode("cp1252"), b"Content-Type: text/plain; charset=utf-8").text == "Grüße"


@pytest.mark.parametrize(
    "parameter",
    [
        b"filename*0*=utf-8''Gr%C3%B6%C3;\r\n filename*1*=%9Fe;\r\n filename*2=.pdf",
        b"filename*=utf-8'de'Gr%C3%B6%C3%9Fe.pdf",
        b'filename="=?utf-8?Q?Gr=C3=B6=C3=9Fe=2Epdf?="',
        b"filename*=iso-8859-1''Gr%F6%DFe.pdf",
    ],
)
def test_file_name_by_rfc_2231_or_by_encoded_words(parameter: bytes):
    mail = body(b"x", b"Content-Type: application/pdf", b"Content-Disposition: attachment; " + parameter)

    assert mail.attachments[0].filename == "Größe.pdf"


@pytest.mark.parametrize(
    "parameter",
    [
        b"filename*0*=utf-8''a; filename*2*=c",
        b"filename*" + b"9" * 5000 + b"=a",
        b"filename*0=a; filename*=b",
        b"filename*=utf-8''%ZZ",
        b"filename*=",
    ],
)
def test_file_name_by_broken_rfc_2231(parameter: bytes):
    mail = body(b"x", b"Content-Type: application/pdf", b"Content-Disposition: attachment; " + parameter)

    assert len(mail.attachments) == 1


def test_two_content_types():
    mail = body(
        b"--b\r\n\r\nhello\r\n--b--",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: text/html",
    )

    assert mail.text == "hello"


@pytest.mark.parametrize("boundary", [b'"b "', b'"b"', b"b"])
def test_boundary_with_trailing_blanks(boundary: bytes):
    mail = body(b"--b  \r\n\r\nhello\r\n--b-- \t\r\n", b"Content-Type: multipart/mixed; boundary=" + boundary)

    assert mail.text == "hello"


def test_missing_closing_boundary():
    assert body(b"--b\r\n\r\nhello\r\n", b"Content-Type: multipart/mixed; boundary=b").text == "hello"


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Type: multipart/mixed",),
        (b'Content-Type: multipart/mixed; boundary=""',),
        (b"Content-Type: multipart/mixed; boundary=c",),
    ],
)
def test_boundary_that_is_none_or_never_comes(headers: tuple[bytes, ...]):
    assert "hello" in body(b"--b\r\n\r\nhello\r\n--b--", *headers).text


def test_base64_with_garbage():
    mail = body(b"SGVs!bG8s\r\n\x00IHdv\xffcmxk==\r\n--", b"Content-Transfer-Encoding: base64")

    assert mail.text == "Hello, world"


def test_base64_with_a_stray_character_everywhere_takes_little_memory():
    content = b"AAA!" * 500_000

    tracemalloc.start()
    body(content, b"Content-Type: application/pdf; name=a.pdf", b"Content-Transfer-Encoding: base64")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # By a regular expression it was sixty times its size.
    assert peak < 10 * len(content)


def test_quoted_printable_that_is_broken():
    assert body(b"a=\r\nb=3Dc=ZZ=", b"Content-Transfer-Encoding: quoted-printable").text.startswith("ab=c")


def test_nul_bytes():
    mail = parse_unguarded(b"From: a\x00@b.example\r\nSubject: a\x00b\r\n\r\nhel\x00lo")

    assert (mail.subject, mail.text) == ("ab", "hello")


def test_enclosed_mail_is_a_file_and_no_level():
    bomb = b"Content-Type: message/rfc822\r\n\r\n" * 100_000 + b"Subject: inner\r\n\r\nx"

    mail = body(
        b"--b\r\n\r\nhello\r\n--b\r\n" + bomb + b"\r\n--b--", b"Content-Type: multipart/mixed; boundary=b"
    )

    assert mail.text == "hello"
    assert [a.content_type for a in mail.attachments] == ["message/rfc822"]


@pytest.mark.parametrize(
    "date",
    [
        b"Mon, 99 Foo 2026 99:99:99 +9999",
        b"Mon, 02 Nov 2026 09:00:00 +99999999999999999999",
        b"Mon, 02 Nov 999999999999 09:00:00 +0000",
        b"31 Dec 9999 23:59:00 -2359",
        b"\xff\xfe",
        b"",
        b"x" * 10_000,
    ],
)
def test_date_that_cannot_be(date: bytes):
    mail = body(b"hello", b"Date: " + date)

    assert (mail.sent_at, mail.text) == (None, "hello")


@pytest.mark.parametrize(
    ("date", "hour"),
    [
        (b"Mon, 02 Nov 2026 09:00:00 -0000", 9),
        (b"Mon, 02 Nov 2026 09:00:00 GMT", 9),
        (b"Mon, 02 Nov 2026 09:00:00 -0500 (EST)", 14),
        (b"2 Nov 2026 09:00 +0100", 8),
    ],
)
def test_date_with_an_odd_zone(date: bytes, hour: int):
    assert body(b"x", b"Date: " + date).sent_at == datetime(2026, 11, 2, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sender", "address"),
    [
        (b"(a (nested) comment) Kim <kim@mail.example> (another)", "kim@mail.example"),
        (b'"Kim (no comment)" <kim@mail.example>', "kim@mail.example"),
        (b"Team: kim@mail.example, pat@mail.example;", None),
        (b"undisclosed-recipients:;", None),
        (b"<@a.example,@b.example:kim@mail.example>", None),
        (b'"kim @ home"@mail.example', None),
    ],
)
def test_sender_with_comments_and_groups(sender: bytes, address: str | None):
    mail = parse_unguarded(b"From: " + sender + b"\r\n\r\nhello")

    assert (mail.sender_address, mail.text) == (address, "hello")
    assert mail.sender_name


@pytest.mark.parametrize(
    "head", [b"Subject: x\r\n", b"From:\r\nSubject: x\r\n", b"From: \r\n\t\r\nSubject: x\r\n"]
)
def test_sender_missing(head: bytes):
    mail = parse_unguarded(head + b"\r\nhello")

    assert (mail.kind, mail.sender_address, mail.text) == (MailKind.OTHER, None, "hello")


def test_sender_twice():
    mail = parse_unguarded(HEAD + b"From: info@evil.example\r\n\r\nhello")

    assert (mail.kind, mail.amazon_domain, mail.buyer_address) == (MailKind.OTHER, False, None)


@pytest.mark.parametrize("mark", ["\u202e", "\u202d", "\u2066", "\u2069", "\u200f", "\u061c", "\ufeff"])
def test_direction_marks_in_a_file_name(mark: str):
    assert safe_filename(f"a{mark}gpj.exe", "image/jpeg") == "agpj.exe"


def test_line_ends_of_every_kind():
    assert body(b"a\rb\nc\r\nd").text == "a\nb\nc\nd"


def test_no_empty_line_between_header_and_body():
    mail = parse_unguarded(HEAD.rstrip())

    assert (mail.subject, mail.text) == ("Lamp", "")


def test_body_without_an_empty_line_before_it_is_shown():
    mail = parse_unguarded(HEAD + b"Date: x\r\n (folded)\r\nHello, where is it?\r\nSubject: mine\r\n")

    assert (mail.subject, mail.text) == ("Lamp", "Hello, where is it?\nSubject: mine")


def test_message_that_only_looks_empty_says_that_there_is_more():
    mail = body(b"--b\r\n--b--\r\n--b\r\n\r\nhello\r\n", b"Content-Type: multipart/mixed; boundary=b")

    assert (mail.text, mail.truncated) == ("", True)
    assert not body(b"\r\n").truncated


def test_line_in_the_header_that_is_no_field_is_left_out():
    mail = parse_unguarded(b"Hello\r\n" + HEAD + b"World\r\n\r\nhello")

    assert (mail.subject, mail.text) == ("Lamp", "hello")


def test_uuencode_and_unknown_encodings_are_shown_as_they_are():
    assert "begin 644" in body(b"begin 644 a\n#0V%T\n`\nend", b"Content-Transfer-Encoding: x-uuencode").text
