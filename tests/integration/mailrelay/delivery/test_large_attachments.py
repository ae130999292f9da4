"""Attachments over the inline limit lie in the blob store: durable before their row, and never removed while it is there."""

import resource
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, update

from deploy.demo.postgres import OWNER
from services.mailrelay.delivery.blob_sweeper import sweep
from services.mailrelay.delivery.clamav import Scanner, rescan
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.delivery.service import Delivery, deliver_due
from services.mailrelay.reprocessing.service import Reprocessing, reprocess
from shared.blobs import FolderBlobs, fetch_sealed, sealed_or_blob
from shared.crypto.envelope import AccountKeys, Place
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.tables import Attachment, MailState, Message
from tests.conftest import Database
from tests.integration.mailrelay.delivery.conftest import Accept
from tests.integration.mailrelay.delivery.test_clamav import clamd, scans, with_files
from tests.integration.mailrelay.delivery.test_delivery import (
    account_keys,
    all_messages,
    fail_each_insert,
    state_of,
)

__all__ = ["account_keys", "clamd"]

LARGE = b"a large lamp" * 100
LIMIT = 1_000


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def delivering(delivery: Delivery, blobs: FolderBlobs) -> Delivery:
    return replace(delivery, blobs=blobs, inline_limit_bytes=LIMIT)


async def files(sessions: Sessions) -> list[Attachment]:
    async with sessions() as session:
        return list(await session.scalars(select(Attachment).order_by(Attachment.position)))


async def opened(blobs: FolderBlobs, row: Attachment, keys: AccountKeys) -> bytes:
    sealed = await fetch_sealed(blobs, sealed_or_blob(row.content, row.blob_key, row.blob_digest))
    return keys.open(Place("attachments", "content", row.id), sealed)


async def kept(blobs: FolderBlobs) -> list[str]:
    return [key for day in await blobs.days() for key in await blobs.list_day(day, after="", limit=100)]


async def test_only_what_is_large_lies_in_the_blob_store(
    delivering: Delivery, accept: Accept, blobs: FolderBlobs, sessions: Sessions, account_keys: AccountKeys
):
    await accept(with_files(b"a lamp", LARGE))

    await deliver_due(delivering)

    small, large = await files(sessions)
    assert (small.blob_key, large.content) == (None, None)
    assert await kept(blobs) == [large.blob_key]
    assert [await opened(blobs, row, account_keys) for row in (small, large)] == [b"a lamp", LARGE]


async def test_a_store_that_is_away_costs_a_mail_no_attempt_and_other_mail_nothing(
    delivering: Delivery, accept: Accept, blobs: FolderBlobs, sessions: Sessions, tmp_path: Path
):
    waits = await accept(with_files(LARGE))
    goes = await accept(with_files(b"a lamp"))
    (tmp_path / "blobs").write_text("no folder")

    await deliver_due(delivering)

    assert (await state_of(sessions, waits))[:2] == (MailState.ACCEPTED, 0)
    assert (await state_of(sessions, goes))[0] == MailState.DELIVERED
    assert len(await all_messages(sessions)) == 1


async def test_attempts_that_fail_leave_nothing_in_the_blob_store(
    delivering: Delivery,
    accept: Accept,
    blobs: FolderBlobs,
    database: Database,
    account_keys: AccountKeys,
):
    """Each attempt puts under new keys: a mail that is tried all day would fill the store."""
    await accept(with_files(LARGE))
    await fail_each_insert(database, "40P01")
    await deliver_due(delivering)
    left = await kept(blobs)
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute("DROP TRIGGER fail ON messages; UPDATE accepted_mail SET next_attempt_at = now()")
    await owner.close()

    await deliver_due(delivering)

    [row] = await files(delivering.sessions)
    assert left == []
    assert await kept(blobs) == [row.blob_key]
    assert await opened(blobs, row, account_keys) == LARGE


async def test_a_copy_of_a_stored_mail_leaves_nothing_in_the_blob_store(
    delivering: Delivery, accept: Accept, blobs: FolderBlobs, sessions: Sessions
):
    for _ in range(2):
        await accept(with_files(LARGE))
        await deliver_due(delivering)

    [row] = await files(sessions)
    assert await kept(blobs) == [row.blob_key]


async def test_a_store_that_becomes_full_within_a_mail_is_not_filled_by_it(
    delivering: Delivery, accept: Accept, blobs: FolderBlobs, sessions: Sessions
):
    """The first file still goes in, the second does not."""
    mail_id = await accept(with_files(LARGE, b"a larger lamp" * 200_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        await deliver_due(delivering)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert await kept(blobs) == []
    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, "blobs_unavailable")


async def test_the_sweeper_leaves_what_a_row_names(
    delivering: Delivery, accept: Accept, blobs: FolderBlobs, sessions: Sessions
):
    """In two days the day of now is over, and old enough."""
    await accept(with_files(LARGE))
    await deliver_due(delivering)
    [row] = await files(sessions)
    waste = await blobs.put(UUID(int=row.id.int + 1), b"sealed")

    await sweep(
        blobs,
        delivering.sessions,
        DeliveryMetrics(CollectorRegistry()),
        now=datetime.now(UTC) + timedelta(days=3),
        confirm_seconds=0,
    )

    assert waste.key != row.blob_key
    assert await kept(blobs) == [row.blob_key]


async def test_a_scanner_that_was_away_sees_it_later(delivering: Delivery, accept: Accept, clamd: Scanner):
    await accept(with_files(LARGE))
    await deliver_due(replace(delivering, scanner=Scanner("/nowhere/clamd.sock")))

    await rescan(clamd, delivering.sessions, delivering.keyring, delivering.blobs, after=UUID(int=0))

    assert await scans(delivering.sessions) == ["clean"]


@pytest.mark.parametrize("is_lost", [False, True])
async def test_reprocess_compares_it_and_mends_what_was_lost(
    delivering: Delivery,
    accept: Accept,
    blobs: FolderBlobs,
    sessions: Sessions,
    account_keys: AccountKeys,
    *,
    is_lost: bool,
):
    await accept(with_files(LARGE))
    await deliver_due(delivering)
    [before] = await files(sessions)
    assert before.blob_key is not None
    if is_lost:
        await blobs.remove(before.blob_key)
    async with delivering.sessions.begin() as session:
        await session.execute(update(Message).values(parser_version=0))

    report = await reprocess(
        Reprocessing(delivering.sessions, delivering.keyring, delivering.parser, blobs, LIMIT),
        dry_run=False,
        progress=lambda _report: None,
    )

    [after] = await files(sessions)
    assert not report.failures
    assert report.fields["attachments"] == is_lost
    assert (after.id == before.id) is not is_lost
    assert await kept(blobs) == [after.blob_key]
    assert await opened(blobs, after, account_keys) == LARGE
