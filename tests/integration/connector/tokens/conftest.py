"""The sandbox in Amazon's place, and two processes with a vault each."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, update

from deploy.demo.postgres import CONNECTOR
from services.connector.amazon.access import Amazon as AmazonAccess
from services.connector.amazon.access import create_amazon
from services.connector.integrations.service import recompute_lock
from services.connector.tokens.service import AccessToken, Vault
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_sessions
from shared.keyring import Keyring
from shared.tables import Grant
from tests.conftest import Keys
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import Amazon, amazon, connect, settings
from tests.kept_database import KeptDatabase

__all__ = ["amazon", "settings"]


@dataclass
class Store:
    account_id: UUID
    integration_id: UUID


@dataclass
class Process:
    """What one process has: its own connections, keyring, way to Amazon and vault."""

    sessions: Sessions
    keyring: Keyring
    amazon: AmazonAccess
    vault: Vault

    async def access_token(self, store: Store, refused_version: int | None = None) -> AccessToken:
        return await self.vault.access_token(
            store.account_id, store.integration_id, refused_version=refused_version
        )


def process_with(sessions: Sessions, keyring: Keyring, amazon: AmazonAccess, **vault_values: Any) -> Process:
    vault = Vault(sessions, keyring, amazon, recompute_lock, CollectorRegistry(), **vault_values)
    return Process(sessions, keyring, amazon, vault)


@pytest.fixture
async def processes(kept_database: KeptDatabase, keys: Keys, amazon: Amazon) -> AsyncIterator[list[Process]]:
    """Two processes that know nothing of each other."""
    made = [
        process_with(
            create_sessions(kept_database.process_engine(CONNECTOR, number)),
            Keyring(KeyFile.load(keys.key_file)),
            create_amazon(
                amazon.state.settings.client_id,
                amazon.state.settings.client_secret,
                amazon_base_url=amazon.url,
            ),
        )
        for number in range(2)
    ]
    yield made
    for process in made:
        await process.vault.close()
        await process.amazon.close()


@pytest.fixture
async def store(signed_in: SignedIn) -> Store:
    attempt = await connect(signed_in.client)
    return Store(signed_in.account.id, UUID(attempt["integration_id"]))


async def age(sessions: Sessions, minutes: int = 56) -> None:
    """Let the access tokens come near their end."""
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(
                access_token_expires_at=Grant.access_token_expires_at
                - func.make_interval(0, 0, 0, 0, 0, minutes)
            )
        )


async def make_due(sessions: Sessions) -> None:
    """Let the worker's turn come."""
    async with sessions.begin() as session:
        await session.execute(update(Grant).values(next_refresh_at=func.now()))


async def let_pass(sessions: Sessions, minutes: float) -> None:
    """Let time go by since Amazon said what it said."""
    ago = func.make_interval(0, 0, 0, 0, 0, 0, minutes * 60)
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(
                refused_at=Grant.refused_at - ago,
                next_refresh_at=Grant.next_refresh_at - ago,
                access_token_expires_at=Grant.access_token_expires_at - ago,
            )
        )


async def the_grant(sessions: Sessions) -> Grant:
    async with sessions.begin() as session:
        return (await session.scalars(select(Grant))).one()
