"""Raw mail that is too large for a row, in a folder: sealed, so whoever reads the folder reads nothing (docs/adr/0006).

A blob is on the disk, file and folder, before its row commits; a row without its blob would be a lost mail. A blob
without a row is only waste, and is swept. The key begins with the day of the mail's id: a sweep lists a day at a time.
"""

import asyncio
import contextlib
import errno
import hashlib
import heapq
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import UUID

import structlog

from shared.errors import Expected

log = structlog.get_logger()

# The disk merges what is written at the same time; more threads than this only wait for it.
_THREADS: Final = 16
# From the wait for a thread to the disk's answer.
_TIMEOUT_SECONDS: Final = 10.0
_DAY: Final = re.compile(r"[0-9]{8}")
# A key comes out of a row; it must not lead out of the folder.
_KEY: Final = re.compile(r"[0-9]{8}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_Result = TypeVar("_Result")


class BlobsUnavailable(Expected):
    """The blob store did not do it, or not in time."""

    code = "blobs_unavailable"


class BlobsFull(Expected):
    """The blob store has no room."""

    code = "blobs_full"


class BlobMissing(Expected):
    """A row names a blob that is not there."""

    code = "blob_missing"


class BlobDamaged(Expected):
    """A blob is not what was written."""

    code = "blob_damaged"


@dataclass(frozen=True, slots=True)
class Blob:
    """Where a blob lies, and the SHA-256 of its bytes: what its row keeps."""

    key: str
    digest: bytes


class BlobStore(Protocol):
    """Whatever fails raises BlobsUnavailable, if nothing more exact is said."""

    async def put(self, mail_id: UUID, content: bytes) -> Blob:
        """The blob is durable when this returns. Raises BlobsFull."""

    async def get(self, blob: Blob) -> bytes:
        """Raises BlobMissing, BlobDamaged."""

    async def remove(self, key: str) -> None:
        """Nothing happens if it has gone."""

    async def days(self) -> list[str]:
        """The days that blobs are from, in order."""

    async def list_day(self, day: str, *, after: str, limit: int) -> list[str]:
        """The day's keys behind `after`, in order."""

    def close(self) -> None:
        """Nothing more will be asked of it."""


def day_of(moment: datetime) -> str:
    """A day's name, as keys begin with it."""
    return f"{moment.astimezone(UTC):%Y%m%d}"


def mail_id_of(key: str) -> UUID:
    """The accepted mail that a blob is of."""
    return UUID(key.partition("/")[2])


def open_blobs(url: str) -> BlobStore:
    """The store that a setting names."""
    return FolderBlobs(Path(unquote(urlsplit(url).path)))


class FolderBlobs:
    """A local folder. No temporary names: nobody reads a blob before its row, and the row comes after the last byte."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
        self._durable_days: set[str] = set()

    async def put(self, mail_id: UUID, content: bytes) -> Blob:
        return await self._run(lambda: self._put(mail_id, content))

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
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except OSError as error:  # a TimeoutError is one, too
            log.warning("blobs_unavailable", error_number=error.errno, kind=type(error).__name__)
            is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise (BlobsFull if is_full else BlobsUnavailable) from error

    def _put(self, mail_id: UUID, content: bytes) -> Blob:
        # A UUIDv7 begins with its moment in milliseconds.
        day = day_of(datetime.fromtimestamp((mail_id.int >> 80) / 1000, UTC))
        key = f"{day}/{mail_id}"
        if day not in self._durable_days:
            self._make_day(day)
        path = self._path(key)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        except FileNotFoundError:
            # Somebody has changed the folder under us: the next blob makes its day anew.
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
        with contextlib.suppress(PermissionError):  # then somebody else has made it, long ago
            _sync_folder(self._folder.parent)
        (self._folder / day).mkdir(exist_ok=True)
        # Also when it was there: whoever made it may not have come to this point yet.
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
            return sorted(name for name in os.listdir(self._folder) if _DAY.fullmatch(name))  # noqa: PTH208
        except FileNotFoundError:
            return []

    def _list_day(self, day: str, after: str, limit: int) -> list[str]:
        with os.scandir(self._folder / day) as entries:
            keys = (f"{day}/{entry.name}" for entry in entries)
            return heapq.nsmallest(limit, (key for key in keys if key > after and _KEY.fullmatch(key)))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise BlobMissing
        return self._folder / key


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
