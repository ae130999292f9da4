"""What somebody looks for → by what it is found: an order, a buyer, a store's address, or words. Pure; see docs/adr/0010.

Text and addresses are sealed, so they are found by keyed hashes: a buyer by the whole address, all else by whole words.
"""

import re
from dataclasses import dataclass
from typing import Final

from shared.addresses import local_part_for, own_buyer_address, untagged_address
from shared.crypto.envelope import AccountKeys
from shared.errors import Expected
from shared.search_words import former_wanted_keys, wanted_keys, wanted_words

MAX_QUERY: Final = 200
# Of Chinese and Japanese, two characters make a word. Each costs a walk along an index.
MAX_WANTED: Final = 50
_ORDER_ID: Final = re.compile(r"\d{3}-\d{7}-\d{7}")


class SearchTooShort(Expected):
    """There is no word of two letters or more in what is looked for."""

    code = "search_too_short"


class SearchTooLong(Expected):
    """What is looked for has more than `MAX_WANTED` words."""

    code = "search_too_long"


@dataclass(frozen=True, slots=True)
class Search:
    """By what conversations are found: an order; the local part of an address of the account's own; a buyer, or a message with that
    address; or a message that has all of the words. `former_word_keys` is given where older messages have other hashes of the words.
    """

    order_id: str | None = None
    local_part: str | None = None
    buyer_key: bytes | None = None
    word_keys: tuple[int, ...] = ()
    former_word_keys: tuple[int, ...] | None = None


def search_of(query: str, keys: AccountKeys, mail_domain: str) -> Search:
    """What the caller looks for, by its form; `mail_domain` is that of our own addresses. Raises SearchTooShort, SearchTooLong."""
    words = wanted_words(query)
    if not words:
        raise SearchTooShort
    if len(words) > MAX_WANTED:
        raise SearchTooLong
    wanted = tuple(wanted_keys(keys, query))
    if len(words) == 1:
        [whole] = words
        if _ORDER_ID.fullmatch(whole):
            return Search(order_id=whole)
        if "@" in whole:
            return _search_of_address(whole, keys, mail_domain, wanted)
    former = tuple(former_wanted_keys(keys, query))
    # Both are of the same words in the same order, unless they are written in another way now.
    return Search(word_keys=wanted, former_word_keys=former if former and former != wanted else None)


def _search_of_address(address: str, keys: AccountKeys, mail_domain: str, wanted: tuple[int, ...]) -> Search:
    local_part = local_part_for(address, mail_domain)
    if local_part is not None:
        return Search(local_part=local_part)
    # With the tag of a thread, that thread alone is meant.
    buyer = own_buyer_address(address) if untagged_address(address) == address else None
    if buyer is None:
        return Search(word_keys=wanted)
    return Search(buyer_key=keys.lookup_hash("buyer", buyer), word_keys=wanted)
