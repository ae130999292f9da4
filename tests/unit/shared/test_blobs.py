"""The store of large mail: what it holds, and what it says when the disk does not."""

import asyncio
import errno
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.blobs import (
    Blob,
    BlobDamaged,
    BlobMissing,
    BlobsFull,
    BlobStore,
    BlobsUnavailable,
    day_of,
    mail_id_of,
    open_blobs,
)
from shared.database import new_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "some where" / "blobs"


@pytest.fixture
def blobs(folder: Path):
    store = open_blobs(folder.as_uri())
    yield store
    store.close()


def file_in_place(folder: Path) -> Path:
    """What nobody can write to as a folder, not even root."""
    path = folder / "blobs"
    path.touch()
    return path


async def test_what_is_put_is_got(blobs: BlobStore):
    contents = [os.urandom(size) for size in (0, 1, 300_000, 5_000_000)]
    mail_ids = [new_id() for _ in contents]

    put = await asyncio.gather(*map(blobs.put, mail_ids, contents))

    assert [await blobs.get(blob) for blob in put] == contents
    assert [mail_id_of(blob.key) for blob in put] == mail_ids


async def test_keys_are_listed_by_day_and_in_steps(blobs: BlobStore):
    assert await blobs.days() == []
    keys = sorted([(await blobs.put(new_id(), b"x")).key for _ in range(5)])
    [today] = await blobs.days()

    first = await blobs.list_day(today, after="", limit=2)
    rest = await blobs.list_day(today, after=first[-1], limit=10)

    assert today == day_of(datetime.now(UTC))
    assert first + rest == keys
    await blobs.remove(keys[0])
    await blobs.remove(keys[0])
    assert await blobs.list_day(today, after="", limit=10) == keys[1:]


async def test_a_missing_and_a_damaged_blob_are_told_apart(blobs: BlobStore, folder: Path):
    blob = await blobs.put(new_id(), b"content")
    (folder / blob.key).write_bytes(b"Content")
    with pytest.raises(BlobDamaged):
        await blobs.get(blob)

    await blobs.remove(blob.key)
    with pytest.raises(BlobMissing):
        await blobs.get(blob)


@pytest.mark.parametrize("key", ["../secret", "20260101/../../secret", "/etc/passwd", ""])
async def test_no_key_leads_out_of_the_folder(blobs: BlobStore, folder: Path, key: str):
    await blobs.put(new_id(), b"x")
    (folder.parent / "secret").write_bytes(b"")

    with pytest.raises(BlobMissing):
        await blobs.get(Blob(key, b""))


async def test_a_file_in_the_place_of_the_folder(tmp_path: Path):
    blobs = open_blobs(file_in_place(tmp_path).as_uri())

    with pytest.raises(BlobsUnavailable):
        await blobs.put(new_id(), b"x")
    blobs.close()


async def test_a_folder_that_was_taken_away_is_made_again(blobs: BlobStore, folder: Path):
    await blobs.put(new_id(), b"x")
    shutil.rmtree(folder)
    with pytest.raises(BlobsUnavailable):
        await blobs.put(new_id(), b"y")

    blob = await blobs.put(new_id(), b"z")

    assert await blobs.get(blob) == b"z"


async def test_a_full_disk_leaves_nothing_behind(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch):
    await blobs.put(new_id(), b"x")
    [today] = await blobs.days()

    def no_room(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(BlobsFull):
            await blobs.put(new_id(), b"y")

    assert len(await blobs.list_day(today, after="", limit=10)) == 1
