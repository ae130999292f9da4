"""What the tests of faults may break."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from tests.conftest import Database


@pytest.fixture
async def own_database(scratch: Path) -> AsyncIterator[Database]:
    """A database on a server of its own, which the test may stop and kill."""
    server = await asyncio.to_thread(EmbeddedPostgres.start, scratch / uuid4().hex[:8])
    await server.create_database("replyco")
    await upgrade(server.url(OWNER, "replyco"))
    await server.allow_logins()
    yield Database(server, "replyco")
    await asyncio.to_thread(server.stop)
