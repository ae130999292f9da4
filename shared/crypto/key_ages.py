"""How old keys may become, and what an operator reads of a key's age.

Twelve months for every kind: within what NIST SP 800-57 part 1 (rev. 5, §5.3.6) proposes for keys that encrypt data or wrap keys, which is two
years and less. A look-up key has no such end: what it has hashed cannot be hashed anew without opening all of it (docs/adr/0010).
"""

from datetime import UTC, datetime, timedelta
from typing import Final

KEY_LIFETIME: Final = timedelta(days=365)


def is_overdue(made_at: datetime | None, now: datetime) -> bool:
    """Whether a key that is in use should have been replaced by now. One whose age nobody knows counts as overdue."""
    return made_at is None or now - made_at >= KEY_LIFETIME


def age_told(made_at: datetime | None, now: datetime, cure: str) -> str:
    """A key's age in words; `cure` is what to do when it is overdue."""
    if made_at is None:
        return f"OVERDUE: nothing says when it was made; {cure}"
    days = max((now - made_at).days, 0)
    told = f"made {made_at:%Y-%m-%d}, {days} day{'' if days == 1 else 's'} ago"
    return f"{told}. OVERDUE after {KEY_LIFETIME.days}: {cure}" if is_overdue(made_at, now) else told


def read_time(text: object) -> datetime | None:
    """When a key was made, as its file says it; None if it does not. Raises ValueError, TypeError."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError("no time")
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def written_time(at: datetime) -> str:
    """What `read_time` reads."""
    return at.astimezone(UTC).isoformat(timespec="seconds")
