"""The folder for large mail: what it says when the disk does not."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from shared.blobs import (
    Blob,
    BlobMissing,
    BlobsFull,
    BlobStore,
    BlobsUnavailable,
    FolderBlobs,
)
from shared.driver import new_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "some where" / "blobs"


@pytest.fixture
def blobs(folder: Path):
    store = FolderBlobs(folder)
    yield store
    store.close()


def file_in_place(folder: Path) -> Path:
    """What nobody can write to as a folder, not even root."""
    path = folder / "blobs"
    path.touch()
    return path


@pytest.mark.parametrize("key", ["../secret", "20260101/../../secret", "/etc/passwd", ""])
async def test_no_key_leads_out_of_the_folder(blobs: BlobStore, folder: Path, key: str):
    await blobs.put(new_id(), b"x")
    (folder.parent / "secret").write_bytes(b"")

    with pytest.raises(BlobMissing):
        await blobs.get(Blob(key, b""))


async def test_a_file_in_the_place_of_the_folder(tmp_path: Path):
    blobs = FolderBlobs(file_in_place(tmp_path))

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


async def test_a_disk_that_takes_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """It is given up in time. What is written all the same has no row, and leaves with the next sweep."""
    blobs = FolderBlobs(folder, timeout_seconds=0.2)
    go_on = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _file: go_on.wait(20))

    began = time.monotonic()
    with pytest.raises(BlobsUnavailable):
        await blobs.put(new_id(), b"x")
    assert time.monotonic() - began < 15

    go_on.set()
    assert (await blobs.get(await blobs.put(new_id(), b"y"))) == b"y"
    blobs.close()


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


async def test_a_file_system_that_knows_no_modes_takes_blobs_all_the_same(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    umask = os.umask(0o077)
    try:
        monkeypatch.setattr(os, "fchmod", refused)
        monkeypatch.setattr(Path, "chmod", refused)
        assert await blobs.get(await blobs.put(new_id(), b"x")) == b"x"
    finally:
        os.umask(umask)
