"""What each key-encryption key is good for at present, and what an operator does about it. Decided without a database.

Nobody is told to retire a key, or to make a new set, unless what is sealed opens without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyUse:
    """`wrapped`: how many data keys of accounts, and client secrets, this key-encryption key wraps. `opens`: whether the file's key of this id
    opens one of them; None if it wraps none, or is not in the file.
    """

    key_id: str
    is_current: bool
    is_in_file: bool
    wrapped: int
    opens: bool | None = None

    @property
    def is_missing(self) -> bool:
        """Whether something does not open, because the key is not in the file or another one stands in its place."""
        return not self.is_in_file or self.opens is False


def explained(uses: Sequence[KeyUse]) -> list[str]:
    """A line for each key; the file's come in the order in which they were made."""
    current = next((place for place, use in enumerate(uses) if use.is_current), len(uses))
    is_other_file = any(use.is_missing for use in uses)
    return [
        f"{use.key_id}: wraps {use.wrapped}, {_note(use, is_newer=place > current, is_other_file=is_other_file)}."
        for place, use in enumerate(uses)
    ]


def _note(use: KeyUse, *, is_newer: bool, is_other_file: bool) -> str:
    if use.is_missing:
        return (
            "NOT IN THE FILE: put it back from your copy"
            if not use.is_in_file
            else "NOT THE KEY OF THIS DATABASE: the file is another installation's, or of another time. Put yours back from your copy"
        )
    if is_other_file:
        return "not to be changed before the file is whole again"
    if use.is_current:
        return "the current one"
    if use.wrapped:
        return "`keys rewrap` frees it"
    return (
        f"new and not in use yet: when the file is on every machine, `keys use {use.key_id}`"
        if is_newer
        else f"not needed any more: `keys retire {use.key_id}`"
    )
