"""What comes between a restored database and the first process: what may have happened since is held back, for so long."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg

from shared.driver import asyncpg_dsn, connect_driver, new_id
from shared.errors import CannotStart

_AFTER_RESTORE: Final = Path(__file__).with_name("after_restore.sql")
# Senders keep a mail for four or five days (RFC 5321 §4.5.4.1); after these nobody can still have one of before.
DAYS: Final = 7


async def hold_back(database_url: str) -> None:
    """Run by the owner of the database, once for a restore. Raises CannotStart if it was run already."""
    connection = await connect_driver(asyncpg_dsn(database_url))
    try:
        async with connection.transaction():
            # Two who are at it at the same moment come one after the other.
            await connection.execute("LOCK TABLE restorations IN EXCLUSIVE MODE")
            if (ends_at := await _ends_at(connection)) is not None:
                raise CannotStart(
                    f"Nothing was changed: this was done already, and what is uncertain is held back until {ends_at:%Y-%m-%d %H:%M}Z. "
                    "`restored --done` ends that; after another restore it can be run once more."
                )
            await connection.execute(_AFTER_RESTORE.read_text())
            await connection.execute(
                "INSERT INTO restorations (id, ends_at) VALUES ($1, now() + $2::interval)",
                new_id(),
                timedelta(days=DAYS),
            )
    finally:
        await connection.close()


async def let_go(database_url: str) -> bool:
    """Run by the owner: nothing is uncertain any more. Whether anything was held back."""
    connection = await connect_driver(asyncpg_dsn(database_url))
    try:
        ended = await connection.fetchval(
            "WITH ended AS (UPDATE restorations SET ends_at = now() WHERE ends_at > now() RETURNING id) SELECT count(*) FROM ended"
        )
    finally:
        await connection.close()
    return bool(ended)


async def _ends_at(connection: "asyncpg.Connection[asyncpg.Record]") -> datetime | None:
    ends_at: datetime | None = await connection.fetchval(
        "SELECT max(ends_at) FROM restorations WHERE ends_at > now()"
    )
    return ends_at
