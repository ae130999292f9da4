"""A buyer's message as the mail that Amazon makes of it: pure, from values to bytes with CRLF line ends.

Plain text between two marker lines, HTML with the text in one `<pre>`, the anonymised address with the thread's +tag. The
sender signs what is not forged.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from html import escape
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from services.sandbox.mail.mail_templates import MAIL_TEMPLATES, MailTemplate
from services.sandbox.state.sellers import Order
from services.sandbox.state.threads import File, ThreadMessage
from shared.marketplaces import BY_COUNTRY, Marketplace, Region

# Whom Amazon sends a mail to that comes `forwarded`.
FORWARDING_MAILBOX: Final = "shop@mailbox.example"
MAX_TEXT_CHARS: Final = 4_000  # Buyer-Seller Messaging's own bound
MAX_SUBJECT_CHARS: Final = 250
MAX_ATTACHMENTS: Final = 5
_MAX_REFERENCES: Final = 20
_MAX_QUOTED_LINES: Final = 200
MAX_ATTACHMENT_BYTES: Final = 10 * 1024 * 1024  # Amazon's bound for all of a message's attachments together

_AWS_REGION: Final = {Region.NA: "us-east-1", Region.EU: "eu-west-1", Region.FE: "us-west-2"}
_VERIFICATION: Final = {
    "de": (
        "E-Mail-Adresse bestätigen",
        (
            "Guten Tag,\n\ndiese Adresse wurde für Benachrichtigungen eingetragen. Ihr Bestätigungscode lautet {code}. "
            "Er gilt 10 Minuten.\n\nAmazon\n"
        ),
    ),
    "en": (
        "Verify your e-mail address",
        (
            "Hello,\n\nthis address was entered for notifications. Your verification code is {code}. "
            "It is good for 10 minutes.\n\nAmazon\n"
        ),
    ),
}
_SPC: Final = {Region.NA: "US", Region.EU: "EU", Region.FE: "JP"}
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
# Controls, line and paragraph separators: in a header they could begin another one. Lone surrogates have no bytes.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Forgery(StrEnum):
    """How a mail in a buyer's name comes otherwise than from Amazon to the seller: a forger writes it with Amazon's sender and no
    signature, or with a sender that looks like Amazon's; or it is true, and somebody sends it on whose mailbox Amazon sent it to."""

    UNSIGNED = "unsigned"
    LOOKALIKE = "lookalike"
    FORWARDED = "forwarded"

    @property
    def is_signed(self) -> bool:
        return self is Forgery.FORWARDED


class MessageWrong(ValueError):
    """The message cannot be sent; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class BuyerMessage:
    """What a buyer wrote about one order."""

    order: Order
    text: str
    kind: str = "other"
    subject: str | None = None
    language: str = "en"
    attachments: tuple[File, ...] = ()
    forgery: Forgery | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """What was written before: the Message-IDs of all, and the seller's newest message, which the buyer answers, and perhaps quotes."""

    message_ids: tuple[str, ...]
    answered: ThreadMessage | None
    store_name: str
    quotes: bool = False


_Links = tuple[str, str, str]


def check_message(message: BuyerMessage) -> None:
    """Raises MessageWrong for what Amazon's form would not take."""
    if not message.text.strip():
        raise MessageWrong("text_empty")
    if len(message.text) > MAX_TEXT_CHARS:
        raise MessageWrong("text_too_long")
    if _CONTROL_IN_TEXT.search(message.text):
        raise MessageWrong("text_with_control_characters")
    if message.subject is not None and (
        not message.subject.strip()
        or len(message.subject) > MAX_SUBJECT_CHARS
        or _CONTROL.search(message.subject)
    ):
        raise MessageWrong("subject_wrong")
    if len(message.attachments) > MAX_ATTACHMENTS:
        raise MessageWrong("too_many_attachments")
    if sum(len(attachment.content) for attachment in message.attachments) > MAX_ATTACHMENT_BYTES:
        raise MessageWrong("attachments_too_large")
    for attachment in message.attachments:
        name_wrong = not 0 < len(attachment.filename) <= 255 or _CONTROL.search(attachment.filename)
        if name_wrong or _MEDIA_TYPE.fullmatch(attachment.content_type) is None:
            raise MessageWrong("attachment_wrong")


def make_message_id(marketplace: Marketplace, now: datetime, random: UUID) -> str:
    """A Message-ID in the form of Amazon's mail service, without the angle brackets."""
    milliseconds = int(now.timestamp() * 1000)
    return f"0102{milliseconds:012x}-{random}-000000@{_AWS_REGION[marketplace.region]}.amazonses.com"


