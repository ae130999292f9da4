"""A closed account whose grace period is over is erased: nothing of it is left, wherever it was cut off, and nothing of another one is gone."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import func, select, text, update
from typing_extensions import override

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.account_closing import service
from services.connector.account_closing.erasure import LOGS, AccountsLeft, Waiting, erase, erase_closed
from services.connector.integrations import lifecycle_service
from services.connector.integrations.row_locks import assign_relay_address
from services.connector.problems.catalogue import NotFound
from shared.blobs import BlobsUnavailable, FolderBlobs
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.tables import Account, Integration, RelayAddress, SpentAddress
from tests.conftest import Database
from tests.factories import make_account, make_integration
from tests.integration.connector.account_closing.filling import (
    fill,
    looked_through,
    multiply,
    rows_left,
    tables_of_accounts,
)

NOW = datetime.now(UTC)
OVER = NOW + timedelta(days=30, seconds=1)
AN_HOUR_LATER = OVER + timedelta(hours=1)
# So many rows are looked up by an index, whatever PostgreSQL thinks of the machine's disks.
_MANY = 3_000


class BlobsAway(FolderBlobs):
    """A store that removes so many blobs, and then no more."""

    left: float = float("inf")

    @override
    async def remove(self, key: str) -> None:
        if self.left <= 0:
            raise BlobsUnavailable
        self.left -= 1
        await super().remove(key)


@dataclass(frozen=True)
class Accounts:
    """Two that have a row in each table and a blob wherever there may be one; the first is closed."""

    closed: UUID
    other: UUID
    blobs: BlobsAway

    async def blob_count(self) -> int:
        days = await self.blobs.days()
        return sum([len(await self.blobs.list_day(day, after="", limit=1_000_000)) for day in days])


@pytest.fixture
async def accounts(
    sessions: Sessions, owner_sessions: Sessions, keyring: Keyring, tmp_path: Path
) -> Accounts:
    blobs = BlobsAway(tmp_path / "blobs")
    ids = []
    for name in ("Lampenladen GmbH", "Uhren KG"):
        async with owner_sessions.begin() as session:
            account = await make_account(session, keyring, name=name)
            await fill(session, account.id, blobs)
            ids.append(account.id)
    await service.close_for_operator(sessions, ids[0], NOW)
    return Accounts(ids[0], ids[1], blobs)


async def test_nothing_is_left_but_the_logs_and_nothing_of_another_account_is_gone(
    sessions: Sessions, owner_sessions: Sessions, accounts: Accounts
):
    before = await rows_left(owner_sessions, accounts.other)
    assert before.keys() == {table.name for table in tables_of_accounts()}
    blobs_of_one = await accounts.blob_count() // 2

    assert await erase_closed(sessions, accounts.blobs, NOW + timedelta(days=29)) == 0
    # The addresses are retired; what a relay accepted in the last moment is waited for.
    assert await erase_closed(sessions, accounts.blobs, OVER) == 0
    assert await erase_closed(sessions, accounts.blobs, AN_HOUR_LATER) == 1

    assert (await rows_left(owner_sessions, accounts.closed)).keys() == LOGS
    assert await rows_left(owner_sessions, accounts.other) == before
    assert await accounts.blob_count() == blobs_of_one
    async with owner_sessions.begin() as session:
        account = await session.get_one(Account, accounts.closed)
        assert (account.name, account.erased_at) == ("", AN_HOUR_LATER)
    assert await erase_closed(sessions, accounts.blobs, AN_HOUR_LATER) == 0
    with pytest.raises(NotFound):
        await service.reopen(sessions, accounts.closed, NOW)


async def test_mail_is_kept_until_the_grace_period_is_over(
    sessions: Sessions, owner_sessions: Sessions, accounts: Accounts
):
    kept = {"accepted_mail", "messages", "conversations", "attachments", "account_keys"}
    before = await rows_left(owner_sessions, accounts.closed)

    assert await lifecycle_service.end_grace_periods(sessions, NOW + timedelta(days=29)) == 0
    await erase_closed(sessions, accounts.blobs, NOW + timedelta(days=29))

    after = await rows_left(owner_sessions, accounts.closed)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


@pytest.mark.parametrize("removed", [0, 1, 2])
async def test_it_goes_on_where_the_blob_store_failed(
    sessions: Sessions, owner_sessions: Sessions, accounts: Accounts, removed: int
):
    await erase_closed(sessions, accounts.blobs, OVER)
    accounts.blobs.left = removed

    with pytest.raises(AccountsLeft) as failed:
        await erase_closed(sessions, accounts.blobs, AN_HOUR_LATER)
    accounts.blobs.left = float("inf")

    assert (failed.value.erased, failed.value.left) == (0, 1)
    assert await erase_closed(sessions, accounts.blobs, AN_HOUR_LATER) == 1
    assert (await rows_left(owner_sessions, accounts.closed)).keys() == LOGS


@pytest.mark.parametrize("table", ["conversations", "integrations", "webhooks", "users", "account_keys"])
async def test_it_goes_on_where_it_was_cut_off(
    sessions: Sessions, owner_sessions: Sessions, accounts: Accounts, table: str
):
    """As soon as this table has nothing of the account any more."""
    await erase_closed(sessions, accounts.blobs, OVER)
    erasing = asyncio.create_task(erase(sessions, accounts.blobs, accounts.closed, AN_HOUR_LATER))
    while not erasing.done() and table in await rows_left(owner_sessions, accounts.closed):
        pass
    erasing.cancel()
    await asyncio.wait([erasing])

    assert await erase(sessions, accounts.blobs, accounts.closed, AN_HOUR_LATER) is None
    assert (await rows_left(owner_sessions, accounts.closed)).keys() == LOGS


async def test_what_a_removed_store_was_to_keep_goes_with_the_account(
    sessions: Sessions, owner_sessions: Sessions, accounts: Accounts
):
    async with owner_sessions.begin() as session:
        await session.execute(
            update(Integration)
            .where(Integration.account_id == accounts.closed)
            .values(removed_at=NOW - timedelta(days=100), data_after_rest="keep")
        )
        await session.execute(
            update(RelayAddress).where(RelayAddress.account_id == accounts.closed).values(retired_at=NOW)
        )

    assert await erase(sessions, accounts.blobs, accounts.closed, OVER) is None

    assert (await rows_left(owner_sessions, accounts.closed)).keys() == LOGS


async def test_an_operator_ends_the_grace_period(sessions: Sessions, accounts: Accounts):
    with pytest.raises(service.AccountOpen):
        await service.end_grace_period(sessions, accounts.other, NOW)
    await service.end_grace_period(sessions, accounts.closed, NOW)

    assert await erase(sessions, accounts.blobs, accounts.closed, NOW) == Waiting(NOW + timedelta(hours=1))


async def test_its_addresses_are_never_given_out_again(
    sessions: Sessions, owner_sessions: Sessions, accounts: Accounts
):
    async with owner_sessions.begin() as session:
        of_closed = select(RelayAddress.local_part).where(RelayAddress.account_id == accounts.closed)
        spent = (await session.scalars(of_closed)).one()
    await erase_closed(sessions, accounts.blobs, OVER)
    await erase_closed(sessions, accounts.blobs, AN_HOUR_LATER)
    offered = iter([spent, "neu123456"])

    async with sessions.begin() as session:
        store = await make_integration(session, accounts.other, seller_id="A2", name="Neu")
        await assign_relay_address(session, store, local_parts=lambda: next(offered))

    async with sessions.begin() as session:
        given = select(RelayAddress.local_part).where(RelayAddress.integration_id == store.id)
        assert (await session.scalars(given)).all() == ["neu123456"]
        assert await session.scalar(select(func.count()).select_from(SpentAddress)) == 1


@pytest.mark.parametrize("retired", [None, NOW])
async def test_an_address_of_an_account_that_is_open_never_ends(
    sessions: Sessions, owner_sessions: Sessions, accounts: Accounts, retired: datetime | None
):
    async with owner_sessions.begin() as session:
        await session.execute(
            update(RelayAddress).where(RelayAddress.account_id == accounts.other).values(retired_at=retired)
        )

    async with sessions.begin() as session:
        ended = await session.scalar(text("SELECT end_addresses(:account, 10)"), {"account": accounts.other})

    assert ended == 0


@pytest.mark.usefixtures("short_tables")
async def test_erasing_costs_what_the_account_has_however_much_others_have(
    sessions: Sessions, accounts: Accounts, database: Database
):
    """No statement looks through a table, nor does the database when it asks who still refers to a row."""
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await multiply(owner, accounts.other, _MANY)
    engine = create_engine(database.url(CONNECTOR), application_name="tests")
    own = create_sessions(engine)
    assert await erase_closed(own, accounts.blobs, OVER) == 0
    await engine.dispose()
    before = await looked_through(owner)

    assert await erase_closed(own, accounts.blobs, AN_HOUR_LATER) == 1

    await engine.dispose()
    after = await looked_through(owner)
    await owner.close()
    more = {table: after[table] - before.get(table, 0) for table in after}
    assert {table: rows for table, rows in more.items() if rows >= _MANY} == {}
