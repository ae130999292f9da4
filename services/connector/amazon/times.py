"""Moments as the SP-API writes them: ISO 8601."""

from datetime import UTC, datetime


def time_text(time: datetime) -> str:
    """In UTC; what is finer than a millisecond is cut off. ValueError for a time without a zone."""
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    spec = "milliseconds" if time.microsecond else "seconds"
    return time.astimezone(UTC).isoformat(timespec=spec).replace("+00:00", "Z")


def time_of(told: object) -> datetime | None:
    """A moment of Amazon's. Without a zone it is UTC, as all of the SP-API's are; what cannot be read is not told."""
    if not isinstance(told, str):
        return None
    try:
        time = datetime.fromisoformat(told)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
