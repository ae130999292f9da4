"""Large mail: into the blob store before its row, out of it for the worker, and away when no row came."""

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event
from structlog.testing import capture_logs
from typing_extensions import override

from deploy.demo.postgres import MAIL_WORKER, OWNER, RELAY
from services.mailrelay.delivery.blob_sweeper import sweep, sweep_forever
from services.mailrelay.delivery.metrics import DeliveryMetrics
from shared.blobs import BlobsForbidden, FolderBlobs, day_of
from shared.crypto.envelope import SealBroken, Sealed
from shared.crypto.raw_mail import ContentKey
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import Client, opened, running_relay

ADDRESS = "mabtekrud@replyco.email"
_PUT_OFF = "replyco_blob_sweep_put_off"


@pytest.fixture
async def address(sessions: Sessions, keyring) -> str:
    async with sessions.begin() as session:
        integration = await make_integration(session, (await make_account(session, keyring)).id)
        await make_relay_address(session, integration, local_part="mabtekrud")
    return ADDRESS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


def _mail(size: int) -> bytes:
    line = b"x" * 70 + b"\r\n"
    return b"Subject: large\r\n\r\n" + line * (size // len(line))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


async def _rows(database: Database) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        return await connection.fetch("SELECT * FROM accepted_mail ORDER BY id")
    finally:
        await connection.close()


@pytest.mark.parametrize("size", [300_000, 20_000_000])
async def test_a_large_mail_lies_in_the_folder_byte_for_byte(
    database: Database, keys: Keys, address: str, folder: Path, size: int
):
    content = _mail(size)
    async with (
        running_relay(database, keys, blob_url=folder.as_uri()) as relay,
        relay.client() as client,
    ):
        assert (await client.deliver(address, content)).startswith("250 2.0.0")

    [row] = await _rows(database)
    assert (row["raw"], row["size"]) == (None, len(content) + 2)
    [file] = _files(folder)
    assert str(file.relative_to(folder)) == row["blob_key"]
    key = ContentKey.open_with(keys.mail_private_key, row["account_id"], row["id"], row["content_key"])
    assert key.open("raw", Sealed(file.read_bytes())) == content + b"\r\n"


async def test_a_small_mail_lies_in_its_row(database: Database, keys: Keys, address: str, folder: Path):
    async with (
        running_relay(database, keys, blob_url=folder.as_uri()) as relay,
        relay.client() as client,
    ):
        assert (await client.deliver(address, _mail(200_000))).startswith("250 ")

    [row] = await _rows(database)
    assert (row["raw"] is None, row["blob_key"]) == (False, None)
    assert _files(folder) == []


async def test_without_the_folder_large_mail_is_put_off_and_small_mail_taken(
    database: Database, keys: Keys, address: str, folder: Path
):
    # A file in the folder's place: what nobody, not even root, can write to.
    await asyncio.to_thread(folder.touch)
    async with running_relay(database, keys, blob_url=folder.as_uri()) as relay:
        async with relay.client() as client:
            assert (await client.deliver(address, _mail(300_000))).startswith("451 4.3.0")
        async with relay.client() as client:
            assert (await client.deliver(address, _mail(1_000))).startswith("250 ")
        assert len(await _rows(database)) == 1

        await asyncio.to_thread(folder.unlink)
        async with relay.client() as client:
            assert (await client.deliver(address, _mail(300_000))).startswith("250 ")
    assert len(await _rows(database)) == 2


async def test_a_mail_for_several_lies_in_the_folder_once(
    database: Database, keys: Keys, sessions: Sessions, keyring, folder: Path
):
    """Small as it is. Each has a row, an envelope and a sealed key of its own."""
    recipients = [
        await _new_address(sessions, keyring, name) for name in ("aaabbbccc", "dddeeefff", "ggghhhiii")
    ]
    async with (
        running_relay(database, keys, blob_url=folder.as_uri()) as relay,
        relay.client() as client,
    ):
        await _begin(client, *recipients, recipients[0])
        assert (await client.say("Subject: to all\r\n\r\nhello\r\n.")).startswith("250 2.0.0")

    rows = await _rows(database)
    [file] = _files(folder)
    sealed = Sealed(file.read_bytes())
    for row in rows:
        key = ContentKey.open_with(keys.mail_private_key, row["account_id"], row["id"], row["content_key"])
        assert row["blob_key"] == str(file.relative_to(folder))
        assert key.open_mail(sealed, UUID(file.name)) == b"Subject: to all\r\n\r\nhello\r\n"
    assert [json.loads(opened(row, keys, "envelope"))["rcpt_to"] for row in rows] == recipients
    for column in ("id", "account_id", "relay_address_id", "content_key", "envelope"):
        assert len({row[column] for row in rows}) == 3
    # Another's key does not open with this row's account and id.
    with pytest.raises(SealBroken):
        ContentKey.open_with(
            keys.mail_private_key, rows[0]["account_id"], rows[0]["id"], rows[1]["content_key"]
        )


async def test_without_the_folder_a_mail_for_several_is_put_off(
    database: Database, keys: Keys, sessions: Sessions, keyring, folder: Path
):
    recipients = [await _new_address(sessions, keyring, name) for name in ("aaabbbccc", "dddeeefff")]
    await asyncio.to_thread(folder.touch)
    async with (
        running_relay(database, keys, blob_url=folder.as_uri()) as relay,
        relay.client() as client,
    ):
        await _begin(client, *recipients)
        assert (await client.say("hello\r\n.")).startswith("451 4.3.0")
    assert await _rows(database) == []


async def _new_address(sessions: Sessions, keyring: Keyring, local_part: str) -> str:
    async with sessions.begin() as session:
        integration = await make_integration(session, (await make_account(session, keyring)).id)
        await make_relay_address(session, integration, local_part=local_part)
    return f"{local_part}@replyco.email"


async def _begin(client: Client, *recipients: str) -> None:
    await client.say("EHLO peer.example")
    await client.say("MAIL FROM:<>")
    for recipient in recipients:
        assert (await client.say(f"RCPT TO:<{recipient}>")).startswith("250 ")
    assert (await client.say("DATA")).startswith("354 ")


async def test_a_blob_lies_until_its_last_row_has_gone(database: Database, folder: Path):
    blobs = FolderBlobs(folder)
    metrics = DeliveryMetrics(CollectorRegistry())
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests")
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    blob = await blobs.put(_id_of_yesterday(), b"sealed")
    for row_id in (first := _id_of_yesterday(), second := _id_of_yesterday()):
        await _insert(database, row_id, blob.key, blob.digest)

    async def sweep_again() -> None:
        await sweep(blobs, create_sessions(engine), metrics, now=datetime.now(UTC), confirm_seconds=0)

    await owner.execute("DELETE FROM accepted_mail WHERE id = $1", first)
    await sweep_again()
    assert await blobs.get(blob) == b"sealed"

    await owner.execute("DELETE FROM accepted_mail WHERE id = $1", second)
    await sweep_again()
    assert _files(folder) == []
    blobs.close()
    await owner.close()
    await engine.dispose()


class _WithAClosedDay(FolderBlobs):
    """The first day is somebody else's, as far as a test of root's can have that."""

    @override
    async def list_day(self, day: str, *, after: str, limit: int) -> list[str]:
        if day == (await self.days())[0]:
            raise BlobsForbidden
        return await super().list_day(day, after=after, limit=limit)


async def test_a_day_that_is_closed_keeps_no_other_from_being_swept(database: Database, folder: Path):
    blobs = _WithAClosedDay(folder)
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests")
    await blobs.put(UUID("019ca6f0-0000-7000-8000-000000000001"), b"closed")
    await blobs.put(_id_of_yesterday(), b"sealed")
    metrics = DeliveryMetrics(CollectorRegistry())

    with pytest.raises(BlobsForbidden):
        await sweep(blobs, create_sessions(engine), metrics, now=datetime.now(UTC), confirm_seconds=0)

    assert [file.read_bytes() for file in _files(folder)] == [b"closed"]
    blobs.close()
    await engine.dispose()


async def test_sweeping_goes_on_when_the_folder_is_back(database: Database, folder: Path, tmp_path: Path):
    blobs = FolderBlobs(folder)
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests")
    await blobs.put(_id_of_yesterday(), b"sealed")
    await asyncio.to_thread(folder.rename, tmp_path / "aside")
    await asyncio.to_thread(folder.touch)  # a file in its place: it cannot be read
    registry = CollectorRegistry()
    metrics = DeliveryMetrics(registry)
    assert registry.get_sample_value(_PUT_OFF) == 0
    with capture_logs() as logs:
        sweeping = asyncio.create_task(
            sweep_forever(
                blobs,
                create_sessions(engine),
                metrics,
                every_seconds=0.05,
                confirm_seconds=0,
            )
        )
        try:
            async with asyncio.timeout(60):
                while not any(entry["event"] == "sweep_put_off" for entry in logs):  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.02)
                assert registry.get_sample_value(_PUT_OFF) == 1
                await asyncio.sleep(0.3)  # it looks some times more
                assert registry.get_sample_value(_PUT_OFF) == 1
                # At once: a look while nothing is there finds a store in which nothing was put yet, and counts the day as swept.
                link = tmp_path / "link"
                await asyncio.to_thread(link.symlink_to, tmp_path / "aside")
                await asyncio.to_thread(link.replace, folder)
                while _files(folder) or registry.get_sample_value(_PUT_OFF):  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.02)
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
    assert [entry["event"] for entry in logs].count("sweep_put_off") == 1
    blobs.close()
    await engine.dispose()


