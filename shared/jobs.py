"""Background work: pgqueuer on PostgreSQL. A job is a row written in the caller's transaction; its arguments are ids only.

Handlers re-read what they need and are idempotent: a job may run twice. A job that fails is held, not deleted.
"""

from enum import StrEnum
from uuid import UUID

import asyncpg
from pgqueuer.queries import Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


class Job(StrEnum):
    """Everything that is ever enqueued."""

    REFRESH_PARTICIPATIONS = "refresh_participations"
    """One integration: ask Amazon again in which countries the store sells."""


async def enqueue(session: AsyncSession, job: Job, subject_id: UUID) -> None:
    """Add a job to the caller's transaction, unless the same job for the same subject is waiting already."""
    # Begins the transaction on the connection that the next statement uses, if nothing did yet.
    await session.execute(text("SELECT 1"))
    raw = await (await session.connection()).get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, asyncpg.Connection)
    await Queries.from_asyncpg_connection(connection).enqueue(
        [job.value], [subject_id.bytes], [0], dedupe_key=[f"{job}:{subject_id}"], on_conflict="skip"
    )
