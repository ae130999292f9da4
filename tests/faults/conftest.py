"""What the tests of faults may break."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import TEMPLATE, Database, start_copy


@pytest.fixture
async def own_database(scratch: Path, migrated_server: Path) -> AsyncIterator[Database]:
    """A database on a server of its own, which the test may stop and kill."""
    server = await asyncio.to_thread(start_copy, migrated_server, scratch / uuid4().hex[:8])
    yield Database(server, TEMPLATE)
    await asyncio.to_thread(server.stop)
