"""The only place that writes orders, their items and their packages.

Whatever tells of an order may come late, twice and out of order, from three sources at once, and into several replicas. So: the row is
known before it is read (shared.orders); what Amazon changed earlier overwrites nothing that it changed later, and a time that has not
come yet is none, or the order would stay as it is until then; what a source does not say
leaves what another one has said; the same once more writes nothing. A report never takes back what the SP-API has said of the same
moment, and fills what it has not. What is personal and has ended, or was erased, is not stored again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.orders.model import (
    OrderRecord,
    Source,
    personal_ends_at,
)
from services.connector.orders.personal import is_personal
from services.connector.orders.rows import (
    delivered_at,
    each_once,
    item_columns,
    order_columns,
    package_columns,
)
from services.connector.orders.upserts import BY_API, BY_NEWER_REPORT, BY_REPORT, Statements, arrays
from shared.crypto.envelope import AccountKeys
from shared.events import Event, EventKind, announce_all, event_of
from shared.orders import item_row_id, order_row_id, package_row_id

_Made = TypeVar("_Made")
# A page of the SP-API.
_FEW: Final = 100
# By so much Amazon's clock may be ahead of ours. What is said to have happened later than that has not happened yet.
_CLOCKS_APART: Final = timedelta(minutes=15)
# What Amazon calls the times of the purchase and of the last change.
_TIMES: Final = {
    Source.API: ("createdTime", "lastUpdatedTime"),
    Source.REPORT: ("purchase-date", "last-updated-date"),
}
_KNOWN: Final = text("""
    SELECT id, last_updated_at, api_digest, report_digest, purchased_at, deliver_by, delivered_at, personal_ends_at,
        personal_erased_at
    FROM orders WHERE account_id = :account AND id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE
""")
_LONGER: Final = text("SELECT longer_kept_days FROM accounts WHERE id = :account")
_CONFIRM: Final = text("""
    UPDATE orders SET fetched_at = :now, gone_at = NULL WHERE account_id = :account AND id = ANY (CAST(:ids AS uuid[]))
""")
# What Amazon no longer names of an order that it tells whole.
_DROP: Final = {
    table: text(
        f"DELETE FROM {table} WHERE account_id = :account AND order_row_id = ANY (CAST(:orders AS uuid[]))"  # noqa: S608 - our own names
        " AND NOT id = ANY (CAST(:kept AS uuid[]))"
    )
    for table in ("order_items", "order_packages")
}
_NEWEST: Final = text("""
    UPDATE integrations SET last_order_at = CAST(:newest AS timestamptz)
    WHERE id = :integration AND (last_order_at IS NULL OR last_order_at < CAST(:newest AS timestamptz))
""")
_NEWEST_OF_COUNTRY: Final = text("""
    UPDATE marketplace_participations AS p SET last_order_at = told.newest
    FROM unnest(CAST(:countries AS text[]), CAST(:newest AS timestamptz[])) AS told (country, newest)
    WHERE p.integration_id = :integration AND p.country = told.country
        AND (p.last_order_at IS NULL OR p.last_order_at < told.newest)
""")
_COUNT: Final = text(
    "UPDATE order_syncs SET order_count = order_count + :new WHERE integration_id = :integration"
)


class _Known(NamedTuple):
    id: UUID
    last_updated_at: datetime
    api_digest: bytes | None
    report_digest: bytes | None
    purchased_at: datetime | None
    deliver_by: datetime | None
    delivered_at: datetime | None
    personal_ends_at: datetime | None
    personal_erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of some orders: how many of them nobody knew, and the rows of those that are new or have changed."""

    new: int
    changed: tuple[UUID, ...]


class _Told(NamedTuple):
    row_id: UUID
    order: OrderRecord
    digest: bytes


async def store_orders(
    session: AsyncSession,
    keys: AccountKeys,
    integration_id: UUID,
    orders: Sequence[OrderRecord],
    *,
    now: datetime,
    is_news: bool = True,
) -> Stored:
    """Store what a source tells of some orders of one store, in the caller's transaction. All must be of one source.

    `is_news`: listeners are told of each that has changed; not of what only fills the history.
    """
    told = await _aside(orders, lambda: _newest_of_each(keys, integration_id, orders, now))
    if not told:
        return Stored(0, ())
    batch = await _read(session, keys, integration_id, told, now)
    told = [batch.with_time(each) for each in told]
    if told[0].order.source is Source.API:
        written = await batch.write([each for each in told if batch.is_newer(each)], BY_API)
        if same := {each.row_id for each in told} - set(written):
            await session.execute(_CONFIRM, {"account": keys.account_id, "ids": sorted(same), "now": now})
    else:
        newer, filling = batch.of_report(told)
        written = await batch.write(newer, BY_NEWER_REPORT)
        written += await batch.write(filling, BY_REPORT)
    new = sum(row_id not in batch.known for row_id in written)
    if new:
        await _note_new(session, integration_id, told, new, now)
    if is_news:
        await announce_all(session, [_event(keys.account_id, integration_id, row_id) for row_id in written])
    return Stored(new, tuple(written))


