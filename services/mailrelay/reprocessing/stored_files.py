"""The attachments of a stored message with their contents, wherever these lie, beside those that the parser of today finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from services.mailrelay.delivery.message_rows import AttachmentRow, attachment_row
from services.mailrelay.parsing.filenames import safe_filename
from services.mailrelay.parsing.mail import ParsedAttachment
from shared.blobs import BlobDamaged, BlobMissing, BlobStore, fetch_sealed, sealed_or_blob
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.driver import new_id
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


def are_same(files: Sequence[StoredFile], parsed: Sequence[ParsedAttachment], keys: AccountKeys) -> bool:
    """Whether the parser finds what is stored."""
    return [_of_stored(file, keys) for file in files] == [_of_parsed(attachment) for attachment in parsed]


def attachment_rows(
    files: Sequence[StoredFile], parsed: Sequence[ParsedAttachment], keys: AccountKeys, message_id: UUID
) -> tuple[list[AttachmentRow], list[AttachmentRow]]:
    """The attachments that keep their ids, because their content is the same, and those that are new."""
    left = {
        file.row.id: keys.open(Place("attachments", "content", file.row.id), file.content)
        for file in files
        if file.content is not None
    }
    kept: list[AttachmentRow] = []
    new: list[AttachmentRow] = []
    for position, attachment in enumerate(parsed):
        same = next((key for key, content in left.items() if content == attachment.content), None)
        row = attachment_row(attachment, keys, message_id, position, same or new_id())
        if same is None:
            new.append(row)
        else:
            del left[same]
            kept.append(row)
    return kept, new


def _of_stored(file: StoredFile, keys: AccountKeys) -> tuple[object, ...]:
    attachment = file.row

    def opened(column: str, sealed: Sealed) -> bytes:
        return keys.open(Place("attachments", column, attachment.id), sealed)

    return (
        None if file.content is None else opened("content", file.content),
        opened("filename", attachment.filename).decode(),
        attachment.content_type,
        attachment.sniffed_type,
        None if attachment.content_id is None else opened("content_id", attachment.content_id).decode(),
    )


def _of_parsed(attachment: ParsedAttachment) -> tuple[object, ...]:
    return (
        attachment.content,
        safe_filename(attachment.filename, attachment.content_type),
        attachment.content_type,
        attachment.sniffed_type,
        attachment.content_id if attachment.is_inline else None,
    )
