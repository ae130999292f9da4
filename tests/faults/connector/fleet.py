"""Fifty connected stores, the sandbox in Amazon's place, and replicas of the connector as processes."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uvicorn
from pydantic import SecretStr
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.demo.postgres import CONNECTOR
from services.connector.amazon.lwa import Tokens
from services.connector.tokens.service import store_grant
from services.sandbox.app import create_app as create_sandbox
from services.sandbox.settings import SandboxSettings
from services.sandbox.state.memory import Authorization, Clock, Sandbox, system_clock
from shared.database import Sessions
from shared.keyring import Keyring
from shared.listening import listening_socket
from shared.marketplaces import Region
from shared.tables import Grant, Integration
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration
from tests.processes import command

STORES = 50


@dataclass(frozen=True)
class Fleet:
    """Stores in a database and at a sandbox."""

    sessions: Sessions
    sandbox: Sandbox

    def calls(self) -> Counter[str]:
        """How often each store's token was renewed: whatever the sandbox has given out."""
        given = (token.authorization for token in self.sandbox.access_tokens.values())
        return Counter(authorization.seller_id for authorization in given if authorization is not None)

    async def make_due(self) -> None:
        """The next period begins: all tokens are about to end, all grants are due."""
        async with self.sessions.begin() as session:
            await session.execute(
                update(Grant).values(
                    access_token_expires_at=func.now() + text("interval '1 minute'"),
                    next_refresh_at=func.now(),
                )
            )

    async def leased(self) -> set[str]:
        """The stores whose token somebody is renewing now, or was when he died."""
        async with self.sessions.begin() as session:
            return set(await session.scalars(select(Grant.seller_id).where(Grant.leased_until.is_not(None))))

    async def let_leases_end(self) -> None:
        """Whoever has held a lease for six seconds is dead: do not wait for the other fourteen."""
        async with self.sessions.begin() as session:
            await session.execute(
                update(Grant)
                .where(Grant.leased_until < func.now() + text("interval '14 seconds'"))
                .values(leased_until=func.now(), next_refresh_at=func.now())
            )

    async def fewest_renewals(self) -> int:
        """Every store's token has been renewed so often at least."""
        async with self.sessions.begin() as session:
            return (await session.scalar(select(func.min(Grant.version))) or 0) - 1

    async def all_renewed(self, times: int, *, some_have_died: bool = False) -> None:
        async with asyncio.timeout(60):
            while await self.fewest_renewals() < times:
                await asyncio.sleep(0.05)
                if some_have_died:
                    await self.let_leases_end()

    async def red(self) -> int:
        """Stores whose lock is red."""
        async with self.sessions.begin() as session:
            return (
                await session.scalar(
                    select(func.count()).select_from(Integration).where(Integration.lock == "red")
                )
                or 0
            )

    async def troubled(self) -> int:
        """Grants that have lost their tokens, or against which something stands."""
        async with self.sessions.begin() as session:
            return (
                await session.scalar(
                    select(func.count())
                    .select_from(Grant)
                    .where(
                        (func.length(Grant.refresh_token) == 0)
                        | (func.num_nonnulls(Grant.refused_at, Grant.revoked_at, Grant.delayed_since) > 0)
                    )
                )
                or 0
            )


@asynccontextmanager
async def running_sandbox(clock: Clock = system_clock) -> AsyncIterator[tuple[str, Sandbox]]:
    """Its address and its state."""
    app = create_sandbox(SandboxSettings(), clock)
    listener = listening_socket("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=2))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.sandbox
    finally:
        server.should_exit = True
        await serving
        listener.close()


async def make_fleet(sessions: Sessions, keyring: Keyring, sandbox: Sandbox) -> Fleet:
    """One account, its stores, and a refresh token at the sandbox for each."""
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
    account_keys = await keyring.of(sessions, account.id)
    async with sessions.begin() as session:
        for number in range(STORES):
            seller_id = f"A1FLEET{number:06}"
            integration = await make_integration(session, account.id, name=f"Store {number:02}")
            await _named(session, integration.id, seller_id)
            authorization = Authorization(seller_id, Region.EU, sandbox.settings.client_id, datetime.now(UTC))
            await store_grant(
                session,
                account_keys,
                integration_id=integration.id,
                region=Region.EU,
                seller_id=seller_id,
                tokens=Tokens(
                    SecretStr("Atza|first"),
                    SecretStr(sandbox.issue_refresh_token(authorization)),
                    timedelta(hours=1),
                ),
                consented_at=datetime.now(UTC),
            )
    return Fleet(sessions, sandbox)


async def _named(session: AsyncSession, integration_id: UUID, seller_id: str) -> None:
    await session.execute(
        update(Integration).where(Integration.id == integration_id).values(seller_id=seller_id)
    )


@asynccontextmanager
async def replica(
    database: Database,
    keys: Keys,
    address: str,
    sandbox: Sandbox,
    *,
    module: str = "tests.faults.connector.replica",
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A replica that is ready; ended at the end, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *command(module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            "PATH": os.defpath,
            "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
            "REPLYCO_KEY_FILE": str(keys.key_file),
            "REPLYCO_DEVELOPMENT": "true",
            "REPLYCO_AMAZON_BASE_URL": address,
            "REPLYCO_AMAZON_APPLICATION_ID": sandbox.settings.application_id,
            "REPLYCO_AMAZON_CLIENT_ID": sandbox.settings.client_id,
            "REPLYCO_AMAZON_CLIENT_SECRET": sandbox.settings.client_secret.get_secret_value(),
        },
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