async def test_a_sweep_that_the_database_refuses_is_seen_from_outside_and_removes_nothing(
    database: Database, folder: Path
):
    blobs = FolderBlobs(folder)
    engine = create_engine(database.url(RELAY), application_name="tests")  # it may read no rows of mail
    await blobs.put(_id_of_yesterday(), b"sealed")
    registry = CollectorRegistry()
    sweeping = asyncio.create_task(
        sweep_forever(
            blobs,
            create_sessions(engine),
            DeliveryMetrics(registry),
            every_seconds=0.05,
            confirm_seconds=0,
        )
    )
    async with asyncio.timeout(60):
        while registry.get_sample_value(_PUT_OFF) != 1:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert len(_files(folder)) == 1
    blobs.close()
    await engine.dispose()


async def test_a_blob_whose_row_goes_long_after_its_day_is_swept(database: Database, folder: Path):
    """As two stores leave it that shared a mail and are erased at once: each has seen the other's row."""
    blobs = FolderBlobs(folder)
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests")
    named, _waste = [await blobs.put(_id_of_yesterday(), b"sealed") for _ in range(2)]
    await _insert(database, _id_of_yesterday(), named.key, named.digest)
    sweeping = asyncio.create_task(
        sweep_forever(
            blobs,
            create_sessions(engine),
            DeliveryMetrics(CollectorRegistry()),
            every_seconds=0.05,
            confirm_seconds=0,
            all_again=timedelta(seconds=0.2),
        )
    )
    async with asyncio.timeout(60):
        while len(_files(folder)) == 2:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
        assert await blobs.get(named) == b"sealed"
        owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
        await owner.execute("DELETE FROM accepted_mail")
        await owner.close()
        while _files(folder):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    blobs.close()
    await engine.dispose()


