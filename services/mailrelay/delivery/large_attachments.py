"""Attachments that are too large for their rows lie in the blob store, as raw mail does: durable there before the row commits."""

from collections.abc import Iterable

from services.mailrelay.delivery.message_rows import AttachmentRow
from shared.blobs import BlobStore


async def put_large_attachments(
    blobs: BlobStore, rows: Iterable[AttachmentRow], inline_limit_bytes: int
) -> None:
    """Put the large ones of these into the blob store; their rows name them then. Raises BlobsUnavailable, BlobsFull.

    No transaction is open meanwhile. What is put and gets no row is swept.
    """
    for row in rows:
        sealed = row["content"]
        if sealed is not None and len(sealed.ciphertext) > inline_limit_bytes:
            blob = await blobs.put(row["id"], sealed.ciphertext)
            row["content"], row["blob_key"], row["blob_digest"] = None, blob.key, blob.digest
