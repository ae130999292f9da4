"""The connector's real application over a real database, and its kinds of caller."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import argon2
import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from deploy.demo.postgres import CONNECTOR
from services.connector.accounts.credentials import (
    csrf_token,
    hash_secret,
    new_api_key,
    new_session_token,
)
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.session_lifetime import USUAL
from services.connector.app import create_app
from services.connector.dependencies import CSRF_HEADER, SESSION_COOKIE
from services.connector.events.bounds import StreamBounds
from services.connector.settings import ConnectorSettings
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.permissions import Level
from shared.tables import Account, ApiKey, User, UserSession
from tests.conftest import Database, Keys
from tests.factories import make_account, make_user
from tests.kept_database import KeptDatabase

PASSWORD = "correct horse battery staple"
# The tests hash often, and what they hold does not depend on the cost.
CHEAP_HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

NewClient = Callable[..., Awaitable[httpx2.AsyncClient]]


@dataclass(frozen=True)
class SignedIn:
    """A user's session: `client` sends its cookie and its CSRF token."""

    client: httpx2.AsyncClient
    account: Account
    user: User
    token: str
    session_id: UUID


@pytest.fixture
def settings(database: Database, keys: Keys) -> ConnectorSettings:
    return _settings(database.url(CONNECTOR), keys.key_file, keys.blob_url)


# To read the environment takes as long as a small test: once a process for all who want the same.
@cache
def _settings(database_url: str, key_file: Path, blob_url: str) -> ConnectorSettings:
    return ConnectorSettings(
        database_url=SecretStr(database_url),
        key_file=key_file,
        blob_url=blob_url,
        amazon_application_id="amzn1.sp.solution.test",
        amazon_client_id="amzn1.application-oa2-client.test",
        amazon_client_secret=SecretStr("canary-client-secret"),
        # Receivers of webhooks have free ports of this machine.
        outgoing_webhook_ports="any",
    )


@pytest.fixture
def stream_bounds() -> StreamBounds:
    """No streams: the connection on which they would be heard is a new one for each test. Tests of streams name others."""
    return StreamBounds(most_streams=0)


@pytest.fixture
async def app(
    settings: ConnectorSettings, stream_bounds: StreamBounds, kept_database: KeptDatabase
) -> AsyncIterator[FastAPI]:
    """The real application, started and stopped."""
    application = create_app(
        settings,
        Passwords(CHEAP_HASHER),
        engine=kept_database.application_engine(CONNECTOR),
        stream_bounds=stream_bounds,
    )
    async with application.router.lifespan_context(application):
        yield application


def open_client(app: FastAPI, *, address: str = "127.0.0.1", **headers: str) -> httpx2.AsyncClient:
    """A client without cookies; answers of 500 are seen as answers."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app, client=(address, 50000), raise_app_exceptions=False),
        base_url="https://testserver",
        headers=headers,
    )


@pytest.fixture
async def new_client(app: FastAPI) -> AsyncIterator[Callable[..., httpx2.AsyncClient]]:
    """Makes clients of a kind: `new_client(address="192.0.2.1", authorization="Bearer …")`."""
    made: list[httpx2.AsyncClient] = []

    def make(*, address: str = "127.0.0.1", **headers: str) -> httpx2.AsyncClient:
        made.append(open_client(app, address=address, **headers))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
def nobody(new_client: Callable[..., httpx2.AsyncClient]) -> httpx2.AsyncClient:
    """Not signed in."""
    return new_client()


@pytest.fixture
def until_it_waits(sessions: Sessions) -> Callable[[asyncio.Task[Any]], Awaitable[None]]:
    """Returns when the task waits for a lock that another transaction of the database holds; it must not end before."""

    async def until(task: asyncio.Task[Any]) -> None:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(30):
            while True:
                async with sessions() as session:
                    if await session.scalar(waiting):
                        return
                assert not task.done(), "it went past"
                await asyncio.sleep(0.02)

    return until


@pytest.fixture
async def account(sessions: Sessions, keyring: Keyring) -> Account:
    async with sessions.begin() as session:
        return await make_account(session, keyring)


@pytest.fixture
def sign_in_as(
    sessions: Sessions, account: Account, new_client: Callable[..., httpx2.AsyncClient]
) -> Callable[..., Awaitable[SignedIn]]:
    """Makes a user with these levels, in `account` or in `of`, and a client that is signed in as him."""

    async def sign_in(
        *,
        general_admin: str = "edit",
        general_programs: str | None = None,
        inbox_messages: str = "edit",
        inbox_orders: str | None = None,
        of: Account | None = None,
    ) -> SignedIn:
        token, session_id, now = new_session_token(), new_id(), datetime.now(UTC)
        owner = of or account
        async with sessions.begin() as session:
            user = await make_user(
                session,
                owner.id,
                password_hash=CHEAP_HASHER.hash(PASSWORD),
                general_admin=general_admin,
                general_programs=general_programs,
                inbox_messages=inbox_messages,
                inbox_orders=inbox_orders,
            )
            session.add(
                UserSession(
                    id=session_id,
                    account_id=owner.id,
                    user_id=user.id,
                    token_hash=hash_secret(token),
                    created_at=now,
                    last_seen_at=now,
                    expires_at=now + USUAL.idle,
                    authenticated_at=now,
                )
            )
        client = new_client(**{CSRF_HEADER: csrf_token(token)})
        client.cookies.set(SESSION_COOKIE, token)
        return SignedIn(client, owner, user, token, session_id)

    return sign_in


@pytest.fixture
async def signed_in(sign_in_as: Callable[..., Awaitable[SignedIn]]) -> SignedIn:
    """A user who may do everything."""
    return await sign_in_as()


@pytest.fixture
async def client(signed_in: SignedIn) -> httpx2.AsyncClient:
    """The client of `signed_in`."""
    return signed_in.client


@pytest.fixture
def api_key_client(
    sessions: Sessions, account: Account, new_client: Callable[..., httpx2.AsyncClient]
) -> Callable[..., Awaitable[httpx2.AsyncClient]]:
    """Makes an API key with these levels and a client that sends it."""

    async def make(
        *,
        general_admin: str = "edit",
        general_programs: str | None = None,
        inbox_messages: str = "edit",
        inbox_orders: str | None = None,
        inbox_replies: str = "edit",
        of: Account | None = None,
    ) -> httpx2.AsyncClient:
        key, owner = new_api_key(), of or account
        async with sessions.begin() as session:
            creator = await make_user(session, owner.id)
            session.add(
                ApiKey(
                    account_id=owner.id,
                    name="Helpdesk",
                    hint=key[-4:],
                    secret_hash=hash_secret(key),
                    general_admin=Level(general_admin).value,
                    general_programs=Level(general_programs or general_admin).value,
                    inbox_messages=Level(inbox_messages).value,
                    inbox_orders=Level(
                        inbox_orders or ("none" if inbox_messages == "none" else "view")
                    ).value,
                    inbox_replies=Level(inbox_replies).value,
                    created_by=creator.id,
                )
            )
        return new_client(authorization=f"Bearer {key}")

    return make
