"""Brings a database to the state that this version of the code needs: tables, partitions, roles and grants.

Every step may run again at any time. A forward-only history: going back is restoring a backup.
"""

import asyncio
from pathlib import Path
from typing import Final

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.database import asyncpg_dsn, sqlalchemy_url

log = structlog.get_logger()

_FOLDER = Path(__file__).parent
# While a migration waits for a lock, everybody who comes later waits behind it: mail that is being accepted, too.
LOCK_TIMEOUT_SECONDS: Final = 2
# A change that needs a lock that others wait for must be over in a moment; what takes longer needs no such lock (online.py).
_STATEMENT_TIMEOUT_SECONDS: Final = 5
# Between two attempts to get a lock the others have their turn. For a backup that runs for hours, run `upgrade` again after it.
_PAUSE_SECONDS: Final = 1.0
_TRIES: Final = 300
# A lock that did not come in time, and a deadlock, which PostgreSQL ended at the migration's expense.
_LOCK_FAILURES: Final = frozenset({"55P03", "40P01"})


def alembic_config() -> Config:
    """Alembic, reading its scripts from this folder wherever the process was started."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


async def upgrade(database_url: str) -> None:
    """Run by the owner of the database; needs CREATEROLE the first time."""
    owner = await asyncpg.connect(asyncpg_dsn(database_url))
    try:
        await upgrade_tables(database_url)
        async with owner.transaction():
            for script in ("partitions.sql", "roles.sql"):
                await owner.execute((_FOLDER / script).read_text())
        if missing := await owner.fetchval("SELECT ensure_partitions(now())"):
            log.warning("partitions_missing", count=missing)  # the connector's worker goes on trying
    finally:
        await owner.close()


async def upgrade_tables(database_url: str, revision: str = "head") -> None:
    """The migrations up to this one. One that gets no lock in time, or meets a deadlock, lets the others pass and tries again."""
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        poolclass=NullPool,
        connect_args={
            "server_settings": {
                "application_name": "migrations",
                "timezone": "UTC",
                "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
                "statement_timeout": f"{_STATEMENT_TIMEOUT_SECONDS}s",
            }
        },
    )
    try:
        for attempt in range(1, _TRIES + 1):
            try:
                async with engine.connect() as connection:
                    await connection.run_sync(_run_alembic, revision)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _LOCK_FAILURES or attempt == _TRIES:
                    raise
                log.warning("migration_waits_for_a_lock", attempt=attempt)
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return
    finally:
        await engine.dispose()


def _run_alembic(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
