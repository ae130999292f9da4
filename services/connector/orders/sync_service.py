"""Stores' orders kept up to date by searchOrders: page after page, each stored in the transaction that moves its store on.

Whoever works here may be killed at any moment: a row that is claimed is due again when its lease ends, and a page is asked for again and
changes nothing twice. No transaction is open while Amazon is asked. A store that fails waits longer each time and holds up no other one.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import (
    AmazonPaused,
    ClientMisconfigured,
    GrantInvalid,
    PageTokenRefused,
    RoleMissing,
    Throttled,
    TokenRefused,
)
from services.connector.amazon.orders import IncludedData, OrderPage, search_orders
from services.connector.orders import syncs
from services.connector.orders.model import OrderRecord
from services.connector.orders.reading import INCLUDED_DATA, OrderUnreadable, read_order
from services.connector.orders.storing import store_orders
from services.connector.orders.sync_steps import (
    Changes,
    Failure,
    Question,
    Sync,
    after_failure,
    after_page,
    after_refused_token,
    late_since,
    question_of,
)
from services.connector.tokens.service import Vault
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions, is_unavailable, was_ended_for_others
from shared.errors import Expected
from shared.jobs import Job, enqueue
from shared.keyring import Keyring

log = structlog.get_logger()

Clock = Callable[[], datetime]

_AT_ONCE: Final = 8
# Then the job ends and is due again, perhaps for another worker.
_ROUND_SECONDS: Final = 60.0
_NOT_OUR_TURN: Final = "not_our_turn"
_INCLUDED: Final = tuple(IncludedData(part) for part in INCLUDED_DATA)
_REFUSALS: Final = (ClientMisconfigured, GrantInvalid, RoleMissing, TokenRefused)


class _NotOurs(Exception):
    """The lease had ended: whoever has the store now asks for the same page."""


class _Told(NamedTuple):
    """A page as it is read, and what it changes in how far the store is known."""

    orders: Sequence[OrderRecord]
    changes: Changes
    is_news: bool
    at: datetime


class SyncMetrics:
    """What a worker shows of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "replyco_order_searches",
            "Pages of orders asked for, by what became of them",
            ["kind", "outcome"],
            registry=registry,
        )
        self.stored = Counter(
            "replyco_orders_synchronized", "Orders that were new or had changed", ["kind"], registry=registry
        )
        self.unstorable = Counter(
            "replyco_orders_unstorable",
            "Orders without a number, or that PostgreSQL did not take",
            registry=registry,
        )
        self.oldest = Gauge(
            "replyco_orders_age_seconds",
            "How old the orders are of the store that is furthest behind",
            registry=registry,
        )
        self.due = Gauge("replyco_order_syncs_due", "Stores that wait for their turn", registry=registry)
        for kind in ("run", "history"):
            for outcome in ("stored", _NOT_OUR_TURN):
                self.calls.labels(kind, outcome)
            self.stored.labels(kind)


