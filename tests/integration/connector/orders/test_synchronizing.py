"""A store's orders come page by page, each once with its last state, whatever Amazon, the database and other workers do meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, func, select, text, update

from deploy.demo.postgres import CONNECTOR
from services.connector.amazon.access import create_amazon
from services.connector.integrations.health import Check, checks_of
from services.connector.integrations.queries import Listed, detail_of
from services.connector.integrations.service import recompute_lock
from services.connector.integrations.sync_state import sync_status, synced_at
from services.connector.orders import syncs
from services.connector.orders.model import ORDERS_KEPT
from services.connector.orders.sync_service import OrderSynchronizer
from services.connector.orders.sync_steps import LOOK_BACK
from services.connector.tokens.service import Vault
from services.sandbox.state.order_making import new_order, place
from services.sandbox.state.orders import PlacedOrder
from services.sandbox.state.sellers import Seller
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_sessions
from shared.keyring import Keyring
from shared.tables import (
    Account,
    EventRow,
    Grant,
    JobRow,
    MarketplaceParticipation,
    Order,
    OrderSync,
    ThrottleBucket,
)
from tests.conftest import Keys
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    BRIGHT_PORCH,
    LAMPENLADEN,
    Amazon,
    amazon,
    connect,
    settings,
)
from tests.kept_database import KeptDatabase
from tests.simulated_buckets import SimulatedBuckets

__all__ = ["amazon", "settings"]

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class Worker:
    """What one worker process has."""

    synchronizer: OrderSynchronizer
    registry: CollectorRegistry
    sessions: Sessions

    async def run(self) -> int:
        return await self.synchronizer.run_due()

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0


@dataclass
class World:
    """A connected store, two workers, and one clock for all."""

    signed_in: SignedIn
    amazon: Amazon
    sessions: Sessions
    workers: list[Worker]
    integration_id: UUID

    @property
    def seller(self) -> Seller:
        return self.amazon.state.sellers[LAMPENLADEN]

    @property
    def now(self) -> datetime:
        return self.amazon.state.now()

    def pass_time(self, time: timedelta) -> None:
        self.amazon.state.advance_clock(time.total_seconds())

    async def live(self, time: timedelta, *, step: timedelta = 5 * MINUTE) -> None:
        """Let time pass in which a worker is at work."""
        for _ in range(time // step):
            self.pass_time(step)
            await self.workers[0].run()

    async def settle(self) -> None:
        """The store is where it will be one day: its first run and its history are over."""
        await self.workers[0].run()
        await self.change(history_done_at=self.now)

    def sell(self, count: int = 1, *, ago: timedelta = timedelta(0)) -> list[PlacedOrder]:
        placed = [
            place(LAMPENLADEN, new_order(self.seller, "DE"), self.now - ago - timedelta(seconds=number // 50))
            for number in range(count)
        ]
        self.amazon.state.add_orders(self.seller, placed)
        return placed

    def ship(self, placed: PlacedOrder) -> None:
        with self.amazon.state.orders.changing(placed, self.now, "shipped"):
            placed.ship(self.now, "DHL", "JJD1")

    async def orders(self) -> dict[str, str]:
        async with self.sessions() as session:
            rows = await session.execute(select(Order.order_id, Order.status))
            return {row.order_id: row.status for row in rows}

    async def sync(self, integration_id: UUID | None = None) -> OrderSync:
        async with self.sessions() as session:
            return await session.get_one(OrderSync, integration_id or self.integration_id)

    async def change(self, **values: Any) -> None:
        async with self.sessions.begin() as session:
            await session.execute(update(OrderSync).values(**values))

    async def shown(self) -> dict[str, Any]:
        answer = await self.signed_in.client.get(f"/api/v1/integrations/{self.integration_id}")
        shown: dict[str, Any] = answer.json()
        return shown

    async def listed(self) -> tuple[Listed, dict[str, Check]]:
        """What the list's row and the checks are made from, at the simulated time; the REST API goes by the time of day."""
        async with self.sessions.reading() as reader:
            detail = await detail_of(reader, self.signed_in.account.id, self.integration_id)
        assert detail is not None
        return detail.listed, {check.code: check for check in checks_of(detail.facts, self.now)}

    def searches(self, seller_id: str = LAMPENLADEN) -> int:
        return self.amazon.state.counters.calls[f"searchOrders {seller_id}"]

    def throttled(self) -> Counter[str]:
        return self.amazon.state.counters.throttled


