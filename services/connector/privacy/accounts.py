"""How long each account keeps what: its own settings, turned into moments of the past."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select

from services.connector.orders.model import ORDERS_KEPT
from services.connector.privacy.limits import KEPT_AFTER_AUTHORIZATION, LEAST_MESSAGES_KEPT
from shared.database import Sessions
from shared.tables import Account

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """What an account keeps at a moment. Whatever ended before `personal_since`, or was placed, lost or sent before the others, is over.

    `messages_end_with_orders`: the operator wants messages about an order to end with what is personal in it, in all accounts.
    """

    account_id: UUID
    now: datetime
    messages_kept: timedelta
    longer: timedelta
    messages_end_with_orders: bool

    @property
    def personal_since(self) -> datetime:
        return self.now - self.longer

    @property
    def orders_since(self) -> datetime:
        return self.now - self.longer - ORDERS_KEPT

    @property
    def authorizations_since(self) -> datetime:
        return self.now - self.longer - KEPT_AFTER_AUTHORIZATION

    @property
    def messages_since(self) -> datetime:
        return self.now - self.messages_kept

    @property
    def answered_since(self) -> datetime:
        """Of conversations about orders that are over, those in which something was said since then go on, if the operator ties them to orders."""
        return self.now - LEAST_MESSAGES_KEPT if self.messages_end_with_orders else self.messages_since


async def all_kept(
    sessions: Sessions, now: datetime, *, messages_end_with_orders: bool, account_id: UUID | None = None
) -> AsyncIterator[Kept]:
    """What each account keeps, or one of them."""
    statement = (
        select(Account.id, Account.messages_kept_days, Account.longer_kept_days)
        .where(Account.erased_at.is_(None))
        .order_by(Account.id)
        .limit(_PAGE)
    )
    if account_id is not None:
        statement = statement.where(Account.id == account_id)
    after = UUID(int=0)
    while True:
        async with sessions.reading() as reader:
            page = (await reader.execute(statement.where(Account.id > after))).all()
        for row in page:
            yield Kept(
                row.id,
                now,
                timedelta(days=row.messages_kept_days),
                timedelta(days=row.longer_kept_days or 0),
                messages_end_with_orders,
            )
        if len(page) < _PAGE:
            return
        after = page[-1].id


async def only_account(sessions: Sessions) -> UUID | None:
    """The account of an installation that has one."""
    async with sessions.reading() as reader:
        ids = (await reader.scalars(select(Account.id).where(Account.erased_at.is_(None)).limit(2))).all()
    return ids[0] if len(ids) == 1 else None


async def is_account(sessions: Sessions, account_id: UUID) -> bool:
    """Whether there is such an account."""
    async with sessions.reading() as reader:
        return (
            await reader.scalar(
                select(Account.id).where(Account.id == account_id, Account.erased_at.is_(None))
            )
            is not None
        )
