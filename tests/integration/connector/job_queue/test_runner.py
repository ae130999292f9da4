"""Jobs are done, put off, held and handed on, by as many workers as there are."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, text, update

from services.connector.job_queue.queries import LEASE, NO_SUBJECT
from services.connector.job_queue.runner import JobRunner, RecurringHandler, TryAgain
from services.connector.job_queue.schedules import DailyAt, Every
from shared.database import Sessions
from shared.driver import DatabaseUnavailable, new_id
from shared.jobs import Job, enqueue
from shared.tables import JobRow

JOB = Job.REFRESH_PARTICIPATIONS
HOURLY = Every(timedelta(hours=1))

NewRunner = Callable[[], JobRunner]


@pytest.fixture
def new_runner(sessions: Sessions) -> NewRunner:
    """Makes a worker's runner that knows no work yet."""
    return lambda: JobRunner(sessions, CollectorRegistry())


async def ask_for(sessions: Sessions, *subject_ids: UUID) -> None:
    async with sessions.begin() as session:
        await enqueue(session, JOB, *subject_ids)


async def rows(sessions: Sessions) -> list[JobRow]:
    async with sessions.begin() as session:
        return list((await session.scalars(select(JobRow).order_by(JobRow.subject_id))).all())


async def let_pass(sessions: Sessions, time: timedelta) -> None:
    """As if this time had passed for every job."""
    async with sessions.begin() as session:
        await session.execute(
            update(JobRow).values(due_at=JobRow.due_at - time, leased_until=JobRow.leased_until - time)
        )


async def test_jobs_are_done_once_however_many_workers_there_are(sessions: Sessions, new_runner: NewRunner):
    done: list[UUID] = []

    async def handler(subject_id: UUID, _attempts: int) -> None:
        done.append(subject_id)

    runners = [new_runner() for _ in range(3)]
    for runner in runners:
        runner.add(JOB, handler, at_once=5)
    subjects = [new_id() for _ in range(100)]
    await ask_for(sessions, *subjects)

    await asyncio.gather(*(runner.run_due() for runner in runners))

    assert sorted(done) == sorted(subjects)
    assert await rows(sessions) == []


async def test_what_is_rolled_back_is_never_done(sessions: Sessions, new_runner: NewRunner):
    async with sessions() as session:
        await enqueue(session, JOB, new_id())
        await session.rollback()

    assert await rows(sessions) == []


