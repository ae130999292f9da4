"""Words by which sealed text is found again: keyed hashes of whole words, equal only within an account. Pure.

What may be learned from the hashes alone is which messages share a word, and how often; see docs/adr/0010.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from shared.crypto.envelope import AccountKeys

# A message of 200,000 characters has some thousands of different words; the first ones name what it is about.
MAX_WORDS: Final = 1000

# Scripts that leave no blanks between words: Han, Hiragana, Katakana with its prolonged sound mark.
_UNSPACED: Final = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[^\W_])+")


def word_keys(keys: AccountKeys, *texts: str | None) -> list[int]:
    """The keys of all words of two letters or more, each once, at most `MAX_WORDS`. A search is cut into words as a message is.

    Only complete words are found, in any spelling that differs in case, width or marks of vowels alone.
    """
    found: dict[str, None] = {}
    for text in texts:
        for word in _words(text or ""):
            found.setdefault(word)
            if len(found) == MAX_WORDS:
                return _hashed(keys, found)
    return _hashed(keys, found)


def _hashed(keys: AccountKeys, words: dict[str, None]) -> list[int]:
    # PostgreSQL's bigint has a sign.
    return [int.from_bytes(keys.lookup_hash("word", word)[:8], "big", signed=True) for word in words]


def _words(text: str) -> Iterator[str]:
    for run in _RUN.finditer(_folded(text)):
        word = run.group()
        if run["unspaced"] is not None:
            # Words of two characters are the most common ones, and longer ones are made of these.
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        elif len(word) >= 2:
            yield word


def _folded(text: str) -> str:
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Marks that stay marks in the composed form: vowels of Arabic, the dot that casefold leaves of a Turkish capital i.
    return "".join(character for character in folded if not unicodedata.combining(character))
