"""Brings a database to the state that this version of the code needs: tables, partitions, roles and grants.

Every step may run again at any time. A forward-only history: going back is restoring a backup.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
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

from shared.database import DIALECT
from shared.database_cures import version_problem
from shared.driver import asyncpg_dsn, connect_driver
from shared.errors import CannotStart

log = structlog.get_logger()

_FOLDER = Path(__file__).parent
# While a migration waits for a lock, everybody who comes later waits behind it: mail that is being accepted, too.
LOCK_TIMEOUT_SECONDS: Final = 2
# A change that needs a lock that others wait for must be over in a moment; what takes longer needs no such lock (online.py).
_STATEMENT_TIMEOUT_SECONDS: Final = 5
# Between two attempts to get a lock the others have their turn. For a backup that runs for hours, run `upgrade` again after it.
_PAUSE_SECONDS: Final = 1.0
# How often what others were to blame for is tried, by SQLSTATE: a lock that did not come in time; a deadlock, which PostgreSQL
# ended at the migration's expense; a statement that was cancelled, as a busy server may be too slow for it. Whether that one is
# too slow on an idle server, too, nobody knows, and it may hold locks meanwhile: so it is tried a few times only.
_TRIES: Final[Mapping[str, int]] = {"55P03": 300, "40P01": 300, "57014": 10}


def alembic_config() -> Config:
    """Alembic, reading its scripts from this folder wherever the process was started."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


async def upgrade(database_url: str) -> None:
    """Run by the owner of the database; needs CREATEROLE the first time."""
    owner = await connect_driver(asyncpg_dsn(database_url))
    try:
        if problem := version_problem(owner.get_server_version().major):
            raise CannotStart(problem)
        await upgrade_tables(database_url)
        async with owner.transaction():
            for script in ("partitions.sql", "make_roles.sql", "roles.sql"):
                await owner.execute((_FOLDER / script).read_text())
        if missing := await owner.fetchval("SELECT ensure_partitions(now())"):
            log.warning("partitions_missing", count=missing)  # the connector's worker goes on trying
    finally:
        await owner.close()


async def make_roles(database_url: str) -> None:
    """Run by whoever may make roles; a dump can be restored then."""
    owner = await connect_driver(asyncpg_dsn(database_url))
    try:
        await owner.execute((_FOLDER / "make_roles.sql").read_text())
    finally:
        await owner.close()


async def upgrade_tables(
    database_url: str,
    revision: str = "head",
    *,
    tries: Mapping[str, int] = _TRIES,
    pause_seconds: float = _PAUSE_SECONDS,
) -> None:
    """The migrations up to this one. One that gets no lock in time, meets a deadlock or is cancelled lets the others pass and tries again."""

    async def connected() -> "asyncpg.Connection[asyncpg.Record]":
        return await connect_driver(
            asyncpg_dsn(database_url),
            server_settings={
                "application_name": "migrations",
                "timezone": "UTC",
                "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
                "statement_timeout": f"{_STATEMENT_TIMEOUT_SECONDS}s",
            },
        )

    engine = create_async_engine(DIALECT, async_creator=connected, poolclass=NullPool)
    try:
        failures = Counter[str]()
        while True:
            try:
                async with engine.connect() as connection:
                    await connection.run_sync(_run_alembic, revision)
            except DBAPIError as error:
                state = str(getattr(error.orig, "sqlstate", None))
                failures[state] += 1
                if failures[state] >= tries.get(state, 0):
                    raise
                log.warning("migration_tries_again", sqlstate=state, attempt=failures[state])
                await asyncio.sleep(pause_seconds)
            else:
                return
    finally:
        await engine.dispose()


def _run_alembic(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
