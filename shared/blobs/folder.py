"""A local folder for large mail. A blob's file and its folders are on the disk when `put` returns."""

import asyncio
import contextlib
import errno
import hashlib
import heapq
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

from shared.availability import Dependency
from shared.blobs.store import (
    DAY,
    KEY,
    TIMEOUT_SECONDS,
    Blob,
    BlobDamaged,
    BlobMissing,
    BlobsFull,
    BlobsUnavailable,
    key_of,
    require_key,
)

# The disk merges what is written at the same time; more threads than this only wait for it.
_THREADS: Final = 16

_Result = TypeVar("_Result")


class FolderBlobs:
    """A local folder. No temporary names: nobody reads a blob before its row, and the row comes after the last byte."""

    def __init__(self, folder: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._folder = folder
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
        self._durable_days: set[str] = set()
        self._reached = Dependency("blobs")

    async def put(self, blob_id: UUID, content: bytes) -> Blob:
        return await self._run(lambda: self._put(blob_id, content))

    async def get(self, blob: Blob) -> bytes:
        return await self._run(lambda: self._get(blob))

    async def remove(self, key: str) -> None:
        await self._run(lambda: self._path(key).unlink(missing_ok=True))

    async def days(self) -> list[str]:
        return await self._run(self._days)

    async def list_day(self, day: str, *, after: str, limit: int) -> list[str]:
        return await self._run(lambda: self._list_day(day, after, limit))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[[], _Result]) -> _Result:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except OSError as error:  # a TimeoutError is one, too
            self._reached.is_away(error_number=error.errno, kind=type(error).__name__)
            is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise (BlobsFull if is_full else BlobsUnavailable) from error
        self._reached.answers()
        return result

    def _put(self, blob_id: UUID, content: bytes) -> Blob:
        key = key_of(blob_id)
        day = key.partition("/")[0]
        if day not in self._durable_days:
            self._make_day(day)
        path = self._path(key)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        except FileNotFoundError:
            # Somebody has removed the day's folder: the next blob makes it again.
            self._durable_days.discard(day)
            raise
        try:
            with open(file, "wb", buffering=0) as writer:  # noqa: PTH123 - it is open already
                rest = memoryview(content)
                while rest:
                    rest = rest[writer.write(rest) :]
                os.fsync(file)
            _sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return Blob(key, hashlib.sha256(content).digest())

    def _make_day(self, day: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(
            PermissionError
        ):  # a folder that we may not read was made by somebody else, long ago
            _sync_folder(self._folder.parent)
        (self._folder / day).mkdir(exist_ok=True)
        # Also if it was there: the process that made it may not have synced it yet.
        _sync_folder(self._folder)
        self._durable_days.add(day)

    def _get(self, blob: Blob) -> bytes:
        try:
            content = self._path(blob.key).read_bytes()
        except FileNotFoundError as error:
            raise BlobMissing from error
        if hashlib.sha256(content).digest() != blob.digest:
            raise BlobDamaged
        return content

    def _days(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._folder) if DAY.fullmatch(name))  # noqa: PTH208
        except FileNotFoundError:
            return []

    def _list_day(self, day: str, after: str, limit: int) -> list[str]:
        with os.scandir(self._folder / day) as entries:
            keys = (f"{day}/{entry.name}" for entry in entries)
            return heapq.nsmallest(limit, (key for key in keys if key > after and KEY.fullmatch(key)))

    def _path(self, key: str) -> Path:
        return self._folder / require_key(key)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
