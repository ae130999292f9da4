"""What every store of large mail does: the folder and the bucket."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from shared.blobs import Blob, BlobDamaged, BlobMissing, BlobStore, blob_id_of, day_of, open_blobs
from shared.driver import new_id
from shared.settings import BlobSettings
from tests.s3 import S3, blob_settings, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    if request.param == "folder":
        settings = BlobSettings(blob_url=(tmp_path / "some where" / "blobs").as_uri())
    else:
        s3: S3 = request.getfixturevalue("s3")
        settings = blob_settings(s3.endpoint, s3.make_bucket())
    store = open_blobs(settings)
    yield store
    store.close()


async def test_what_is_put_is_got(blobs: BlobStore):
    contents = [os.urandom(size) for size in (0, 1, 300_000, 5_000_000)]
    mail_ids = [new_id() for _ in contents]

    put = await asyncio.gather(*map(blobs.put, mail_ids, contents))

    assert [await blobs.get(blob) for blob in put] == contents
    assert [blob_id_of(blob.key) for blob in put] == mail_ids


async def test_keys_are_listed_by_day_and_in_steps(blobs: BlobStore):
    assert await blobs.days() == []
    keys = sorted([(await blobs.put(new_id(), b"x")).key for _ in range(5)])
    [today] = await blobs.days()

    first = await blobs.list_day(today, after="", limit=2)
    rest = await blobs.list_day(today, after=first[-1], limit=10)

    assert today == day_of(datetime.now(UTC))
    assert len(first) == 2
    assert first + rest == keys
    await blobs.remove(keys[0])
    await blobs.remove(keys[0])
    assert await blobs.list_day(today, after="", limit=10) == keys[1:]


async def test_days_are_listed_in_order_and_apart(blobs: BlobStore):
    def id_of(day: int) -> UUID:
        return UUID(int=int(datetime(2026, 1, day, 12, tzinfo=UTC).timestamp() * 1000) << 80)

    put = [await blobs.put(id_of(day), b"x") for day in (3, 1, 2)]

    assert await blobs.days() == ["20260101", "20260102", "20260103"]
    assert await blobs.list_day("20260102", after="", limit=10) == [put[2].key]


async def test_a_missing_and_a_damaged_blob_are_told_apart(blobs: BlobStore):
    blob = await blobs.put(new_id(), b"content")
    other = await blobs.put(new_id(), b"Content")
    with pytest.raises(BlobDamaged):
        await blobs.get(Blob(blob.key, other.digest))

    await blobs.remove(blob.key)
    with pytest.raises(BlobMissing):
        await blobs.get(blob)


@pytest.mark.parametrize("key", ["../secret", "20260101/../../secret", "/etc/passwd", ""])
async def test_no_key_leads_out_of_the_store(blobs: BlobStore, key: str):
    await blobs.put(new_id(), b"x")

    with pytest.raises(BlobMissing):
        await blobs.get(Blob(key, b""))
    with pytest.raises(BlobMissing):
        await blobs.remove(key)