@pytest.fixture
async def world(
    *, kept_database: KeptDatabase, keys: Keys, amazon: Amazon, signed_in: SignedIn, owner_sessions: Sessions
) -> AsyncIterator[World]:
    workers, vaults, ways = [], [], []
    for number in range(2):
        sessions = create_sessions(kept_database.process_engine(CONNECTOR, number))
        registry = CollectorRegistry()
        keyring = Keyring(KeyFile.load(keys.key_file))
        way = create_amazon(
            amazon.state.settings.client_id,
            amazon.state.settings.client_secret,
            amazon_base_url=amazon.url,
            buckets=SimulatedBuckets(sessions, amazon.state.now),
        )
        vault = Vault(sessions, keyring, way, recompute_lock, registry)
        synchronizer = OrderSynchronizer(sessions, keyring, vault, amazon.state.now, registry)
        workers.append(Worker(synchronizer, registry, sessions))
        vaults.append(vault)
        ways.append(way)
    attempt = await connect(signed_in.client)
    yield World(signed_in, amazon, owner_sessions, workers, UUID(attempt["integration_id"]))
    for vault in vaults:
        await vault.close()
    for way in ways:
        await way.close()


async def test_a_store_that_was_connected_has_its_orders_and_its_history(world: World):
    before = await world.shown()
    world.seller.orders = ()
    (sold,) = world.sell(ago=HOUR)
    known = {placed.order_id for placed in world.amazon.state.orders.of_seller(LAMPENLADEN)}

    await world.live(2 * HOUR, step=10 * MINUTE)

    assert before["sync"]["status"] == "running"
    assert before["sync"]["orders"]["history"]["count"] == 0
    assert set(await world.orders()) == known
    shown = await world.shown()
    assert (shown["sync"]["status"], shown["sync"]["orders"]["status"]) == ("ok", "ok")
    assert shown["sync"]["at"] == shown["sync"]["orders"]["completed_at"]
    history = shown["sync"]["orders"]["history"]
    assert (history["count"], history["done"]) == (len(known), True)
    assert datetime.fromisoformat(shown["last_order_at"]) == sold.created_at
    assert [code["code"] for code in shown["not_checked"]] == [
        "sender_not_approved",
        "report_columns_missing",
    ]
    assert not world.throttled()


async def test_what_changes_is_there_after_the_next_run_and_listeners_are_told(world: World):
    (sold,) = world.sell()
    await world.live(10 * MINUTE)
    assert (await world.orders())[sold.order_id] == "UNSHIPPED"

    world.ship(sold)
    await world.live(20 * MINUTE)

    assert (await world.orders())[sold.order_id] == "SHIPPED"
    async with world.sessions() as session:
        told = await session.scalars(select(EventRow.ids).where(EventRow.kind == "order.changed"))
    # The history fills in silence.
    assert len(told.all()) == 2


async def test_many_pages_are_one_run_and_what_changes_meanwhile_comes_with_the_next(world: World):
    await world.settle()
    sold = world.sell(450)
    world.pass_time(5 * MINUTE)
    before = world.searches()

    async with world.amazon.gate.holding("/orders"):
        running = asyncio.create_task(world.workers[0].run())
        await world.amazon.gate.arrived.wait()
        world.ship(sold[0])
    await running

    assert world.searches() - before == 5
    assert set(await world.orders()) >= {placed.order_id for placed in sold[1:]}
    await world.live(20 * MINUTE)
    assert (await world.orders())[sold[0].order_id] == "SHIPPED"


async def test_a_run_that_is_longer_than_amazon_allows_goes_on_when_it_does(world: World):
    await world.settle()
    sold = world.sell(450)
    world.pass_time(5 * MINUTE)
    async with world.sessions.begin() as session:
        await session.execute(update(ThrottleBucket).values(tokens=2, updated_at=world.now))
    await world.workers[0].run()
    sync, first = await world.sync(), await world.orders()

    await world.live(20 * MINUTE)

    assert sync.run_token is not None
    assert sync.failing_since is None
    assert 200 <= len(first) < 300
    assert set(await world.orders()) >= {placed.order_id for placed in sold}
    assert not world.throttled()


