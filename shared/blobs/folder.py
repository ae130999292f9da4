"""A local folder for large mail. A blob's file and its folders are on the disk when `put` returns.

Relay, mail worker and connector may be users of their own: one writes, another removes. So a day's folder may be used by the group that the
folder of all may be used by (setgid, 2770), whatever the umask of the process that makes it, and each file may be read by it.
"""

import asyncio
import contextlib
import errno
import hashlib
import heapq
import os
import stat
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
    BlobsForbidden,
    BlobsFull,
    BlobsUnavailable,
    key_of,
    require_key,
)

_FILE_MODE: Final = 0o640
# What the group may do, and that what is made within belongs to it.
_OF_GROUP: Final = stat.S_ISGID | stat.S_IRWXG

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

    async def closed_days(self) -> list[str]:
        return await self._run(lambda: [day for day in self._days() if self._is_closed(day)])

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[[], _Result]) -> _Result:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except OSError as error:  # a TimeoutError is one, too
            self._reached.is_away(error_number=error.errno, kind=type(error).__name__)
            raise _FAILURES.get(error.errno or 0, BlobsUnavailable) from error
        self._reached.answers()
        return result

    def _put(self, blob_id: UUID, content: bytes) -> Blob:
        key = key_of(blob_id)
        day = key.partition("/")[0]
        if day not in self._durable_days:
            self._make_day(day)
        path = self._path(key)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        except FileNotFoundError:
            # Somebody has removed the day's folder: the next blob makes it again.
            self._durable_days.discard(day)
            raise
        try:
            _let_group_read(file)
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
        # Also if it was there: whoever made it may have died before this.
        self._open_to_group(self._folder / day)
        # Also if it was there: the process that made it may not have synced it yet.
        _sync_folder(self._folder)
        self._durable_days.add(day)

    def _open_to_group(self, folder: Path) -> None:
        """A day's folder, as far as the folder of all is open to its group, and if it is ours."""
        mode, wanted = (stat.S_IMODE(path.stat().st_mode) for path in (folder, self._folder))
        if (mode ^ wanted) & _OF_GROUP:
            # Where a process may set no setgid bit (RestrictSUIDSGID of systemd), its umask has to fit: UMask=0007. Some file systems know no
            # modes at all, and another user's folder is theirs.
            with contextlib.suppress(OSError):
                folder.chmod(mode & ~_OF_GROUP | wanted & _OF_GROUP)

    def _is_closed(self, day: str) -> bool:
        """Looks at one file for all: whoever makes one that the group cannot read makes all so."""
        folder = self._folder / day
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return folder.exists()
        with os.scandir(folder) as entries:
            first = next(entries, None)
        return first is not None and not os.access(first.path, os.R_OK) and Path(first.path).exists()

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


_FAILURES: Final = {
    errno.ENOSPC: BlobsFull,
    errno.EDQUOT: BlobsFull,
    errno.EACCES: BlobsForbidden,
    errno.EPERM: BlobsForbidden,
}


def _let_group_read(file: int) -> None:
    """A umask may have taken from the group what it needs. A file system that knows no modes is no reason to refuse a mail."""
    if stat.S_IMODE(os.fstat(file).st_mode) != _FILE_MODE:
        with contextlib.suppress(OSError):
            os.fchmod(file, _FILE_MODE)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
