"""Somebody signs in at the very moment in which they are shut out: the one comes before the other, and no session outlives it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.users.queries import hold_account
from shared.crypto.envelope import Sealed
from shared.tables import Account, OidcProvider, User, UserSession
from tests.integration.connector.conftest import PASSWORD

API = "/api/v1"


async def _by_provider_alone(session: AsyncSession, user: User) -> None:
    await hold_account(session, user.account_id)
    session.add(
        OidcProvider(
            account_id=user.account_id,
            issuer="https://id.company.example/lampenladen",
            client_id="replyco",
            client_secret=Sealed(b""),
            is_only=True,
        )
    )


async def _disabled(session: AsyncSession, user: User) -> None:
    await hold_account(session, user.account_id)
    (await session.get_one(User, user.id)).disabled_at = datetime.now(UTC)


async def _closed(session: AsyncSession, user: User) -> None:
    account = await hold_account(session, user.account_id)
    account.closed_at = account.erase_after = datetime.now(UTC)


async def _new_password(session: AsyncSession, user: User) -> None:
    (await session.get_one(User, user.id)).password_hash = "another"


@pytest.mark.parametrize(
    ("shut_out", "status", "code"),
    [
        (_by_provider_alone, 403, "sso_only"),
        (_disabled, 401, "invalid_credentials"),
        (_closed, 401, "invalid_credentials"),
        (_new_password, 401, "invalid_credentials"),
    ],
    ids=["by_provider_alone", "disabled", "closed", "new_password"],
)
async def test_no_session_outlives_what_shuts_somebody_out(  # noqa: PLR0917
    signed_in,
    nobody,
    sessions,
    until_it_waits,
    shut_out: Callable[[AsyncSession, User], Awaitable[None]],
    status: int,
    code: str,
):
    body = {"email": signed_in.user.email, "password": PASSWORD}

    async with sessions.begin() as session:
        await shut_out(session, signed_in.user)
        await session.flush()
        await session.execute(delete(UserSession))
        entering = asyncio.create_task(nobody.post(f"{API}/sessions", json=body))
        await until_it_waits(entering)

    answer = await entering
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(UserSession)) == 0
        assert await session.scalar(select(func.count()).select_from(Account)) == 1
