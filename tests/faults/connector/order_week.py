"""A simulated time of stores whose orders are bought, shipped and cancelled, while Amazon is away, throttles, refuses, forgets, shows
late and tells late, and replicas are killed; and what can be counted at each step and in the end.

One clock is moved for all: the sandbox's, which the replicas are told. Nobody sleeps.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random  # noqa: TID251 - with a seed: what happens can happen again
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import func, select, update

from services.connector.amazon.lwa import Tokens
from services.connector.orders import hints, syncs
from services.connector.tokens.service import store_grant
from services.sandbox.state.calls import Call
from services.sandbox.state.calls import Outcome as CallOutcome
from services.sandbox.state.memory import Authorization, Sandbox
from services.sandbox.state.order_making import many_orders, new_order, place
from services.sandbox.state.orders import CannotChange, PlacedOrder, Status
from services.sandbox.state.sellers import Seller, make_seller
from shared.database import Sessions
from shared.keyring import Keyring
from shared.marketplaces import Region
from shared.tables import Grant, Integration, Order, OrderSync
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration
from tests.faults.connector.fleet import running_sandbox
from tests.faults.connector.order_replicas import Hire, Replica, hiring

_REPLICAS: Final = 2
_REGIONS: Final = (
    (Region.EU, ("DE", "FR")),
    (Region.NA, ("US", "CA")),
    (Region.EU, ("IT", "ES")),
    (Region.FE, ("JP", "AU")),
)
# Amazon's rates, as its model says them.
_RATES: Final = {"searchOrders": (0.0056, 20), "getOrder": (0.5, 30)}
# What Amazon has shown late, or as it was before, is found by looking back, about an hour after it is shown rightly.
_UNTRUE: Final = frozenset({"orders-late", "orders-regress"})
_FOUND_AFTER: Final = timedelta(hours=2)
# A look back goes three hours back and comes each hour. An order that Amazon told wrongly before that is stale until it changes, or is looked at.
_LONGEST_REGRESS: Final = timedelta(hours=1.5)
# In the end nothing goes wrong any more, until all that went wrong is made up for.
_QUIET: Final = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated. Each store sells so many orders a day; `history` orders of the two years before are there. Every so many steps
    all orders are looked at, and not only the last ones. `at_once`: how many stores each replica asks about at one time.
    """

    stores: int
    days: float
    step: timedelta
    kills: int
    orders_a_day: int
    history: int
    looks_every: int = 1
    at_once: int = 6


@dataclass(slots=True)
class Counted:
    """What was there, what happened, and what went wrong: only the last ones must be nothing."""

    orders: int = 0
    changes: int = 0
    notices: int = 0
    pages: int = 0
    calls: int = 0
    fetched: int = 0
    kills: int = 0
    steps: int = 0
    troubles: int = 0
    above_rate: int = 0
    missing: int = 0
    unknown: int = 0
    stale: int = 0
    went_back: int = 0
    untrue_cursor: int = 0
    untrue_last_order: int = 0
    history_open: int = 0

    @property
    def is_right(self) -> bool:
        wrong = self.above_rate + self.missing + self.unknown + self.stale + self.went_back
        return not wrong + self.untrue_cursor + self.untrue_last_order + self.history_open


@dataclass(slots=True)
class _Store:
    integration_id: UUID
    seller: Seller
    since: datetime
    # Amazon tells of its orders late or wrongly, or did until a moment ago.
    untrue_until: datetime | None = None


@dataclass(slots=True)
class _Trouble:
    """A scenario that is on between two moments, for one store or for all."""

    begins: datetime
    ends: datetime
    name: str
    store: _Store | None = None
    seconds: float | None = None
    is_on: bool = False


class _Notice(NamedTuple):
    """Amazon tells at this time, perhaps once more later, that an order changed before."""

    comes_at: datetime
    store: _Store
    order_id: str
    told_at: datetime


@dataclass(slots=True)
class _World:
    plan: Plan
    sessions: Sessions
    sandbox: Sandbox
    account_id: UUID
    stores: list[_Store]
    chance: Random
    counted: Counted = field(default_factory=Counted)
    notices: list[_Notice] = field(default_factory=list)
    open_orders: dict[str, list[PlacedOrder]] = field(default_factory=lambda: defaultdict(list))
    seen: dict[tuple[UUID, str], datetime] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return self.sandbox.now()


