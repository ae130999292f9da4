"""What Amazon writes to a seller about a message of theirs: confirmations, and why one was not delivered. Pure, from values to bytes.

The words are data, in the language of the order's country (`notice_wording/`).
"""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from services.sandbox.mail.dkim_signing import MAIL_SERVICE
from services.sandbox.state.sellers import Order, language_of
from shared.marketplaces import BY_COUNTRY

_FOLDER: Final = Path(__file__).with_name("notice_wording")
LANGUAGES: Final = tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))
_MAX_COPIED_CHARS: Final = 4_000
# Quoted-printable of these would be three times as long.
_IN_BASE64: Final = frozenset({"ja", "ar"})


class Reported(StrEnum):
    """What a delivery report tells of its one recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class NoticeWording:
    """The words of one language; `reasons` by the name of the failure."""

    greeting: str
    confirmation_subject: str
    confirmation_text: str
    failure_subject: str
    failure_text: str
    reasons: dict[str, str]


@cache
def wording(language: str) -> NoticeWording:
    """The words of a language that there is a file of."""
    entries = tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))
    return NoticeWording(
        greeting=entries["greeting"],
        confirmation_subject=entries["confirmation"]["subject"],
        confirmation_text=entries["confirmation"]["text"],
        failure_subject=entries["failure"]["subject"],
        failure_text=entries["failure"]["text"],
        reasons=entries["reasons"],
    )


def compose_failure(
    order: Order,
    reason: str,
    *,
    sender: str,
    file: str,
    to: str,
    message_id: str,
    now: datetime,
    about: str | None,
) -> bytes:
    """The mail that says that a message could not be delivered, and why. `about` is the Message-ID that it names, if it names one."""
    language = language_of(BY_COUNTRY[order.country])
    words = wording(language)
    names = {**_names(order), "sender": sender, "file": file or "?"}
    text = "\n\n".join(
        (
            words.greeting,
            f"{words.failure_text.format(**names)} {words.reasons[reason].format(**names)}",
            "Amazon\n",
        )
    )
    subject = words.failure_subject.format(**names)
    return _notice(order, subject, text, to=to, message_id=message_id, now=now, about=about)


def compose_confirmation(
    order: Order, message: str, *, to: str, message_id: str, now: datetime, about: str | None
) -> bytes:
    """The mail that says that a message was sent, with a copy of its words."""
    words = wording(language_of(BY_COUNTRY[order.country]))
    names = _names(order)
    copied = message.strip()[:_MAX_COPIED_CHARS]
    text = "\n\n".join((words.greeting, words.confirmation_text.format(**names), copied, "Amazon\n"))
    subject = words.confirmation_subject.format(**names)
    return _notice(order, subject, text, to=to, message_id=message_id, now=now, about=about)


def compose_report(
    order: Order,
    reported: Reported,
    words: str,
    *,
    returned: bytes,
    to: str,
    message_id: str,
    now: datetime,
) -> bytes:
    """A delivery report (RFC 3464) with the header of the mail that it is about. `words` are what a mail server said: code, then text."""
    recipient = f"{order.buyer_local}+{order.thread_tag}@{BY_COUNTRY[order.country].buyer_mail_domain}"
    code, _, said = words.partition(" ")
    status = said.split(" ", 1)[0]
    if status.count(".") != 2:
        status = f"{code[0]}.0.0"
    host = message_id.rpartition("@")[2]
    header = returned.partition(b"\r\n\r\n")[0]
    boundary = f"=_report_{message_id.partition('@')[0]}"
    is_delayed = reported is Reported.DELAYED
    subject = (
        "Delivery Status Notification (Delay)" if is_delayed else "Delivery Status Notification (Failure)"
    )
    what = (
        "Your message has not been delivered yet. It will be tried again."
        if is_delayed
        else "An error occurred while trying to deliver the mail to the following recipient:"
    )
    lines = f"""\
Date: {format_datetime(now)}
From: Mail Delivery Subsystem <MAILER-DAEMON@{host}>
To: {to}
Message-ID: <{message_id}>
Subject: {subject}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="{boundary}"

--{boundary}
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 7bit

{what}

{recipient}
{words}

--{boundary}
Content-Type: message/delivery-status

Reporting-MTA: dns; {MAIL_SERVICE}
Arrival-Date: {format_datetime(now)}

Final-Recipient: rfc822; {recipient}
Action: {reported}
Status: {status}
Diagnostic-Code: smtp; {words}

--{boundary}
Content-Type: text/rfc822-headers
Content-Transfer-Encoding: 8bit

"""
    end = f"\n\n--{boundary}--\n"
    return lines.replace("\n", "\r\n").encode() + header + end.replace("\n", "\r\n").encode()


def _names(order: Order) -> dict[str, str]:
    return {
        "buyer": order.buyer_name,
        "order": order.order_id,
        "address": f"{order.buyer_local}@{BY_COUNTRY[order.country].buyer_mail_domain}",
    }


def _notice(
    order: Order, subject: str, text: str, *, to: str, message_id: str, now: datetime, about: str | None
) -> bytes:
    marketplace = BY_COUNTRY[order.country]
    mail = EmailMessage(policy=SMTP)
    mail["Date"] = format_datetime(now)
    mail["From"] = Address("Amazon", "donotreply", marketplace.retail_domain)
    mail["To"] = to
    mail["Message-ID"] = f"<{message_id}>"
    if about is not None:
        mail["In-Reply-To"] = about
        mail["References"] = about
    mail["Subject"] = subject
    mail["X-Marketplace-ID"] = marketplace.marketplace_id
    in_base64 = language_of(marketplace) in _IN_BASE64
    mail.set_content(text, cte="base64" if in_base64 else "quoted-printable")
    return mail.as_bytes()
