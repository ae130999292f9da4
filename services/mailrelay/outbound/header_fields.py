"""One header field at a time, as it stands in a mail: ASCII only, folded, and never more than one field. Pure.

Written by hand and not with the standard library's `email` policies: these fold a long message id or a file name into encoded-words,
where RFC 2047 §5 forbids them, and have let line ends within encoded-words begin new fields (CPython issues 85725, 121650).
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

# RFC 5322 §2.1.1: how long a line should be, without its end. It must not be longer than 998.
_LINE: Final = 78
# RFC 2047 §2: an encoded-word has at most 75 characters. Base64 makes 56 of 42 bytes, and with `=?UTF-8?B?` and `?=` there is
# room for ` name="` in the line.
_WORD_BYTES: Final = 42
# A word that is longer is encoded, so that it can be folded; a tag of Amazon's is not, although its line is longer than it should be.
_LONGEST_PLAIN_WORD: Final = 250
# Percent-encoded, in one line with its name and number.
_PIECE: Final = 60
# RFC 5322 has no bound. Amazon's have some 80; more than this, and a line could become longer than 998.
_MAX_MESSAGE_ID: Final = 300
# The first, which every mail of the thread has, and the newest ones.
_MAX_REFERENCES: Final = 20
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]+>")
# What readers that look for no quotes take rightly, too: a semicolon would begin another parameter for them.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9 !#$&()+,.@^_`{}~-]+")
# Controls, and what some programs take for a line end (NEL, U+2028, U+2029).
_NO_LETTER: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
# They turn around how the words behind them are read: an order number could be made to look like another one. Marks for single
# letters (U+200E, U+200F) stay, as Arabic and Hebrew need them. The last one is a byte order mark, which some readers leave out.
_TURNING: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def single_line(text: str) -> str:
    """A text of any origin as one line of words with single blanks between them."""
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _TURNING.sub("", text))
    return _NO_LETTER.sub(" ", text).strip(" ")


def text_field(name: str, text: str) -> str:
    """A field whose value is words for people, such as Subject. Only the words from the first to the last one beyond ASCII are
    encoded: order numbers and Amazon's tags can be read as they stand.
    """
    words = single_line(text).split(" ")
    foreign = [position for position, word in enumerate(words) if not _is_plain(word)]
    if foreign:
        first, last = foreign[0], foreign[-1]
        words[first : last + 1] = encoded_words(" ".join(words[first : last + 1]))
    return _folded(name, words)


def encoded_words(text: str) -> list[str]:
    """The text as encoded-words (RFC 2047), cut between letters. They are to stand beside each other, a blank between them."""
    return [f"=?UTF-8?B?{b64encode(piece.encode()).decode()}?=" for piece in _pieces(text)]


def message_ids(values: Iterable[str]) -> tuple[str, ...]:
    """Of these, what is a message id, each once, at most 20: the first one, and the last ones."""
    found = list(dict.fromkeys(value for value in values if is_message_id(value)))
    return tuple(found[:1] + found[1:][-(_MAX_REFERENCES - 1) :])


def is_message_id(value: str) -> bool:
    """Whether a text can stand as a message id in a header: printable ASCII in angle brackets, and not too long."""
    return len(value) <= _MAX_MESSAGE_ID and _MESSAGE_ID.fullmatch(value) is not None


def message_ids_field(name: str, ids: Iterable[str]) -> str:
    return _folded(name, list(ids))


def file_fields(content_type: str, name: str) -> Iterator[str]:
    """Content-Type and Content-Disposition of a file with that name.

    Any other name than a plain one is given as RFC 2231 has it, and in Content-Type as encoded-words, which that RFC does not know but readers
    older than it do.
    """
    if _PLAIN_NAME.fullmatch(name):
        yield f'Content-Type: {content_type};\r\n name="{name}"'
        yield f'Content-Disposition: attachment;\r\n filename="{name}"'
        return
    old = "\r\n ".join(encoded_words(name))
    yield f'Content-Type: {content_type};\r\n name="{old}"'
    yield ";\r\n ".join(["Content-Disposition: attachment", *_extended_parameter("filename", name)])


def _extended_parameter(parameter: str, value: str) -> list[str]:
    """RFC 2231 §4, and §3 if it does not fit into one line. Cut between letters, as some readers decode each piece by itself."""
    pieces = [""]
    for letter in value:
        encoded = quote(letter, safe="")
        if len(pieces[-1]) + len(encoded) > _PIECE:
            pieces.append("")
        pieces[-1] += encoded
    if len(pieces) == 1:
        return [f"{parameter}*=UTF-8''{pieces[0]}"]
    charset = ("UTF-8''", *("" for _ in pieces[1:]))
    return [
        f"{parameter}*{number}*={prefix}{piece}"
        for number, (prefix, piece) in enumerate(zip(charset, pieces, strict=True))
    ]


def _is_plain(word: str) -> bool:
    # What looks like an encoded-word would be decoded.
    return word.isascii() and "=?" not in word and len(word) <= _LONGEST_PLAIN_WORD


def _pieces(text: str) -> Iterator[str]:
    piece, size = "", 0
    for letter in text:
        width = len(letter.encode())
        if size + width > _WORD_BYTES:
            yield piece
            piece, size = "", 0
        piece, size = piece + letter, size + width
    yield piece


def _folded(name: str, words: list[str]) -> str:
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _LINE and lines[-1].strip():
            # RFC 5322 §3.2.2: a line of blanks alone is obsolete, so the first word stays beside the name whatever its length.
            if len(lines) == 1 and lines[0] == f"{name}:":
                lines[0] += f" {word}"
                continue
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)
