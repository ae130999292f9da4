"""Lists cost a fixed number of statements, open nothing sealed, and call nobody."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.settings import ConnectorSettings
from shared.crypto.envelope import SealBroken, Sealed
from shared.crypto.key_provider import KeyFile
from shared.crypto.key_source import KeySource
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import (
    ApiKey,
    AuditEntry,
    Conversation,
    Message,
    Webhook,
    WebhookDelivery,
)
from tests.factories import (
    make_conversation,
    make_grant,
    make_integration,
    make_message,
    make_relay_address,
    make_reply,
    make_reply_file,
)
from tests.integration.connector.conftest import SignedIn
from tests.statements import sent_statements

PLAIN_LISTS = [
    "/api/v1/integrations",
    "/api/v1/integrations?state=resting",
    "/api/v1/integrations/{integration}/setup-steps",
    "/api/v1/api-keys",
    "/api/v1/webhooks",
    "/api/v1/webhooks/{webhook}/deliveries",
    "/api/v1/audit-log",
    "/api/v1/marketplaces",
]
SEALED_LISTS = [
    "/api/v1/conversations",
    "/api/v1/conversations/{conversation}/messages",
    "/api/v1/conversations/{conversation}/replies",
    "/api/v1/replies?state=failed&undismissed=true",
]
ROWS = 100


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    """Messages are written by others than the connector."""
    return owner_sessions


async def _one_of_each(sessions: Sessions, keyring: Keyring, signed_in: SignedIn) -> dict[str, UUID]:
    account_id = signed_in.account.id
    async with sessions.begin() as session:
        integration = await make_integration(session, account_id, lock="green")
        await make_relay_address(session, integration)
        await make_grant(session, keyring, integration)
        conversation = await make_conversation(session, keyring, integration)
        await _a_reply(session, keyring, await make_message(session, keyring, conversation))
        webhook = Webhook(
            id=new_id(),
            account_id=account_id,
            url="https://hooks.example/",
            kinds=["message.received"],
            secret=Sealed(b"sealed"),
        )
        session.add(webhook)
    return {"integration": integration.id, "conversation": conversation.id, "webhook": webhook.id}


async def _a_reply(session: AsyncSession, keyring: Keyring, message: Message) -> None:
    reply = await make_reply(session, keyring, message, state="failed", failure="unknown", server_words="550")
    conversation = await session.get_one(Conversation, message.conversation_id)
    await make_reply_file(session, keyring, conversation, reply=reply)


async def _many_of_each(
    sessions: Sessions, keyring: Keyring, signed_in: SignedIn, ids: dict[str, UUID]
) -> None:
    account_id = signed_in.account.id
    async with sessions.begin() as session:
        conversation = await session.get_one(Conversation, ids["conversation"])
        for number in range(ROWS):
            integration = await make_integration(session, account_id, name=f"Amazon {number}", lock="green")
            await make_relay_address(session, integration)
            await make_conversation(session, keyring, integration)
            await _a_reply(session, keyring, await make_message(session, keyring, conversation))
            session.add(
                ApiKey(
                    account_id=account_id,
                    name=f"Key {number}",
                    hint="1234",
                    secret_hash=new_id().bytes,
                    general_admin="view",
                    inbox_messages="none",
                    created_by=signed_in.user.id,
                )
            )
            session.add(AuditEntry(account_id=account_id, actor_kind="system", action="integration.paused"))
            session.add(
                Webhook(
                    account_id=account_id,
                    url="https://hooks.example/",
                    kinds=["message.received"],
                    secret=Sealed(b"sealed"),
                )
            )
            session.add(
                WebhookDelivery(
                    account_id=account_id,
                    webhook_id=ids["webhook"],
                    event_id=new_id(),
                    kind="message.received",
                    ids={"message_id": str(new_id())},
                    event_at=integration.created_at,
                )
            )


# They have no pages.
WHOLE_LISTS = ("/setup-steps", "/marketplaces")


async def _ask(client: httpx2.AsyncClient, path: str, ids: dict[str, UUID]) -> tuple[int, int]:
    """How many items came, and how many statements they took."""
    most = 50 if path.endswith("messages") else ROWS
    url = httpx2.URL(path.format(**ids))
    if not path.endswith(WHOLE_LISTS):
        url = url.copy_merge_params({"limit": most})
    async with sent_statements(Engine) as sent:
        answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    return len(answer.json()["items"]), len(sent)


async def test_a_hundred_rows_take_as_many_statements_as_one(
    client: httpx2.AsyncClient, signed_in: SignedIn, owner: Sessions, keyring: Keyring
):
    ids = await _one_of_each(owner, keyring, signed_in)
    # The first request of a session notes that it was used; the first opening of an account loads its keys.
    await _ask(client, SEALED_LISTS[1], ids)
    few = {path: await _ask(client, path, ids) for path in PLAIN_LISTS + SEALED_LISTS}
    await _many_of_each(owner, keyring, signed_in, ids)
    many = {path: await _ask(client, path, ids) for path in PLAIN_LISTS + SEALED_LISTS}

    assert {path: statements for path, (_, statements) in many.items()} == {
        path: statements for path, (_, statements) in few.items()
    }
    # The most has a page of messages: who asks, the page, its files, and the orders as they were when each message came.
    assert max(statements for _, statements in many.values()) <= 7
    grown = {path for path in many if many[path][0] > few[path][0]}
    assert grown == {*PLAIN_LISTS, *SEALED_LISTS} - {PLAIN_LISTS[1], PLAIN_LISTS[2], PLAIN_LISTS[7]}


class TestWithoutKeys:
    """The application has a key file that opens nothing of this account, and an Amazon that counts who calls."""

    @pytest.fixture
    async def calls(self) -> AsyncIterator[tuple[int, list[int]]]:
        made: list[int] = []

        async def called(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made.append(1)
            writer.close()

        server = await asyncio.start_server(called, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1], made
        server.close()

    @pytest.fixture
    def settings(
        self, settings: ConnectorSettings, tmp_path: Path, calls: tuple[int, list[int]]
    ) -> ConnectorSettings:
        KeyFile.create(tmp_path / "other.json")
        return settings.model_copy(
            update={
                "key_file": tmp_path / "other.json",
                "amazon_base_url": f"http://127.0.0.1:{calls[0]}",
            }
        )

    @pytest.mark.parametrize("path", PLAIN_LISTS)
    async def test_a_list_opens_nothing_sealed_and_calls_nobody(
        self,
        signed_in: SignedIn,
        owner: Sessions,
        keyring: Keyring,
        calls: tuple[int, list[int]],
        path: str,
    ):
        ids = await _one_of_each(owner, keyring, signed_in)

        await _ask(signed_in.client, path, ids)
        assert calls[1] == []

    async def test_such_a_key_file_opens_nothing_of_this_account(
        self, settings: ConnectorSettings, signed_in: SignedIn, owner: Sessions
    ):
        with pytest.raises(SealBroken):
            await Keyring(KeySource.open(settings)).of(owner, signed_in.account.id)
