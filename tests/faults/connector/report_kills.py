"""Workers are killed while they store a large report; then its rows and orders are counted."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

from pydantic import SecretStr
from sqlalchemy import func, select

from services.connector.amazon.lwa import Tokens
from services.connector.tokens.service import store_grant
from services.sandbox.state.memory import Authorization, Sandbox
from services.sandbox.state.reports import ALL_ORDERS_TYPE, Delivery
from shared.database import Sessions
from shared.keyring import Keyring
from shared.marketplaces import BY_COUNTRY, Region
from shared.tables import Order, OrderItem, OrderReport
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration
from tests.faults.connector.fleet import replica, running_sandbox
from tests.integration.connector.connecting import LAMPENLADEN

_FOLLOWER = "tests.faults.connector.report_follower"


@dataclass(frozen=True, slots=True)
class Stored:
    """`stopped_at`: how many rows were stored at each kill. `position`: the report's state, and how many of its rows are stored."""

    rows: int
    stopped_at: Sequence[int]
    position: tuple[str, int]
    orders: int
    different_orders: int
    items: int

    @property
    def is_right(self) -> bool:
        """Each kill came in the middle, each worker went on behind what was stored, and each order is there once."""
        goes_on = all(0 < before < after for before, after in pairwise([*self.stopped_at, self.rows]))
        is_whole = self.orders == self.different_orders == self.items == self.rows
        return goes_on and is_whole and self.position == ("stored", self.rows)


async def stored_through_kills(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, *, rows: int, kills: int
) -> Stored:
    """Have a report of so many rows, an order each, stored by one worker after the other."""
    async with running_sandbox() as (address, sandbox):
        sandbox.reports.deliveries[None] = Delivery(0, 0, rows=rows)
        await _connect(sessions, keyring, sandbox)
        stopped_at = list[int]()
        for kill in range(1, kills + 1):
            async with replica(database, keys, address, sandbox, module=_FOLLOWER) as worker:
                # So soon that much is left, however late this process looks.
                await _until(sessions, partial(_has_stored, kill * rows // (kills + 3)))
                worker.kill()
            stopped_at.append((await _position(sessions))[1])
        async with replica(database, keys, address, sandbox, module=_FOLLOWER):
            await _until(sessions, lambda state, _: state == "stored")
    position = await _position(sessions)
    async with sessions.begin() as session:
        orders = (await session.scalars(select(Order.order_id))).all()
        items = await session.scalar(select(func.count()).select_from(OrderItem))
    return Stored(rows, stopped_at, position, len(orders), len(set(orders)), items or 0)


async def _connect(sessions: Sessions, keyring: Keyring, sandbox: Sandbox) -> None:
    """One store, all of whose history but the newest report is known."""
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
    keys = await keyring.of(sessions, account.id)
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        integration = await make_integration(session, account.id, seller_id=LAMPENLADEN)
        authorization = Authorization(LAMPENLADEN, Region.EU, sandbox.settings.client_id, now)
        tokens = Tokens(
            SecretStr("Atza|first"),
            SecretStr(sandbox.issue_refresh_token(authorization)),
            timedelta(seconds=1),
        )
        await store_grant(
            session,
            keys,
            integration_id=integration.id,
            region=Region.EU,
            seller_id=LAMPENLADEN,
            tokens=tokens,
            consented_at=now,
        )
        session.add(
            OrderReport(
                account_id=account.id,
                integration_id=integration.id,
                report_type=ALL_ORDERS_TYPE,
                marketplace_ids=[BY_COUNTRY[country].marketplace_id for country in ("DE", "FR", "IT")],
                data_from=now - timedelta(days=540),
                data_to=now,
                created_at=now,
            )
        )


async def _position(sessions: Sessions) -> tuple[str, int]:
    async with sessions.begin() as session:
        row = (
            await session.execute(
                select(OrderReport.state, OrderReport.rows_stored).where(
                    OrderReport.report_type == ALL_ORDERS_TYPE
                )
            )
        ).one()
    return row.state, row.rows_stored


def _has_stored(goal: int, _state: str, rows: int) -> bool:
    return rows >= goal


async def _until(sessions: Sessions, is_there: Callable[[str, int], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_there(*await _position(sessions)):  # noqa: ASYNC110 - another process moves it
            await asyncio.sleep(0.02)
