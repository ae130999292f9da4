"""What came from the SP-API and ends: what is personal in orders, orders of old, and everything of a store without an authorization.

A batch is one short transaction. Rows that somebody else has in hand are left to the next round; so nothing here ever waits long, and
nobody waits for it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.orders import syncs
from services.connector.privacy.accounts import Kept
from services.connector.privacy.deletion import brief
from services.connector.privacy.over import Ending, ids_statement, values_of
from shared.database import Sessions
from shared.marketplaces import Region
from shared.tables import Integration

_BATCH: Final = 1_000

_OF_STORE: Final = (
    "SELECT id FROM orders WHERE account_id = CAST(:account AS uuid) AND integration_id = CAST(:integration AS uuid)"
    " LIMIT {batch} FOR UPDATE SKIP LOCKED"
)
_CLEAR: Final = (
    text("""
        UPDATE order_items SET gift = NULL, customization = NULL, report_personal = NULL
        WHERE account_id = :account AND order_row_id = ANY (CAST(:ids AS uuid[]))
            AND num_nonnulls(gift, customization, report_personal) > 0
    """),
    text("""
        UPDATE orders SET buyer = NULL, recipient = NULL, buyer_key = NULL, personal_ends_at = NULL,
            personal_erased_at = coalesce(personal_erased_at, CAST(:erased_at AS timestamptz))
        WHERE account_id = :account AND id = ANY (CAST(:ids AS uuid[]))
    """),
)
# Snapshots are of a store's own messages: an account may have the same order in two stores, one of them gone. The last one locks rows in
# the order in which whoever stores orders does.
_DELETE: Final = (
    text("""
        DELETE FROM order_snapshots s USING orders o, messages m
        WHERE o.account_id = :account AND o.id = ANY (CAST(:ids AS uuid[])) AND s.account_id = :account
            AND s.order_id = o.order_id AND m.id = s.message_id AND m.integration_id = o.integration_id
    """),
    text(
        "DELETE FROM order_lookups WHERE account_id = :account AND order_row_id = ANY (CAST(:ids AS uuid[]))"
    ),
    text("DELETE FROM order_items WHERE account_id = :account AND order_row_id = ANY (CAST(:ids AS uuid[]))"),
    text(
        "DELETE FROM order_packages WHERE account_id = :account AND order_row_id = ANY (CAST(:ids AS uuid[]))"
    ),
    text("""
        WITH gone AS (
            DELETE FROM orders WHERE account_id = :account AND id = ANY (CAST(:ids AS uuid[])) RETURNING integration_id)
        UPDATE order_syncs SET order_count = greatest(order_count - told.count, 0)
        FROM (SELECT integration_id, count(*)::integer AS count FROM gone GROUP BY 1) told
        WHERE order_syncs.integration_id = told.integration_id
    """),
)
_DELETE_REPORTS: Final = text("DELETE FROM order_reports WHERE id = ANY (CAST(:ids AS uuid[]))")
_IS_CONNECTED: Final = text("""
    SELECT true FROM grants JOIN integrations ON integrations.id = integration_id
    WHERE integration_id = :integration AND disconnected_at IS NULL AND ended_at IS NULL AND revoked_at IS NULL
""")
_REST_OF_STORE: Final = (
    text("DELETE FROM order_reports WHERE integration_id = :integration"),
    text("DELETE FROM order_lookups WHERE integration_id = :integration"),
    text("DELETE FROM order_hints WHERE integration_id = :integration"),
    text("DELETE FROM notice_subscriptions WHERE integration_id = :integration"),
    text("DELETE FROM order_syncs WHERE integration_id = :integration"),
    text("UPDATE integrations SET last_order_at = NULL WHERE id = :integration"),
    text(
        "UPDATE marketplace_participations SET last_order_at = NULL, account_status = NULL, account_status_at = NULL"
        " WHERE integration_id = :integration"
    ),
)


async def clear_personal(sessions: Sessions, kept: Kept, *, batch: int = _BATCH) -> int:
    """Overwrite what is personal in the account's orders and over; in how many orders."""
    over = ids_statement(Ending.ORDER_PERSONAL, most=batch, locked="o")
    values = {"account": kept.account_id, "erased_at": None}
    return await _in_batches(sessions, over, values_of(kept), statements=_CLEAR, values=values, batch=batch)


async def delete_old(sessions: Sessions, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete the account's orders of old, with all that hangs on them; how many."""
    over = ids_statement(Ending.ORDERS, most=batch, locked="o")
    account = {"account": kept.account_id}
    return await _in_batches(sessions, over, values_of(kept), statements=_DELETE, values=account, batch=batch)


async def delete_reports(sessions: Sessions, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete what is known of reports that were asked for so long ago that their orders are over."""
    over = ids_statement(Ending.ORDER_REPORTS, most=batch, locked="r")
    return await _in_batches(
        sessions, over, values_of(kept), statements=(_DELETE_REPORTS,), values={}, batch=batch
    )


async def end_authorizations(sessions: Sessions, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete everything of stores whose authorization ended so long ago; how many stores. Connected again, they begin anew."""
    over = ids_statement(Ending.AUTHORIZATIONS, most=batch)
    async with sessions.reading() as reader:
        stores = list((await reader.scalars(over, values_of(kept))).all())
    for integration_id in stores:
        await delete_all_of(sessions, integration_id, kept.now, batch=batch)
    return len(stores)


async def delete_all_of(
    sessions: Sessions, integration_id: UUID, now: datetime, *, batch: int = _BATCH
) -> int:
    """Delete everything of a store that came from the SP-API and is about its orders; how many orders."""
    async with sessions.begin() as session:
        store = await session.get_one(Integration, integration_id)
    account = {"account": store.account_id}
    orders = text(_OF_STORE.format(batch=batch))
    of_store = account | {"integration": integration_id}
    count = await _in_batches(sessions, orders, of_store, statements=_DELETE, values=account, batch=batch)
    async with brief(sessions) as session:
        # Whoever connects it holds this row, too.
        await session.execute(
            select(Integration.id).where(Integration.id == integration_id).with_for_update()
        )
        await _run(session, _REST_OF_STORE, {"integration": integration_id})
        if await session.scalar(_IS_CONNECTED, {"integration": integration_id}):
            await syncs.ensure(session, store.account_id, integration_id, Region(store.region), now)
    return count


async def erase_personal(
    sessions: Sessions, account_id: UUID, row_ids: list[UUID], now: datetime, *, batch: int = _BATCH
) -> None:
    """Overwrite what is personal in these orders before its time. It is not stored again, whoever tells it."""
    for begin in range(0, len(row_ids), batch):
        ids = row_ids[begin : begin + batch]
        async with sessions.begin() as session:
            await _run(session, _CLEAR, {"account": account_id, "ids": ids, "erased_at": now})


async def _in_batches(
    sessions: Sessions,
    over: TextClause,
    asked: Mapping[str, object],
    *,
    statements: tuple[TextClause, ...],
    values: Mapping[str, object],
    batch: int,
) -> int:
    count = 0
    while True:
        async with brief(sessions) as session:
            ids = list((await session.scalars(over, asked)).all())
            if ids:
                await _run(session, statements, {**values, "ids": ids})
        count += len(ids)
        if len(ids) < batch:
            return count


async def _run(
    session: AsyncSession, statements: tuple[TextClause, ...], values: Mapping[str, object]
) -> None:
    for statement in statements:
        await session.execute(statement, values)
