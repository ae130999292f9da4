"""Runs jobs and recurring work: claims what is due, extends the leases of what is under way, writes down what became of it.

Every step is a row. If a worker is killed in the middle of a job, its lease ends and any other one takes over; that is why whatever
runs here may run twice.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter

from services.connector.amazon.errors import AmazonPaused
from services.connector.job_queue import queries
from services.connector.job_queue.queries import LEASE, ClaimedJob
from services.connector.job_queue.schedules import Schedule, retry_wait
from shared.availability import DATABASE
from shared.clock import ClocksDiffer
from shared.database import Sessions, is_unavailable, was_ended_for_others
from shared.driver import new_id
from shared.jobs import Job

log = structlog.get_logger()

# What was asked for begins at the latest after this.
_POLL_SECONDS: Final = 1.0
_EXTEND_SECONDS: Final = LEASE.total_seconds() / 4
# Jobs under way at a stop get this long; what is broken off runs again.
_STOP_SECONDS: Final = 10.0
# After these, a job that the database was away for, or that it ended because of others, is held as if it had failed.
_UNAVAILABLE_WAITS: Final = tuple(timedelta(minutes=minutes) for minutes in (2, 10, 60))
# A job whose worker was killed is held after so many attempts: it may be what kills them.
_MOST_ATTEMPTS: Final = 5
_LOST: Final = "WorkerKilled"
# After its second attempt it waits at random, for up to so long an attempt: those that only ran beside the one that kills get
# done without it.
_APART: Final = timedelta(minutes=1)
# While the operators have stopped all calls to Amazon, a job that needs one looks again within this time, as often as it takes.
_WHILE_PAUSED: Final = timedelta(minutes=1)
_UNTIL_CLOCKS_AGREE: Final = timedelta(minutes=1)

Handler = Callable[[UUID, int], Awaitable[None]]
"""Does a job for one subject. Of its attempts, the first is number 1. Raises TryAgain to have another one later."""
RecurringHandler = Callable[[], Awaitable[None]]


class TryAgain(Exception):
    """Raised by a job, or recurring work, that wants to be run once more, after a while."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__()
        self.wait = wait


@dataclass(frozen=True, slots=True)
class _Kind:
    handler: Handler
    at_once: int


@dataclass(frozen=True, slots=True)
class _Recurring:
    handler: RecurringHandler
    schedule: Schedule


