"""A clock that jumps, everybody's together, destroys nothing for a day; what will go is listed, and an operator can stop all of it."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, text, update

from deploy.demo.postgres import CONNECTOR
from services.connector.account_closing import jobs as account_closing_jobs
from services.connector.account_closing.erasure import erase_closed
from services.connector.integrations.lifecycle_service import end_grace_periods
from services.connector.job_queue.runner import JobRunner
from services.connector.maintenance.jobs import HousekeepingMetrics, keep_house_by_clock
from services.connector.privacy import deletion_watch, jobs
from services.connector.privacy.deletion_watch import A_DAY, DeletionWaits, StillTime
from services.connector.privacy.purge_service import purge
from services.connector.privacy.purger import Purger
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import Account, AfterGracePeriod, DeletionWatch, Integration, JobRow, Order
from tests.commands import run_here
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.connector.privacy.conftest import DAY, Shop

AN_HOUR = timedelta(hours=1)


async def as_if(sessions: Sessions, *, steady_for: timedelta, seen_ago: timedelta) -> None:
    """As if workers had looked for so long, the last of them so long ago; less than nothing: by a clock that was ahead."""
    await deletion_watch.see(sessions)
    async with sessions.begin() as session:
        await session.execute(
            update(DeletionWatch).values(steady_since=func.now() - steady_for, seen_at=func.now() - seen_ago)
        )


async def waits(sessions: Sessions) -> bool:
    try:
        await deletion_watch.time_to_destroy(sessions)
    except DeletionWaits:
        return True
    return False


async def test_nothing_is_destroyed_before_the_clock_has_gone_evenly_for_a_day(sessions: Sessions):
    first = await deletion_watch.see(sessions)
    assert first.waits_until == first.steady_since + A_DAY
    assert await waits(sessions)

    await as_if(sessions, steady_for=A_DAY - AN_HOUR, seen_ago=AN_HOUR)
    assert await waits(sessions)

    await as_if(sessions, steady_for=A_DAY, seen_ago=AN_HOUR)
    assert not await waits(sessions)


@pytest.mark.parametrize("seen_ago", [30 * DAY, 3 * AN_HOUR, -AN_HOUR, -30 * DAY])
async def test_a_jump_and_hours_in_which_nobody_looked_begin_the_day_anew(
    sessions: Sessions, seen_ago: timedelta
):
    await as_if(sessions, steady_for=60 * DAY, seen_ago=seen_ago)

    assert await waits(sessions)
    assert (await deletion_watch.read(sessions)).waits_until is not None


async def test_workers_that_look_at_the_same_moment_begin_nothing_anew(sessions: Sessions):
    await as_if(sessions, steady_for=A_DAY, seen_ago=timedelta())

    seen = await asyncio.gather(*(deletion_watch.see(sessions) for _ in range(20)))

    assert all(each.may_destroy for each in seen)


@pytest.fixture
async def closed(sessions: Sessions, keyring: Keyring) -> Account:
    """An account without stores, that may be erased since a minute ago."""
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        account.closed_at, account.erase_after = (
            func.now() - text("interval '30 days'"),
            func.now() - text("interval '1 minute'"),
        )
    return account


async def test_the_workers_jobs_wait_and_go_on_by_themselves(sessions: Sessions, shop: Shop, closed: Account):
    registry = CollectorRegistry()
    runner = JobRunner(sessions, registry)
    account_closing_jobs.register(runner, sessions, shop.blobs)
    jobs.register(runner, sessions, Purger(sessions, shop.blobs, registry, messages_end_with_orders=False))
    await shop.order(personal_ends_at=shop.now - DAY)

    async def run() -> tuple[bool, int]:
        """Whether the account is erased, and in how many orders something personal is over."""
        await runner.run_due()
        async with sessions.begin() as session:
            await session.execute(update(JobRow).values(due_at=func.now()))
        await runner.run_due()
        async with sessions.begin() as session:
            erased_at = (await session.get_one(Account, closed.id)).erased_at
            left = await session.scalar(select(func.count()).where(Order.personal_ends_at.is_not(None)))
        return erased_at is not None, left or 0

    assert await run() == (False, 1)
    for kind in ("erase_closed_accounts", "purge_what_is_over"):
        labels = {"kind": kind, "outcome": "put_off"}
        assert registry.get_sample_value("replyco_jobs_total", labels)

    await as_if(sessions, steady_for=A_DAY, seen_ago=timedelta())
    assert await run() == (True, 0)


async def test_what_is_under_way_stops_at_the_next_one(
    sessions: Sessions, keyring: Keyring, shop: Shop, closed: Account
):
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
        other.closed_at = other.erase_after = func.now() - text("interval '1 minute'")
    await as_if(sessions, steady_for=A_DAY, seen_ago=timedelta())
    still_time, asked = StillTime(sessions, every_seconds=0), 0

    async def stopped_meanwhile() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            await deletion_watch.stop(sessions, by="somebody", reason=None)
        await still_time()

    now = await sessions.now()
    with pytest.raises(DeletionWaits):
        await erase_closed(sessions, shop.blobs, now, stopped_meanwhile)
    with pytest.raises(DeletionWaits):
        await purge(sessions, shop.blobs, now, messages_end_with_orders=False, go_on=still_time)
    with pytest.raises(DeletionWaits):
        await end_grace_periods(sessions, now, still_time)

    async with sessions.begin() as session:
        ids = (closed.id, other.id)
        erased = await session.scalars(select(Account.erased_at.is_not(None)).where(Account.id.in_(ids)))
        assert sorted(erased) == [False, True]


async def test_nobody_is_signed_out_in_the_day_after_a_jump(sessions: Sessions):
    registry = CollectorRegistry()
    metrics = HousekeepingMetrics(registry)

    async def failures_left() -> int | None:
        await keep_house_by_clock(sessions, metrics)
        async with sessions.begin() as session:
            left: int | None = await session.scalar(text("SELECT count(*) FROM sign_in_failures"))
        return left

    async with sessions.begin() as session:
        await session.execute(
            text("INSERT INTO sign_in_failures (key, failures, window_ends_at) VALUES ('k', 1, 'epoch')")
        )
    await as_if(sessions, steady_for=60 * DAY, seen_ago=30 * DAY)

    assert await failures_left() == 1
    assert registry.get_sample_value("replyco_deletion_waits") == 1
    assert registry.get_sample_value("replyco_partitions_missing") == 0

    await as_if(sessions, steady_for=A_DAY, seen_ago=timedelta())
    assert await failures_left() == 0
    assert registry.get_sample_value("replyco_deletion_waits") == 0


async def test_strangers_fill_no_table_while_deletion_waits(sessions: Sessions):
    async with sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO throttle_buckets (key, tokens, rate, burst, updated_at) VALUES ('full', 0, 1, 10, now() - interval '2 hours'),"
                " ('used', 0, 0.0001, 10, now() - interval '2 hours')"
            )
        )
    await deletion_watch.stop(sessions, by="somebody", reason=None)

    await keep_house_by_clock(sessions, HousekeepingMetrics(CollectorRegistry()))

    async with sessions.begin() as session:
        assert (await session.scalars(text("SELECT key FROM throttle_buckets"))).all() == ["used"]


async def test_operators_see_what_goes_and_can_stop_it(
    sessions: Sessions, keyring: Keyring, database: Database, keys: Keys, closed: Account
):
    environment = {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_BLOB_URL": keys.blob_url,
    }
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        stores = [await make_integration(session, account.id, name=name) for name in ("one", "two")]
        address = await make_relay_address(session, stores[0])
    async with sessions.begin() as session:
        for store, days in zip(stores, (1, 20), strict=True):
            await session.execute(
                update(Integration)
                .where(Integration.id == store.id)
                .values(
                    disconnected_at=func.now(),
                    rests_until=func.now() + timedelta(days=days),
                    data_after_rest=AfterGracePeriod.DELETE.value,
                )
            )
    await deletion_watch.see(sessions)

    waiting = (await run_here(environment, "privacy", "planned"))[1]
    await as_if(sessions, steady_for=A_DAY, seen_ago=timedelta())
    going = (await run_here(environment, "privacy", "planned", "--days", "30"))[1]
    stopped = await run_here(environment, "privacy", "stop", "--reason", "the clock")
    assert await waits(sessions)
    told = (await run_here(environment, "privacy", "planned"))[1]
    refused = await run_here(environment, "privacy", "purge")
    resumed = await run_here(environment, "privacy", "resume")

    assert "Deletion waits until " in waiting
    assert (
        f"store {stores[0].id} of account {account.id}: the address {address.local_part}@… is retired"
        in waiting
    )
    assert f"account {closed.id}: everything is erased" in waiting
    assert str(stores[1].id) not in waiting
    assert "Deletion goes on; " in going
    assert f"store {stores[1].id} of account {account.id}: it is removed, its data are deleted" in going
    assert (stopped[0], resumed[0], refused[0]) == (0, 0, 1)
    assert "Deletion is stopped since " in told
    assert "Reason: the clock." in told
    assert "Deletion is stopped." in refused[1]
    assert not await waits(sessions)
