"""The purge: whatever is over ends, account after account, thing after thing, each in small batches.

It may be cut off anywhere and run in several processes at once: what has ended is no longer found. What fails holds up nothing else, and
is told at the end. Its cost grows with what ends.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text

from services.connector.accounts.audit import system_audit_entry
from services.connector.privacy import ended_mail, ended_orders
from services.connector.privacy.accounts import Kept, all_kept
from services.connector.privacy.deletion_watch import GoOn, always
from services.connector.privacy.over import OVER, Ending, count_statement, values_of
from shared.blobs import BlobStore
from shared.database import Sessions, database_answers, is_unavailable

log = structlog.get_logger()

_AUDIT_BATCH: Final = 5_000
_OLD_AUDIT: Final = text(
    "SELECT count(*) AS rows, min(at) + interval '12 months' AS oldest FROM audit_log"
    " WHERE id < uuid_at(now() - interval '12 months') AND at < now() - interval '12 months'"
)


class PurgeIncomplete(Exception):
    """Some of what is over could not be ended, and is found again the next time. `ended`: what did, by kind."""

    def __init__(self, *, ended: Mapping[Ending, int], failed: int) -> None:
        super().__init__()
        self.ended = ended
        self.failed = failed


@dataclass(frozen=True, slots=True)
class Due:
    """How much of one kind is over, and since when the oldest of it."""

    count: int = 0
    oldest: datetime | None = None

    def __add__(self, other: "Due") -> "Due":
        oldest = [each for each in (self.oldest, other.oldest) if each is not None]
        return Due(self.count + other.count, min(oldest, default=None))


async def purge(
    sessions: Sessions,
    blobs: BlobStore,
    now: datetime,
    *,
    messages_end_with_orders: bool,
    account_id: UUID | None = None,
    note: Callable[[Ending, int], None] = lambda _ending, _count: None,
    go_on: GoOn = always,
) -> Mapping[Ending, int]:
    """End whatever is over, in all accounts or in one, and say how much of each kind. `note` is told of each step, `go_on` asked before it.

    Raises PurgeIncomplete, after all the rest, and what `go_on` raises, at once.
    """
    total: Counter[Ending] = Counter()
    failed = 0
    kept_by = all_kept(
        sessions, now, messages_end_with_orders=messages_end_with_orders, account_id=account_id
    )
    async for kept in kept_by:
        ended: Counter[Ending] = Counter()
        for ending, step in _steps(sessions, blobs, kept):
            await go_on()
            count = await _done(sessions, step, ending, kept.account_id)
            if count is None:
                failed += 1
            elif count:
                ended[ending] += count
                note(ending, count)
        if ended:
            async with sessions.begin() as session:
                counts = {str(ending): str(count) for ending, count in sorted(ended.items())}
                session.add(system_audit_entry(kept.account_id, "data_ended", kept.account_id, **counts))
        total.update(ended)
    if account_id is None:
        await go_on()
        count = await _done(sessions, partial(_end_audit_entries, sessions), Ending.AUDIT_LOG, None)
        if count is None:
            failed += 1
        elif count:
            total[Ending.AUDIT_LOG] += count
            note(Ending.AUDIT_LOG, count)
    if failed:
        raise PurgeIncomplete(ended=total, failed=failed)
    return total


async def due(
    sessions: Sessions, now: datetime, *, messages_end_with_orders: bool, account_id: UUID | None = None
) -> Mapping[Ending, Due]:
    """What is over and still there, in all accounts or in one."""
    found = dict.fromkeys(Ending, Due())
    kept_by = all_kept(
        sessions, now, messages_end_with_orders=messages_end_with_orders, account_id=account_id
    )
    async for kept in kept_by:
        async with sessions.reading() as reader:
            for ending in OVER:
                row = (await reader.execute(count_statement(ending), values_of(kept))).one()
                found[ending] += Due(row.rows, row.oldest)
    if account_id is None:
        async with sessions.reading() as reader:
            row = (await reader.execute(_OLD_AUDIT)).one()
            found[Ending.AUDIT_LOG] = Due(row.rows, row.oldest)
    return found


def _steps(
    sessions: Sessions, blobs: BlobStore, kept: Kept
) -> list[tuple[Ending, Callable[[], Awaitable[int]]]]:
    """Stores without an authorization first: of them nothing else of the SP-API is left to look at. Conversations before single messages."""
    return [
        (Ending.AUTHORIZATIONS, partial(ended_orders.end_authorizations, sessions, kept)),
        (Ending.ORDER_PERSONAL, partial(ended_orders.clear_personal, sessions, kept)),
        (Ending.CONVERSATIONS, partial(ended_mail.end_conversations, sessions, blobs, kept)),
        (Ending.ORDERS, partial(ended_orders.delete_old, sessions, kept)),
        (Ending.ORDER_REPORTS, partial(ended_orders.delete_reports, sessions, kept)),
        (Ending.MESSAGES, partial(ended_mail.end_messages, sessions, blobs, kept)),
        (Ending.REPLIES, partial(ended_mail.end_replies, sessions, blobs, kept)),
        (Ending.NOTES, partial(ended_mail.end_notes, sessions, kept)),
        (Ending.DRAFTS, partial(ended_mail.end_drafts, sessions, kept)),
        (Ending.RAW_MAIL, partial(ended_mail.end_raw_mail, sessions, blobs, kept)),
    ]


async def _done(
    sessions: Sessions, step: Callable[[], Awaitable[int]], ending: Ending, account_id: UUID | None
) -> int | None:
    """How much one step has ended; None if it failed. What keeps it from ending concerns no other, unless the database is away."""
    try:
        return await step()
    except Exception as error:
        if is_unavailable(error) and not await database_answers(sessions):
            raise
        log.exception("purge_failed", ending=str(ending), account_id=account_id and str(account_id))
        return None


async def _end_audit_entries(sessions: Sessions) -> int:
    """The owner's function knows the age: whoever calls it ends nothing that is younger."""
    count = 0
    while True:
        async with sessions.begin() as session:
            gone = await session.scalar(text("SELECT end_audit_entries(:most)"), {"most": _AUDIT_BATCH}) or 0
        count += gone
        if gone < _AUDIT_BATCH:
            return count
