"""What PostgreSQL has counted of the rows that were read. A connection tells it at most once a second, and when it ends."""

import asyncio

import asyncpg


async def everything_counted(
    owner: "asyncpg.Connection[asyncpg.Record]", *, application_name: str = "tests"
) -> None:
    """Wait until this connection and those of this application, all of which have been closed, have told what they read."""
    async with asyncio.timeout(60):
        # A session that is listed no more has told it.
        while await owner.fetchval(  # noqa: ASYNC110 - nothing tells
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1",
            application_name,
        ):
            await asyncio.sleep(0.01)
    await owner.execute("SELECT pg_stat_force_next_flush()")