async def lived_through(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, plan: Plan, *, seed: int = 7
) -> Counted:
    """Live through the plan, and count."""
    start = datetime.now(UTC)
    async with running_sandbox(lambda: start) as (address, sandbox), AsyncExitStack() as stack:
        async with sessions.begin() as session:
            account = await make_account(session, keyring)
        world = _World(plan, sessions, sandbox, account.id, [], Random(seed))
        await _open_stores(world, keyring)
        troubles = _troubles(world)
        hired = await stack.enter_async_context(
            hiring(database, keys, address, sandbox, at_once=plan.at_once)
        )
        replicas = [await hired() for _ in range(_REPLICAS)]
        steps = int(timedelta(days=plan.days) / plan.step)
        killed_at = {int((number + 0.5) * steps / plan.kills) for number in range(plan.kills)}
        for step in range(steps + int(_QUIET / plan.step)):
            sandbox.advance_clock(plan.step.total_seconds())
            is_quiet = step >= steps
            _switch(world, troubles, is_quiet=is_quiet)
            if not is_quiet:
                _live(world)
            await _tell(world)
            replicas = await _work(world, replicas, hired, is_killed=step in killed_at)
            await _check_last_orders(world)
            if step % plan.looks_every == 0:
                await _check_orders(world)
        await _check_end(world)
    return world.counted


# --- the stores and what happens to them ---------------------------------------------------------------------------------


async def _open_stores(world: _World, keyring: Keyring) -> None:
    account_keys = await keyring.of(world.sessions, world.account_id)
    for number in range(world.plan.stores):
        region, countries = _REGIONS[number % len(_REGIONS)]
        seller = make_seller(f"A1WEEK{number:06}", f"Store {number}", region, countries)
        world.sandbox.add_seller(seller)
        now = world.now
        past = many_orders(seller, countries, world.plan.history, now - timedelta(days=700), now)
        world.sandbox.add_orders(seller, past)
        authorization = Authorization(seller.seller_id, region, world.sandbox.settings.client_id, now)
        async with world.sessions.begin() as session:
            integration = await make_integration(
                session,
                world.account_id,
                name=f"Store {number}",
                region=region,
                home_country=countries[0],
                seller_id=seller.seller_id,
                countries=countries,
            )
            await store_grant(
                session,
                account_keys,
                integration_id=integration.id,
                region=region,
                seller_id=seller.seller_id,
                tokens=Tokens(
                    SecretStr("Atza|first"),
                    SecretStr(world.sandbox.issue_refresh_token(authorization)),
                    timedelta(hours=1),
                ),
                consented_at=now,
            )
            await syncs.ensure(session, world.account_id, integration.id, region, now)
        world.stores.append(_Store(integration.id, seller, now))


def _troubles(world: _World) -> list[_Trouble]:
    """As parts of the time, so that a day has all that a week has."""
    start, length = world.now, timedelta(days=world.plan.days)

    def trouble(
        begin: float, end: float, name: str, store: int | None = None, seconds: float | None = None
    ) -> _Trouble:
        whose = None if store is None else world.stores[store % len(world.stores)]
        return _Trouble(start + length * begin, start + length * end, name, whose, seconds)

    regress = min(0.04, _LONGEST_REGRESS / length)
    return [
        trouble(0.05, 0.12, "orders-late", 0, 5_400),
        trouble(0.10, 0.13, "api-503-html", 1),
        trouble(0.10, 0.13, "api-empty", 3),
        trouble(0.15, 0.16, "outage"),
        trouble(0.20, 0.45, "orders-forbidden", 2),
        trouble(0.25, 0.27, "token-503-html"),
        trouble(0.30, 0.36, "api-429", 1),
        # Not the store of `orders-forbidden`, which of two stores is that of number 0: nobody would see it.
        trouble(0.40, 0.40 + regress, "orders-regress", 3),
        trouble(0.46, 0.50, "orders-page-token-expired"),
        trouble(0.52, 0.53, "api-security-token-expired"),
        trouble(0.60, 0.64, "outage"),
        trouble(0.80, 0.83, "api-token-expired", 1),
        trouble(0.85, 0.90, "orders-dates-without-zone", 2),
    ]


