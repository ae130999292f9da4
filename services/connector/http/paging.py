"""Keyset pages: a cursor holds the sort key of the last row seen, so that a page costs the same wherever it lies."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from uuid import UUID

from shared.errors import Expected

MAX_PAGE = 100
DEFAULT_PAGE = 50
_MAX_CURSOR = 200


class InvalidCursor(Expected):
    """The cursor does not come from us."""

    code = "invalid_cursor"


class ListTooSlow(Expected):
    """What was asked for has to be looked for in too much."""

    code = "list_too_slow"


def encode_cursor(at: datetime | None, row_id: UUID) -> str:
    """Where a page ended: its last row's time, if the list is sorted by one, and id."""
    content = json.dumps([at.isoformat() if at else None, row_id.hex], separators=(",", ":"))
    return urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime | None, UUID]:
    """The sort key at which a page begins: the time, if the list is sorted by one, and the id. Raises InvalidCursor."""
    if len(cursor) > _MAX_CURSOR:
        raise InvalidCursor
    try:
        at, row_id = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        parsed = None if at is None else datetime.fromisoformat(at)
        if parsed is not None and parsed.tzinfo is None:
            raise InvalidCursor
        # In UTC, because PostgreSQL's driver fails on a moment that has none, such as midnight of the year 1 in Auckland.
        return parsed and parsed.astimezone(UTC), UUID(hex=row_id)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidCursor from error
