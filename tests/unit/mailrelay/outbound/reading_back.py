"""Replies of every kind, and what a composed one must be: read by two parsers of other houses and by ours, it is what was written."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from uuid import UUID

import fast_mail_parser
from hypothesis import strategies as st

from services.mailrelay.outbound.composing import compose, reply_subject
from services.mailrelay.outbound.header_fields import is_message_id
from services.mailrelay.outbound.reply import Reply, ReplyFile, message_id_of
from services.mailrelay.outbound.transfer import clean_text
from services.mailrelay.parsing.body import MAX_TEXT_CHARS
from services.mailrelay.parsing.filenames import safe_filename, shorten_filename
from services.mailrelay.parsing.mail import parse_mail
from shared.file_types import content_type_of
from shared.sniffing import sniff

DOMAIN = "replyco.email"
# hypothesis wants them without a time zone.
_FIRST, _LAST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (2026, 2090))
FIELDS = [
    "Date", "From", "To", "Message-ID", "In-Reply-To", "References", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding",
]  # fmt: skip
# What means something to a mail server or to a parser, so that drawn texts reach it.
_TROUBLE = st.sampled_from(
    ["\r\n", "\n", "\r", "\r\n.\r\n", "\r\n\r\n", "\n.", "\nFrom x", "\n>From ", "Bcc: a@b.example", "\x00", "\x1b", "\x85", "\u2028", "\u2029",
     "\u202e", "\u200f", "\ufeff", "\ud800", "=?utf-8?Q?=0ABcc:_x?=", "=", "=C3", "=\n", "?=", "--", "--=_", "--=_00", " \n", "\t\n", "\f", "\x0b",
     "a" * 1000, "ä" * 600, "世界", "😀", "é", '"', "\\", ";", "%0a", "''", "*0*=", "/../", "(302-1234567-7654321)", "Re: ", "AW:", "\n\n\n"]
)  # fmt: skip
# Lone surrogates too, which JSON can bring.
TEXTS = st.lists(_TROUBLE | st.text(st.characters(exclude_categories=()), max_size=12), max_size=12).map(
    "".join
)
_IDS = st.lists(st.from_regex(r"<[a-z0-9.]{1,40}@[a-z.]{1,20}>", fullmatch=True) | TEXTS, max_size=25)


@dataclass(frozen=True, slots=True)
class Written:
    """What everybody shall read; the files as names and contents."""

    subject: str
    text: str
    files: list[tuple[str, bytes]]


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    files = st.builds(
        ReplyFile, TEXTS, st.binary(max_size=200) | TEXTS.map(lambda text: text.encode("utf-8", "replace"))
    )
    return Reply(
        outbound_message_id=draw(st.uuids()),
        from_address="mabtekrud@replyco.email",
        to_address="k3j4h5g6f7d8s9a+7b1e-4c@marketplace.amazon.de",
        subject=draw(TEXTS),
        order_id=draw(st.none() | st.from_regex(r"[0-9]{3}-[0-9]{7}-[0-9]{7}", fullmatch=True)),
        text=draw(TEXTS),
        sent_at=draw(st.datetimes(_FIRST, _LAST, timezones=st.just(UTC))),
        files=tuple(draw(st.lists(files, max_size=3))),
        in_reply_to=draw(st.none() | _IDS.map(lambda ids: next(iter(ids), "<a@b.example>"))),
        references=tuple(draw(_IDS)),
        has_html=draw(st.booleans()),
    )


def check_read_back(reply: Reply, *, eight_bit: bool) -> None:
    """The mail of a reply is well formed, and says the same to everybody who reads it."""
    raw = compose(reply, mail_domain=DOMAIN, eight_bit=eight_bit)

    check_bytes(raw, eight_bit=eight_bit)
    written = Written(
        reply_subject(reply.subject, reply.order_id),
        clean_text(reply.text),
        [
            (shorten_filename(safe_filename(file.name, sniff(file.content))), file.content)
            for file in reply.files
        ],
    )
    check_by_the_standard_library(raw, reply, written)
    check_by_another_parser(raw, written)
    check_by_our_own_parser(raw, written)


def check_bytes(raw: bytes, *, eight_bit: bool) -> None:
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\x00", raw)
    assert raw.endswith(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert eight_bit or raw.isascii()
    header, _, body = raw.partition(b"\r\n\r\n")
    assert header.isascii()
    # Where it matters to somebody on the way: a line that begins like a mailbox's separator, ends in blanks, or is a dot.
    assert not re.search(rb"(?m)^From |^\.|[ \t]\r$", body)
    names = [line.partition(":")[0] for line in header.decode().split("\r\n") if line[0] not in " \t"]
    assert names == [name for name in FIELDS if name in names]
    assert {"Message-ID", "Subject", "To", "From", "Content-Type"} <= set(names)


def check_by_the_standard_library(raw: bytes, reply: Reply, written: Written) -> None:
    mail = BytesParser(policy=default).parsebytes(raw)
    assert isinstance(mail, EmailMessage)
    assert [part.defects for part in mail.walk() if part.defects] == []
    assert mail["Subject"] == written.subject
    assert mail["From"] == reply.from_address
    assert mail["To"] == reply.to_address
    assert mail["Message-ID"] == message_id_of(reply.outbound_message_id, reply.round_number, DOMAIN)
    assert mail["Auto-Submitted"] == "no"
    assert mail["Date"].datetime == reply.sent_at.replace(microsecond=0)
    if reply.in_reply_to is not None and is_message_id(reply.in_reply_to):
        assert mail["In-Reply-To"] == reply.in_reply_to
        assert mail["References"].split()[-1] == reply.in_reply_to
    else:
        assert mail["In-Reply-To"] is None
    assert len((mail["References"] or "").split()) <= 20
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().replace("\r\n", "\n") == written.text
    assert (mail.get_body(("html",)) is not None) == (reply.has_html and bool(written.text.strip()))
    files = list(mail.iter_attachments()) if reply.files else []
    assert [(part.get_filename(), part.get_payload(decode=True)) for part in files] == written.files
    assert [part.get_content_type() for part in files] == [
        content_type_of(sniff(content), name) for name, content in written.files
    ]


def check_by_another_parser(raw: bytes, written: Written) -> None:
    mail = fast_mail_parser.parse_email(raw)
    assert mail.subject == written.subject
    assert [shown.replace("\r\n", "\n") for shown in mail.text_plain] == [written.text]
    assert [(file.filename, file.content) for file in mail.attachments] == written.files


def check_by_our_own_parser(raw: bytes, written: Written) -> None:
    mail = parse_mail(raw)
    assert mail.subject == written.subject
    assert [(file.filename, file.content) for file in mail.attachments] == written.files
    # Of blanks alone it says that there is more than it shows.
    assert not written.text.strip() or mail.truncated == (len(written.text) > MAX_TEXT_CHARS)


def a_reply(**values: object) -> Reply:
    """One with sensible values, but for those given."""
    known: dict[str, object] = {
        "outbound_message_id": UUID(int=7),
        "from_address": "mabtekrud@replyco.email",
        "to_address": "k3j4h5g6f7d8s9a+7b1e-4c@marketplace.amazon.de",
        "subject": "Frage (Bestellung: 302-1234567-7654321)",
        "order_id": "302-1234567-7654321",
        "text": "Guten Tag,\n\ndie Lampe ist unterwegs.",
        "sent_at": datetime(2026, 11, 28, 12, 0, 5, tzinfo=UTC),
    }
    return Reply(**{**known, **values})  # type: ignore[arg-type]  # a test names any field
