"""The mails of tests/mails/wording: one line each, so that whoever adds a wording can add its mail.

`kind`, `subject`, and the body: `text`, in Amazon's frame if a buyer wrote it (its markers: `opening`, `closing`), or `html`, or
`report_status` for a delivery report (RFC 3464). `sender` is needed where it is neither the usual buyer nor `donotreply`.
Expected are `kind`, the file's `language`, and where they are given `failure_reason`, `verification_code`, `words` (the buyer's,
if they are not all of `text`), `quoted` (what of `text` is quoted history) and `language` ("" for none) where it is not the file's.
"""

import tomllib
from dataclasses import dataclass
from email.header import Header
from pathlib import Path

from services.mailrelay.parsing.mail import ParsedMail

FOLDER = Path(__file__).parents[3] / "mails" / "wording"
_FROM_BUYERS = {"buyer_message", "auto_reply"}


@dataclass(frozen=True)
class WordedMail:
    """A mail, and what must be understood of it. `says` is all that was written of it, in small letters."""

    name: str
    raw: bytes
    says: str
    expected: dict[str, str | None]


def read_mails(file: str) -> list[WordedMail]:
    content = tomllib.loads((FOLDER / file).read_text(encoding="utf-8"))
    return [
        _worded(f"{file} {number}: {fields['kind']}", fields, content["domain"], content.get("language"))
        for number, fields in enumerate(content["mails"], 1)
    ]


def understood(mail: ParsedMail, names: dict[str, str | None]) -> dict[str, str | None]:
    """The same facts as `expected` of what the parser has understood."""
    values = {
        "kind": mail.kind.value,
        "language": mail.language,
        "failure_reason": mail.failure_reason,
        "verification_code": mail.verification_code,
        "words": mail.text if mail.is_excerpt else None,
        "quoted": mail.quoted_text,
    }
    return {name: values[name] for name in names}


def _worded(name: str, fields: dict[str, str], domain: str, language: str | None) -> WordedMail:
    is_from_buyer = fields["kind"] in _FROM_BUYERS
    sender = fields.get("sender") or (
        f"kim4711kim4711@marketplace.{domain}" if is_from_buyer else f"donotreply@{domain}"
    )
    expected: dict[str, str | None] = {
        "kind": fields["kind"],
        **_language(fields, language),
        "failure_reason": fields.get("failure_reason"),
        "verification_code": fields.get("verification_code"),
        "quoted": fields.get("quoted"),
        "words": _words(fields) if is_from_buyer else None,
    }
    head = f"From: Kim <{sender}>\r\nSubject: {Header(fields['subject'], 'utf-8').encode()}\r\nMIME-Version: 1.0\r\n"
    raw = head.encode() + _body(fields, framed=is_from_buyer)
    return WordedMail(name, raw, "\n".join(map(str, fields.values())).casefold(), expected)


def _language(fields: dict[str, str], language: str | None) -> dict[str, str | None]:
    if "language" in fields:
        return {"language": fields["language"] or None}
    # A buyer's words alone tell their language, and most of these mails have hardly any.
    return {} if language is None or fields["kind"] == "buyer_message" else {"language": language}


def _words(fields: dict[str, str]) -> str:
    return fields.get("words") or fields["text"].removesuffix(fields.get("quoted", "")).strip()


def _body(fields: dict[str, str], *, framed: bool) -> bytes:
    if "html" in fields:
        return f"Content-Type: text/html; charset=utf-8\r\n\r\n{fields['html']}\r\n".encode()
    if "report_status" in fields:
        return (
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\n4711\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
            f"Final-Recipient: rfc822; kim@mx.example\r\nAction: failed\r\nStatus: {fields['report_status']}\r\n--b--\r\n"
        ).encode()
    text = fields["text"]
    if framed:
        opening, closing = fields.get("opening", "Message"), fields.get("closing", "End message")
        text = f"# 302-1234567-7654321:\n\n------------- {opening}: -------------\n\n{text}\n\n------------- {closing} -------------\n"
    return ("Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.replace("\n", "\r\n") + "\r\n").encode()
