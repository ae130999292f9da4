"""What the mail of a reply looks like, byte by byte where it matters."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.parser import BytesParser
from email.policy import default
from typing import Any
from uuid import UUID

import pytest

from services.mailrelay.outbound.composing import compose, reply_subject
from services.mailrelay.outbound.reply import (
    NamedReply,
    NotAnswerable,
    Reply,
    ReplyFile,
    message_id_of,
    reply_named_in,
)
from tests.unit.mailrelay.outbound.reading_back import DOMAIN, a_reply, check_read_back

ID = UUID("0192f3a0-1111-7222-8333-944455556666")
ORDER = "302-1234567-7654321"
OTHER = "302-7654321-1234567"


def composed(*, eight_bit: bool = False, **values: Any) -> bytes:
    return compose(a_reply(**values), mail_domain=DOMAIN, eight_bit=eight_bit)


def header_of(raw: bytes) -> str:
    return raw.partition(b"\r\n\r\n")[0].decode()


def body_of(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[2]


def test_the_mail_of_a_reply_without_files():
    raw = composed(
        outbound_message_id=ID,
        subject="AW: Frage von Jürgen (Bestellung: 302-1234567-7654321)",
        text="Grüße\n",
        in_reply_to="<q2@amazonses.com>",
        references=("<q1@amazonses.com>",),
    )

    assert raw.decode() == (
        "Date: Sat, 28 Nov 2026 12:00:05 +0000\r\n"
        "From: mabtekrud@replyco.email\r\n"
        "To: k3j4h5g6f7d8s9a+7b1e-4c@marketplace.amazon.de\r\n"
        "Message-ID: <0192f3a0111172228333944455556666.1@replyco.email>\r\n"
        "In-Reply-To: <q2@amazonses.com>\r\n"
        "References: <q1@amazonses.com> <q2@amazonses.com>\r\n"
        "Subject: Re: Frage von =?UTF-8?B?SsO8cmdlbg==?= (Bestellung:\r\n"
        " 302-1234567-7654321)\r\n"
        "Auto-Submitted: no\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "Gr=C3=BC=C3=9Fe\r\n"
    )


def test_the_same_row_is_the_same_mail_again():
    assert composed(outbound_message_id=ID) == composed(outbound_message_id=ID)


@pytest.mark.parametrize(
    ("text", "eight_bit", "encoding"),
    [
        ("Grüße", True, "8bit"),
        ("Grüße", False, "quoted-printable"),
        ("Hello", True, "7bit"),
        ("Hello", False, "7bit"),
        ("a" * 998, True, "7bit"),
        ("a" * 999, True, "quoted-printable"),
        ("ä" * 499, True, "8bit"),
        ("ä" * 500, True, "quoted-printable"),
        ("blanks \nat a line's end", True, "quoted-printable"),
        ("-- \nsignature", True, "quoted-printable"),
        ("From here on", True, "quoted-printable"),
        ("so:\n.\n", True, "quoted-printable"),
        ("...", True, "quoted-printable"),
        ("--=_" + UUID(int=7).hex + "_m", True, "quoted-printable"),
    ],
)
def test_what_could_be_changed_on_the_way_is_quoted_and_eight_bits_are_used_where_offered(
    text: str, eight_bit: bool, encoding: str
):
    raw = composed(text=text, eight_bit=eight_bit)

    assert f"Content-Transfer-Encoding: {encoding}" in header_of(raw)
    check_read_back(a_reply(text=text), eight_bit=eight_bit)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour\n"),
        ("one\u2028two\u2029three\x85four\x0bfive\x0csix", "one\ntwo\nthree\nfour\nfive\nsix\n"),
        ("nul\x00 bell\x07 escape\x1b[31m tab\t.", "nul bell escape[31m tab\t.\n"),
        ("half \ud83d a letter", "half \N{REPLACEMENT CHARACTER} a letter\n"),
        ("\u05e9\u05dc\u05d5\u05dd \u200f(1)", "\u05e9\u05dc\u05d5\u05dd \u200f(1)\n"),
        ("  indented\n\n\n\nfar below\n\n\n", "  indented\n\n\n\nfar below\n"),
        ("", "\n"),
    ],
)
def test_a_text_has_line_ends_of_one_kind_and_nothing_that_no_mail_can_carry(written: str, read: str):
    mail = BytesParser(policy=default).parsebytes(composed(text=written))

    assert mail.get_content().replace("\r\n", "\n") == read


@pytest.mark.parametrize(
    ("subject", "order", "answer"),
    [
        ("Frage", None, "Re: Frage"),
        ("Re: Frage", None, "Re: Frage"),
        ("RE: AW: Re[2]: Antw : SV: Frage", None, "Re: Frage"),
        ("回复\N{FULLWIDTH COLON}商品", None, "Re: 商品"),
        ("Retoure: Lampe", None, "Re: Retoure: Lampe"),
        ("Frage [commMgrTok:AB12]", None, "Re: Frage [commMgrTok:AB12]"),
        (f"Frage (Bestellung: {ORDER})", ORDER, f"Re: Frage (Bestellung: {ORDER})"),
        (f"Frage (Bestellung: {OTHER})", ORDER, f"Re: Frage (Bestellung: {ORDER})"),
        (f"Frage zu {OTHER} und {ORDER}", ORDER, f"Re: Frage zu {OTHER} und {ORDER}"),
        ("Frage zu 302-0000000-0000000 und 302-0000000-0000001", ORDER,
         f"Re: Frage zu 302-0000000-0000000 und 302-0000000-0000001 ({ORDER})"),
        ("Frage", ORDER, f"Re: Frage ({ORDER})"),
        ("", ORDER, f"Re: ({ORDER})"),
        ("", None, "Re:"),
        ("Frage\r\nBcc: all@shop.example", None, "Re: Frage Bcc: all@shop.example"),
        ("Frage\u2028\u202egnulletseB\x00", None, "Re: Frage gnulletseB"),
    ],
)  # fmt: skip
def test_the_subject_is_the_threads_with_one_prefix_and_the_order_that_it_is_about_now(
    subject: str, order: str | None, answer: str
):
    assert reply_subject(subject, order) == answer


EVIL = [
    "x\r\nBcc: all@shop.example",
    "x\nBcc: all@shop.example",
    "x\rBcc: all@shop.example",
    "x\r\n\r\nA body",
    "x\x00\r\n .\r\n",
    "x\x0bBcc: all@shop.example",
    "x\x85Bcc: all@shop.example",
    "x\u2028Bcc: all@shop.example",
    "=?UTF-8?Q?x=0D=0ABcc:_all@shop.example?=",
    'x"; filename="y',
    "x\\",
    "<a@b>\r\nBcc: <c@d>",
    "<a@b\r\n Bcc:c>",
]


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("field", ["subject", "order_id", "in_reply_to", "references", "files", "text"])
def test_no_value_begins_a_field_of_its_own(field: str, evil: str):
    values: dict[str, Any] = {"references": (evil,), "files": (ReplyFile(evil, b"x"),)}
    raw = composed(**{field: values.get(field, evil)})

    mail = BytesParser(policy=default).parsebytes(raw)
    assert mail["Bcc"] is None
    assert [part["Bcc"] for part in mail.walk() if part["Bcc"] is not None] == []
    assert all(not part.defects for part in mail.walk())
    lines = re.split(r"\r\n(?![ \t])|\r(?!\n)|(?<!\r)\n", header_of(raw))
    assert {line.partition(":")[0] for line in lines} <= {
        "Date", "From", "To", "Message-ID", "In-Reply-To", "References", "Subject", "Auto-Submitted", "MIME-Version",
        "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip


@pytest.mark.parametrize("which", ["from", "to"])
@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "@marketplace.amazon.de",
        "a@",
        "a@localhost",
        "a b@marketplace.amazon.de",
        "a@b@marketplace.amazon.de",
        "a@marketplace.amazon.de\r\nBcc: c@d.example",
        "a@marketplace.amazon.de\n",
        "a\x00@marketplace.amazon.de",
        "a@marketplace.amazon.de>, <c@d.example",
        "a@marketplace.amazon.de,c@d.example",
        '"a b"@marketplace.amazon.de',
        "Robin <a@marketplace.amazon.de>",
        "a@[192.0.2.1]",
        "a..b@marketplace.amazon.de",
        "jürgen@marketplace.amazon.de",
        "a@bücher.example",
        "a@marketplace.amazon.de\u2028",
        f"{'a' * 65}@marketplace.amazon.de",
        f"a@{'b' * 64}.example",
        f"a@{'.'.join(['b' * 60] * 5)}.example",
    ],
)
def test_what_is_no_plain_address_is_not_answerable(which: str, address: str):
    reply = a_reply(**{f"{which}_address": address})

    with pytest.raises(NotAnswerable) as refused:
        compose(reply, mail_domain=DOMAIN, eight_bit=False)

    assert refused.value.code == "not_answerable"
    assert refused.value.fields == {"address": which}


def test_amazons_tag_stays_in_the_address():
    assert "To: k3j4h5g6f7d8s9a+7b1e-4c@marketplace.amazon.de" in header_of(composed())


def test_of_a_long_thread_the_first_mail_and_the_newest_are_named():
    ids = tuple(f"<m{number}@amazonses.com>" for number in range(100))

    mail = BytesParser(policy=default).parsebytes(composed(references=ids, in_reply_to="<q@amazonses.com>"))

    assert mail["References"].split() == ["<m0@amazonses.com>", *ids[82:], "<q@amazonses.com>"]


def test_a_long_message_id_stands_as_it_is():
    """The standard library would make encoded-words of it, and the buyer's program would not find the thread."""
    long = f"<{'0102018f3c2b7a41-' * 5}000000@eu-west-1.amazonses.com>"

    header = header_of(composed(in_reply_to=long, references=("<a@b.example>",)))

    assert f"In-Reply-To: {long}\r\n" in header
    assert f"References: <a@b.example>\r\n {long}\r\n" in header


