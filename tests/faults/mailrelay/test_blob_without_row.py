"""SIGKILL between a mail's blob and its row: no 250, no row, and a blob that the sweeper removes."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from prometheus_client import CollectorRegistry

from deploy.demo.postgres import MAIL_WORKER, OWNER
from services.mailrelay.delivery.blob_sweeper import sweep
from services.mailrelay.delivery.metrics import DeliveryMetrics
from shared.blobs import open_blobs
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.settings import BlobSettings
from tests.conftest import Database, Keys
from tests.faults.mailrelay.load import running
from tests.integration.mailrelay.accepting import Client, connect


async def _client(port: int) -> Client:
    while True:
        try:
            return await connect(port)
        except OSError:
            await asyncio.sleep(0.05)


async def test_killed_between_blob_and_row(database: Database, keys: Keys, tmp_path: Path):
    blobs = open_blobs(BlobSettings(blob_url=keys.blob_url))

    async def stored_keys() -> set[str]:
        days = await blobs.days()
        return {key for day in days for key in await blobs.list_day(day, after="", limit=1_000_000)}

    before = await stored_keys()
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with running(database, keys, tmp_path / "relay.log") as relay:
        client = await asyncio.wait_for(_client(relay.port), 20)
        await client.begin("mabtekrud@replyco.email")
        lock = owner.transaction()
        await lock.start()
        await owner.execute("LOCK TABLE accepted_mail")  # the row waits here
        client.send(b"x\r\n" * 200_000 + b".\r\n")
        async with asyncio.timeout(20):
            while await stored_keys() == before:  # noqa: ASYNC110 - another process; there is no event to await
                await asyncio.sleep(0.02)
        await relay.kill()
        client.writer.close()
        await lock.rollback()

    [waste] = await stored_keys() - before
    assert await owner.fetchval("SELECT count(*) FROM accepted_mail WHERE blob_key = $1", waste) == 0
    await owner.close()
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests")
    in_two_days = datetime.now(UTC) + timedelta(days=2)
    metrics = DeliveryMetrics(CollectorRegistry())
    await sweep(blobs, create_sessions(engine), metrics, now=in_two_days, confirm_seconds=0)
    assert waste not in await stored_keys()
    blobs.close()
    await engine.dispose()