async def _note_new(
    session: AsyncSession, integration_id: UUID, told: Sequence[_Told], new: int, now: datetime
) -> None:
    """When the newest order was placed, in the store and in each country, and how many there are. In the order in which all lock these rows."""
    newest: dict[str | None, datetime] = {}
    for order in (each.order for each in told):
        if order.purchased_at is not None and order.purchased_at <= now:
            for country in {None, order.country}:
                newest[country] = max(order.purchased_at, newest.get(country, order.purchased_at))
    store = {"integration": integration_id}
    if newest:
        await session.execute(_NEWEST, store | {"newest": newest[None]})
        countries = sorted(country for country in newest if country is not None)
        await session.execute(
            _NEWEST_OF_COUNTRY,
            store | {"countries": countries, "newest": [newest[country] for country in countries]},
        )
    await session.execute(_COUNT, store | {"new": new})


def _event(account_id: UUID, integration_id: UUID, row_id: UUID) -> Event:
    return event_of(account_id, EventKind.ORDER_CHANGED, integration_id=integration_id, order_row_id=row_id)


async def _aside(group: Sequence[object], make: Callable[[], _Made]) -> _Made:
    """What takes a moment for an order takes a report's batch long enough to hold up everything else, so that a thread does it."""
    return make() if len(group) <= _FEW else await asyncio.to_thread(make)


def _newest_of_each(
    keys: AccountKeys, integration_id: UUID, orders: Sequence[OrderRecord], now: datetime
) -> list[_Told]:
    """Each order once, in the order of the rows, so that two transactions wait for each other and never deadlock."""
    newest: dict[str, OrderRecord] = {}
    for order in (_without_future(order, now) for order in orders):
        other = newest.get(order.order_id)
        if other is None or order.last_updated_at >= other.last_updated_at:
            newest[order.order_id] = order
    told = [
        _Told(order_row_id(integration_id, order.order_id), order, _digest(keys, order))
        for order in newest.values()
    ]
    return sorted(told, key=lambda each: each.row_id.int)


def _without_future(order: OrderRecord, now: datetime) -> OrderRecord:
    """The order without times of its past that have not come yet."""
    latest = now + _CLOCKS_APART
    purchased_at, updated_at = order.purchased_at, order.last_updated_at
    if updated_at <= latest and (purchased_at is None or purchased_at <= latest):
        return order
    of_purchase, of_update = _TIMES[order.source]
    problems = dict.fromkeys(order.problems)
    if purchased_at is not None and purchased_at > latest:
        purchased_at, problems[of_purchase] = None, None
    if updated_at <= latest:
        return replace(order, purchased_at=purchased_at, problems=tuple(problems))
    # Without its minutes, so that the same once more is the same all day.
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    problems[of_update] = None
    return replace(
        order,
        purchased_at=purchased_at,
        last_updated_at=purchased_at or today,
        is_time_known=False,
        problems=tuple(problems),
    )


def _digest(keys: AccountKeys, order: OrderRecord) -> bytes:
    # Its text as Python writes it: a tenth of the time that JSON takes, and a report has millions.
    return keys.lookup_hash("order", repr(order))[:16]