def test_what_is_no_message_id_is_left_out():
    raw = composed(
        in_reply_to="no id", references=("<a@b>", "<ä@b>", "<a b@c>", "", "<a@b>", f"<{'a' * 400}@b>")
    )

    assert "In-Reply-To" not in header_of(raw)
    assert "References: <a@b>\r\n" in header_of(raw)


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("invoice.pdf", b"%PDF-1.4", ['application/pdf;\r\n name="invoice.pdf"', 'attachment;\r\n filename="invoice.pdf"']),
        ("Grüße.txt", b"x", ['text/plain; charset=utf-8;\r\n name="=?UTF-8?B?R3LDvMOfZS50eHQ=?="',
                              "attachment;\r\n filename*=UTF-8''Gr%C3%BC%C3%9Fe.txt"]),
        ("\u202egpj.exe", b"MZ", ['application/vnd.microsoft.portable-executable;\r\n name="gpj.exe"']),
        ("../../etc/passwd", b"x", ['name="_.._etc_passwd"']),
        ("photo.jpg", b"\x00\x01", ["application/octet-stream"]),
        ("Angebot.DOCX", b"PK\x03\x04[Content_Types].xml", ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"]),
        ("letter.doc\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ["Content-Type: application/msword"]),
        ("unknown.xyz", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ["Content-Type: application/octet-stream"]),
        ("prices.csv", b"a;b", ["Content-Type: text/csv"]),
        ("photo.docx", b"\xff\xd8\xff", ["Content-Type: image/jpeg"]),
        ("", b"\x89PNG\r\n\x1a\n", ['image/png;\r\n name="image.png"']),
    ],
)  # fmt: skip
def test_a_file_has_the_type_of_its_bytes_and_a_name_for_new_and_old_readers(
    name: str, content: bytes, fields: list[str]
):
    raw = composed(files=(ReplyFile(name, content),)).decode()

    for field in fields:
        assert field in raw
    check_read_back(a_reply(files=(ReplyFile(name, content),)), eight_bit=False)


