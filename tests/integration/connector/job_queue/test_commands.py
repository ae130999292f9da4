"""The `jobs` commands, as an operator runs them after an alarm."""

from sqlalchemy import update

from deploy.demo.postgres import CONNECTOR
from shared.database import Sessions
from shared.driver import new_id
from shared.jobs import Job, enqueue
from shared.tables import JobRow
from shared.tables.base import now
from tests.commands import run_here
from tests.conftest import Database


async def _run(database: Database, *arguments: str) -> str:
    code, output = await run_here({"REPLYCO_DATABASE_URL": database.url(CONNECTOR)}, "jobs", *arguments)
    assert code == 0, output
    return output


async def test_held_jobs_are_listed_and_tried_once_more(sessions: Sessions, database: Database):
    subject_id = new_id()
    async with sessions.begin() as session:
        await enqueue(session, Job.RECOMPUTE_LOCK, subject_id)
        await session.execute(update(JobRow).values(attempts=3, held_at=now, failure="ValueError"))

    listed = await _run(database, "held")
    freed = await _run(database, "retry")

    assert f"Z recompute_lock {subject_id} ValueError\n" in listed
    assert freed == "1 jobs are due again.\n"
    assert await _run(database, "held") == "No job is held.\n"
    async with sessions.begin() as session:
        job = await session.get_one(JobRow, ("recompute_lock", subject_id))
    assert (job.held_at, job.attempts) == (None, 0)
