"""Everything of an account that was closed and whose grace period is over is erased, in small transactions that may be cut off anywhere.

First its stores end as any store does, and an hour later their data are erased; then every other table, whichever has an `account_id`: so
a table that is added is erased, too. What stays is the account's row without its name, the logs of who did what until their own end, and
the first parts of its addresses, because none is given out twice. What is not erased yet is found again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import (
    ColumnElement,
    Index,
    Select,
    Table,
    UniqueConstraint,
    and_,
    delete,
    select,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import system_audit_entry
from services.connector.integrations import erasure as stores
from services.connector.integrations import lifecycle_service
from services.connector.privacy.deletion_watch import GoOn, always
from shared.blobs import BlobStore
from shared.database import Sessions, database_answers, each_id, is_unavailable
from shared.errors import Expected
from shared.tables import Account, Base, Integration, RelayAddress, User, Webhook

log = structlog.get_logger()

_BATCH: Final = 500
# Each of these is asked for in many tables before it goes.
_FEW: Final = 20
# Who did what has to be known for a year: by ids and counts alone.
LOGS: Final = frozenset({"audit_log", "read_log"})
# Gone with the stores: what refers to mail, messages and conversations, which in turn hold up the stores' own rows. None is found by its account.
_WITH_STORES: Final = frozenset({
    "accepted_mail", "attachments", "conversation_threads", "message_digests", "reply_files",
})  # fmt: skip

# By what a table is found that has no index for its account: whose rows refer to it, and which column does.
_OWNERS: Final = (("integration_id", Integration), ("user_id", User), ("webhook_id", Webhook))

_END_ADDRESSES: Final = text("SELECT end_addresses(:account, :most)")


class AccountsLeft(Exception):
    """Some accounts could not be erased. What is left of them is found again the next time."""

    def __init__(self, *, erased: int, left: int) -> None:
        super().__init__()
        self.erased = erased
        self.left = left


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is wrong: until then a relay may still have accepted mail, not knowing yet."""

    until: datetime


async def erase_closed(sessions: Sessions, blobs: BlobStore, now: datetime, go_on: GoOn = always) -> int:
    """Erase every account whose grace period is over, and return how many these were.

    Raises AccountsLeft, after all the others, and what `go_on` raises, which is asked before each.
    """
    erased = left = 0
    async for account_id in each_id(sessions, _due(now)):
        await go_on()
        try:
            waiting = await erase(sessions, blobs, account_id, now)
        except Expected as failure:
            log.warning("account_erasure_put_off", account_id=str(account_id), code=failure.code)
            left += 1
        except Exception as error:
            # A statement that takes too long looks like a database that is away; only the latter concerns the accounts behind.
            if is_unavailable(error) and not await database_answers(sessions):
                raise
            log.exception("account_erasure_failed", account_id=str(account_id))
            left += 1
        else:
            erased += waiting is None
    if left:
        raise AccountsLeft(erased=erased, left=left)
    return erased


async def erase(sessions: Sessions, blobs: BlobStore, account_id: UUID, now: datetime) -> Waiting | None:
    """Erase an account whose grace period is over. None: nothing is left. Raises BlobsUnavailable; then it may be run again."""
    await lifecycle_service.remove_all(sessions, account_id, now)
    waiting = await _erase_stores(sessions, blobs, account_id, now)
    if waiting is not None:
        return waiting
    for table in reversed(Base.metadata.sorted_tables):
        if table.name == RelayAddress.__tablename__:
            await _end_addresses(sessions, account_id)
        elif "account_id" in table.columns and table.name not in LOGS | _WITH_STORES:
            await _erase_rows(sessions, table, account_id)
    async with sessions.begin() as session:
        account = await session.get_one(Account, account_id)
        account.name, account.longer_kept_days, account.longer_kept_reason = "", None, None
        account.erased_at = now
        session.add(system_audit_entry(account_id, "account_erased", account_id))
    # What an operator is asked for later, whether and when it was done, stands here as well.
    log.info("account_erased", account_id=str(account_id))
    return None


def _due(now: datetime) -> Select[UUID]:
    return select(Account.id).where(Account.erase_after <= now, Account.erased_at.is_(None))


async def _erase_stores(
    sessions: Sessions, blobs: BlobStore, account_id: UUID, now: datetime
) -> Waiting | None:
    """All of them are removed by now, some of them perhaps not for long enough."""
    async with sessions.begin() as session:
        found = (
            await session.execute(
                select(Integration.id, Integration.removed_at)
                .where(Integration.account_id == account_id, Integration.erased_at.is_(None))
                .order_by(Integration.id)
            )
        ).all()
    waiting = None
    for row in found:
        ready_at = row.removed_at + stores.WAIT
        if ready_at > now:
            waiting = Waiting(max(ready_at, waiting.until if waiting else ready_at))
        else:
            await stores.erase_store(sessions, blobs, row.id, now)
    return waiting


async def _erase_rows(sessions: Sessions, table: Table, account_id: UUID) -> None:
    batch = _FEW if table.name in {"users", "integrations"} else _BATCH
    # By its key: a row's place is not unique in a table of partitions.
    key = tuple_(*table.primary_key.columns)
    while True:
        async with sessions.begin() as session:
            connection = await session.connection()
            own = await _own(session, table, account_id)
            some = select(*table.primary_key.columns).where(own).limit(batch)
            count = (await connection.execute(delete(table).where(own, key.in_(some)))).rowcount
        if count < batch:
            return


async def _own(session: AsyncSession, table: Table, account_id: UUID) -> ColumnElement[bool]:
    """That a row is the account's, said so that an index answers it: however much others have, it costs what the account has."""
    indexed = {next(iter(index.columns)).name for index in table.indexes if not _is_partial(index)}
    indexed |= {next(iter(table.primary_key.columns)).name}
    indexed |= {
        next(iter(constraint.columns)).name
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    if "account_id" in indexed:
        return table.c.account_id == account_id
    for column, owner in _OWNERS:
        if column in indexed and not table.c[column].nullable:
            ids = (await session.scalars(select(owner.id).where(owner.account_id == account_id))).all()
            return and_(table.c[column].in_(ids), table.c.account_id == account_id)
    raise LookupError(f"no index finds an account's rows in {table.name}")


def _is_partial(index: Index) -> bool:
    return index.dialect_options["postgresql"]["where"] is not None


async def _end_addresses(sessions: Sessions, account_id: UUID) -> None:
    """The owner's function keeps their local parts: whoever calls it gives none back."""
    while True:
        async with sessions.begin() as session:
            count = await session.scalar(_END_ADDRESSES, {"account": account_id, "most": _BATCH}) or 0
        if count < _BATCH:
            return