def test_a_long_name_keeps_its_ending_and_is_cut_between_letters():
    name = "世界" * 200 + ".pdf"
    reply = a_reply(files=(ReplyFile(name, b"%PDF-"),))

    raw = compose(reply, mail_domain=DOMAIN, eight_bit=False).decode()

    check_read_back(reply, eight_bit=False)
    assert max(map(len, raw.split("\r\n"))) <= 78
    pieces = re.findall(r"filename\*[0-9]+\*=(?:UTF-8'')?([^;\r]*)", raw)
    assert len(pieces) > 1
    assert all(len(piece) % 9 == 0 for piece in pieces[:-1])


def test_sixty_files_and_a_megabyte_of_text_are_read_back():
    files = tuple(ReplyFile(f"{number}.bin", bytes([number]) * 1000) for number in range(60))

    check_read_back(a_reply(files=files, text="Zeile mit Grüßen\n" * 60_000), eight_bit=False)


def test_the_html_twin_says_the_same_and_nothing_of_it_is_markup():
    raw = composed(text="5 < 6 & <b>\n\nGrüße", has_html=True)

    mail = BytesParser(policy=default).parsebytes(raw)
    html = mail.get_body(("html",))
    assert mail.get_content_type() == "multipart/alternative"
    assert html is not None
    assert '<p dir="auto">5 &lt; 6 &amp; &lt;b&gt;</p>\r\n<p dir="auto">Grüße</p>' in html.get_content()


