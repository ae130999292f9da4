"""A sender that never reads its 250 sends the mail again."""

import asyncio
import socket
from pathlib import Path

import asyncpg

from deploy.demo.postgres import OWNER
from shared.driver import asyncpg_dsn
from tests.conftest import Database, Keys
from tests.faults.mailrelay.load import ADDRESS, Mail, reachable, running, stored, visible
from tests.faults.mailrelay.worker import deliver_all
from tests.integration.mailrelay.accepting import connect

RESETS_ON_CLOSE = b"\x01\0\0\0\0\0\0\0"


async def test_a_mail_whose_250_was_not_read_is_shown_once(database: Database, keys: Keys, tmp_path: Path):
    mails = [Mail.new(f"cut-{number}") for number in range(4)]
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with running(database, keys, tmp_path / "log") as relay:
        await reachable(relay)
        for count, mail in enumerate(mails, 1):
            client = await connect(relay.port)
            client.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, RESETS_ON_CLOSE
            )
            await client.begin(ADDRESS)
            client.send(mail.raw + b".\r\n")
            async with asyncio.timeout(60):
                while await owner.fetchval("SELECT count(*) FROM accepted_mail") < count:  # noqa: ASYNC110 - committed, says nobody but the database
                    await asyncio.sleep(0.01)
            client.writer.transport.abort()
            if count == len(mails) // 2:
                # These are shown when they come again; the others come again first.
                await deliver_all(database, keys)
        for mail in mails:
            client = await connect(relay.port)
            await client.begin(ADDRESS)
            client.send(mail.raw + b".\r\n")
            assert (await client.reply()).startswith("250 ")
            client.writer.close()
        await deliver_all(database, keys)
    await owner.close()

    expected = {(mail.id, mail.digest) for mail in mails}
    assert await stored(database, keys) == dict.fromkeys(expected, 2)
    assert await visible(database, keys) == dict.fromkeys(expected, 1)
