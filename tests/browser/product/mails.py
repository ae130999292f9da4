"""Mails to the running product, as somebody's mail server hands them over, and what is seen of them."""

import secrets
from base64 import b64encode
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import aiosmtplib
import httpx2
from sqlalchemy import select

from deploy.demo.postgres import OWNER
from deploy.demo.stack import Stack
from shared.addresses import new_local_part
from shared.database import create_engine, create_sessions
from shared.tables import Account
from tests.factories import make_integration, make_relay_address
from tests.no_tls import NO_AUTHORITIES


@dataclass(frozen=True)
class Store:
    """A store of the demo's account, and its address."""

    integration_id: str
    address: str


async def make_store(stack: Stack, name: str) -> Store:
    """Connected and named; without the consent, which other tests walk through."""
    engine = create_engine(stack.database_url(OWNER), application_name="tests")
    async with create_sessions(engine).begin() as session:
        account_id = await session.scalar(select(Account.id))
        assert account_id is not None
        local_part = new_local_part(secrets.choice)
        integration = await make_integration(session, account_id, name=f"{name} {local_part}")
        await make_relay_address(session, integration, local_part=local_part)
        store = Store(str(integration.id), f"{local_part}@replyco.email")
    await engine.dispose()
    return store


def mail(*, sender: str, subject: str, text: str, html: str | None = None) -> EmailMessage:
    """Unsigned; the caller may attach files."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["Subject"] = subject
    message["Date"] = "Thu, 26 Nov 2026 03:00:00 +0000"
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


async def hand_over(stack: Stack, store: Store, *mails: bytes) -> None:
    """Each is accepted when this returns; the mail worker has them then."""
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=stack.settings.smtp_port, start_tls=False)
    async with client:
        for raw in mails:
            await client.sendmail("bounce@sender.example", store.address, raw)


class Seller:
    """A seller of the sandbox's Amazon who has entered the store's address everywhere where he sells."""

    def __init__(self, stack: Stack, seller: dict[str, Any]) -> None:
        self._url = stack.sandbox_url
        self.seller_id: str = seller["seller_id"]
        self._order_ids: dict[str, str] = {
            order["country"]: order["order_id"] for order in reversed(seller["orders"])
        }

    @classmethod
    async def of(cls, stack: Stack, store: Store, *countries: str) -> "Seller":
        body = {"store_name": "Lampenladen", "region": "eu", "countries": countries}
        seller = await _post(f"{stack.sandbox_url}/control/sellers", body)
        for country in countries:
            place = f"{stack.sandbox_url}/control/sellers/{seller['seller_id']}/notification-addresses"
            await _post(place, {"country": country, "address": store.address})
        return cls(stack, seller)

    def order_id(self, country: str) -> str:
        """That of the country's first buyer."""
        return self._order_ids[country]

    async def hears_from_buyer(
        self,
        country: str,
        text: str,
        *,
        subject: str | None = None,
        forgery: str | None = None,
        files: dict[str, bytes] | None = None,
    ) -> None:
        """The mail is accepted when this returns. `forgery`: somebody else writes in the buyer's name."""
        attachments = [
            {"filename": name, "content_type": "application/pdf", "base64": b64encode(content).decode()}
            for name, content in (files or {}).items()
        ]
        body = {
            "seller_id": self.seller_id,
            "order_id": self.order_id(country),
            "text": text,
            "subject": subject,
            "attachments": attachments,
            "forgery": forgery,
        }
        answer = await _post(f"{self._url}/control/mails", body)
        assert [mail["state"] for mail in answer["mails"]] == ["delivered"]

    async def verifies_address(self, country: str) -> str:
        """Amazon sends a code to the address; the code."""
        body = {"seller_id": self.seller_id, "country": country}
        code: str = (await _post(f"{self._url}/control/verification-mails", body))["code"]
        return code


async def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    async with httpx2.AsyncClient(timeout=30, trust_env=False, verify=NO_AUTHORITIES) as client:
        answer = await client.post(url, json=body)
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content
