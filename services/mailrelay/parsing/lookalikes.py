"""Whether a text reads "Amazon" to a hurried person: by the skeleton of its letters (Unicode Technical Standard 39).

Compared are letters as they look, without accents, invisible signs and what stands between them. A longer word that is one of its own, as
in `Amazonas Reisen`, is no reading of it; `amazonseller` is.
"""

import re
import tomllib
import unicodedata
from importlib.resources import files
from typing import Final

_WORD: Final = "amazon"
# What makes another word of it, up to the word's end: Amazonas, Amazonia, Amazonie, Amazonite, the Amazons of the myth and their kin.
_OTHER_WORDS: Final = frozenset(
    {"as", "e", "en", "es", "ia", "ian", "ians", "ica", "ico", "ie", "ien", "iens", "ienne", "ische", "ischen", "it", "ite"}
    | {"ites", "ka", "ki", "ense", "io"}
)  # fmt: skip
# A first name of Central Asia, and the family names made of it.
_OTHER_NAME: Final = "ramazon"
# The letters that are blank (Hangul fillers, and what is drawn as nothing).
_BLANK: Final = dict.fromkeys(map(ord, "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"))
_RIGHT_TO_LEFT: Final = re.compile("[\u202b\u202e\u2067]")
_NEW_WORD: Final = re.compile("(?<=[a-z])(?=[A-Z])")
_UNSEEN: Final = frozenset({"Mn", "Me", "Cf", "Lm"})
_LETTERS: Final = re.compile(r"[^\W\d_]+")


def reads_amazon(text: str) -> bool:
    """Whether a person may read "Amazon" there, as a word or as the beginning, middle or end of one that is no other word."""
    # A sign may let letters run from right to left.
    ways = [text, text[::-1]] if _RIGHT_TO_LEFT.search(text) else [text]
    # `Am@zon` is read with a letter there, `Amazon@home` with a sign.
    ways += [way.replace("@", "a") for way in ways if "@" in way]
    return any(_is_named(way) or _is_in(_LETTERS.findall(_skeleton(way))) for way in ways)


def _is_named(text: str) -> bool:
    """Whether the name stands there in the letters of a country that has its own."""
    return _NAMES.search(_plain(text).casefold()) is not None


def _is_in(words: list[str]) -> bool:
    return any(map(_is_in_word, words)) or any(
        _begins_here(words[at : at + len(_WORD)]) for at in range(len(words))
    )


def _is_in_word(word: str) -> bool:
    at = -1 if word.startswith(_OTHER_NAME) else word.find(_WORD)
    while at >= 0:
        if word[at + len(_WORD) :] not in _OTHER_WORDS:
            return True
        at = word.find(_WORD, at + 1)
    return False


def _begins_here(words: list[str]) -> bool:
    """Whether these words begin with its letters in several pieces: `A m a z o n`, `Ama-zon`."""
    read = ""
    for count, word in enumerate(words, 1):
        read += word
        if len(read) >= len(_WORD):
            # `Ama Zongo` is a person's name; `A m a z o nService` is none.
            is_spelt = all(len(letter) == 1 for letter in words[: count - 1])
            return (
                count > 1 and read.startswith(_WORD) and (read == _WORD or (is_spelt and _is_in_word(read)))
            )
        if not _WORD.startswith(read):
            return False
    return False


def _plain(text: str) -> str:
    """The text without accents, invisible signs, and signs that only modify a letter."""
    letters = unicodedata.normalize("NFKD", text).translate(_BLANK)
    return "".join(letter for letter in letters if unicodedata.category(letter) not in _UNSEEN)


def _skeleton(text: str) -> str:
    seen = _plain(text)
    seen = _NEW_WORD.sub(" ", seen.translate(_LOOKALIKES)).casefold().translate(_LOOKALIKES)
    for pair, letter in _PAIRS.items():
        seen = seen.replace(pair, letter)
    return seen


_DATA: Final = tomllib.loads(files(__package__).joinpath("lookalikes.toml").read_text("utf-8"))
_ALL: Final = {
    alike: letter
    for which in ("unicode", "others")
    for letter, entries in _DATA[which].items()
    for alike in entries
}
_LOOKALIKES: Final = {ord(alike): letter for alike, letter in _ALL.items() if len(alike) == 1}
_PAIRS: Final = {alike: letter for alike, letter in _ALL.items() if len(alike) > 1}
_NAMES: Final = re.compile(
    "|".join(
        _plain(name) + "".join(f"(?!{_plain(other)})" for other in others)
        for name, others in _DATA["names"].items()
    )
)
