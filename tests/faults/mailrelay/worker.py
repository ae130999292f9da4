"""`python -m services.mailrelay worker`, and the wait until it has made messages of all accepted mail."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from deploy.demo.postgres import MAIL_WORKER, OWNER
from shared.database import asyncpg_dsn
from shared.tables import MailState
from tests.conftest import Database, Keys
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
