"""Raw mail and attachments that are too large for a row, in a folder or a bucket: sealed, so whoever reads the store reads nothing (docs/adr/0006).

A blob is durable before its row commits; a row without its blob would be a lost mail or file. A blob without a row is only waste, and
the mail worker sweeps it. The key begins with the day of the blob's id: a sweep lists a day at a time.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.blobs.folder import FolderBlobs
from shared.blobs.rights_metric import watch_rights
from shared.blobs.sealed import INLINE_LIMIT_BYTES, fetch_sealed, sealed_or_blob
from shared.blobs.store import (
    Blob,
    BlobDamaged,
    BlobMissing,
    BlobsForbidden,
    BlobsFull,
    BlobStore,
    BlobsUnavailable,
    blob_id_of,
    day_of,
)
from shared.settings import BlobSettings

__all__ = [
    "INLINE_LIMIT_BYTES",
    "Blob",
    "BlobDamaged",
    "BlobMissing",
    "BlobStore",
    "BlobsForbidden",
    "BlobsFull",
    "BlobsUnavailable",
    "FolderBlobs",
    "blob_id_of",
    "day_of",
    "fetch_sealed",
    "open_blobs",
    "sealed_or_blob",
    "watch_rights",
]


def open_blobs(settings: BlobSettings) -> BlobStore:
    """The store that the settings name. Neither its folder nor its server need be there yet."""
    url = urlsplit(settings.blob_url)
    if url.scheme == "file":
        return FolderBlobs(Path(unquote(url.path)))
    from shared.blobs.bucket import BucketBlobs  # noqa: PLC0415  # large; only who has a bucket loads it

    return BucketBlobs(url.netloc, url.path.strip("/"), settings)