def test_a_long_tag_stands_unencoded_beside_what_is_encoded():
    tag = f"[commMgrTok:{'A1B2' * 30}]"

    assert f"\r\n {tag}\r\n" in header_of(composed(subject=f"Grüße {tag}", order_id=None))
    check_read_back(a_reply(subject=f"Grüße {tag} {'x' * 400}"), eight_bit=False)


def test_the_date_is_in_utc():
    at = datetime(2026, 11, 28, 1, 0, tzinfo=timezone(timedelta(hours=9)))

    assert "Date: Fri, 27 Nov 2026 16:00:00 +0000" in header_of(composed(sent_at=at))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (message_id_of(ID, 1, DOMAIN), NamedReply(ID, 1)),
        (
            f"In-Reply-To: <x@y>\r\nReferences: <x@y>\r\n {message_id_of(ID, 12, 'REPLYCO.email')}",
            NamedReply(ID, 12),
        ),
        (f"Message-ID: <{ID.hex.upper()}.2@Replyco.Email>", NamedReply(ID, 2)),
        (f"{ID.hex}.1@replyco.email", NamedReply(ID, 1)),
        (f"<{ID.hex}.1@the-domain-of-last-year.example>", NamedReply(ID, 1)),
        (f"<x{ID.hex}.1@replyco.email>", None),
        (f"<{ID.hex}0.1@replyco.email>", None),
        (f"<{ID.hex}@replyco.email>", None),
        (f"<{ID.hex}.0@replyco.email>", None),
        (f"<{ID.hex}.9999999@replyco.email>", None),
        (f"<{ID}.1@replyco.email>", None),
        ("", None),
    ],
)
def test_a_reply_and_its_round_are_recognised_by_its_message_id(text: str, found: NamedReply | None):
    assert reply_named_in(text) == found


def test_the_parts_that_are_personal_are_in_no_representation():
    canary = "canary"
    reply = Reply(
        ID, f"{canary}@a.example", f"{canary}@b.example", canary, None, canary, datetime.now(UTC),
        (ReplyFile(canary, canary.encode()),), f"<{canary}@c.example>", (f"<{canary}@d.example>",),
    )  # fmt: skip

    assert canary not in repr(reply)
    assert canary not in repr(reply.files)