async def test_two_workers_keep_amazons_rate_together_and_ask_for_no_page_twice(world: World):
    await world.settle()
    world.sell(950)
    world.pass_time(5 * MINUTE)
    before = world.searches()

    await asyncio.gather(*(worker.run() for worker in world.workers))

    assert world.searches() - before == 10
    assert len(await world.orders()) >= 950
    assert not world.throttled()


@pytest.mark.parametrize("is_history", [False, True])
async def test_a_token_that_amazon_refuses_begins_again_where_the_last_complete_one_ended(
    world: World, *, is_history: bool
):
    if not is_history:
        await world.settle()
    sold = world.sell(250, ago=4 * HOUR if is_history else timedelta(0))
    world.amazon.state.scenarios.switch_on("orders-page-token-expired", count=1)

    await world.live(90 * MINUTE)

    assert set(await world.orders()) >= {placed.order_id for placed in sold}
    kind = "history" if is_history else "run"
    assert (
        world.workers[0].count("replyco_order_searches_total", kind=kind, outcome="page_token_refused") == 1
    )


async def test_an_order_that_amazon_shows_late_is_found_by_looking_back(world: World):
    await world.settle()
    world.amazon.state.scenarios.switch_on("orders-late", seconds=2 * 3600 - 60)
    (sold,) = world.sell()

    await world.live(110 * MINUTE, step=10 * MINUTE)
    before = await world.orders()
    await world.live(80 * MINUTE, step=10 * MINUTE)

    assert LOOK_BACK > 2 * HOUR
    assert sold.order_id not in before
    assert sold.order_id in await world.orders()


async def test_a_store_that_amazon_refuses_is_asked_ever_more_seldom_and_the_others_go_on(world: World):
    other = UUID((await connect(world.signed_in.client, BRIGHT_PORCH, "US"))["integration_id"])
    await world.workers[0].run()
    world.amazon.state.scenarios.switch_on("orders-forbidden", seller_id=LAMPENLADEN)
    before, before_other = world.searches(), world.searches(BRIGHT_PORCH)

    await world.live(5 * HOUR, step=20 * MINUTE)

    sync = await world.sync()
    assert sync.failure == "role_missing"
    assert world.searches() - before < 10
    assert world.searches(BRIGHT_PORCH) - before_other >= 15
    assert (await world.sync(other)).failing_since is None
    row, checks = await world.listed()
    assert (sync_status(row, world.now), row.lock) == ("late", "pending")
    assert checks["orders_late"].state == "notice"
    async with world.sessions() as session:
        missing = await session.scalar(
            select(Grant.role_missing_operation).where(Grant.integration_id == world.integration_id)
        )
    assert missing == "searchOrders"

    world.amazon.state.scenarios.switch_all_off()
    await world.live(80 * MINUTE, step=20 * MINUTE)
    assert sync_status((await world.listed())[0], world.now) == "ok"


async def test_while_amazon_is_away_orders_are_late_and_that_is_told_once_and_taken_back(world: World):
    await world.settle()
    sold = world.sell(3)
    world.amazon.state.scenarios.switch_on("outage")
    await _forget_jobs(world)

    await world.live(90 * MINUTE, step=30 * MINUTE)
    (row, checks), jobs = await world.listed(), await _jobs(world)

    check = checks["orders_late"]
    assert (check.state, check.who, check.since) == ("notice", "nobody", row.orders_known_until)
    assert synced_at(row, world.now) == row.orders_completed_at
    assert jobs == ["recompute_lock"]

    world.amazon.state.scenarios.switch_all_off()
    await world.live(20 * MINUTE)
    assert "orders_late" not in (await world.listed())[1]
    assert (await world.sync()).late_since is None
    assert set(await world.orders()) >= {placed.order_id for placed in sold}


async def test_who_has_died_over_a_store_is_followed_by_another_and_changes_nothing_any_more(world: World):
    (sold,) = world.sell()
    world.pass_time(5 * MINUTE)
    async with world.amazon.gate.holding("/orders"):
        slow = asyncio.create_task(world.workers[0].run())
        await world.amazon.gate.arrived.wait()
        assert await world.workers[1].run() == 0
        world.pass_time(syncs.LEASE)
        await world.workers[1].run()
        after = await world.sync()
        assert sold.order_id in await world.orders()
    await slow

    moved = {name: getattr(after, name) for name in ("cursor_at", "completed_at", "next_at", "claimed_until")}
    now = await world.sync()
    assert {name: getattr(now, name) for name in moved} == moved
    assert world.workers[0].count("replyco_order_searches_total", kind="run", outcome="not_ours") == 1


