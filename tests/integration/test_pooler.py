"""PgBouncer before PostgreSQL: what would go wrong, and that the doctor says so. Tried with Debian's own, in transaction mode."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import pytest

from deploy.demo.postgres import CONNECTOR
from tests.commands import run_here
from tests.conftest import Database, Keys

_PGBOUNCER = shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin")


@pytest.fixture
async def pooled_url(database: Database, scratch: Path) -> AsyncIterator[str]:
    """The database's URL by way of a pooler with one session."""
    if _PGBOUNCER is None:
        pytest.skip("Debian's pgbouncer is not installed")
    server = database.postgres.server
    owner = server.pgdata.stat()
    folder = scratch / uuid4().hex[:8]
    folder.mkdir()
    (folder / "users").write_text(f'"{CONNECTOR}" ""\n')
    (folder / "ini").write_text(
        f"""[databases]
* = host={server.get_postmaster_info().socket_dir}
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 1
"""
    )
    # It does not run as root.
    os.chown(folder, owner.st_uid, owner.st_gid)
    process = await asyncio.create_subprocess_exec(
        _PGBOUNCER, "-q", str(folder / "ini"), user=owner.st_uid if os.geteuid() == 0 else None
    )
    try:
        async with asyncio.timeout(20):
            while not (folder / ".s.PGSQL.5432").exists():  # noqa: ASYNC110 - it tells nobody when it listens
                await asyncio.sleep(0.02)
        yield f"postgresql://{CONNECTOR}@/{database.name}?host={quote(str(folder), safe='')}"
    finally:
        process.terminate()
        await process.wait()


async def test_two_clients_of_a_pooler_hold_the_same_lock(pooled_url: str):
    claim = "SELECT pg_try_advisory_lock(1)"
    first = await asyncpg.connect(pooled_url, statement_cache_size=0)
    second = await asyncpg.connect(pooled_url, statement_cache_size=0)

    # Two workers would deliver the same mail, and whoever asks last would unlock what another one has in hand.
    assert [await first.fetchval(claim), await second.fetchval(claim)] == [True, True]
    for connection in (first, second):
        connection.terminate()


async def test_the_doctor_refuses_a_pooler(pooled_url: str, database: Database, keys: Keys):
    with socket.create_server(("127.0.0.1", 0)) as amazon:
        environment = {
            "REPLYCO_KEY_FILE": str(keys.key_file),
            "REPLYCO_BLOB_URL": keys.blob_url,
            "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.test",
            "REPLYCO_AMAZON_CLIENT_ID": "client",
            "REPLYCO_AMAZON_CLIENT_SECRET": "secret",
            "REPLYCO_AMAZON_BASE_URL": f"http://127.0.0.1:{amazon.getsockname()[1]}",
            "REPLYCO_DEVELOPMENT": "true",
        }
        pooled = await run_here(environment | {"REPLYCO_DATABASE_URL": pooled_url}, "doctor")
        direct = await run_here(environment | {"REPLYCO_DATABASE_URL": database.url(CONNECTOR)}, "doctor")

    assert pooled[0] == 1
    assert "WRONG    A pooler (PgBouncer) stands before PostgreSQL" in pooled[1]
    assert "pooler" in direct[1]
    assert "WRONG    A pooler" not in direct[1]
