"""Threads that can be answered, and the agents who answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import Account, Conversation, Integration, Message
from tests.factories import (
    make_account,
    make_conversation,
    make_integration,
    make_message,
    make_relay_address,
)

TEXT = "Guten Tag, Ihre Lampe ist unterwegs."
PDF = b"%PDF-1.7\n% not much of an invoice"
TAG = "0e9b2a31-6f64-4c2e-9d0a-1b2c3d4e5f60"


@dataclass(frozen=True)
class Thread:
    """A buyer has asked, and waits."""

    account: Account
    integration: Integration
    conversation: Conversation
    message: Message

    @property
    def path(self) -> str:
        return f"/api/v1/conversations/{self.conversation.id}"

    async def version(self, client: httpx2.AsyncClient) -> str:
        return (await client.get(self.path)).headers["ETag"]

    async def post(
        self,
        client: httpx2.AsyncClient,
        text: str = TEXT,
        *,
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> httpx2.Response:
        """A reply to what is there now."""
        given = {"If-Match": await self.version(client)} | (headers or {})
        return await client.post(f"{self.path}/replies", json={"text": text, **body}, headers=given)

    async def reply(self, client: httpx2.AsyncClient, text: str = TEXT, **body: Any) -> dict[str, Any]:
        answer = await self.post(client, text, **body)
        assert answer.status_code == 201, answer.text
        reply: dict[str, Any] = answer.json()
        return reply

    async def upload(
        self, client: httpx2.AsyncClient, filename: str = "Rechnung.pdf", content: bytes = PDF
    ) -> httpx2.Response:
        return await client.post(f"{self.path}/files", params={"filename": filename}, content=content)

    async def replies(self, client: httpx2.AsyncClient) -> Sequence[dict[str, Any]]:
        items: Sequence[dict[str, Any]] = (await client.get(f"{self.path}/replies")).json()["items"]
        return items


async def make_thread(
    sessions: Sessions,
    keyring: Keyring,
    account: Account,
    *,
    integration: Integration | None = None,
    is_due: bool = True,
    **columns: Any,
) -> Thread:
    async with sessions.begin() as session:
        if integration is None:
            integration = await make_integration(session, account.id)
            await make_relay_address(session, integration)
        due_at = datetime.now(UTC) + timedelta(hours=20) if is_due else None
        conversation = await make_conversation(session, keyring, integration, answer_due_at=due_at, **columns)
        message = await make_message(
            session,
            keyring,
            conversation,
            authenticity="authentic",
            answer_due_at=due_at,
            sender_address=f"k3x9example0abc+{TAG}@marketplace.amazon.de",
        )
        conversation.last_message_at = message.received_at
    return Thread(account, integration, conversation, message)


@pytest.fixture
async def thread(owner_sessions: Sessions, keyring: Keyring, account: Account) -> Thread:
    return await make_thread(owner_sessions, keyring, account)


@pytest.fixture
async def foreign_thread(owner_sessions: Sessions, keyring: Keyring) -> Thread:
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring, name="Somebody else")
    return await make_thread(owner_sessions, keyring, account)
