"""A machine whose clock is a month ahead: nobody is signed out, nothing is destroyed, and all goes on by itself when it is right again."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, insert, select, update

from deploy.demo.postgres import CONNECTOR
from services.connector.accounts.credentials import hash_secret, new_session_token
from services.connector.dependencies import SESSION_COOKIE
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import AfterGracePeriod, DeletionWatch, Integration, JobRow, RelayAddress, UserSession
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address, make_user
from tests.faults.mailrelay import clock
from tests.faults.mailrelay.clock import Clock
from tests.no_tls import NO_AUTHORITIES
from tests.processes import command, free_port

A_MONTH_AHEAD = "+35d"
A_DAY = 86_400.0
AHEAD = "replyco_clock_difference_seconds"
# Deleted because its time is over, or removed for good.
DESTROYING = ("remove_disconnected_integrations", "erase_closed_accounts", "purge_what_is_over")


@pytest.fixture
def wrong(tmp_path: Path) -> Clock:
    library = clock.installed()
    if library is None:
        pytest.skip(clock.REASON)
    made = Clock(tmp_path / "clock", library)
    made.jump(A_MONTH_AHEAD)
    return made


@asynccontextmanager
async def running(
    role: str, database: Database, keys: Keys, environment: dict[str, str]
) -> AsyncIterator[httpx2.AsyncClient]:
    """One of the connector's processes, and a client of its own port for operators; killed at the end.

    What it logs is not read: libfaketime refuses the log's thread its time.sleep.
    """
    side_port = str(free_port())
    process = await asyncio.create_subprocess_exec(
        *command("services.connector", role),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={
            "PATH": os.defpath,
            "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
            "REPLYCO_KEY_FILE": str(keys.key_file),
            "REPLYCO_BLOB_URL": keys.blob_url,
            "REPLYCO_WORKER_PORT": side_port,
            "REPLYCO_SIDE_PORT": side_port,
            "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.test",
            "REPLYCO_AMAZON_CLIENT_ID": "amzn1.application-oa2-client.test",
            "REPLYCO_AMAZON_CLIENT_SECRET": "secret",
            **environment,
        },
    )
    try:
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{side_port}", verify=NO_AUTHORITIES
        ) as client:
            yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def shows(client: httpx2.AsyncClient, least: Mapping[str, float]) -> None:
    """As soon as `/metrics` has at least so much of each."""
    async with asyncio.timeout(50):
        while True:
            with suppress(httpx2.TransportError):
                lines = (await client.get("/metrics")).text.splitlines()
                shown = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
                if all(float(shown.get(name, "nan")) >= value for name, value in least.items()):
                    return
            await asyncio.sleep(0.05)


def runs(kind: str, outcome: str) -> str:
    return f'replyco_jobs_total{{kind="{kind}",outcome="{outcome}"}}'


async def signed_in(sessions: Sessions, keyring: Keyring) -> tuple[str, RelayAddress]:
    """Somebody's session, and the address of a store of theirs that rests for ten more days."""
    token = new_session_token()
    async with sessions.begin() as session:
        now = (await session.execute(select(func.now()))).scalar_one()
        account = await make_account(session, keyring)
        user = await make_user(session, account.id, general_admin="view")
        session.add(
            UserSession(
                account_id=account.id,
                user_id=user.id,
                token_hash=hash_secret(token),
                created_at=now,
                last_seen_at=now,
                expires_at=now + timedelta(hours=12),
            )
        )
        store = await make_integration(session, account.id)
        store.disconnected_at, store.rests_until = now - timedelta(days=20), now + timedelta(days=10)
        store.data_after_rest = AfterGracePeriod.DELETE.value
        return token, await make_relay_address(session, store)


async def are_due(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(update(JobRow).where(JobRow.kind.in_(DESTROYING)).values(due_at=func.now()))


async def test_a_worker_destroys_nothing_until_its_clock_is_right_again(
    sessions: Sessions, keyring: Keyring, database: Database, keys: Keys, wrong: Clock
):
    _, address = await signed_in(sessions, keyring)

    async with running("worker", database, keys, wrong.environment) as client:
        # By then they have their rows.
        await shows(client, {runs("recompute_due_locks", "done"): 1})
        await are_due(sessions)
        await shows(client, {AHEAD: 34 * A_DAY} | {runs(kind, "put_off"): 1 for kind in DESTROYING})
        async with sessions.begin() as session:
            assert await session.scalar(select(func.count()).select_from(UserSession)) == 1
            assert (await session.get_one(RelayAddress, address.id)).retired_at is None

        wrong.jump("+0")
        async with sessions.begin() as session:
            await session.execute(update(Integration).values(rests_until=func.now()))
            # Other workers have looked at the clock for a day.
            a_day_ago = func.now() - timedelta(days=1)
            await session.execute(insert(DeletionWatch).values(id=1, steady_since=a_day_ago))
        await are_due(sessions)
        await shows(client, {runs(kind, "done"): 1 for kind in DESTROYING})

    async with sessions.begin() as session:
        assert (await session.get_one(RelayAddress, address.id)).retired_at is not None
        assert await session.scalar(select(func.count()).select_from(UserSession)) == 1


async def test_a_server_a_month_ahead_signs_nobody_out(
    sessions: Sessions, keyring: Keyring, database: Database, keys: Keys, wrong: Clock
):
    token, _ = await signed_in(sessions, keyring)
    port = free_port()

    async with running("serve", database, keys, {**wrong.environment, "REPLYCO_PORT": str(port)}) as client:
        await shows(client, {})
        client.cookies.set(SESSION_COOKIE, token)
        answer = await client.get(f"http://127.0.0.1:{port}/api/v1/me")
        await shows(client, {AHEAD: 34 * A_DAY})

    assert answer.status_code == 200