class JobRunner:
    """There is one in a worker process. The rooms register their work before it runs."""

    def __init__(self, sessions: Sessions, registry: CollectorRegistry) -> None:
        self._sessions = sessions
        self._holder = new_id()
        self._kinds: dict[str, _Kind] = {}
        self._recurring: dict[str, _Recurring] = {}
        self._under_way: dict[asyncio.Task[None], ClaimedJob] = {}
        self._has_rows = False
        self._runs = Counter(
            "replyco_jobs",
            "Runs of background work, by how they ended.",
            ["kind", "outcome"],
            registry=registry,
        )

    def add(self, job: Job, handler: Handler, *, at_once: int) -> None:
        """Run jobs of this kind, at most so many at once in this process."""
        self._kinds[job.value] = _Kind(handler, at_once)
        self._count_from_zero(job.value, "done", "put_off", "held", "lost")

    def add_recurring(self, name: str, schedule: Schedule, handler: RecurringHandler) -> None:
        """Run this again and again, in one worker at a time. What fails is logged and tried again soon, then ever more seldom."""
        self._recurring[name] = _Recurring(handler, schedule)
        self._count_from_zero(name, "done", "put_off", "failed", "lost")

    async def run(self, stop: asyncio.Event, *, stop_seconds: float = _STOP_SECONDS) -> None:
        """Work until `stop` is set, through everything that PostgreSQL does meanwhile."""
        stopping = asyncio.create_task(stop.wait())
        extending = asyncio.create_task(self._extend_leases())
        try:
            while not stop.is_set():
                with _failures_logged():
                    await self._begin_due()
                await asyncio.wait(
                    [stopping, *self._under_way], timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            await self._finish_or_give_back(stop_seconds)
            extending.cancel()
            stopping.cancel()

    async def run_due(self) -> int:
        """Run what is due until nothing is. The answer is how many runs that were."""
        count = 0
        while begun := await self._begin_due():
            count += begun
            await asyncio.wait(self._under_way)
        return count

    async def _begin_due(self) -> int:
        if not self._has_rows:
            now = await self._sessions.now()
            waits = {name: work.schedule.first_wait(now) for name, work in self._recurring.items()}
            async with self._sessions.begin() as session:
                await queries.add_recurring(session, waits)
            self._has_rows = True
        busy = Tally(job.kind for job in self._under_way.values())
        room = {kind: known.at_once - busy[kind] for kind, known in self._kinds.items()}
        room |= {name: 1 - busy[name] for name in self._recurring}
        async with self._sessions.begin() as session:
            claimed = await queries.claim_due(
                session, self._holder, {kind: free for kind, free in room.items() if free > 0}
            )
        for job in claimed:
            task = asyncio.create_task(self._run(job))
            self._under_way[task] = job
            task.add_done_callback(self._under_way.pop)
        return len(claimed)

    async def _run(self, job: ClaimedJob) -> None:
        # If its outcome cannot be written, its lease ends, and it runs again.
        with _failures_logged(job.kind):
            if job.was_lost:
                log.warning("job_lost", kind=job.kind, subject_id=str(job.subject_id), attempts=job.attempts)
                self._runs.labels(job.kind, "lost").inc()
                if not await self._is_to_be_tried(job):
                    return
            if job.kind in self._recurring:
                outcome = await self._run_recurring(job)
            else:
                outcome = await self._run_job(job)
            self._runs.labels(job.kind, outcome).inc()

    async def _is_to_be_tried(self, job: ClaimedJob) -> bool:
        """Whether a job that was lost is run now. Workers are killed for reasons of their own, so one loss says nothing."""
        failed = job.attempts - 1
        if failed < 2:
            return True
        is_job = job.kind in self._kinds
        async with self._sessions.begin() as session:
            if is_job and failed >= _MOST_ATTEMPTS:
                log.error("job_held", kind=job.kind, subject_id=str(job.subject_id), failure=_LOST)
                await queries.hold(session, self._holder, job, _LOST)
                self._runs.labels(job.kind, "held").inc()
            elif is_job:
                await queries.put_off_untried(session, self._holder, job, _APART * failed)
            else:
                # Work that the installation cannot do without is never held.
                await queries.put_off_untried(session, self._holder, job, retry_wait(failed))
        return False

    async def _run_recurring(self, job: ClaimedJob) -> str:
        recurring = self._recurring[job.kind]
        is_done, outcome = False, "failed"
        longest = timedelta.max
        with _failures_logged(job.kind):
            try:
                await recurring.handler()
                outcome = "done"
            except AmazonPaused:
                # Nothing has failed: it comes again when it would anyway.
                outcome = "put_off"
            except ClocksDiffer:
                # Another worker's clock may be right, and this one's soon.
                outcome, longest = "put_off", _UNTIL_CLOCKS_AGREE
            except TryAgain as again:
                outcome, longest = "put_off", again.wait
            is_done = True
        wait = min(recurring.schedule.wait(await self._sessions.now()), longest)
        async with self._sessions.begin() as session:
            if is_done:
                await queries.begin_anew(session, self._holder, job, wait)
            else:
                await queries.put_off(session, self._holder, job, min(wait, retry_wait(job.attempts)))
        return outcome

    async def _run_job(self, job: ClaimedJob) -> str:
        try:
            await self._kinds[job.kind].handler(job.subject_id, job.attempts)
        except TryAgain as again:
            return await self._put_off(job, again.wait)
        except AmazonPaused:
            async with self._sessions.begin() as session:
                await queries.put_off_untried(session, self._holder, job, _WHILE_PAUSED)
            return "put_off"
        except Exception as error:
            # Neither a database that is away nor a deadlock or a cancelled statement says anything against the job.
            is_passing = is_unavailable(error) or was_ended_for_others(error)
            if is_passing and job.attempts <= len(_UNAVAILABLE_WAITS):
                log.warning("job_put_off", kind=job.kind, error=type(error).__name__)
                return await self._put_off(job, _UNAVAILABLE_WAITS[job.attempts - 1])
            log.exception("job_failed", kind=job.kind, subject_id=str(job.subject_id))
            async with self._sessions.begin() as session:
                await queries.hold(session, self._holder, job, type(error).__name__)
            return "held"
        async with self._sessions.begin() as session:
            await queries.finish(session, self._holder, job)
        return "done"

    async def _put_off(self, job: ClaimedJob, wait: timedelta) -> str:
        async with self._sessions.begin() as session:
            await queries.put_off(session, self._holder, job, wait)
        return "put_off"

    async def _extend_leases(self) -> None:
        while True:
            await asyncio.sleep(_EXTEND_SECONDS)
            if not self._under_way:
                continue
            with _failures_logged():
                async with self._sessions.begin() as session:
                    await queries.extend_leases(session, self._holder, list(self._under_way.values()))

    async def _finish_or_give_back(self, stop_seconds: float) -> None:
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=stop_seconds)
        broken_off = [self._under_way[task] for task in late]
        for task in late:
            task.cancel()
        if not late:
            return
        await asyncio.wait(late)
        # If they cannot be given back, their leases end.
        with _failures_logged():
            async with self._sessions.begin() as session:
                for job in broken_off:
                    await queries.give_back(session, self._holder, job)

    def _count_from_zero(self, kind: str, *outcomes: str) -> None:
        for outcome in outcomes:
            self._runs.labels(kind, outcome)


@contextmanager
def _failures_logged(kind: str | None = None) -> Iterator[None]:
    """A worker that has ended helps nobody: tell the operators and go on."""
    try:
        yield
    except Exception as error:
        if is_unavailable(error):
            DATABASE.is_away(error)
        else:
            log.exception("background_work_failed", kind=kind)
