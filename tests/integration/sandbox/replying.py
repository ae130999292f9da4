"""What tests of replies share: a seller writes to a buyer by SMTP, and reads what has become of it."""

import ssl
from email.message import EmailMessage
from typing import Any

import aiosmtplib

from shared.marketplaces import BY_COUNTRY
from tests.integration.sandbox.conftest import LAMPENLADEN, Seller

SENDER = "aaabbbccc@replyco.email"
WAIT_SECONDS = 20


def buyer_address(order: dict[str, Any]) -> str:
    domain = BY_COUNTRY[order["country"]].buyer_mail_domain
    return f"{order['buyer_local']}+{order['thread_tag']}@{domain}"


def reply_to(
    order: dict[str, Any],
    *,
    sender: str = SENDER,
    text: str = "Die Lampe ist unterwegs. Grüße",
    message_id: str = "<reply-1@replyco.email>",
    files: dict[str, bytes] | None = None,
) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, buyer_address(order), "Re: Frage"
    mail["Message-ID"] = message_id
    mail.set_content(text)
    for filename, content in (files or {}).items():
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=filename)
    return mail


def connection(port: int, **options: Any) -> aiosmtplib.SMTP:
    defaults = {"start_tls": False, "timeout": WAIT_SECONDS}
    return aiosmtplib.SMTP(hostname="127.0.0.1", port=port, **{**defaults, **options})


async def send(port: int, mail: EmailMessage, **options: Any) -> str:
    """One mail on a connection of its own. Returns what the server said at the end."""
    async with connection(port, **options) as smtp:
        _, answer = await smtp.send_message(mail)
        return answer


async def approve(
    seller: Seller,
    address: str = SENDER,
    country: str = "DE",
    *,
    approved: bool = True,
    seller_id: str = LAMPENLADEN,
) -> None:
    answer = await seller.client.post(
        f"/control/sellers/{seller_id}/senders",
        json={"country": country, "address": address, "approved": approved},
    )
    assert answer.status_code == 201


async def replies(seller: Seller, count: int = 1, **wanted: Any) -> list[dict[str, Any]]:
    """The replies as soon as there are so many."""
    answer = await seller.client.get(
        "/control/replies", params={"count": count, "wait_seconds": WAIT_SECONDS, **wanted}
    )
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()
    assert len(found) == count
    return found


async def traffic(seller: Seller, count: int = 0) -> dict[str, Any]:
    """The counters as soon as there were so many mails."""
    waiting = {"count": count, "wait_seconds": WAIT_SECONDS} if count else {}
    found: dict[str, Any] = (await seller.client.get("/control/smtp/traffic", params=waiting)).json()
    return found


async def trusting(seller: Seller) -> ssl.SSLContext:
    """A client's side of TLS that trusts the sandbox's authority and nobody else."""
    return ssl.create_default_context(cadata=(await seller.client.get("/control/smtp/ca.pem")).text)
