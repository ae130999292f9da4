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


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/mixed",
        b"multipart/mixed; boundary=other",
        b'multipart/mixed; boundary="b',
        b"multipart/mixed; boundary=b2",
    ],
)
@pytest.mark.parametrize("preamble", [b"", b"This is a multi-part message in MIME format.\r\n\r\n"])
def test_parts_are_found_whose_boundary_the_header_does_not_tell(content_type: bytes, preamble: bytes):
    mail = body(
        preamble + b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF-\r\n--b--\r\n",
        b"Content-Type: " + content_type,
    )

    assert (mail.text, [file.filename for file in mail.attachments]) == ("hello", ["a.pdf"])


@pytest.mark.parametrize(
    "content_type",
    [
        b"text/plain; name=mail.txt",
        b"text/html; name=mail.html",
        b"text/markdown; charset=utf-8",
        b"text/x-unknown",
    ],
)
def test_only_text_of_a_mail_is_shown_whatever_its_name_or_type(content_type: bytes):
    mail = body(b"hello", b"Content-Type: " + content_type)

    assert mail.text == "hello"


def test_forms_of_the_text_that_have_names_are_shown():
    mail = body(
        b"--b\r\nContent-Type: text/plain; name=part1\r\n\r\nhello\r\n"
        b"--b\r\nContent-Type: text/html; name=part2\r\n\r\n<p>hello</p>\r\n--b--\r\n",
        b"Content-Type: multipart/alternative; boundary=b",
    )

    assert (mail.text, mail.html) == ("hello", "<p>hello</p>")


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Type: text/plain; name=notes.txt", b"Content-Disposition: attachment"),
        (b"Content-Type: text/csv; name=orders.csv",),
    ],
)
def test_file_of_text_stays_a_file(headers: tuple[bytes, ...]):
    mail = body(b"a;b", *headers)

    assert (mail.text, len(mail.attachments)) == ("", 1)


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (b"=?utf-8?Q?R=C3=BCck_=C3=BC=C3=B", "Rück ü\N{REPLACEMENT CHARACTER}"),
        (b"=?utf-8?Q?R=C3=BCck_=C3=BC=C3=?=", "Rück ü\N{REPLACEMENT CHARACTER}"),
        (b"=?utf-8?Q?R=C3=B", "R\N{REPLACEMENT CHARACTER}"),
        (b"=?utf-8?Q?R=C3=BCck =?utf-8?Q?gabe?=", "Rück gabe"),
        (b"=?utf-8?B?UsO8Y2s= =?utf-8?B?Z2FiZQ==?=", "Rückgabe"),
        (b"=?utf-8?Q?R=C3=\r\n BCck?=", "Rück"),
        (b"=?utf-8?Q?a=b?=", "a=b"),
    ],
)
def test_encoded_word_cut_or_folded_inside_an_escape(subject: bytes, shown: str):
    assert parse_unguarded(b"Subject: " + subject + b"\r\n\r\nx").subject == shown


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


def test_signs_in_an_encoded_name_part_no_addresses():
    mail = parse_unguarded(b"From: =?utf-8?Q?M=C3=BCller,_Kim_(Shop);?= <kim@mail.example>\r\n\r\nhello")

    assert (mail.sender_name, mail.sender_address) == ("Müller, Kim (Shop);", "kim@mail.example")


def test_an_encoded_name_with_an_address_and_a_comma_is_not_one_sender():
    mail = parse_unguarded(b"From: =?utf-8?Q?a@b.example,?= <kim@marketplace.amazon.de>\r\n\r\nhello")

    assert not mail.amazon_domain


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
    mail = body(b"--b\r\n--b--\r\nhello\r\n", b"Content-Type: multipart/mixed; boundary=b")

    assert (mail.text, mail.truncated) == ("", True)
    assert not body(b"\r\n").truncated


def test_line_in_the_header_that_is_no_field_is_left_out():
    mail = parse_unguarded(b"Hello\r\n" + HEAD + b"World\r\n\r\nhello")

    assert (mail.subject, mail.text) == ("Lamp", "hello")


def test_an_unknown_encoding_is_shown_as_it_is():
    assert body(b"hello", b"Content-Transfer-Encoding: x-unknown").text == "hello"


@pytest.mark.parametrize(
    "encoding", [b'"quoted-printable"', b"quoted-printable;", b"Quoted-Printable (RFC 2045)"]
)
def test_encoding_that_is_named_oddly(encoding: bytes):
    assert body(b"Gr=C3=BC=C3=9Fe=\r\n!", b"Content-Transfer-Encoding: " + encoding).text == "Grüße!"