def _switch(world: _World, troubles: list[_Trouble], *, is_quiet: bool) -> None:
    for trouble in troubles:
        wanted = not is_quiet and trouble.begins <= world.now < trouble.ends
        seller_id = None if trouble.store is None else trouble.store.seller.seller_id
        if wanted and not trouble.is_on:
            world.sandbox.scenarios.switch_on(trouble.name, seller_id=seller_id, seconds=trouble.seconds)
            world.counted.troubles += 1
        elif not wanted and trouble.is_on:
            world.sandbox.scenarios.switch_off(trouble.name, seller_id=seller_id)
        trouble.is_on = wanted
        if trouble.name in _UNTRUE and trouble.is_on and trouble.store is not None:
            trouble.store.untrue_until = world.now + _FOUND_AFTER


def _live(world: _World) -> None:
    """Buyers buy, sellers ship and cancel."""
    chance = world.chance
    expected = world.plan.orders_a_day * (world.plan.step / timedelta(days=1))
    for store in world.stores:
        bought = int(expected) + (chance.random() < expected % 1)
        if chance.random() < 0.002:
            bought += 250  # a sale
        placed = [
            place(
                store.seller.seller_id,
                new_order(store.seller, chance.choice(store.seller.countries)),
                world.now - world.plan.step * chance.random(),
            )
            for _ in range(bought)
        ]
        world.sandbox.add_orders(store.seller, placed)
        for order in placed:
            _plan_notice(world, store, order)
        waiting = world.open_orders[store.seller.seller_id]
        waiting += placed
        for order in [order for order in waiting if chance.random() < world.plan.step / timedelta(hours=12)]:
            world.counted.changes += 1
            if not _changed(world, order):
                waiting.remove(order)
            _plan_notice(world, store, order)


def _changed(world: _World, order: PlacedOrder) -> bool:
    """Let something happen to an order; whether something else can happen later."""
    with world.sandbox.orders.changing(order, world.now, "OrderStatusChange"):
        try:
            if order.status in {Status.UNSHIPPED, Status.PENDING} and world.chance.random() < 0.1:
                order.cancel("BUYER", "")
                return False
            if order.status in {Status.UNSHIPPED, Status.PENDING}:
                order.ship(world.now.replace(microsecond=0), "DHL", secrets.token_hex(6))
                return True
            order.deliver(world.now.replace(microsecond=0))
        except CannotChange:
            pass
    return False


def _plan_notice(world: _World, store: _Store, order: PlacedOrder) -> None:
    """Most come within minutes, some after hours or a day, some twice, some never; none in order."""
    chance = world.chance
    while chance.random() < 0.8:
        longest = chance.choice((0.1, 0.1, 0.1, 1, 5, 24))
        delay = timedelta(hours=longest * chance.random())
        world.notices.append(_Notice(world.now + delay, store, order.order_id, order.updated_at))
        if chance.random() < 0.7:
            return


async def _tell(world: _World) -> None:
    """What Amazon's queue brings now."""
    come = [notice for notice in world.notices if notice.comes_at <= world.now]
    world.notices = [notice for notice in world.notices if notice.comes_at > world.now]
    world.chance.shuffle(come)
    world.counted.notices += len(come)
    async with world.sessions.begin() as session:
        for notice in come:
            await hints.note(
                session,
                world.account_id,
                notice.store.integration_id,
                notice.order_id,
                told_at=notice.told_at,
                now=world.now,
            )


async def _work(world: _World, replicas: list[Replica], hired: Hire, *, is_killed: bool) -> list[Replica]:
    """All replicas work until nothing is due; one of them may be killed meanwhile, and is followed by another one."""
    for replica in replicas:
        replica.work(world.now)
    if is_killed:
        await asyncio.sleep(world.chance.random() * 0.08)
        await replicas[0].kill()
        world.counted.kills += 1
        # Leases of tokens go by PostgreSQL's clock, in which no time passes here.
        async with world.sessions.begin() as session:
            await session.execute(update(Grant).values(leased_until=None, lease_holder=None))
        replicas = [*replicas[1:], await hired()]
        working = replicas[:-1]
    else:
        working = replicas
    for replica in working:
        world.counted.pages += await replica.done()
    return replicas


