"""What the tests of faults may break."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from tests.conftest import Database


@pytest.fixture(scope="session")
async def stopped_postgres(scratch: Path) -> Path:
    """The folder of a server with a migrated database, to be copied. Nothing runs on it."""
    folder = scratch / "stopped"
    server = await asyncio.to_thread(EmbeddedPostgres.start, folder)
    await server.create_database("replyco")
    await upgrade(server.url(OWNER, "replyco"))
    await server.allow_logins()
    await asyncio.to_thread(server.close)
    return folder


@pytest.fixture
async def own_database(scratch: Path, stopped_postgres: Path) -> AsyncIterator[Database]:
    """A database on a server of its own, which the test may stop and kill."""
    folder = scratch / uuid4().hex[:8]
    # As it is, owners too: the files belong to the user as whom the server runs.
    subprocess.run(["cp", "-a", stopped_postgres, folder], check=True)  # noqa: ASYNC221 - nothing else runs yet
    server = await asyncio.to_thread(EmbeddedPostgres.start, folder)
    yield Database(server, "replyco")
    await asyncio.to_thread(server.stop)
