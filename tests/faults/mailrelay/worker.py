"""`python -m services.mailrelay worker`, the wait until it has made messages of all accepted mail, and a delivery without it."""

import asyncio
import atexit
import functools
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg
from prometheus_client import CollectorRegistry

from deploy.demo.postgres import MAIL_WORKER, OWNER
from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.delivery.parser_pool import ParserPool
from services.mailrelay.delivery.service import Delivery
from shared.blobs import open_blobs
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.settings import BlobSettings
from shared.tables import MailState
from tests.conftest import Database, Keys
from tests.integration.mailrelay.delivery.conftest import deliver_in_each_lane
from tests.processes import command
from tests.signing import amazon_dns


@asynccontextmanager
async def worker_process(
    database: Database, keys: Keys, *, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker; it is asked to end at the end, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *command("services.mailrelay", "worker"),
        stdin=asyncio.subprocess.PIPE,
        env={
            "PATH": os.defpath,
            "REPLYCO_DATABASE_URL": database.url(MAIL_WORKER),
            "REPLYCO_KEY_FILE": str(keys.key_file),
            "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
            "REPLYCO_BLOB_URL": keys.blob_url,
            "REPLYCO_WORKER_PORT": "0",
            "REPLYCO_NAMESERVERS": amazon_dns().setting,
            "REPLYCO_LOG_LEVEL": "ERROR",
            **(environment or {}),
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 20)
        finally:
            if process.returncode is None:
                process.kill()


async def all_delivered(database: Database, *, within_seconds: float = 60) -> None:
    """Until no accepted mail waits. Copies of a mail make no event that could be awaited, so this looks again and again."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        async with asyncio.timeout(within_seconds):
            while await connection.fetchval(  # noqa: ASYNC110
                "SELECT EXISTS (SELECT FROM accepted_mail WHERE state = $1)", MailState.ACCEPTED
            ):
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def deliver_all(database: Database, keys: Keys, *, within_seconds: float = 60) -> None:
    """Make messages of all accepted mail, in this process: one of its own, with its parsers, would cost more than what it delivers."""
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests-mail-worker")
    blobs = open_blobs(BlobSettings(blob_url=keys.blob_url))
    name_servers = NameServers([amazon_dns().address], DnsMetrics(CollectorRegistry()))
    delivery = Delivery(
        create_sessions(engine),
        Keyring(KeyFile.load(keys.key_file)),
        keys.mail_private_keys,
        _parser(),
        DeliveryMetrics(CollectorRegistry()),
        blobs,
        name_servers,
    )
    waiting = asyncio.create_task(all_delivered(database, within_seconds=within_seconds))
    try:
        while not waiting.done():
            if not await deliver_in_each_lane(delivery):
                await asyncio.wait([waiting], timeout=0.1)
        await waiting
    finally:
        waiting.cancel()
        await name_servers.close()
        blobs.close()
        await engine.dispose()


@functools.cache
def _parser() -> ParserPool:
    """One for this whole process."""
    parser = ParserPool()
    atexit.register(parser.close)
    return parser