# --- what is counted ---------------------------------------------------------------------------------------------------------


async def _stored(world: _World) -> dict[UUID, dict[str, tuple[datetime, str]]]:
    stored: dict[UUID, dict[str, tuple[datetime, str]]] = defaultdict(dict)
    async with world.sessions() as session:
        rows = await session.execute(
            select(Order.integration_id, Order.order_id, Order.last_updated_at, Order.status)
        )
        for row in rows:
            stored[row.integration_id][row.order_id] = (row.last_updated_at, row.status)
    return stored


async def _check_last_orders(world: _World) -> None:
    """What the list says of the last order is true: it is the newest of those that are here."""
    world.counted.steps += 1
    newest = func.max(Order.purchased_at)
    async with world.sessions() as session:
        rows = await session.execute(
            select(Integration.id, Integration.last_order_at, newest)
            .outerjoin(Order, Order.integration_id == Integration.id)
            .group_by(Integration.id)
        )
        world.counted.untrue_last_order += sum(said != true for _, said, true in rows)


async def _check_orders(world: _World) -> None:
    """What is said of how far orders are known is true, and none goes back."""
    stored = await _stored(world)
    async with world.sessions() as session:
        syncs_by_store = {sync.integration_id: sync for sync in await session.scalars(select(OrderSync))}
    for store in world.stores:
        sync, known = syncs_by_store[store.integration_id], stored[store.integration_id]
        is_amazons_fault = store.untrue_until is not None and world.now < store.untrue_until
        for placed in world.sandbox.orders.of_seller(store.seller.seller_id):
            at = known.get(placed.order_id, (None, ""))[0]
            was_at = world.seen.get((store.integration_id, placed.order_id))
            if at is not None:
                world.counted.went_back += was_at is not None and at < was_at
                world.seen[store.integration_id, placed.order_id] = at
            if placed.updated_at >= store.since:
                is_told = placed.updated_at < sync.cursor_at and not is_amazons_fault
            else:
                is_told = placed.created_at >= sync.history_until
            world.counted.untrue_cursor += is_told and (at is None or at < placed.updated_at)


async def _check_end(world: _World) -> None:
    """Every order is there once, as it was last, and none that is not Amazon's; no call was above Amazon's rate."""
    stored = await _stored(world)
    counted = world.counted
    async with world.sessions() as session:
        rows = await session.scalar(select(func.count()).select_from(Order)) or 0
        open_ones = await session.scalars(select(OrderSync).where(OrderSync.history_done_at.is_(None)))
        counted.history_open = len(open_ones.all())
    for store in world.stores:
        known = stored[store.integration_id]
        at_amazon = world.sandbox.orders.of_seller(store.seller.seller_id)
        counted.orders += len(at_amazon)
        for placed in at_amazon:
            at, status = known.get(placed.order_id, (None, ""))
            counted.missing += at is None
            counted.stale += at is not None and (at, status) != (placed.updated_at, placed.status)
        counted.unknown += len(set(known) - {placed.order_id for placed in at_amazon})
    assert rows == sum(len(known) for known in stored.values()), "an order is there twice"
    counted.calls, counted.fetched = (
        sum(call.operation == operation for call in world.sandbox.calls.log) for operation in _RATES
    )
    counted.above_rate = sum(
        call.outcome is CallOutcome.THROTTLED or is_above
        for call, is_above in _with_buckets(world.sandbox.calls.log)
    )


def _with_buckets(calls: Iterable[Call]) -> Iterator[tuple[Call, bool]]:
    """Each call, and whether it came when a bucket of Amazon's size would have been empty: also those that Amazon answered by a scenario."""
    tokens: dict[tuple[str, str], float] = {}
    last: dict[tuple[str, str], datetime] = {}
    for call in calls:
        if call.operation not in _RATES:
            continue
        key, (rate, burst) = (call.operation, call.caller), _RATES[call.operation]
        passed = (call.at - last.get(key, call.at)).total_seconds()
        tokens[key] = min(burst, tokens.get(key, burst) + passed * rate) - 1
        last[key] = call.at
        # What is in the bucket is computed by three, each in its own order of additions.
        yield call, tokens[key] < -0.001