PDF = b"Content-Type: application/pdf; name=a.pdf\r\n\r\n%PDF-\r\n"
ITS_HTML = b"Content-Type: text/html\r\n\r\n"


def test_two_plain_texts_in_one_alternative_are_shown_once():
    mail = body(
        b"--a\r\n\r\nHallo Gr??e\r\n--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "Hallo Grüße".encode()
        + b"\r\n--a\r\n" + ITS_HTML + "<p>Hallo Grüße".encode() + b"\r\n--a--",
        b"Content-Type: multipart/alternative; boundary=a",
    )  # fmt: skip

    assert (mail.text, mail.html, len(mail.attachments)) == ("Hallo Grüße", "<p>Hallo Grüße</p>", 0)


def test_an_empty_alternative_hides_no_full_one():
    mail = body(
        b"--a\r\n\r\nHallo\r\n--a\r\n\r\n \r\n--a--", b"Content-Type: multipart/alternative; boundary=a"
    )

    assert mail.text == "Hallo"


def test_enriched_text_is_read_where_there_is_no_other():
    enriched = b"--a\r\nContent-Type: text/enriched\r\n\r\n<bold>Hello</bold>,\r\n<color><param>red</param>3 << 4</color>\r\n\r\nKim\r\n"
    alternative = b"Content-Type: multipart/alternative; boundary=a"

    assert body(enriched + b"--a--", alternative).text == "Hello, 3 < 4\nKim"
    assert body(enriched + b"--a\r\n\r\nplain\r\n--a--", alternative).text == "plain"


def test_text_with_a_name_is_read_where_there_is_no_other():
    alone = body(b"Hello", b"Content-Type: text/plain; name=mail.txt")
    beside = body(
        b"--b\r\n\r\nHello\r\n--b\r\nContent-Type: text/plain; name=a.txt\r\n\r\na file\r\n--b--",
        b"Content-Type: multipart/mixed; boundary=b",
    )

    assert [(m.text, [a.filename for a in m.attachments]) for m in (alone, beside)] == [
        ("Hello", ["mail.txt"]),
        ("Hello", ["a.txt"]),
    ]