@pytest.mark.parametrize("column", ["claimed_until", "next_at"])
async def test_a_clock_that_went_ahead_holds_up_no_store_once_it_is_right_again(world: World, column: str):
    await world.settle()
    await world.change(completed_at=world.now + DAY, **{column: world.now + DAY})
    (sold,) = world.sell()

    await world.live(15 * MINUTE)

    assert sold.order_id in await world.orders()
    assert (await world.sync()).next_at < world.now + HOUR


async def test_a_page_that_is_cut_off_while_it_is_stored_is_asked_for_again(world: World):
    sold = world.sell(3)
    world.pass_time(5 * MINUTE)
    async with world.sessions.begin() as session:
        # Whoever stores waits for this, and is killed there.
        await session.execute(text("LOCK TABLE order_items IN EXCLUSIVE MODE"))
        storing = asyncio.create_task(world.workers[0].run())
        await _waits_for_lock(world)
        storing.cancel()
        with suppress(asyncio.CancelledError):
            await storing
    nothing = await world.orders()

    world.pass_time(syncs.LEASE)
    await world.workers[1].run()

    assert nothing == {}
    assert set(await world.orders()) >= {placed.order_id for placed in sold}


async def test_a_database_that_breaks_off_while_amazon_answers_loses_nothing(world: World):
    sold = world.sell(3)
    world.pass_time(5 * MINUTE)
    async with world.amazon.gate.holding("/orders"):
        running = asyncio.create_task(world.workers[0].run())
        await world.amazon.gate.arrived.wait()
        async with world.sessions.begin() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'tests' AND datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
    with suppress(Exception):
        await running

    world.pass_time(syncs.LEASE)
    await world.workers[0].run()

    assert set(await world.orders()) >= {placed.order_id for placed in sold}


async def test_the_newest_order_of_each_country_is_known(world: World):
    await world.live(30 * MINUTE)
    (sold,) = world.sell()
    await world.live(30 * MINUTE)

    newest: dict[str, datetime] = {}
    for placed in world.amazon.state.orders.of_seller(LAMPENLADEN):
        country = placed.order.country
        newest[country] = max(placed.created_at, newest.get(country, placed.created_at))
    async with world.sessions() as session:
        rows = await session.execute(
            select(MarketplaceParticipation.country, MarketplaceParticipation.last_order_at)
        )
        known = {row.country: row.last_order_at for row in rows}
    assert known == newest
    assert known["DE"] == sold.created_at


async def test_an_order_that_cannot_be_stored_holds_up_no_other(world: World):
    sold = world.sell(3)
    poison = f"ALTER TABLE orders ADD CONSTRAINT poison CHECK (order_id <> '{sold[1].order_id}')"
    async with world.sessions.begin() as session:
        await session.execute(text(poison))
    try:
        await world.live(10 * MINUTE)
        stored = await world.orders()
    finally:
        async with world.sessions.begin() as session:
            await session.execute(text("ALTER TABLE orders DROP CONSTRAINT poison"))

    assert {sold[0].order_id, sold[2].order_id} <= set(stored)
    assert sold[1].order_id not in stored
    assert world.workers[0].count("replyco_orders_unstorable_total") > 0
    assert (await world.sync()).failing_since is None


async def test_a_paused_store_rests_and_goes_on_when_it_is_resumed(world: World):
    path = f"/api/v1/integrations/{world.integration_id}"
    await world.live(10 * MINUTE)
    await world.signed_in.client.patch(path, json={"paused": True})
    (sold,) = world.sell()
    before = world.searches()

    await world.live(3 * HOUR, step=HOUR)

    assert world.searches() == before
    assert (await world.sync()).parked_at is not None
    assert (await world.shown())["sync"]["orders"]["status"] == "paused"
    await world.signed_in.client.patch(path, json={"paused": False})
    await world.workers[0].run()
    assert sold.order_id in await world.orders()


async def test_a_store_that_was_disconnected_rests_until_there_is_a_consent(world: World):
    await world.live(10 * MINUTE)
    await world.signed_in.client.delete(f"/api/v1/integrations/{world.integration_id}")
    before = world.searches()
    await world.live(HOUR)
    assert (world.searches(), (await world.sync()).parked_at is None) == (before, False)

    await connect(world.signed_in.client)
    await world.workers[0].run()

    assert world.searches() > before


