"""Sealed bytes that lie in their row or, when they are large, in the blob store."""

from typing import Final

from shared.blobs.store import Blob, BlobStore
from shared.crypto.envelope import Sealed

# PostgreSQL writes a large value several times over, a folder once.
INLINE_LIMIT_BYTES: Final = 262_144


def sealed_or_blob(sealed: Sealed | None, blob_key: str | None, blob_digest: bytes | None) -> Sealed | Blob:
    """What a row says of its sealed bytes: a CHECK holds it to one of the two."""
    return sealed if sealed is not None else Blob(blob_key or "", blob_digest or b"")


async def fetch_sealed(blobs: BlobStore, stored: Sealed | Blob) -> Sealed:
    """The sealed bytes, wherever they lie; for callers without a transaction. Raises what `BlobStore.get` raises."""
    return Sealed(await blobs.get(stored)) if isinstance(stored, Blob) else stored
