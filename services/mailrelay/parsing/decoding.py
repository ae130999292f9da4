"""What a person reads of headers, with their encoded words (RFC 2047), and of text. Nothing here raises."""

import binascii
import re
from collections.abc import Iterator
from itertools import islice

from services.mailrelay.parsing.charsets import choose_codec, codec_of, decode_as, decode_text
from services.mailrelay.parsing.transfer import decode_base64

# A word may be cut off where its header ends, or where the next one begins. Blanks and question marks inside of one are against RFC 2047 §2 and are seen.
# Lazy, where a possessive group would do: with a lookahead in one, Python before 3.11.5 reads too far (https://github.com/python/cpython/issues/100061).
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?(.*?)(?:\?=|\Z|(?==\?(?!=)))", re.DOTALL)
# What a fold or a cut left of an escape: a blank behind the sign, or no digits behind other escapes.
_FOLDED_ESCAPE = re.compile(rb"=[ \t\r\n]+(?=[0-9A-Fa-f]{2})")
_CUT_ESCAPE = re.compile(rb"(?<==[0-9A-Fa-f]{2})=[0-9A-Fa-f]?\Z")
# Each may cost a guess. A subject has one, or two where somebody has answered it.
_MAX_CHARSETS = 5
# A subject of 998 letters in base64 has a hundred.
_MAX_WORDS = 200
_ONLY_FOLDING = re.compile(r"[ \t\r\n]*")
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# C0 without tab and line feed, DEL and C1. PostgreSQL's text cannot hold NUL, and no reader wants the others.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def decode_header(value: bytes) -> str:
    """One header's value as a person reads it: unfolded, encoded words decoded, without control characters."""
    text = decode_text(re.sub(rb"\r?\n(?=[ \t])", b"", value), None)
    return _CONTROL.sub("", decode_words(text).replace("\t", " ").replace("\n", " ")).strip()


def decode_words(text: str) -> str:
    """Replace encoded words. Neighbours of one character set are joined as bytes first: Amazon cuts inside letters."""
    pieces = _join_words(text)
    contents: dict[str, list[bytes]] = {}
    for piece in pieces:
        if not isinstance(piece, str):
            contents.setdefault(piece[0], []).append(piece[1])
    if len(contents) > _MAX_CHARSETS:
        return text
    # All words that are said to be in one set tell together which it is.
    codecs = {charset: choose_codec(b" ".join(words), charset) for charset, words in contents.items()}
    return "".join(
        piece if isinstance(piece, str) else decode_as(piece[1], codecs[piece[0]]) for piece in pieces
    )


def _join_words(text: str) -> list[str | tuple[str, bytes]]:
    pieces: list[str | tuple[str, bytes]] = []
    for plain, charset, content in _split_words(text):
        before = pieces[-1] if pieces else ""
        # RFC 2047 §6.2: only blanks between two encoded words are not shown
        if plain and (isinstance(before, str) or charset is None or not _ONLY_FOLDING.fullmatch(plain)):
            pieces.append(plain)
            before = plain
        if charset is None:
            continue
        if not isinstance(before, str) and before[0] == charset:
            pieces[-1] = (charset, before[1] + content)
        else:
            pieces.append((charset, content))
    return pieces


def _split_words(text: str) -> Iterator[tuple[str, str | None, bytes]]:
    """Each encoded word with the plain text before it; at the end the plain text that is left."""
    position = 0
    charsets: dict[str, str] = {}
    cut_off = ""
    for match in islice(_ENCODED_WORD.finditer(text), _MAX_WORDS):
        charset, encoding, word = match.groups()
        plain = text[position : match.start()]
        if not _ONLY_FOLDING.fullmatch(plain):
            cut_off = ""
        if encoding in "bB":
            word, cut_off = _whole_groups(cut_off + "".join(word.split()))
            content = decode_base64(word.encode("utf-8", "replace"))
        else:
            content, cut_off = _decode_q(word.encode("utf-8", "replace")), ""
        # RFC 2231 §5: the language may stand behind the character set, `utf-8*en`.
        charset = charset.partition("*")[0].lower()
        if charset not in charsets:
            charsets[charset] = codec_of(charset) or charset
        yield plain, charsets[charset], content
        position = match.end()
    yield text[position:], None, b""


def _whole_groups(word: str) -> tuple[str, str]:
    """Base64 as far as it is whole, and what belongs to the next word: some programs cut the letters of base64 themselves.

    A word that only lacks its padding has no bits in its last letter that are of no byte.
    """
    surplus = len(word) % 4
    unused = {2: 0b1111, 3: 0b11}.get(surplus, 0)
    if "=" in word or surplus == 0 or (surplus > 1 and _BASE64.find(word[-1]) & unused == 0):
        return word, ""
    return word[:-surplus], word[-surplus:]


def _decode_q(word: bytes) -> bytes:
    return binascii.a2b_qp(_CUT_ESCAPE.sub(b"", _FOLDED_ESCAPE.sub(b"=", word)), header=True)


def clean_text(text: str) -> str:
    """Body text for a reader and for the database: LF, no control characters, no blanks at line ends, trimmed."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