async def test_a_grant_that_was_withdrawn_is_not_tried_by_asking_for_orders(world: World):
    await world.live(10 * MINUTE)
    async with world.sessions.begin() as session:
        await session.execute(update(Grant).values(refused_at=func.now(), revoked_at=func.now()))
    before = world.searches()

    await world.live(3 * HOUR, step=HOUR)

    assert world.searches() == before
    assert "orders_late" not in (await world.listed())[1]


async def test_a_region_that_goes_back_to_2016_does(world: World):
    await world.change(history_from=datetime(2016, 1, 1, tzinfo=UTC))
    while (await world.sync()).history_done_at is None:
        await world.live(5 * MINUTE)

    assert (await world.sync()).history_until == datetime(2016, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("longer", [None, 100])
async def test_the_history_is_no_longer_than_orders_are_kept(world: World, longer: int | None):
    await world.settle()
    reason = None if longer is None else "tax law"
    async with world.sessions.begin() as session:
        await session.execute(update(Account).values(longer_kept_days=longer, longer_kept_reason=reason))
    await world.change(history_until=world.now - 700 * DAY)

    await world.live(5 * MINUTE)

    kept = world.now - (await world.sync()).history_until
    assert timedelta(0) <= kept - ORDERS_KEPT - (longer or 0) * DAY < MINUTE


async def test_orders_that_have_been_late_for_a_day_are_said_to_be(world: World):
    await world.live(10 * MINUTE)
    day_ago = datetime.now(UTC) - timedelta(hours=25)
    await world.change(cursor_at=day_ago, completed_at=day_ago + MINUTE)

    shown = await world.shown()

    assert shown["sync"] == {
        "status": "late",
        "at": _json(day_ago + MINUTE),
        "orders": shown["sync"]["orders"] | {"status": "late", "late_since": _json(day_ago)},
    }
    (check,) = [check for check in shown["checks"] if check["code"] == "orders_late"]
    assert (check["state"], check["who"], check["since"]) == ("amber", "operator", _json(day_ago))
    assert shown["lock"]["state"] == "pending"


def _json(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def test_the_figures_say_how_far_behind_the_last_store_is(world: World):
    await world.live(10 * MINUTE)
    world.pass_time(2 * HOUR)
    await world.workers[1].run()

    age = world.workers[1].count("replyco_orders_age_seconds")
    assert 2 * 3600 < age < 3 * 3600
    assert world.workers[1].count("replyco_order_syncs_due") == 1
    assert world.workers[1].count("replyco_order_searches_total", kind="run", outcome="stored") >= 1


@pytest.mark.parametrize("is_revoked", [True, False])
async def test_a_store_that_amazon_refuses_makes_no_alarm_of_our_age(world: World, *, is_revoked: bool):
    await world.live(10 * MINUTE)
    if is_revoked:
        async with world.sessions.begin() as session:
            await session.execute(update(Grant).values(refused_at=func.now(), revoked_at=func.now()))
    else:
        await world.change(failing_since=world.now, failure="role_missing", next_at=world.now + DAY)
    world.pass_time(3 * HOUR)
    await world.workers[1].run()

    assert world.workers[1].count("replyco_orders_age_seconds") == 0


@pytest.mark.usefixtures("short_tables")
async def test_what_is_not_due_costs_nothing(world: World):
    """However many stores there are, only those are read whose turn it is."""
    await world.live(5 * MINUTE)
    async with world.sessions.begin() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await session.execute(
            text(
                "EXPLAIN SELECT integration_id FROM order_syncs WHERE parked_at IS NULL AND next_at <= now()"
                " AND (claimed_until IS NULL OR claimed_until <= now()) ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED"
            )
        )
        lines = "\n".join(plan.scalars())
    assert "ix_order_syncs_due" in lines
    assert "Sort" not in lines


async def _forget_jobs(world: World) -> None:
    async with world.sessions.begin() as session:
        await session.execute(delete(JobRow))


async def _jobs(world: World) -> list[str]:
    async with world.sessions() as session:
        return list(await session.scalars(select(JobRow.kind)))


async def _waits_for_lock(world: World) -> None:
    async with asyncio.timeout(60):
        while True:
            async with world.sessions() as session:
                waiting = await session.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                        " AND datname = current_database()"
                    )
                )
            if waiting:
                return
            await asyncio.sleep(0.02)
