"""The primary is lost, and the standby takes over: what was answered 250 is there, and what was refused comes again."""

import asyncio
from pathlib import Path
from uuid import uuid4

from deploy.demo.postgres import MAIL_WORKER, RELAY
from tests.conftest import Database, Keys
from tests.faults.mailrelay.backups import ask
from tests.faults.mailrelay.counting import assert_nothing_lost
from tests.faults.mailrelay.load import ADDRESS, Load, Mail, running, stored
from tests.faults.mailrelay.standby import with_standby
from tests.faults.mailrelay.worker import worker_process
from tests.integration.mailrelay.accepting import connect

_WAITING = "FROM pg_stat_activity WHERE application_name = 'mailrelay journal' AND wait_event = 'SyncRep'"


async def test_the_primary_is_killed_under_load_and_the_standby_is_promoted(
    own_database: Database, keys: Keys, scratch: Path, tmp_path: Path
):
    async with with_standby(own_database, scratch / uuid4().hex[:8]) as pair:
        worker_url = {"REPLYCO_DATABASE_URL": pair.url(MAIL_WORKER)}
        async with (
            running(own_database, keys, tmp_path / "relay.log", database_url=pair.url(RELAY)) as relay,
            worker_process(own_database, keys, environment=worker_url) as worker,
            Load(relay.port, clients=10, pause_seconds=0.02) as load,
        ):
            await load.more("data 250", 50)
            await asyncio.to_thread(own_database.postgres.kill)
            await load.more("RCPT 451", 10)
            await pair.promote()
            await load.more("data 250", 50)
            assert worker.returncode is None

        await assert_nothing_lost("primary killed, standby promoted", pair.standby, keys, load)


async def test_a_mail_that_the_standby_does_not_have_is_not_answered_250(
    own_database: Database, keys: Keys, scratch: Path, tmp_path: Path
):
    async with (
        with_standby(own_database, scratch / uuid4().hex[:8]) as pair,
        running(
            own_database,
            keys,
            tmp_path / "relay.log",
            database_url=pair.url(RELAY),
            commit_timeout_seconds="60",
        ) as relay,
    ):
        async with Load(relay.port, clients=1) as load:
            await load.more("data 250", 1)
        await asyncio.to_thread(pair.standby.postgres.stop)
        client = await connect(relay.port)
        await client.say("EHLO sender.example")
        await client.begin(ADDRESS)
        mail = Mail.new("alone")
        client.send(mail.raw + b".\r\n")
        reply = asyncio.create_task(client.reply())
        async with asyncio.timeout(20):
            while not await ask(own_database.postgres, f"SELECT 1 {_WAITING}"):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.05)
        # A commit that stops waiting ends as if all were well: the mail is on the primary alone.
        await ask(own_database.postgres, f"SELECT pg_cancel_backend(pid) {_WAITING}")

        assert (await reply).startswith("451")
        assert (await stored(own_database, keys))[mail.id, mail.digest] == 1
        client.writer.close()
