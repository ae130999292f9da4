"""What each key-encryption key is good for at present, and what an operator does about it. Decided without a database.

Nobody is told to retire a key, or to make a new set, unless what is sealed opens without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.crypto.key_ages import KEY_LIFETIME, age_told, is_overdue


@dataclass(frozen=True, slots=True)
class KeyUse:
    """`made_at`: None if nothing says it. `wrapped`: how many data keys of accounts, and client secrets, this key-encryption key wraps. `opens`: whether the file's key of this id
    opens one of them; None if it wraps none, or is not in the file.
    """

    key_id: str
    is_current: bool
    is_in_file: bool
    wrapped: int
    opens: bool | None = None
    made_at: datetime | None = None
    is_in_kms: bool = False

    @property
    def is_missing(self) -> bool:
        """Whether something does not open, because the key is not in the file or another one stands in its place."""
        return not self.is_in_file or self.opens is False


@dataclass(frozen=True, slots=True)
class DataKeyAges:
    """The data keys that accounts are sealed with at present: how many, how many of them are overdue, and when the oldest was made."""

    count: int
    overdue: int
    oldest: datetime | None

    @property
    def told(self) -> str:
        if self.oldest is None:
            return "none"
        told = f"{self.count}, the oldest made {self.oldest:%Y-%m-%d}"
        return (
            f"{told}. OVERDUE after {KEY_LIFETIME.days} days: {self.overdue} of them, `keys rotate-data-keys`"
            if self.overdue
            else told
        )


def explained(uses: Sequence[KeyUse], now: datetime) -> list[str]:
    """A line for each key; the file's come in the order in which they were made."""
    current = next((place for place, use in enumerate(uses) if use.is_current), len(uses))
    is_other_file = any(use.is_missing for use in uses)
    return [
        f"{use.key_id}: wraps {use.wrapped}, {_note(use, now, is_newer=place > current, is_other_file=is_other_file)}."
        for place, use in enumerate(uses)
    ]


def is_any_overdue(uses: Sequence[KeyUse], ages: DataKeyAges, now: datetime) -> bool:
    """Whether the key that wraps, or a data key that seals, should have been replaced by now. One that is only kept to open has no age."""
    return ages.overdue > 0 or any(
        use.is_current and not use.is_in_kms and is_overdue(use.made_at, now) for use in uses
    )


def _note(use: KeyUse, now: datetime, *, is_newer: bool, is_other_file: bool) -> str:
    if use.is_missing:
        return (
            "NOT IN THE FILE: put it back from your copy"
            if not use.is_in_file
            else "NOT THE KEY OF THIS DATABASE: the file is another installation's, or of another time. Put yours back from your copy"
        )
    if is_other_file:
        return "not to be changed before the file is whole again"
    if use.is_current and use.is_in_kms:
        return "the current one, kept by AWS KMS; whether it is replaced each year is set and seen there"
    if use.is_current:
        return f"the current one, {age_told(use.made_at, now, '`keys rotate`, then `keys rewrap`')}"
    if use.wrapped:
        return "`keys rewrap` frees it"
    return (
        "not in use yet: when every process knows of it, `keys use kms`"
        if use.is_in_kms
        else f"new and not in use yet: when the file is on every machine, `keys use {use.key_id}`"
        if is_newer
        else f"not needed any more: `keys retire {use.key_id}`"
    )
