"""A backup that was never restored is none: back to a point in time on an empty server, with everything that was promised before it."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.demo.postgres import CONNECTOR, OWNER, EmbeddedPostgres
from migrations.restoration import hold_back
from migrations.upgrade import make_roles
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.commands import run_here
from tests.conftest import Database, Keys
from tests.factories import (
    make_account,
    make_conversation,
    make_integration,
    make_message,
    make_order,
    make_relay_address,
    make_reply,
)
from tests.faults.mailrelay.backups import Backups, ask, output_of
from tests.faults.mailrelay.counting import assert_right, counted
from tests.faults.mailrelay.load import ADDRESS, Load, running
from tests.integration.mailrelay.accepting import DOMAIN, connect, running_relay

_GRANTS = (
    "SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges"
    " WHERE grantee LIKE 'replyco%' ORDER BY 1, 2, 3, 4"
)
_MADE_SINCE = "newstores"
needs_age = pytest.mark.skipif(shutil.which("age") is None, reason="backups are encrypted with Debian's age")


async def _with_an_order_that_is_over_and_a_reply_to_send(database: Database, keys: Keys) -> None:
    engine = create_engine(database.url(OWNER), application_name="tests")
    keyring = Keyring(KeyFile.load(keys.key_file))
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, keyring)
        store = await make_integration(session, account.id)
        await make_order(session, keyring, store, purchased_at=datetime.now(UTC) - timedelta(days=600))
        message = await make_message(session, keyring, await make_conversation(session, keyring, store))
        await make_reply(session, keyring, message)
    await engine.dispose()


async def _with_an_address_made_since(database: Database, keys: Keys) -> None:
    engine = create_engine(database.url(OWNER), application_name="tests")
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, Keyring(KeyFile.load(keys.key_file)))
        store = await make_integration(session, account.id)
        await make_relay_address(session, store, local_part=_MADE_SINCE)
    await engine.dispose()


async def _purge(database: Database, keys: Keys) -> None:
    environment = {"REPLYCO_DATABASE_URL": database.url(CONNECTOR), "REPLYCO_BLOB_URL": keys.blob_url}
    code, output = await run_here(environment, "privacy", "purge")
    assert code == 0, output


async def _orders(database: Database) -> int:
    [[count]] = await ask(database.postgres, "SELECT count(*) FROM orders", database.name)
    return int(count)


@needs_age
async def test_a_restore_to_a_point_in_time_has_every_250_before_it_once(
    own_database: Database, scratch: Path, tmp_path: Path
):
    keys = Keys.make(tmp_path)
    keys.blob_folder.mkdir()
    folder = scratch / uuid4().hex[:8]
    backups = await Backups.set_up(own_database, keys, folder)
    await _with_an_order_that_is_over_and_a_reply_to_send(own_database, keys)
    async with (
        running(own_database, keys, tmp_path / "relay.log", inline_limit_bytes="4000") as relay,
        Load(relay.port, clients=5, pause_seconds=0.1) as load,
        Load(relay.port, clients=1, name="large", pause_seconds=0.1, body_bytes=5000) as large_load,
    ):
        await load.more("data 250", 20)
        await backups.backup("base")
        await load.more("data 250", 50)
        await large_load.more("data 250", 10)
        before = [dict(each.accepted) for each in (load, large_load)]
        [[point]] = await ask(own_database.postgres, "SELECT clock_timestamp()")
        await _purge(own_database, keys)
        await _with_an_address_made_since(own_database, keys)
        await load.more("data 250", 50)
    assert await _orders(own_database) == 0
    await backups.archive_everything()
    await backups.backup("blobs")
    await backups.backup("keys")
    # What ends after the point is kept for it.
    ended = next(file for file in sorted(keys.blob_folder.rglob("*")) if file.is_file())
    ended.unlink()
    await backups.backup("blobs")
    await asyncio.to_thread(own_database.postgres.kill)

    server = await backups.restored_server(point.isoformat())
    try:
        restored = Database(server, own_database.name)
        restored_keys = Keys(
            *(
                folder / "keys" / file.name
                for file in (keys.key_file, keys.mail_private_key_file, keys.mail_public_key_file)
            )
        )
        await backups.restore("keys", str(folder / "keys"))
        await backups.restore("blobs", str(restored_keys.blob_folder))
        assert await _orders(restored) == 1
        owner = await asyncpg.connect(asyncpg_dsn(restored.url(OWNER)))
        await hold_back(restored.url(OWNER))
        states = {row[0] for row in await owner.fetch("SELECT state FROM outbound_messages")}
        await owner.close()
        await _purge(restored, restored_keys)
        async with running_relay(restored, restored_keys) as serving:
            client = await connect(serving.smtp_port)
            await client.say("EHLO sender.example")
            await client.say("MAIL FROM:<buyer@marketplace.amazon.de>")
            assert (await client.say(f"RCPT TO:<{_MADE_SINCE}@{DOMAIN}>")).startswith("451 4.1.0")
            assert (await client.say(f"RCPT TO:<{ADDRESS}>")).startswith("250")
            client.writer.close()

        assert await _orders(restored) == 0
        assert states == {"perhaps_sent"}
        after = sum(len(each.accepted) for each in (load, large_load)) - sum(map(len, before))
        for each, accepted in zip((load, large_load), before, strict=True):
            each.accepted = accepted
        count = await counted(restored, restored_keys, load, large_load)
        assert_right("restored to a point in time", count)
        assert after >= 50
        # What came after the point is not there, but for what was being stored at it.
        assert count.stored < count.accepted + after
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_dump_is_restored_on_a_new_server_without_an_error_once_the_roles_are_made(
    own_database: Database, scratch: Path
):
    tools = own_database.postgres.server.bin_path
    dump = scratch / f"{uuid4().hex[:8]}.dump"
    server = await asyncio.to_thread(EmbeddedPostgres.start, scratch / uuid4().hex[:8])
    try:
        await server.create_database("replyco")

        await make_roles(server.url(OWNER, "replyco"))
        await output_of(f"{tools}/pg_dump", "--format=custom", f"--file={dump}", own_database.url(OWNER))
        await output_of(
            f"{tools}/pg_restore", "--exit-on-error", f"--dbname={server.url(OWNER, 'replyco')}", str(dump)
        )

        assert await ask(server, _GRANTS, "replyco") == await ask(
            own_database.postgres, _GRANTS, own_database.name
        )
    finally:
        await asyncio.to_thread(server.stop)
