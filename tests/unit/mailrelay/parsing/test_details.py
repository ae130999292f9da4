"""Single decisions of the parser that no whole mail shows well."""

import pytest

from services.mailrelay.parsing.charsets import decode_text
from services.mailrelay.parsing.claimed_sender import claimed_sender
from services.mailrelay.parsing.decoding import decode_header
from services.mailrelay.parsing.mail import parse_mail
from services.mailrelay.parsing.mailboxes import read_mailboxes
from services.mailrelay.parsing.safe_html import make_safe
from services.mailrelay.parsing.transfer import decode_base64

BODY = b"To: x@replyco.email\r\nSubject: Hi\r\n\r\nHello\r\n"


def test_trace_headers_do_not_change_the_digest():
    first = b"Received: from a\r\n by b\r\nReturn-Path: <1@a>\r\nFrom: a@b.example\r\n" + BODY
    again = b"Delivered-To: y\r\nReceived: from c\r\nX-Received: d\r\nFrom: a@b.example\r\n" + BODY

    assert claimed_sender(first).digest == claimed_sender(again).digest


@pytest.mark.parametrize("change", [(b"Hello", b"hello"), (b"Hi", b"hi"), (b"a@b", b"c@b")])
def test_anything_else_changes_the_digest(change: tuple[bytes, bytes]):
    mail = b"From: a@b.example\r\n" + BODY

    assert claimed_sender(mail).digest != claimed_sender(mail.replace(*change)).digest


def test_a_bare_carriage_return_begins_no_header():
    mail = parse_mail(
        b"Subject: x\rFrom: k3j4h5g6f7d8s9a@marketplace.amazon.de\r\nTo: x@replyco.email\r\n\r\nHi\r\n"
    )

    assert mail.sender_address is None


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("Kim <a@b.example>", ["a@b.example"]),
        ("a@B.Example", ["a@b.example"]),
        ('"Kim, the buyer" <a@b.example> (a comment (inside))', ["a@b.example"]),
        ("a@b.example, Kim <c@d.example>", ["a@b.example", "c@d.example"]),
        ('"a@amazon.de" <a@b.example>', ["a@b.example"]),
        ("=?utf-8?Q?a=40amazon.de=2C?= <a@b.example>", ["a@b.example"]),
        ("<a@amazon.de> <a@b.example>", []),
        ("a@amazon.de <a@b.example", []),
        ("a@amazon.de)<a@b.example>", []),
        ("Group: a@b.example;", []),
        ("<@relay.example:a@b.example>", []),
        ("a@marketplace.am\u0430zon.de", ["a@marketplace.am\u0430zon.de"]),
        ("käufer@bücher.example", ["käufer@bücher.example"]),
        ("Kim <用户@例え.example>", ["用户@例え.example"]),
        ("Kim <a@xn--bcher-kva.example>", ["a@xn--bcher-kva.example"]),
        ("a@\uff41mazon.de", []),
        ("a@am\u00adazon.de", []),
        ("a\u202e@b.example", []),
        ("a\u3000b@c.example", []),
        ("a@b\u0301.example", ["a@b\u0301.example"]),
        ("a@-b.example", []),
        ("a@b.example (Kim)", ["a@b.example"]),
        ("a@b.example (c@d.example)", ["a@b.example"]),
        ("Kim < a@b.example >", ["a@b.example"]),
        ("a@b.example,", []),
        ("", []),
    ],
)
def test_mailboxes_are_read_for_certain_or_not_at_all(value: str, addresses: list[str]):
    assert [box.address for box in read_mailboxes(value)] == addresses


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("a@b.example (Kim Muster)", "Kim Muster"),
        ("a@b.example (=?utf-8?Q?Kim_M=C3=BCller?=)", "Kim Müller"),
        ("<a@b.example> (Kim \\(the buyer\\))", "Kim (the buyer)"),
        ("Robin <a@b.example> (Kim)", "Robin"),
        ("(Robin) a@b.example (Kim)", "Kim"),
        ('"" <a@b.example> (Kim)', "Kim"),
        ("a@b.example ()", None),
    ],
)
def test_a_name_may_stand_behind_its_address(value: str, name: str | None):
    (box,) = read_mailboxes(value)

    assert box.name == name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"),
        (b"=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
        (b"=?utf-8*fr?Q?caf=C3=A9?=", "café"),
        (b"=?utf-8?B?Y2Fmw6k?=", "café"),
        (b"caf\xe9", "café"),
        (b"caf\xc3\xa9\r\n au lait", "café au lait"),
        (b"=?unknown?Q?caf=C3=A9?=", "café"),
        (b"=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x"),
        (b"=?utf-8?Q?wo ist es? Gr=c3=bc=c3=9fe?=", "wo ist es? Grüße"),
        (b"Frage: =?utf-8?B?R3LDvMOf", "Frage: Grüß"),
        (b"=?utf-8?B?RnJhZ2UgenVyIEdyw7bDn2Ugww==?= (1)", "Frage zur Größe \ufffd (1)"),
        (b"=?utf-8?Q?Ich_m=C3?=", "Ich m\ufffd"),
        (b"=?iso-8859-1?Q?Fr=C3=B6sche?=", "Frösche"),
        (b"=?iso-8859-1?Q?Fr\xf6sche?=", "Frösche"),
        (b"=?utf-8?B?R3LDvM?= =?utf-8?B?OfZQ==?=", "Grüße"),
        (b"=?utf-8?B?Y2Fmw6k?= =?utf-8?B?IGF1?=", "café au"),
        (b"=?utf-8?B?R3LDvMOfZ?=", "Grüß"),
        (b"=?utf-8?B?R3LDvMOfZ?= an =?utf-8?B?S2lt?=", "Grüß an Kim"),
        (b"Hi \xed\xa0\xbd\xed\xb8\x80 you", "Hi \U0001f600 you"),
        (b"=?UTF8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"),
        (b"=?x-sjis?B?g2WDWINn?=", "テスト"),
        ("テスト".encode("iso-2022-jp"), "テスト"),
        ("Größe ".encode() + b"\xc3", "Größe \ufffd"),
        ("Где мой заказ?".encode("koi8-r"), "Где мой заказ?"),
    ],
)
def test_headers_are_shown_decoded(value: bytes, shown: str):
    assert decode_header(value) == shown


@pytest.mark.parametrize("charset", ["us-ascii", "unknown-8bit", "x" * 500, "punycode", "../../etc", None])
def test_text_in_a_charset_that_lies_is_read_as_utf8(charset: str | None):
    assert decode_text("Grüße".encode(), charset) == "Grüße"


@pytest.mark.parametrize("encoded", [b"SGVsbG8=", b"SGVsbG8", b"SGVs !! bG8=", b"SGVsbG8=SGV", b"SGVsbG8hI"])
def test_broken_base64_is_read_as_far_as_it_goes(encoded: bytes):
    assert decode_base64(encoded).startswith(b"Hello")


def test_html_becomes_text_with_its_lines():
    html = "<title>no</title><p>One <b>two</b>\n three</p><ul><li>four<li>five</ul>six<br>seven<table><tr><td>8<td>9</table>"

    assert make_safe(html).text == "One two three\nfour\nfive\nsix\nseven\n8 9"


def test_a_filename_keeps_its_end_when_it_is_too_long():
    raw = b"From: a@b.example\r\nContent-Disposition: attachment; filename=%s.pdf.exe\r\n\r\nx" % (b"a" * 400)

    mail = parse_mail(raw)

    assert (mail.attachments[0].filename or "").endswith(".pdf.exe")
    assert mail.truncated
