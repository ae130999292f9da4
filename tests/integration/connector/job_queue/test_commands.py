"""The `jobs` commands, as an operator runs them after an alarm."""

import asyncio
import os

from sqlalchemy import update
from typer.testing import CliRunner

from deploy.demo.postgres import CONNECTOR
from services.connector.__main__ import cli
from shared.database import Sessions, new_id
from shared.jobs import Job, enqueue
from shared.tables import JobRow
from shared.tables.base import now
from tests.conftest import Database


async def _run(database: Database, *arguments: str) -> str:
    environment = {"PATH": os.defpath, "REPLYCO_DATABASE_URL": database.url(CONNECTOR)}
    # A command has an event loop of its own.
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["jobs", *arguments], env=environment)
    assert result.exit_code == 0, result.output
    return result.output


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
