"""After a restore nothing is decided for good because a row is missing, until the operators say that all is put right, or a week is over."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from deploy.demo.postgres import MAIL_WORKER, OWNER
from migrations.__main__ import cli
from services.mailrelay.delivery.blob_sweeper import RowsUncertain, sweep
from services.mailrelay.delivery.metrics import DeliveryMetrics
from shared.blobs import FolderBlobs
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, Client, connect, running_relay


@pytest.fixture
async def client(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
) -> AsyncIterator[Client]:
    """In a mail, of a relay that knows `mabtekrud` and has retired `retiredxx`."""
    async with sessions.begin() as session:
        for name, retired_at in (("mabtekrud", None), ("retiredxx", datetime.now(UTC))):
            store = await make_integration(session, (await make_account(session, keyring)).id)
            (await make_relay_address(session, store, local_part=name)).retired_at = retired_at
    async with running_relay(database, keys) as relay:
        client = await connect(relay.smtp_port)
        await client.say("EHLO sender.example")
        await client.say("MAIL FROM:<buyer@marketplace.amazon.de>")
        yield client
        client.writer.close()


async def restored(database: Database, *arguments: str) -> tuple[int, str]:
    environment = {"REPLYCO_DATABASE_URL": database.url(OWNER)}
    done = await asyncio.to_thread(CliRunner(env=environment).invoke, cli, ["restored", *arguments])
    return done.exit_code, done.output


async def asked(client: Client, *local_parts: str) -> list[str]:
    return [(await client.say(f"RCPT TO:<{name}@{DOMAIN}>"))[:9] for name in local_parts]


async def test_unknown_addresses_are_put_off_until_all_is_put_right(client: Client, database: Database):
    names = ("nosuchone", "retiredxx", "mabtekrud")
    before = await asked(client, *names)
    assert (await restored(database))[0] == 0
    meanwhile = await asked(client, *names)
    assert await restored(database, "--done") == (
        0,
        "Unknown addresses are refused again, and blobs without a row are swept.\n",
    )
    afterwards = await asked(client, *names)

    assert before == ["550 5.1.1", "550 5.1.1", "250 2.1.5"]
    # What was retired before the point is retired.
    assert meanwhile == ["451 4.1.0", "550 5.1.1", "250 2.1.5"]
    assert afterwards == before


async def test_a_mail_with_nothing_but_uncertain_addresses_is_put_off_at_data_too(
    client: Client, database: Database
):
    await restored(database)
    await asked(client, "nosuchone")

    assert (await client.say("DATA")).startswith("451 ")


async def test_what_is_held_back_ends_by_itself(client: Client, database: Database):
    await restored(database)
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    seconds = await owner.fetchval("SELECT extract(epoch FROM ends_at - restored_at) FROM restorations")
    await owner.execute("UPDATE restorations SET ends_at = now()")
    await owner.close()

    assert seconds == 7 * 24 * 3600
    assert await asked(client, "nosuchone") == ["550 5.1.1"]


async def test_it_is_done_once_for_a_restore(database: Database):
    assert (await restored(database, "--done"))[1] == "Nothing was held back.\n"
    await restored(database)
    code, said = await restored(database)
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    rows = await owner.fetchval("SELECT count(*) FROM restorations")
    await owner.close()

    assert (code, rows) == (2, 1)
    assert "this was done already" in said


async def test_no_blob_is_swept_meanwhile(database: Database, tmp_path: Path):
    blobs = FolderBlobs(tmp_path / "blobs")
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests")
    blob = await blobs.put(UUID("019ca6f0-0000-7000-8000-000000000001"), b"sealed")

    async def sweep_again() -> None:
        metrics = DeliveryMetrics(CollectorRegistry())
        await sweep(blobs, create_sessions(engine), metrics, now=datetime.now(UTC), confirm_seconds=0)

    await restored(database)
    with pytest.raises(RowsUncertain):
        await sweep_again()
    kept = await blobs.get(blob)
    await restored(database, "--done")
    await sweep_again()

    assert kept == b"sealed"
    assert await blobs.list_day("20260301", after="", limit=1) == []
    blobs.close()
    await engine.dispose()
