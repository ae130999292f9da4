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
            asyncio.run(migrate(postgres))
            yield Database(postgres, DATABASE), Keys.make(folder)
        finally:
            postgres.stop()


async def migrate(postgres: EmbeddedPostgres) -> None:
    """Make the database and its roles."""
    await postgres.create_database(DATABASE)
    await upgrade(postgres.url(OWNER, DATABASE))
    await postgres.allow_logins()
