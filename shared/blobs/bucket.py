"""An S3-compatible bucket for large mail: AWS, MinIO, Ceph, Garage. What the server has acknowledged is durable there.

An error of the client library holds the server's answer and address; only the server's error code is logged and kept.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

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
from shared.settings import BlobSettings

if TYPE_CHECKING:
    from obstore.store import S3Config

# Requests to the store at once; another one waits until one of these ends.
_AT_ONCE: Final = 32
# The client library's own limits; all its attempts must end within `timeout_seconds`.
_CONNECT_SECONDS: Final = 3
_RETRIES: Final = 2
_RETRY_SECONDS: Final = 5
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
# A missing bucket raises the same exception, and must not be treated as a missing blob.
_MISSING: Final = "NoSuchKey"
# The codes of Ceph and MinIO; AWS is never full.
_FULL: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})


class BucketBlobs:
    """A bucket. The server is asked nothing before the first blob."""

    def __init__(
        self, bucket: str, prefix: str, settings: BlobSettings, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        secret = settings.blob_secret_access_key
        config: S3Config = {
            "region": settings.blob_region or "",
            "access_key_id": settings.blob_access_key_id or "",
            "secret_access_key": secret.get_secret_value() if secret is not None else "",
            # AWS wants the bucket in the host's name; the others have one name for all buckets.
            "virtual_hosted_style_request": settings.blob_endpoint is None,
        }
        if settings.blob_endpoint is not None:
            config["endpoint"] = settings.blob_endpoint
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={
                "allow_http": True,  # a mail is sealed, a request is signed: the endpoint decides
                "timeout": timedelta(seconds=timeout_seconds),
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=1),
                    "base": 2,
                },
            },
        )
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._reached = Dependency("blobs")

    async def put(self, blob_id: UUID, content: bytes) -> Blob:
        key = key_of(blob_id)
        async with self._request():
            await obstore.put_async(self._store, key, content, use_multipart=False)
        return Blob(key, await _digest(content))

    async def get(self, blob: Blob) -> bytes:
        key = require_key(blob.key)
        async with self._request():
            answer = await obstore.get_async(self._store, key)
            content = bytes(await answer.bytes_async())
        if await _digest(content) != blob.digest:
            raise BlobDamaged
        return content

    async def remove(self, key: str) -> None:
        require_key(key)
        try:
            async with self._request():
                await obstore.delete_async(self._store, key)
        except BlobMissing:
            return

    async def days(self) -> list[str]:
        async with self._request():
            found = await obstore.list_with_delimiter_async(self._store)
        return sorted(name for name in found["common_prefixes"] if DAY.fullmatch(name))

    async def list_day(self, day: str, *, after: str, limit: int) -> list[str]:
        keys: list[str] = []
        async with self._request():
            # In the order of keys, as S3 has it.
            async for objects in obstore.list(self._store, day, offset=after or None, chunk_size=limit):
                keys.extend(found["path"] for found in objects if KEY.fullmatch(found["path"]))
                if len(keys) >= limit:
                    break
        return keys[:limit]

    async def closed_days(self) -> list[str]:
        """None: what the key may do, only doing it tells."""
        return []

    def close(self) -> None:
        """Nothing to do: the client library's connections end with the process."""

    @asynccontextmanager
    async def _request(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_seconds), self._slots:
                yield
        except (BaseError, OSError) as error:  # a TimeoutError is one, too
            found = _CODE.search(str(error))
            code = found[1] if found else type(error).__name__
            if code == _MISSING:
                raise BlobMissing from None
            self._reached.is_away(code=code)
            raise (BlobsFull if code in _FULL else BlobsUnavailable) from None
        self._reached.answers()


async def _digest(content: bytes) -> bytes:
    return await asyncio.to_thread(lambda: hashlib.sha256(content).digest())