async def test_no_more_run_at_once_than_there_is_room_for(sessions: Sessions, new_runner: NewRunner):
    running, most = 0, 0
    go_on = asyncio.Event()

    async def handler(_subject_id: UUID, _attempts: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            go_on.set()
        await go_on.wait()
        running -= 1

    runner = new_runner()
    runner.add(JOB, handler, at_once=2)
    await ask_for(sessions, *(new_id() for _ in range(7)))

    assert await runner.run_due() == 7
    assert most == 2


async def test_a_job_that_is_asked_for_while_it_runs_runs_once_more(
    sessions: Sessions, new_runner: NewRunner
):
    subject_id, runs = new_id(), 0

    async def handler(_subject_id: UUID, _attempts: int) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            # After the job has read its facts, another one changes.
            await ask_for(sessions, subject_id)

    runner = new_runner()
    runner.add(JOB, handler, at_once=1)
    await ask_for(sessions, subject_id)
    await runner.run_due()

    assert runs == 2
    assert await rows(sessions) == []


async def test_a_job_that_asks_for_another_attempt_gets_it_later(sessions: Sessions, new_runner: NewRunner):
    seen: list[int] = []

    async def handler(_subject_id: UUID, attempts: int) -> None:
        seen.append(attempts)
        if attempts < 3:
            raise TryAgain(timedelta(minutes=10))

    runner = new_runner()
    runner.add(JOB, handler, at_once=1)
    await ask_for(sessions, new_id())

    for _ in range(3):
        await runner.run_due()
        await let_pass(sessions, timedelta(minutes=10))

    assert seen == [1, 2, 3]
    assert await rows(sessions) == []


async def test_a_job_that_fails_is_held_and_asking_again_frees_it(sessions: Sessions, new_runner: NewRunner):
    subject_id, is_mended = new_id(), False

    async def handler(_subject_id: UUID, _attempts: int) -> None:
        if not is_mended:
            raise ValueError("a secret value")

    runner = new_runner()
    runner.add(JOB, handler, at_once=1)
    await ask_for(sessions, subject_id)
    await runner.run_due()
    (held,) = await rows(sessions)
    assert (held.failure, held.lease_holder) == ("ValueError", None)
    await let_pass(sessions, timedelta(days=1))
    assert await runner.run_due() == 0

    is_mended = True
    await ask_for(sessions, subject_id)

    assert await runner.run_due() == 1
    assert await rows(sessions) == []


async def test_a_job_that_postgresql_ended_because_of_others_is_tried_again(
    sessions: Sessions, new_runner: NewRunner
):
    """A deadlock or a cancelled statement says nothing against the job: held, a lock would stay as it was until somebody looks."""
    runs = 0

    async def handler(_subject_id: UUID, _attempts: int) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            async with sessions.begin() as session:
                await session.execute(text("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(20)"))

    runner = new_runner()
    runner.add(JOB, handler, at_once=1)
    await ask_for(sessions, new_id())
    await runner.run_due()
    (waiting,) = await rows(sessions)
    assert waiting.held_at is None
    await let_pass(sessions, timedelta(hours=1))
    await runner.run_due()

    assert runs == 2
    assert await rows(sessions) == []


async def test_the_job_of_a_worker_that_was_killed_is_taken_over(sessions: Sessions, new_runner: NewRunner):
    begun, seen = asyncio.Event(), list[int]()

    async def hang(_subject_id: UUID, _attempts: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def handler(_subject_id: UUID, attempts: int) -> None:
        seen.append(attempts)

    killed, other = new_runner(), new_runner()
    killed.add(JOB, hang, at_once=1)
    other.add(JOB, handler, at_once=1)
    await ask_for(sessions, new_id())
    dying = asyncio.create_task(killed.run_due())
    await begun.wait()

    assert await other.run_due() == 0
    await let_pass(sessions, LEASE)
    assert await other.run_due() == 1

    assert seen == [2]
    dying.cancel()


async def time_until_the_next_is_due(sessions: Sessions) -> timedelta:
    async with sessions.begin() as session:
        due_at: datetime | None = await session.scalar(
            select(func.min(func.greatest(JobRow.due_at, JobRow.leased_until))).where(
                JobRow.held_at.is_(None)
            )
        )
    assert due_at is not None
    return max(due_at - datetime.now(UTC), timedelta(0))


async def killed_while_running(
    new_runner: NewRunner, register: Callable[[JobRunner, RecurringHandler], None]
) -> bool:
    """Have a worker claim what is due, and end in the middle of it without a word. Whether it began anything."""
    begun = asyncio.Event()

    async def kill() -> None:
        begun.set()
        await asyncio.Event().wait()

    worker = new_runner()
    register(worker, kill)
    dying = asyncio.create_task(worker.run_due())
    beginning = asyncio.create_task(begun.wait())
    await asyncio.wait([dying, beginning], return_when=asyncio.FIRST_COMPLETED)
    for task in (beginning, dying, *worker._under_way):
        task.cancel()
    return begun.is_set()


async def test_a_job_that_kills_its_workers_is_held_and_those_beside_it_are_done(
    sessions: Sessions, new_runner: NewRunner
):
    killing, *innocent = (new_id() for _ in range(5))
    done = set[UUID]()
    begun = 0

    def register(runner: JobRunner, kill: RecurringHandler) -> None:
        async def handler(subject_id: UUID, _attempts: int) -> None:
            if subject_id == killing:
                await kill()
            elif len(running) > 1:
                # Not done yet when the worker is killed.
                await asyncio.Event().wait()
            done.add(subject_id)

        runner.add(JOB, handler, at_once=5)

    running = [killing, *innocent]
    await ask_for(sessions, *running)
    for _ in range(2):  # killed at once, and once more a lease later: all five beside each other
        begun += await killed_while_running(new_runner, register)
        await let_pass(sessions, LEASE)
    assert await killed_while_running(new_runner, register) is False  # now each waits by itself
    waits = [row.due_at for row in await rows(sessions)]
    assert len(set(waits)) == len(running)
    running = [killing]

    failures = list[str | None]()
    for _ in range(20):
        await let_pass(sessions, await time_until_the_next_is_due(sessions))
        begun += await killed_while_running(new_runner, register)
        failures = [row.failure for row in await rows(sessions)]
        if failures == ["WorkerKilled"]:
            break

    assert failures == ["WorkerKilled"]
    assert done == set(innocent)
    assert begun == 5
    await ask_for(sessions, killing)
    assert [(row.attempts, row.held_at) for row in await rows(sessions)] == [(0, None)]


async def test_recurring_work_that_kills_its_workers_comes_ever_more_seldom_and_is_never_held(
    sessions: Sessions, new_runner: NewRunner
):
    def register(runner: JobRunner, kill: RecurringHandler) -> None:
        runner.add_recurring("minutely", Every(timedelta(minutes=1)), kill)

    begun = 0
    for _ in range(12):
        begun += await killed_while_running(new_runner, register)
        await let_pass(sessions, LEASE)
    (row,) = await rows(sessions)
    assert begun < 12
    assert row.held_at is None

    runner = new_runner()
    ran = asyncio.Event()

    async def mended() -> None:
        ran.set()

    runner.add_recurring("minutely", Every(timedelta(minutes=1)), mended)
    for _ in range(2):  # the last loss is seen first
        await let_pass(sessions, timedelta(hours=1))
        await runner.run_due()

    assert ran.is_set()
    assert [row.attempts for row in await rows(sessions)] == [0]


async def test_daily_work_that_fails_is_tried_again_soon_and_ever_more_seldom(
    sessions: Sessions, new_runner: NewRunner
):
    """A database that is away for a moment at night would cost a day."""
    is_away = True

    async def handler() -> None:
        if is_away:
            raise DatabaseUnavailable

    runner = new_runner()
    in_twelve_hours = datetime.now(UTC) + timedelta(hours=12)
    runner.add_recurring("daily", DailyAt(in_twelve_hours.time()), handler)
    await runner.run_due()  # makes its row
    await let_pass(sessions, timedelta(hours=13))

    waits = list[int]()
    for _ in range(8):
        before = datetime.now(UTC)
        assert await runner.run_due() == 1
        (row,) = await rows(sessions)
        waits.append(round((row.due_at - before) / timedelta(minutes=1)))
        await let_pass(sessions, row.due_at - datetime.now(UTC))
    is_away = False
    assert await runner.run_due() == 1

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    (row,) = await rows(sessions)
    assert row.due_at - datetime.now(UTC) > timedelta(hours=11)
    assert row.attempts == 0


async def test_what_a_worker_breaks_off_when_it_stops_is_due_at_once(
    sessions: Sessions, new_runner: NewRunner
):
    begun, stop = asyncio.Event(), asyncio.Event()

    async def hang(_subject_id: UUID, _attempts: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    runner = new_runner()
    runner.add(JOB, hang, at_once=1)
    await ask_for(sessions, new_id())
    running = asyncio.create_task(runner.run(stop, stop_seconds=0.1))
    await begun.wait()
    stop.set()
    await running

    (job,) = await rows(sessions)
    assert (job.attempts, job.lease_holder, job.held_at) == (0, None, None)


async def test_a_worker_hears_of_a_job_by_itself(sessions: Sessions, new_runner: NewRunner):
    done, stop = asyncio.Event(), asyncio.Event()

    async def handler(_subject_id: UUID, _attempts: int) -> None:
        done.set()

    runner = new_runner()
    runner.add(JOB, handler, at_once=1)
    running = asyncio.create_task(runner.run(stop))
    await ask_for(sessions, new_id())

    await asyncio.wait_for(done.wait(), 20)
    stop.set()
    await running
    assert await rows(sessions) == []


async def test_recurring_work_runs_in_one_worker_at_a_time_and_again_when_it_is_due(
    sessions: Sessions, new_runner: NewRunner
):
    runs = 0

    async def handler() -> None:
        nonlocal runs
        runs += 1

    runners = [new_runner() for _ in range(2)]
    for runner in runners:
        runner.add_recurring("hourly", HOURLY, handler)

    await asyncio.gather(*(runner.run_due() for runner in runners))
    await asyncio.gather(*(runner.run_due() for runner in runners))
    assert runs == 1
    await let_pass(sessions, timedelta(hours=1))
    await asyncio.gather(*(runner.run_due() for runner in runners))

    assert runs == 2
    (row,) = await rows(sessions)
    assert (row.kind, row.subject_id, row.lease_holder) == ("hourly", NO_SUBJECT, None)


async def test_recurring_work_that_fails_comes_again_and_holds_up_nothing_else(
    sessions: Sessions, new_runner: NewRunner
):
    runs: list[str] = []

    async def failing() -> None:
        runs.append("failing")
        raise ValueError

    async def fine() -> None:
        runs.append("fine")

    runner = new_runner()
    runner.add_recurring("failing", HOURLY, failing)
    runner.add_recurring("fine", HOURLY, fine)
    await runner.run_due()
    await let_pass(sessions, timedelta(hours=1))
    await runner.run_due()

    assert sorted(runs) == ["failing", "failing", "fine", "fine"]


async def test_a_thousand_waiting_jobs_hold_up_no_other_kind(sessions: Sessions, new_runner: NewRunner):
    order: list[str] = []
    has_recomputed = asyncio.Event()

    async def refresh(_subject_id: UUID, _attempts: int) -> None:
        order.append("refresh")

    async def recompute(_subject_id: UUID, _attempts: int) -> None:
        order.append("recompute")
        has_recomputed.set()

    await ask_for(sessions, *(new_id() for _ in range(1000)))
    async with sessions.begin() as session:
        await session.execute(update(JobRow).values(due_at=datetime(2026, 1, 1, tzinfo=UTC)))
        await enqueue(session, Job.RECOMPUTE_LOCK, new_id())
    runner = new_runner()
    runner.add(JOB, refresh, at_once=1)
    runner.add(Job.RECOMPUTE_LOCK, recompute, at_once=1)
    stop = asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    await asyncio.wait_for(has_recomputed.wait(), 20)
    stop.set()
    await running

    assert order.index("recompute") < 10
    async with sessions.begin() as session:
        assert (await session.scalar(select(func.count()).select_from(JobRow)) or 0) > 900
