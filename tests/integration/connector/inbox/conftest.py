"""Conversations of an account, written as the mail worker writes them."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import Account, Conversation, Integration, Message
from tests.conftest import Keys
from tests.factories import (
    make_accepted_mail,
    make_account,
    make_attachment,
    make_conversation,
    make_integration,
    make_message,
    make_relay_address,
)
from tests.statements import sent_statements


@dataclass(frozen=True)
class Inbox:
    """An account with one conversation."""

    account: Account
    integration: Integration
    conversation: Conversation


@pytest.fixture
async def inbox(owner_sessions: Sessions, keyring: Keyring, account: Account) -> Inbox:
    """The inbox of the account that `client` belongs to."""
    return await _make_inbox(owner_sessions, keyring, account)


@pytest.fixture
async def foreign_inbox(owner_sessions: Sessions, keyring: Keyring) -> Inbox:
    """Another account's."""
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring, name="Somebody else")
    return await _make_inbox(owner_sessions, keyring, account)


async def _make_inbox(sessions: Sessions, keyring: Keyring, account: Account) -> Inbox:
    async with sessions.begin() as session:
        integration = await make_integration(session, account.id)
        return Inbox(account, integration, await make_conversation(session, keyring, integration))


@dataclass(frozen=True)
class Worker:
    """Writes what the mail worker writes, each in a transaction of its own."""

    sessions: Sessions
    keyring: Keyring
    keys: Keys

    async def message(
        self, inbox: Inbox, *, raw: bytes = b"Subject: Frage\r\n\r\n", **values: Any
    ) -> Message:
        """A message, and the accepted mail that it came from."""
        async with self.sessions.begin() as session:
            address = await make_relay_address(session, inbox.integration)
            _, key = await make_accepted_mail(
                session, address, self.keys.mail_public_key, raw=raw, state="delivered"
            )
            return await make_message(session, self.keyring, inbox.conversation, content_key=key, **values)

    async def attachment(self, message: Message, **values: Any) -> str:
        """An attachment; the path of its download."""
        async with self.sessions.begin() as session:
            attachment = await make_attachment(session, self.keyring, message, **values)
        return f"/api/v1/messages/{message.id}/attachments/{attachment.id}"


@pytest.fixture
def worker(owner_sessions: Sessions, keyring: Keyring, keys: Keys) -> Worker:
    return Worker(owner_sessions, keyring, keys)


# In the statement that finds the caller and what they may do.
CALLER = "inbox_orders"


def counted_statements(app: FastAPI) -> AbstractAsyncContextManager[list[str]]:
    """The SQL that the application sends meanwhile."""
    engine: Engine = app.state.connector.sessions.kw["bind"].sync_engine
    return sent_statements(engine)
