"""What a benchmark runs on: a PostgreSQL of its own with migrated tables, and keys, in a folder that goes away again."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from tests.conftest import Database, Keys

DATABASE = "replyco"


@contextmanager
def installation() -> Iterator[tuple[Database, Keys]]:
    with tempfile.TemporaryDirectory(prefix="replyco-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        postgres = EmbeddedPostgres.start(folder / "pg")
        try:
            database = Database(postgres, DATABASE)
            asyncio.run(migrate(database))
            yield database, Keys.make(folder)
        finally:
            postgres.stop()


async def migrate(database: Database) -> None:
    """Make the database and its roles."""
    await database.postgres.create_database(database.name)
    await upgrade(database.url(OWNER))
    await database.postgres.allow_logins()
