"""Files that are downloaded: from inside a mail, of a reply, or a whole mail. Pure."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from services.connector.inbox.content_types import IMAGES, SAFE, UNKNOWN
from services.connector.inbox.filenames import content_disposition

FILE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {
            content_type: {"schema": {"type": "string", "format": "binary"}}
            for content_type in (UNKNOWN, *sorted(SAFE))
        },
    }
}


PICTURE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The picture.",
        "content": {
            content_type: {"schema": {"type": "string", "format": "binary"}}
            for content_type in sorted(IMAGES)
        },
    }
}


@dataclass(frozen=True, slots=True)
class Download:
    """A file, and in which conversation it is."""

    filename: str
    content_type: str
    content: bytes
    conversation_id: UUID


def download_headers(download: Download) -> dict[str, str]:
    """The headers of a stranger's bytes: whatever they are, no browser may run them as ours."""
    return {
        # Here, not as media_type: that would claim a charset for text, which nobody has checked.
        "Content-Type": download.content_type,
        "Content-Disposition": content_disposition(download.filename),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store, private",
    }
