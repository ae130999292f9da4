"""The statements of the table of jobs, by the database's clock, because several workers claim from it at once."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, case, delete, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tables import JobRow

# Whoever holds a lease extends it in time; one that ends belongs to a worker that was killed.
LEASE: Final = timedelta(seconds=60)
NO_SUBJECT: Final = UUID(int=0)
"""The subject of work that concerns no single one."""

_CLAIM: Final = text("""
WITH due AS (
    SELECT waiting.kind, waiting.subject_id, waiting.lease_holder IS NOT NULL AS was_lost
    FROM unnest(CAST(:kinds AS text[]), CAST(:rooms AS int[])) AS wanted (kind, room)
    CROSS JOIN LATERAL (
        SELECT kind, subject_id, lease_holder FROM jobs
        WHERE jobs.kind = wanted.kind AND held_at IS NULL AND due_at <= now() AND (leased_until IS NULL OR leased_until < now())
        ORDER BY due_at LIMIT wanted.room FOR UPDATE SKIP LOCKED
    ) AS waiting
)
UPDATE jobs SET attempts = attempts + 1, lease_holder = :holder, leased_until = now() + :lease
FROM due WHERE jobs.kind = due.kind AND jobs.subject_id = due.subject_id
RETURNING jobs.kind, jobs.subject_id, jobs.requests, jobs.attempts, due.was_lost
""")
_EXTEND: Final = text("""
UPDATE jobs SET leased_until = now() + :lease
FROM unnest(CAST(:kinds AS text[]), CAST(:subjects AS uuid[])) AS held (kind, subject_id)
WHERE jobs.kind = held.kind AND jobs.subject_id = held.subject_id AND lease_holder = :holder
""")
_HELD: Final = text(
    "SELECT kind, subject_id, failure, held_at FROM jobs WHERE held_at IS NOT NULL ORDER BY held_at"
)
_FREE: Final[dict[str, Any]] = {"lease_holder": None, "leased_until": None}


class ClaimedJob(NamedTuple):
    """A job that is this worker's as long as it extends the lease.

    `attempts` includes the one that begins now. A job that `was_lost` is one whose last attempt ended without an outcome: its worker
    was killed, perhaps by the job.
    """

    kind: str
    subject_id: UUID
    requests: int
    attempts: int
    was_lost: bool


class HeldJob(NamedTuple):
    """A job that nobody runs until it is asked for once more. `failure` is the kind of failure."""

    kind: str
    subject_id: UUID
    failure: str
    held_at: datetime


async def add_recurring(session: AsyncSession, waits: Mapping[str, timedelta]) -> None:
    """Make the rows of recurring work that is new, each due after its wait."""
    for kind, wait in sorted(waits.items()):
        row = {"kind": kind, "subject_id": NO_SUBJECT, "due_at": func.now() + wait}
        await session.execute(insert(JobRow).values(row).on_conflict_do_nothing())


async def claim_due(session: AsyncSession, holder: UUID, room: Mapping[str, int]) -> list[ClaimedJob]:
    """Of each kind as many jobs that are due as there is room for; other workers pass them over."""
    rows = await session.execute(
        _CLAIM, {"kinds": list(room), "rooms": list(room.values()), "holder": holder, "lease": LEASE}
    )
    return [ClaimedJob(row.kind, row.subject_id, row.requests, row.attempts, row.was_lost) for row in rows]


async def extend_leases(session: AsyncSession, holder: UUID, jobs: Collection[ClaimedJob]) -> None:
    """Keep the jobs that are under way from other workers."""
    parameters = {"kinds": [job.kind for job in jobs], "subjects": [job.subject_id for job in jobs]}
    await session.execute(_EXTEND, {**parameters, "holder": holder, "lease": LEASE})


async def finish(session: AsyncSession, holder: UUID, job: ClaimedJob) -> None:
    """Delete a job that is done. If it was asked for once more meanwhile, it is due again instead."""
    gone = await session.execute(delete(JobRow).where(*_is(holder, job), JobRow.requests == job.requests))
    assert isinstance(gone, CursorResult)
    if not gone.rowcount:
        await _change(session, holder, job, attempts=0, due_at=func.now())


async def put_off(session: AsyncSession, holder: UUID, job: ClaimedJob, wait: timedelta) -> None:
    """Have a job tried again later; if it was asked for once more meanwhile, at once."""
    wait_or_none = case((JobRow.requests == job.requests, wait), else_=timedelta(0))
    await _change(session, holder, job, due_at=func.now() + wait_or_none)


async def begin_anew(session: AsyncSession, holder: UUID, job: ClaimedJob, wait: timedelta) -> None:
    """Have recurring work that was done run again after its wait, with no attempts against it."""
    await _change(session, holder, job, attempts=0, due_at=func.now() + wait)


async def put_off_untried(session: AsyncSession, holder: UUID, job: ClaimedJob, longest: timedelta) -> None:
    """Free a job that was claimed and not begun, to be due at a random moment of this time. The attempt does not count."""
    await _change(
        session, holder, job, attempts=JobRow.attempts - 1, due_at=func.now() + func.random() * longest
    )


async def hold(session: AsyncSession, holder: UUID, job: ClaimedJob, failure: str) -> None:
    """Keep a job that failed for good, for the operators to see. Asking for it once more frees it, also meanwhile."""
    is_current = JobRow.requests == job.requests
    await _change(
        session, holder, job, held_at=case((is_current, func.now())), failure=case((is_current, failure))
    )


async def give_back(session: AsyncSession, holder: UUID, job: ClaimedJob) -> None:
    """Free a job that was broken off; it is due at once, and the attempt does not count."""
    await _change(session, holder, job, attempts=func.greatest(JobRow.attempts - 1, 0))


async def held(session: AsyncSession) -> list[HeldJob]:
    """The jobs that are held, the oldest first."""
    rows = await session.execute(_HELD)
    return [HeldJob(row.kind, row.subject_id, row.failure, row.held_at) for row in rows]


async def free_held(session: AsyncSession) -> int:
    """Have all jobs that are held run once more, as if they were asked for. The answer is how many these are."""
    freed = await session.execute(
        update(JobRow)
        .where(JobRow.held_at.is_not(None))
        .values(held_at=None, failure=None, attempts=0, due_at=func.now())
    )
    assert isinstance(freed, CursorResult)
    return freed.rowcount


async def _change(session: AsyncSession, holder: UUID, job: ClaimedJob, **values: Any) -> None:
    await session.execute(update(JobRow).where(*_is(holder, job)).values(**_FREE, **values))


def _is(holder: UUID, job: ClaimedJob) -> tuple[ColumnElement[bool], ...]:
    """The job, unless its lease has ended and another worker has it."""
    return (JobRow.kind == job.kind, JobRow.subject_id == job.subject_id, JobRow.lease_holder == holder)