def test_texts_beside_each_other_are_all_shown():
    mail = body(b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--", b"Content-Type: multipart/mixed; boundary=b")

    assert mail.text == "one\n\ntwo"


def test_html_file_and_html_are_one_text():
    mail = body(
        b"--b\r\n" + ITS_HTML + b"<html><body>before</body></html>\r\n--b\r\n" + PDF + b"--b\r\n" + ITS_HTML
        + b"<html><body>after</body></html>\r\n--b--",
        b"Content-Type: multipart/mixed; boundary=b",
    )  # fmt: skip

    assert mail.text.split() == ["before", "after"]
    assert "before" in (mail.html or "")
    assert "after" in (mail.html or "")
    assert [a.filename for a in mail.attachments] == ["a.pdf"]


def test_html_in_pieces_beside_its_plain_text_is_one_text():
    mail = body(
        b"--a\r\n\r\nbefore\r\n\r\nafter\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + ITS_HTML
        + b"<p>before\r\n--b\r\n" + PDF + b"--b\r\n" + ITS_HTML + b"<p>after\r\n--b--\r\n--a--",
        b"Content-Type: multipart/alternative; boundary=a",
    )  # fmt: skip

    assert mail.text == "before\n\nafter"
    assert (mail.html or "").count("after") == 1
    assert [a.filename for a in mail.attachments] == ["a.pdf"]


def test_plain_footer_below_an_html_text_hides_it_not():
    mail = body(
        b"--b\r\n" + ITS_HTML + b"<p>the question\r\n--b\r\n\r\na <footer>\r\n--b--",
        b"Content-Type: multipart/mixed; boundary=b",
    )

    assert mail.text == "the question\n\na <footer>"
    assert "a &lt;footer&gt;" in (mail.html or "")


@pytest.mark.parametrize(
    "text",
    ["Hallo, hier ist ein Text ohne Kopf.\r\nZweite Zeile.\r\n", "Hallo,\r\n\r\nwo ist es?\r\n\r\nGrüße\r\n"],
)
def test_mail_without_a_header_shows_its_text(text: str):
    mail = parse_unguarded(text.encode())

    assert (mail.kind, mail.text) == (MailKind.UNPARSEABLE, text.replace("\r\n", "\n").strip())


def test_part_without_a_header_shows_all_its_text():
    mail = body(b"--b\r\none\r\n\r\ntwo\r\n--b--", b"Content-Type: multipart/mixed; boundary=b")

    assert mail.text == "one\n\ntwo"


@pytest.mark.parametrize("blanks", [b" ", b"\t", b"  \t "])
def test_line_of_blanks_divides_header_and_body(blanks: bytes):
    mail = parse_unguarded(HEAD + blanks + b"\r\nHello, where is it?\r\n\r\nKim\r\n")

    assert (mail.subject, mail.text) == ("Lamp", "Hello, where is it?\n\nKim")


def test_line_of_blanks_inside_of_a_folded_field_divides_nothing():
    mail = parse_unguarded(b"X: a\r\n \r\n b\r\nX: a\r\n \r\nSubject: Lamp\r\n\r\nHello")

    assert (mail.subject, mail.text) == ("Lamp", "Hello")


def test_container_that_is_closed_by_the_boundary_around_it():
    mail = body(
        b"--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\none\r\n--o--\r\n--o\r\n\r\ntwo\r\n--o--",
        b"Content-Type: multipart/mixed; boundary=o",
    )

    assert mail.text == "one\n\ntwo"


@pytest.mark.parametrize(
    ("flowing", "content", "text"),
    [
        (b"", b"a \r\nb", "a\nb"),
        (b"; format=flowed", b"a \r\nb\r\nc\r\n-- \r\nd", "a b\nc\n--\nd"),
        (b"; format=flowed", b"> a \r\n> b\r\n>> c \r\nd", "> a b\n>> c\nd"),
        (b"; format=flowed", b" From a\r\n > b", "From a\n> b"),
        (b"; format=flowed; delsp=yes", "日本 \r\n語".encode(), "日本語"),
    ],
)
def test_lines_that_flow_are_paragraphs(flowing: bytes, content: bytes, text: str):
    assert body(content, b"Content-Type: text/plain; charset=utf-8" + flowing).text == text


@pytest.mark.parametrize(
    ("html", "header"),
    [
        (b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>', b"text/html"),
        (b"<META CHARSET=koi8-r><p>", b"text/html; charset=unknown-8bit"),
        (b'<?xml version="1.0" encoding="koi8-r"?><p>', b"text/html"),
        (b"<meta charset=utf-8><p>", b"text/html; charset=koi8-r"),
    ],
)
def test_html_names_its_charset_where_its_header_does_not(html: bytes, header: bytes):
    assert body(html + "Где".encode("koi8-r"), b"Content-Type: " + header).text == "Где"


def test_charset_without_a_semicolon_before_it():
    assert body("Где".encode("koi8-r"), b"Content-Type: text/plain charset=koi8-r").text == "Где"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
@pytest.mark.parametrize("label", [b"", b"; charset=utf-16", b"; charset=utf-8"])
def test_text_in_two_or_four_bytes_a_letter(codec: str, label: bytes):
    mail = body("Grüße aus Köln".encode(codec), b"Content-Type: text/plain" + label)

    assert mail.text.lstrip("\ufeff") == "Grüße aus Köln"


@pytest.mark.parametrize(
    "parameter",
    [
        b"filename*=utf-8''Gr%C3%B6%C3",
        b'filename="=?utf-8?Q?Gr=C3=B6=C3?="',
        b'filename="=?utf-8?Q?Gr=C3=B6=C3',
        b'filename="Gr\xc3\xb6\xc3"',
    ],
)
def test_file_name_cut_inside_of_a_character(parameter: bytes):
    mail = body(b"x", b"Content-Type: application/pdf", b"Content-Disposition: attachment; " + parameter)

    assert mail.attachments[0].filename == "Grö\ufffd"


@pytest.mark.parametrize("name", ["Größe.pdf", "注文書.pdf", "Счёт.pdf"])
@pytest.mark.parametrize("form", ["filename={}", "filename*=utf-8''{}", 'filename="{}"'])
def test_file_name_that_is_not_encoded(form: str, name: str):
    mail = body(
        b"x",
        b"Content-Type: application/pdf",
        f"Content-Disposition: attachment; {form.format(name)}".encode(),
    )

    assert mail.attachments[0].filename == name


def test_internationalised_sender_has_an_address():
    mail = parse_unguarded("From: Jürgen <jürgen@bücher.example>\r\n\r\nhello".encode())

    assert (mail.sender_name, mail.sender_address) == ("Jürgen", "jürgen@bücher.example")


def test_tnef_and_enclosed_mail_stay_files():
    mail = body(
        b"--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\r\n\x78\x9f\x3e\x22\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n--b--",
        b"Content-Type: multipart/mixed; boundary=b",
    )

    assert mail.text == "hello"
    assert [a.content_type for a in mail.attachments] == ["application/ms-tnef", "message/rfc822"]