async def _read(
    session: AsyncSession, keys: AccountKeys, integration_id: UUID, told: Sequence[_Told], now: datetime
) -> "_Batch":
    """What is known of these orders, locked until the transaction ends."""
    account = {"account": keys.account_id}
    rows = await session.execute(_KNOWN, account | {"ids": [each.row_id for each in told]})
    known = {row.id: _Known(*row) for row in rows}
    longer = timedelta(days=await session.scalar(_LONGER, account) or 0)
    return _Batch(session, keys, integration_id, known, now, now - longer)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Orders of one store that are written together. What is personal and ended before `kept_since` is not stored."""

    session: AsyncSession
    keys: AccountKeys
    integration_id: UUID
    known: Mapping[UUID, _Known]
    now: datetime
    kept_since: datetime

    def with_time(self, told: _Told) -> _Told:
        """If Amazon does not say when the order was changed, it is as it was when we last knew, and what is said now is news if it differs."""
        known = self.known.get(told.row_id)
        if told.order.is_time_known or known is None or told.order.last_updated_at > known.last_updated_at:
            return told
        return told._replace(order=replace(told.order, last_updated_at=known.last_updated_at))

    def is_newer(self, told: _Told) -> bool:
        """Whether the SP-API tells the latest that is known of the order. Of the same moment, it may say more than before: a role has
        come, or a part that was not asked for.
        """
        known = self.known.get(told.row_id)
        if known is None or told.order.last_updated_at > known.last_updated_at:
            return True
        return told.order.last_updated_at == known.last_updated_at and told.digest != known.api_digest

    def of_report(self, told: Sequence[_Told]) -> tuple[list[_Told], list[_Told]]:
        """What is newer than all that is known, and what is not and may fill something."""
        newer: list[_Told] = []
        filling: list[_Told] = []
        for each in told:
            known = self.known.get(each.row_id)
            if known is None or each.order.last_updated_at > known.last_updated_at:
                newer.append(each)
            elif each.digest != known.report_digest:
                filling.append(each)
        return newer, filling

    async def write(self, group: Sequence[_Told], statements: Statements) -> list[UUID]:
        """Write these orders with their items and packages; the rows that were written."""
        if not group:
            return []
        group = [self._without_ended(each) for each in group]
        rows = await _aside(
            group, lambda: arrays(self.keys.account_id, [self._order_row(each) for each in group])
        )
        result = await self.session.execute(statements.orders, rows)
        written = {row.id for row in result}
        kept = [each for each in group if each.row_id in written]
        await self._write_items(kept, statements)
        await self._write_packages(kept, statements)
        return sorted(written)

    def _order_row(self, told: _Told) -> dict[str, Any]:
        known = self.known.get(told.row_id)
        has_personal = is_personal(told.order) or (known is not None and known.personal_ends_at is not None)
        columns = order_columns(
            self.keys,
            told.row_id,
            told.order,
            digest=told.digest,
            personal_ends_at=self._personal_ends_at(told) if has_personal else None,
            now=self.now,
        )
        keys = {"id": told.row_id, "integration_id": self.integration_id, "order_id": told.order.order_id}
        return keys | columns

    async def _write_items(self, group: Sequence[_Told], statements: Statements) -> None:
        rows = await _aside(group, lambda: self._item_rows(group))
        await self._drop_others("order_items", [each for each in group if each.order.items], rows)
        if rows:
            await self.session.execute(statements.items, arrays(self.keys.account_id, _sorted_once(rows)))

    def _item_rows(self, group: Sequence[_Told]) -> list[dict[str, Any]]:
        return [
            {"id": item_row_id(each.row_id, item.item_id), "order_row_id": each.row_id}
            | item_columns(self.keys, each.row_id, item, position)
            for each in group
            for position, item in enumerate(each_once(each.order.items))
        ]

    async def _write_packages(self, group: Sequence[_Told], statements: Statements) -> None:
        rows = [
            {"id": package_row_id(each.row_id, package.reference), "order_row_id": each.row_id}
            | package_columns(each.order, package, position)
            for each in group
            for position, package in enumerate(each.order.packages or ())
        ]
        await self._drop_others(
            "order_packages", [each for each in group if each.order.packages is not None], rows
        )
        if rows:
            await self.session.execute(statements.packages, arrays(self.keys.account_id, _sorted_once(rows)))

    async def _drop_others(self, table: str, group: Sequence[_Told], rows: Sequence[dict[str, Any]]) -> None:
        """Of an order that the SP-API tells whole, what it no longer names is gone."""
        whole = [
            each.row_id for each in group if each.order.source is Source.API and each.row_id in self.known
        ]
        if whole:
            kept = {"orders": whole, "kept": [row["id"] for row in rows]}
            await self.session.execute(_DROP[table], {"account": self.keys.account_id} | kept)

    def _without_ended(self, told: _Told) -> _Told:
        known = self.known.get(told.row_id)
        was_erased = known is not None and known.personal_erased_at is not None
        is_kept = not was_erased and self._personal_ends_at(told) > self.kept_since
        if is_kept or not is_personal(told.order):
            return told
        items = tuple(
            replace(item, gift_message=None, customized_url=None, report_personal=None)
            for item in told.order.items
        )
        return told._replace(order=replace(told.order, buyer=None, recipient=None, items=items))

    def _personal_ends_at(self, told: _Told) -> datetime:
        known, order = self.known.get(told.row_id), told.order
        return personal_ends_at(
            delivered_at=(known.delivered_at if known else None) or delivered_at(order),
            deliver_by=order.deliver_by or (known.deliver_by if known else None),
            purchased_at=order.purchased_at or (known.purchased_at if known else None),
            last_updated_at=order.last_updated_at,
        )


def _sorted_once(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of the ids, each once: a statement may not write a row twice."""
    return sorted({row["id"]: row for row in rows}.values(), key=lambda row: row["id"].int)
