"""Attachments that are too large for their rows lie in the blob store, as raw mail does: durable there before the row commits."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from services.mailrelay.delivery.message_rows import AttachmentRow
from shared.blobs import BlobsFull, BlobStore, BlobsUnavailable


async def put_large_attachments(
    blobs: BlobStore, rows: Sequence[AttachmentRow], inline_limit_bytes: int
) -> None:
    """Put the large ones of these into the blob store; their rows name them then. Raises BlobsUnavailable, BlobsFull.

    No transaction is open meanwhile. If one cannot be put, those before it are removed: the next attempt puts them under new keys,
    and a store that is full must not be filled by attempts.
    """
    try:
        for row in rows:
            sealed = row["content"]
            if sealed is not None and len(sealed.ciphertext) > inline_limit_bytes:
                blob = await blobs.put(row["id"], sealed.ciphertext)
                row["content"], row["blob_key"], row["blob_digest"] = None, blob.key, blob.digest
    except (BlobsUnavailable, BlobsFull):
        await remove_large_attachments(blobs, rows)
        raise


async def remove_large_attachments(blobs: BlobStore, rows: Iterable[AttachmentRow]) -> None:
    """Remove what was put for rows of which it is certain that they are not stored. What cannot be removed now is swept."""
    for row in rows:
        if row["blob_key"] is not None:
            with suppress(BlobsUnavailable, BlobsFull):
                await blobs.remove(row["blob_key"])
