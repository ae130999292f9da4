"""Words by which sealed text is found again: keyed hashes of whole words, equal only within an account. Pure.

A text has words, addresses and order ids. Each is folded, so that it is found in any spelling that differs in case, width, accents,
umlauts written out, kinds of hyphens and quotes, or characters without width. The pages mark what was found by the same rules
(static/core/search_words.js); both are tested by the cases in tests/search_words.json.

What may be learned from the hashes alone is which messages share a word, and how often; see docs/adr/0010.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from shared.addresses import untagged_address
from shared.crypto.envelope import AccountKeys

# A message of 200,000 characters has some thousands of different words; the first ones name what it is about.
MAX_WORDS: Final = 1000

# Scripts that leave no blanks between words: Han, Hiragana, Katakana with its prolonged sound mark.
_UNSPACED: Final = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[^\W_])+")
_DASH: Final = re.compile("[\u2010-\u2015\u2212]")
# What stands before it keeps a long run of letters from being tried at each of them.
_ADDRESS: Final = re.compile(r"(?<![\w.+=%~-])[\w.+=%~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,10}")
_ORDER_ID: Final = re.compile(r"(?<![\w-])[0-9]{3}-[0-9]{7}-[0-9]{7}(?![\w-])")
# Letters that people without them on their keyboard write as two, or as another one.
_WRITTEN_OUT: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_SIMPLER: Final = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i"})  # noqa: RUF001 - the one without a dot is meant


def word_keys(keys: AccountKeys, *texts: str | None, addresses: Iterable[str | None] = ()) -> list[int]:
    """The keys by which a message is found, each once, at most `MAX_WORDS`: of its addresses, then of all words of two letters or more.

    Of `addresses` the domain is no word: every buyer has Amazon's.
    """
    found: dict[str, None] = {}
    for word in _all_words(texts, addresses):
        found.setdefault(word)
        if len(found) == MAX_WORDS:
            break
    return _hashed(keys, found)


def wanted_keys(keys: AccountKeys, query: str) -> list[int]:
    """The keys of what is looked for; a message is found if it has all of them."""
    return _hashed(keys, wanted_words(query))


def former_wanted_keys(keys: AccountKeys, query: str) -> list[int]:
    """The same for a message that was hashed before accents were folded and addresses were kept: `reprocess` has not come to it yet."""
    folded = unicodedata.normalize("NFKC", query).casefold()
    folded = "".join(character for character in folded if not unicodedata.combining(character))
    return _hashed(keys, _words_of(folded))


def wanted_words(query: str) -> list[str]:
    """What is looked for, each once: addresses and order ids as wholes, then the words beside them, in the spelling that finds most."""
    rest = fold(query)
    wholes: list[str] = []
    for pattern in (_ADDRESS, _ORDER_ID):
        wholes += pattern.findall(rest)
        rest = pattern.sub(" ", rest)
    return list(dict.fromkeys([*wholes, *(spellings(word)[0] for word in _words_of(rest))]))


def fold(text: str) -> str:
    """A text in which equal things are written in one way, but for accents, which words need to be told apart by `spellings`."""
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKC", text)
    # Characters without width (Cf), and marks that stay marks in the composed form, such as vowels of Arabic. Folding may leave one, too.
    folded = "".join(each for each in folded if unicodedata.category(each) != "Cf").casefold()
    return _DASH.sub("-", "".join(each for each in folded if unicodedata.category(each)[0] != "M"))


def spellings(word: str) -> tuple[str, ...]:
    """A folded word as it is written without accents: first with its umlauts written out, then with their dots left off."""
    if word.isascii() or re.match(f"[{_UNSPACED}]", word):
        return (word,)
    return tuple(dict.fromkeys((_without_accents(word.translate(_WRITTEN_OUT)), _without_accents(word))))


def _without_accents(word: str) -> str:
    apart = unicodedata.normalize("NFD", word.translate(_SIMPLER))
    return unicodedata.normalize(
        "NFC", "".join(each for each in apart if unicodedata.category(each)[0] != "M")
    )


def _all_words(texts: Iterable[str | None], addresses: Iterable[str | None]) -> Iterator[str]:
    for address in filter(None, addresses):
        folded = fold(address)
        yield from (folded, untagged_address(folded))
        for word in _words_of(folded.rpartition("@")[0]):
            yield from spellings(word)
    for text in filter(None, texts):
        folded = fold(text)
        for found in _ADDRESS.findall(folded):
            yield from (found, untagged_address(found))
        yield from _ORDER_ID.findall(folded)
        for word in _words_of(folded):
            yield from spellings(word)


def _words_of(folded: str) -> Iterator[str]:
    for run in _RUN.finditer(folded):
        word = run.group()
        if run["unspaced"] is not None:
            # Words of two characters are the most common ones, and longer ones are made of these.
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        elif len(word) >= 2:
            yield word


def _hashed(keys: AccountKeys, words: Iterable[str]) -> list[int]:
    # PostgreSQL's bigint has a sign.
    hashes = (keys.lookup_hash("word", word)[:8] for word in dict.fromkeys(words))
    return [int.from_bytes(each, "big", signed=True) for each in hashes]
