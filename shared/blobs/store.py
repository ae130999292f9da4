"""The interface of every blob store, and the form of its keys."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

from shared.errors import Expected

# Covers the wait for a free connection, too; a sender waits meanwhile for the answer to its mail.
TIMEOUT_SECONDS: Final = 10.0
DAY: Final = re.compile(r"[0-9]{8}")
KEY: Final = re.compile(r"[0-9]{8}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class BlobsUnavailable(Expected):
    """The blob store failed, or did not answer in time."""

    code = "blobs_unavailable"


class BlobsForbidden(BlobsUnavailable):
    """The user of this process may not do this in the blob store, and no patience changes it."""


class BlobsFull(Expected):
    """The blob store has no room."""

    code = "blobs_full"


class BlobMissing(Expected):
    """A row names a blob that is not there."""

    code = "blob_missing"


class BlobDamaged(Expected):
    """A blob's bytes are not the ones that were written."""

    code = "blob_damaged"


@dataclass(frozen=True, slots=True)
class Blob:
    """What a row keeps of its blob: the key, and the SHA-256 of the bytes."""

    key: str
    digest: bytes


class BlobStore(Protocol):
    """Stores blobs. Every call raises BlobsUnavailable if the store fails, unless another error is named; BlobsForbidden is one, too."""

    async def put(self, blob_id: UUID, content: bytes) -> Blob:
        """Store a blob, which is durable when this returns, under a new id as of `new_id`. Raises BlobsFull."""

    async def get(self, blob: Blob) -> bytes:
        """The blob's bytes. Raises BlobMissing, BlobDamaged."""

    async def remove(self, key: str) -> None:
        """Remove the blob with this key, if it is there."""

    async def days(self) -> list[str]:
        """The days of which there are blobs, in order."""

    async def list_day(self, day: str, *, after: str, limit: int) -> list[str]:
        """At most `limit` of the day's keys that come after `after`, in order."""

    async def closed_days(self) -> list[str]:
        """The days whose blobs the user of this process may not read or remove, in order. A bucket's server tells it of none."""

    def close(self) -> None:
        """Release what the store holds; it is not used again."""


def day_of(moment: datetime) -> str:
    """The name of a day, with which keys begin."""
    return f"{moment.astimezone(UTC):%Y%m%d}"


def key_of(blob_id: UUID) -> str:
    """The key of the blob with this id, on every call the same."""
    # A UUIDv7 begins with its moment in milliseconds.
    return f"{day_of(datetime.fromtimestamp((blob_id.int >> 80) / 1000, UTC))}/{blob_id}"


def require_key(key: str) -> str:
    """The key, if it has the form of one: keys come from rows, and must not lead out of the store. Raises BlobMissing."""
    if not KEY.fullmatch(key):
        raise BlobMissing
    return key


def blob_id_of(key: str) -> UUID:
    """The id under which the blob with this key was stored. Raises BlobMissing if it has not the form of a key."""
    return UUID(require_key(key).partition("/")[2])
