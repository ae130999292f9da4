"""What every blob store does, and how its keys look."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

from shared.errors import Expected

# From the wait for a turn to the store's answer: what waits for it is a sender.
TIMEOUT_SECONDS: Final = 10.0
DAY: Final = re.compile(r"[0-9]{8}")
KEY: Final = re.compile(r"[0-9]{8}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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

    async def put(self, blob_id: UUID, content: bytes) -> Blob:
        """The blob is durable when this returns. The id is a new one, as of `new_id`. Raises BlobsFull."""

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


def key_of(blob_id: UUID) -> str:
    """Where the blob with this id lies, from the first time that it is put."""
    # A UUIDv7 begins with its moment in milliseconds.
    return f"{day_of(datetime.fromtimestamp((blob_id.int >> 80) / 1000, UTC))}/{blob_id}"


def require_key(key: str) -> str:
    """A key comes out of a row; it must not lead out of the store. Raises BlobMissing."""
    if not KEY.fullmatch(key):
        raise BlobMissing
    return key


def blob_id_of(key: str) -> UUID:
    """The id that a blob was put under. Raises BlobMissing: a key comes out of a row."""
    return UUID(require_key(key).partition("/")[2])
