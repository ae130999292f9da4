"""Brings a database to the state that this version of the code needs: queue tables, our tables, roles and grants.

Every step may run again at any time. A forward-only history: going back is restoring a backup.
"""

from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from pgqueuer.queries import Queries
from sqlalchemy import Connection

from shared.database import asyncpg_dsn, create_engine

_FOLDER = Path(__file__).parent
_ROLES = _FOLDER / "roles.sql"


def alembic_config() -> Config:
    """Alembic, reading its scripts from this folder wherever the process was started."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


async def upgrade(database_url: str) -> None:
    """Run by the owner of the database; needs CREATEROLE the first time."""
    owner = await asyncpg.connect(asyncpg_dsn(database_url))
    try:
        queue = Queries.from_asyncpg_connection(owner)
        if not await queue.schema_is_installed():
            await queue.install()
        await queue.upgrade()
        await _upgrade_tables(database_url)
        async with owner.transaction():
            await owner.execute(_ROLES.read_text())
    finally:
        await owner.close()


async def _upgrade_tables(database_url: str) -> None:
    engine = create_engine(database_url, application_name="migrations")
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run_alembic)
    finally:
        await engine.dispose()


def _run_alembic(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