def _id_of_yesterday() -> UUID:
    milliseconds = int((time.time() - 3 * 86_400) * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | int.from_bytes(os.urandom(7), "big"))


async def _insert(database: Database, mail_id: UUID, key: str, digest: bytes) -> None:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await connection.execute("SELECT ensure_partitions($1)", datetime.now(UTC) - timedelta(days=3))
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(
        "INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id,"
        " content_key, envelope, blob_key, blob_digest)"
        " VALUES ($1, uuidv7(), uuidv7(), '', '::1', 0, '', '', '', $2, $3)",
        mail_id,
        key,
        digest,
    )
    await connection.close()


async def test_only_an_old_blob_without_a_row_is_swept(database: Database, folder: Path):
    """One row is there before the sweep looks; one comes after its first look, as a slow commit does."""
    blobs = FolderBlobs(folder)
    metrics = DeliveryMetrics(CollectorRegistry())
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests")
    kept, slow, waste = [await blobs.put(_id_of_yesterday(), b"sealed") for _ in range(3)]
    fresh = await blobs.put(UUID(int=int(time.time() * 1000) << 80), b"sealed")
    await _insert(database, UUID(kept.key[9:]), kept.key, kept.digest)
    has_looked = asyncio.Event()
    event.listen(engine.sync_engine, "commit", lambda _connection: has_looked.set())

    sweeping = asyncio.create_task(
        sweep(blobs, create_sessions(engine), metrics, now=datetime.now(UTC), confirm_seconds=3)
    )
    await has_looked.wait()
    await _insert(database, UUID(slow.key[9:]), slow.key, slow.digest)
    await sweeping

    left = {str(path.relative_to(folder)) for path in _files(folder)}
    assert left == {kept.key, slow.key, fresh.key}
    assert waste.key not in left
    assert day_of(datetime.now(UTC)) in await blobs.days()
    blobs.close()
    await engine.dispose()
