"""Makes the mail of a reply: bytes with CRLF, as they stand between DATA and the final dot (which the client adds). Pure.

Amazon knows a thread by the address with its tag, people by the subject: both are kept. The mail says that a person wrote it
(`Auto-Submitted: no`), so that Amazon counts it as an answer.
"""

import re
from base64 import encodebytes
from collections.abc import Iterator
from datetime import UTC
from email.utils import format_datetime
from html import escape
from typing import Final

from services.mailrelay.outbound.header_fields import (
    file_fields,
    is_message_id,
    message_ids,
    message_ids_field,
    single_line,
    text_field,
)
from services.mailrelay.outbound.reply import Reply, ReplyFile, message_id_of, require_answerable
from services.mailrelay.outbound.transfer import clean_text, encode_text
from services.mailrelay.parsing.filenames import safe_filename, shorten_filename
from services.mailrelay.parsing.recognition import find_order_ids
from shared.file_types import content_type_of
from shared.sniffing import sniff

# As programs in the languages of Amazon's marketplaces write it, with or without a number: `Re[2]:`.
_ANSWER_PREFIX: Final = re.compile(
    r"(?:(?:re|aw|antw|antwort|sv|vs|rif|r|res|ref|odp|ynt|yan|回复|答复|返信|رد)(?:\[[0-9]{1,3}\])?\s?[:\N{FULLWIDTH COLON}]\s*)+",
    re.IGNORECASE,
)
# More than any of Amazon's has; with prefix and order number it stays below what readers show of one (998).
_MAX_SUBJECT_CHARS: Final = 950
# A header block and the bytes below it.
_Part = tuple[list[str], bytes]


def compose(reply: Reply, *, mail_domain: str, eight_bit: bool) -> bytes:
    """The mail, without a signature (`signing`). The same values always make the same bytes.

    `mail_domain` is the one of our Message-IDs, whoever sends; `eight_bit`: the server offers 8BITMIME, and MAIL is to say BODY=8BITMIME
    (else the mail is ASCII alone). Takes some milliseconds for each megabyte of files: call it in a thread. Raises NotAnswerable.
    """
    require_answerable(reply)
    fields = [
        f"Date: {format_datetime(reply.sent_at.astimezone(UTC))}",
        f"From: {reply.from_address}",
        f"To: {reply.to_address}",
        f"Message-ID: {message_id_of(reply.outbound_message_id, reply.round_number, mail_domain)}",
        *_thread_fields(reply),
        text_field("Subject", reply_subject(reply.subject, reply.order_id)),
        # RFC 3834 §5.
        "Auto-Submitted: no",
        "MIME-Version: 1.0",
    ]
    part_fields, body = _content(reply, eight_bit=eight_bit)
    return _joined((fields + part_fields, body))


def reply_subject(subject: str, order_id: str | None) -> str:
    """The subject of an answer: that of the thread with one `Re:`, and the order that it is about now.

    A subject that names one other order names this one instead, and one that names none, or several others, gets it at its end.
    """
    words = single_line(subject)[:_MAX_SUBJECT_CHARS]
    prefix = _ANSWER_PREFIX.match(words)
    words = words[prefix.end() :] if prefix is not None else words
    named = find_order_ids(words)
    if order_id is not None and order_id not in named:
        words = words.replace(named[0], order_id) if len(named) == 1 else f"{words} ({order_id})".lstrip()
    return f"Re: {words}".rstrip()


def _thread_fields(reply: Reply) -> Iterator[str]:
    """In-Reply-To and References (RFC 5322 §3.6.4), as far as the buyer's mail has ids to name."""
    answered = reply.in_reply_to
    if answered is not None and is_message_id(answered):
        yield message_ids_field("In-Reply-To", [answered])
    before = (value for value in reply.references if value != answered)
    references = message_ids([*before, *([answered] if answered is not None else [])])
    if references:
        yield message_ids_field("References", references)


def _content(reply: Reply, *, eight_bit: bool) -> _Part:
    text = clean_text(reply.text)
    words = _text_part("plain", text, eight_bit=eight_bit)
    boundary = f"=_{reply.outbound_message_id.hex}"
    if reply.has_html and text.strip():
        html = _text_part("html", _as_html(text), eight_bit=eight_bit)
        words = _container("alternative", f"{boundary}_a", [words, html])
    if not reply.files:
        return words
    return _container("mixed", f"{boundary}_m", [words, *map(_file_part, reply.files)])


def _text_part(subtype: str, text: str, *, eight_bit: bool) -> _Part:
    encoding, body = encode_text(text, eight_bit=eight_bit)
    return [f"Content-Type: text/{subtype}; charset=utf-8", f"Content-Transfer-Encoding: {encoding}"], body


def _file_part(file: ReplyFile) -> _Part:
    sniffed = sniff(file.content)
    name = shorten_filename(safe_filename(file.name, sniffed))
    content_type = content_type_of(sniffed, name)
    charset = "; charset=utf-8" if content_type.startswith("text/") and _is_utf_8(file.content) else ""
    fields = [*file_fields(content_type + charset, name), "Content-Transfer-Encoding: base64"]
    return fields, encodebytes(file.content).replace(b"\n", b"\r\n")


def _container(subtype: str, boundary: str, parts: list[_Part]) -> _Part:
    """RFC 2046 §5.1.1. No part has the boundary in it: `=_` is in no base64 and no quoted-printable, and no line of another text begins
    like a delimiter (`transfer`)."""
    delimiter = f"--{boundary}\r\n".encode()
    body = b"".join(delimiter + _joined(part) + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    encoding = "8bit" if any("Content-Transfer-Encoding: 8bit" in fields for fields, _ in parts) else "7bit"
    return [
        f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"',
        f"Content-Transfer-Encoding: {encoding}",
    ], body


def _joined(part: _Part) -> bytes:
    fields, body = part
    return "\r\n".join([*fields, "", ""]).encode("ascii") + body


def _as_html(text: str) -> str:
    """The same words: an empty line parts paragraphs."""
    paragraphs = re.split(r"\n{2,}", text.strip("\n"))
    shown = (
        f'<p dir="auto">{escape(words).replace(chr(10), "<br>" + chr(10))}</p>\n' for words in paragraphs
    )
    return f"<!DOCTYPE html>\n<html>\n<body>\n{''.join(shown)}</body>\n</html>\n"


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
