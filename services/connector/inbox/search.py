"""What somebody looks for → by what it is found: an order, a buyer, or words. Pure; see docs/adr/0010.

Text and addresses are sealed, so they are found by keyed hashes: an order and a buyer by the whole, a text by whole words.
"""

import re
from dataclasses import dataclass
from typing import Final

from shared.crypto.envelope import AccountKeys
from shared.errors import Expected
from shared.search_words import word_keys

MAX_QUERY: Final = 200
_ORDER_ID: Final = re.compile(r"\d{3}-\d{7}-\d{7}")


class SearchTooShort(Expected):
    """There is no word of two letters or more in what is looked for."""

    code = "search_too_short"


@dataclass(frozen=True, slots=True)
class Search:
    """By what conversations are found: one of these is given. All of the words must be in one message."""

    order_id: str | None = None
    buyer_key: bytes | None = None
    word_keys: tuple[int, ...] = ()


def search_of(query: str, keys: AccountKeys) -> Search:
    """What the caller looks for, by its form. Raises SearchTooShort."""
    asked = query.strip()
    if _ORDER_ID.fullmatch(asked):
        return Search(order_id=asked)
    if "@" in asked:
        return Search(buyer_key=keys.lookup_hash("buyer", asked.lower()))
    words = tuple(word_keys(keys, asked))
    if not words:
        raise SearchTooShort
    return Search(word_keys=words)
