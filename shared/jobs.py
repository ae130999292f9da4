"""Background work: a job is a row that is written in the caller's transaction, and the connector's worker does it.

A job names its kind and one subject, nothing else. Whoever does it reads again what it needs, and may do it twice.
"""

from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Always in one order, so that two transactions that ask for the same jobs wait for each other and never deadlock.
_ENQUEUE: Final = text(
    "INSERT INTO jobs (kind, subject_id) SELECT :kind, subject_id FROM unnest(CAST(:subjects AS uuid[])) AS t (subject_id)"
    " ORDER BY subject_id"
    " ON CONFLICT (kind, subject_id) DO UPDATE SET requests = jobs.requests + 1, attempts = 0,"
    " due_at = least(jobs.due_at, now()), held_at = NULL, failure = NULL"
)


class Job(StrEnum):
    """Everything that is asked for one subject at a time."""

    REFRESH_PARTICIPATIONS = "refresh_participations"
    """One integration: ask Amazon again in which countries the store sells."""
    RECOMPUTE_LOCK = "recompute_lock"
    """One integration: decide its lock anew, because a fact has changed."""
    FETCH_ORDERS_OF_CONVERSATION = "fetch_orders_of_conversation"
    """One conversation: ask Amazon for the orders that its mails name, where our copy is missing or old."""
    SUBSCRIBE_TO_NOTICES = "subscribe_to_notices"
    """One integration: have Amazon tell by itself what happens in the store, if there is a queue for it."""
    FOLLOW_ORDER_REPORTS = "follow_order_reports"
    """One integration: ask for the order reports that are due, see how far those are that were asked for, store what is made."""
    RECHECK_MAIL_OF_MAILBOX = "recheck_mail_of_mailbox"
    """One forwarded mailbox: check again what waited in quarantine for its confirmation."""
    UNASSIGN_CONVERSATIONS = "unassign_conversations"
    """One person: what is theirs is nobody's, if they may not read the inbox any more."""


async def enqueue(session: AsyncSession, job: Job, *subject_ids: UUID) -> None:
    """Ask for a job in the caller's transaction, for each of these subjects. One that waits already is due at once."""
    if subject_ids:
        await session.execute(_ENQUEUE, {"kind": job.value, "subjects": list(set(subject_ids))})