class OrderSynchronizer:
    """There is one in a worker process. `clock` tells the time that decides what is due."""

    def __init__(
        self, sessions: Sessions, keyring: Keyring, vault: Vault, clock: Clock, registry: CollectorRegistry
    ) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._vault = vault
        self._clock = clock
        self._metrics = SyncMetrics(registry)

    async def run_due(self, *, at_once: int = _AT_ONCE) -> int:
        """Ask for a page of each store that is due, until none is or a minute is over. The answer is how many pages that were.

        Raises what says that the database is away.
        """
        async with self._sessions.begin() as session:
            brought = await syncs.bring_back(session, self._clock())
        if brought:
            log.warning("clock_had_been_ahead", stores=brought)
        await self._show_progress()
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(self._work()) for _ in range(at_once)]
        return sum(task.result() for task in working)

    async def _work(self) -> int:
        count, end = 0, time.monotonic() + _ROUND_SECONDS
        while time.monotonic() < end and not await self._is_paused() and (sync := await self._claim()):
            await self._advance(sync)
            count += 1
        return count

    async def _is_paused(self) -> bool:
        try:
            await self._vault.refuse_if_paused()
        except AmazonPaused:
            return True
        return False

    async def _claim(self) -> Sync | None:
        async with self._sessions.begin() as session:
            return await syncs.claim(session, self._clock())

    async def _show_progress(self) -> None:
        now = self._clock()
        async with self._sessions.reading() as reader:
            oldest = await syncs.oldest_cursor(reader)
            self._metrics.due.set(await syncs.count_due(reader, now))
        self._metrics.oldest.set(0 if oldest is None else max(0, (now - oldest).total_seconds()))

    # --- one page of one store -----------------------------------------------------------------------------------------

    async def _advance(self, sync: Sync) -> None:
        question = question_of(sync, self._clock())
        kind = "history" if question.is_of_history else "run"
        outcome = "stored"
        try:
            self._metrics.stored.labels(kind).inc(await self._ask_and_store(sync, question))
        except _NotOurs:
            outcome = "not_ours"
        except PageTokenRefused as refused:
            outcome = refused.code
            await self._move(sync, after_refused_token(sync, question, self._clock()))
        except AmazonPaused as paused:
            # Nothing was asked, so nothing is known: the store is given back as it was.
            outcome = paused.code
            await self._move(sync, {})
        except Expected as refused:
            failure = _failure_of(refused)
            outcome = refused.code if failure.wait is None else _NOT_OUR_TURN
            await self._put_off(sync, question, failure)
        except Exception as error:
            if is_unavailable(error):
                raise
            # A mistake of ours, or a deadlock: nothing that other stores need to wait for.
            outcome = "broke_off"
            log.exception("order_sync_broke_off", integration_id=str(sync.integration_id))
            await self._put_off(sync, question, Failure(outcome))
        if outcome not in {"stored", _NOT_OUR_TURN}:
            log.info(
                "orders_not_synchronized",
                integration_id=str(sync.integration_id),
                kind=kind,
                outcome=outcome,
            )
        self._metrics.calls.labels(kind, outcome).inc()

    async def _ask_and_store(self, sync: Sync, question: Question) -> int:
        """How many orders were new or had changed."""
        if sync.is_revoked:
            # Whoever renews tokens finds out when Amazon takes it again.
            raise GrantInvalid
        keys = await self._keyring.of(self._sessions, sync.account_id)
        page = await self._vault.call(
            sync.account_id, sync.integration_id, lambda api: _search(api, question)
        )
        now = self._clock()
        told = _Told(
            self._read(page, now),
            after_page(
                sync, question, told_before=page.last_updated_before, next_token=page.next_token, now=now
            ),
            is_news=not question.is_of_history,
            at=now,
        )
        try:
            return await self._store(sync, keys, told)
        except _NotOurs:
            raise
        except Exception as error:
            if is_unavailable(error) or was_ended_for_others(error):
                raise
            log.exception("orders_not_storable", integration_id=str(sync.integration_id))
        return await self._store_each(sync, keys, told)

    async def _store(self, sync: Sync, keys: AccountKeys, told: "_Told") -> int:
        """The page and how far the store is with it: together or not at all."""
        async with self._sessions.begin() as session:
            stored = await store_orders(
                session, keys, sync.integration_id, told.orders, now=told.at, is_news=told.is_news
            )
            await self._write(session, sync, told.changes, told.at)
        return len(stored.changed)

    async def _store_each(self, sync: Sync, keys: AccountKeys, told: "_Told") -> int:
        """The same, but for orders that cannot be stored: these are counted and told to the operators, and hold nothing up."""
        count = 0
        async with self._sessions.begin() as session:
            for order in told.orders:
                try:
                    async with session.begin_nested():
                        stored = await store_orders(
                            session, keys, sync.integration_id, [order], now=told.at, is_news=told.is_news
                        )
                    count += len(stored.changed)
                except Exception as error:
                    if is_unavailable(error) or was_ended_for_others(error):
                        raise
                    self._metrics.unstorable.inc()
                    log.warning("order_not_storable", order_id=order.order_id, error=type(error).__name__)
            await self._write(session, sync, told.changes, told.at)
        return count

    def _read(self, page: OrderPage, now: datetime) -> list[OrderRecord]:
        orders = []
        for told in page.orders:
            try:
                orders.append(read_order(told, seen_at=now))
            except OrderUnreadable:
                self._metrics.unstorable.inc()
                log.warning("order_without_number")
            except Exception:
                # A mistake of ours. Without this one, all others of the page would wait for its mending.
                self._metrics.unstorable.inc()
                log.exception("order_not_readable")
        return orders

    async def _put_off(self, sync: Sync, question: Question, failure: Failure) -> None:
        await self._move(sync, after_failure(sync, question, failure, self._clock(), spread=_spread()))

    async def _move(self, sync: Sync, changes: Changes) -> None:
        with suppress(_NotOurs):
            async with self._sessions.begin() as session:
                await self._write(session, sync, changes, self._clock())

    async def _write(self, session: AsyncSession, sync: Sync, changes: Changes, now: datetime) -> None:
        """Move the row on; listeners are told of what a page shows of it: the first run, the history, that it is late or no longer.

        Raises _NotOurs.
        """
        late = late_since(changes.get("cursor_at", sync.cursor_at), now)
        if not await syncs.move(session, sync, changes | {"late_since": late}):
            raise _NotOurs
        is_first = sync.completed_at is None and "completed_at" in changes
        if is_first or "history_until" in changes or (late is None) is not (sync.late_since is None):
            await enqueue(session, Job.RECOMPUTE_LOCK, sync.integration_id)


async def _search(api: SellerApi, question: Question) -> OrderPage:
    return await search_orders(
        api,
        last_updated_after=question.updated_after,
        created_after=question.created_after,
        created_before=question.created_before,
        included_data=_INCLUDED,
        page_token=question.token,
    )


def _failure_of(error: Expected) -> Failure:
    told = error.fields.get("retry_after_seconds")
    wait = timedelta(seconds=int(told)) if isinstance(error, Throttled) and told is not None else None
    return Failure(error.code, wait, isinstance(error, _REFUSALS))


def _spread() -> float:
    return 0.8 + secrets.randbelow(400) / 1000
