"""Stores with orders, and conversations whose mails name them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import Account, Conversation, Integration, Order
from tests.factories import (
    make_account,
    make_conversation,
    make_conversation_order,
    make_grant,
    make_integration,
    make_order,
)


@dataclass(frozen=True)
class Shop:
    """A connected store of an account."""

    sessions: Sessions
    keyring: Keyring
    account: Account
    integration: Integration

    async def order(self, **columns: Any) -> Order:
        """An order as the SP-API has told it just now."""
        async with self.sessions.begin() as session:
            return await make_order(
                session, self.keyring, self.integration, **{"fetched_at": datetime.now(UTC)} | columns
            )

    async def conversation(self, *order_ids: str, is_proven: bool = True, **columns: Any) -> Conversation:
        """A conversation whose mails name these orders."""
        async with self.sessions.begin() as session:
            conversation = await make_conversation(
                session, self.keyring, self.integration, **{"order_id": next(iter(order_ids), None)} | columns
            )
            for order_id in order_ids:
                await make_conversation_order(session, conversation, order_id, is_proven=is_proven)
            return conversation


@pytest.fixture
async def shop(owner_sessions: Sessions, keyring: Keyring, account: Account) -> Shop:
    """A store of the account that `client` belongs to."""
    return await _make_shop(owner_sessions, keyring, account)


@pytest.fixture
async def foreign_shop(owner_sessions: Sessions, keyring: Keyring) -> Shop:
    """Another account's."""
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring, name="Somebody else")
    return await _make_shop(owner_sessions, keyring, account)


async def _make_shop(sessions: Sessions, keyring: Keyring, account: Account) -> Shop:
    async with sessions.begin() as session:
        integration = await make_integration(session, account.id)
        await make_grant(session, keyring, integration)
    return Shop(sessions, keyring, account, integration)
