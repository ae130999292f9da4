"""The attachments of a stored message with their contents, wherever these lie."""

from dataclasses import dataclass

import structlog

from shared.blobs import BlobDamaged, BlobMissing, BlobStore, fetch_sealed, sealed_or_blob
from shared.crypto.envelope import Sealed
from shared.tables import Attachment

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An attachment as it is stored. Without `content` its blob is gone or damaged: it is made anew of the raw mail."""

    row: Attachment
    content: Sealed | None


async def fetch_file(blobs: BlobStore, row: Attachment) -> StoredFile:
    """Fetch the content of an attachment. Raises BlobsUnavailable."""
    try:
        content = await fetch_sealed(blobs, sealed_or_blob(row.content, row.blob_key, row.blob_digest))
    except (BlobMissing, BlobDamaged) as lost:
        log.exception(lost.code, attachment_id=str(row.id))
        return StoredFile(row, None)
    return StoredFile(row, content)