def compose(
    message: BuyerMessage, *, to: str, message_id: str, now: datetime, thread: Thread | None = None
) -> bytes:
    """The mail's bytes. The message has passed `check_message`."""
    order = message.order
    marketplace = BY_COUNTRY[order.country]
    words = MAIL_TEMPLATES[message.language]
    domain = marketplace.buyer_mail_domain
    if message.forgery is Forgery.LOOKALIKE:
        domain = f"{domain}.buyers.example"
    buyer = Address(order.buyer_name, f"{order.buyer_local}+{order.thread_tag}", domain)
    mail = EmailMessage(policy=SMTP)
    mail["Date"] = format_datetime(now)
    mail["From"] = buyer
    mail["Reply-To"] = buyer
    mail["To"] = FORWARDING_MAILBOX if message.forgery is Forgery.FORWARDED else to
    mail["Message-ID"] = f"<{message_id}>"
    if thread is not None and thread.answered is not None:
        mail["In-Reply-To"] = f"<{thread.answered.mail_message_id}>"
        mail["References"] = " ".join(f"<{known}>" for known in thread.message_ids[-_MAX_REFERENCES:])
    mail["Subject"] = message.subject or (
        f"{words.subjects[message.kind].format(name=order.buyer_name)} ({words.order} {order.order_id})"
    )
    mail["X-Space-Notification-Type"] = "BBC_MESSAGE_SENT_TO_MERCHANT"
    mail["X-Marketplace-ID"] = marketplace.marketplace_id
    text = message.text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if thread is not None and thread.answered is not None and thread.quotes:
        text += "\n\n" + _quoted(words, thread.answered, thread.store_name)
    encoding = "base64" if message.language == "ja" else "quoted-printable"
    links = _links(order, marketplace, message_id)
    mail.set_content(_plain(words, order, links, text, now), cte=encoding)
    mail.add_alternative(_html(words, order, links, text, now), subtype="html", cte=encoding)
    for attachment in message.attachments:
        maintype, _, subtype = attachment.content_type.partition("/")
        mail.add_attachment(
            attachment.content, maintype=maintype, subtype=subtype, filename=attachment.filename
        )
    for number, part in enumerate(mail.walk()):
        if number:
            del part["MIME-Version"]  # RFC 2045 §4: of the whole mail only
        if part.is_multipart():
            part.set_boundary(f"----=_Part_{number + 1}_{message_id[4:16]}.{number + 1}")
    return mail.as_bytes()


def _quoted(words: MailTemplate, answered: ThreadMessage, store_name: str) -> str:
    """The older message below an answer, as mail programs write it."""
    introduction = words.wrote.format(
        date=f"{answered.at:%d.%m.%Y}", time=f"{answered.at:%H:%M}", name=store_name
    )
    lines = answered.text.strip().split("\n")[:_MAX_QUOTED_LINES]
    return "\n".join([introduction, *(f"> {line}".rstrip() for line in lines)])


def make_code() -> str:
    """Six digits, as Seller Central asks for."""
    return f"{secrets.randbelow(1_000_000):06d}"


def compose_verification(
    marketplace: Marketplace, code: str, *, to: str, message_id: str, now: datetime
) -> bytes:
    """The mail by which Seller Central proves that somebody reads an address: it holds the code to enter there."""
    words = _VERIFICATION["de" if marketplace.locale.startswith("de") else "en"]
    mail = EmailMessage(policy=SMTP)
    mail["Date"] = format_datetime(now)
    mail["From"] = Address("Amazon", "donotreply", marketplace.retail_domain)
    mail["To"] = to
    mail["Message-ID"] = f"<{message_id}>"
    mail["Subject"] = words[0]
    mail["X-Marketplace-ID"] = marketplace.marketplace_id
    mail.set_content(words[1].format(code=code), cte="quoted-printable")
    return mail.as_bytes()


def _links(order: Order, marketplace: Marketplace, message_id: str) -> _Links:
    """What Amazon's frame links to. The second names thread, message, customer and marketplace, as links to Seller Central do."""
    named = {
        "t": _token(order),
        "m": f"M{_short(message_id)}",
        "c": f"A{_short(order.buyer_local)}",
        "mp": marketplace.marketplace_id,
        "s": "1",
    }
    base = f"https://sellercentral.{marketplace.retail_domain}"
    return (
        f"{base}/gp/satisfaction/survey-form.html?customAttribute1Value=BBC_MESSAGE_SENT_TO_MERCHANT",
        f"{base}/messaging/no-response-needed?{urlencode(named)}",
        f"{base}/messaging/inbox?fi=caseId&ss={order.thread_tag}&cc={order.thread_tag}",
    )


def _token(order: Order) -> str:
    return f"A{order.thread_tag.replace('-', '')[:14].upper()}"


def _short(text: str) -> str:
    """Thirteen characters that follow from a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:13].upper()


def _plain(words: MailTemplate, order: Order, links: _Links, text: str, now: datetime) -> str:
    helpful, resolve, report = links
    return f"""{words.received}

# {order.order_id}:
{order.quantity} / {order.product} [ASIN: {order.asin}]

------------- {words.begin} -------------

{text}

------------- {words.end} -------------

{words.helpful} {helpful}

{words.resolve} {resolve}

{words.report} {report}

--------------------------

Copyright {now.year} Amazon, Inc. {words.rights}

SPC-{_SPC[BY_COUNTRY[order.country].region]}Amazon-0000000000000000
"""


def _html(words: MailTemplate, order: Order, links: _Links, text: str, now: datetime) -> str:
    helpful, resolve, report = (escape(link) for link in links)
    return f"""<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<style>td{{font-family:Arial,sans-serif;font-size:14px}}</style></head>
<body>
<table width="100%"><tr><td><h3>{words.received}</h3></td></tr>
<tr><td># {order.order_id}:</td></tr>
<tr><td>{order.quantity} / {escape(order.product)} [ASIN: {order.asin}]</td></tr>
<tr><td>{words.begin}</td></tr>
<tr><td>
<pre style="font-family:Arial,sans-serif;white-space:pre-wrap;margin:0">{escape(text)}</pre>
</td></tr>
<tr><td><a href="{resolve}">{words.resolve}</a> | <a href="{report}">{words.report}</a></td></tr>
<tr><td>{words.helpful} <a href="{helpful}">+</a></td></tr>
<tr><td>Copyright {now.year} Amazon, Inc. {words.rights}</td></tr></table>
<div>[commMgrTok:{_token(order)}]</div>
</body></html>
"""
