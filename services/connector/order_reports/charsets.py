"""Which letters a report's bytes are. Pure.

Amazon names the charset in the download's Content-Type, in Java's words, or not at all, and sometimes wrongly. So it is decided line by line,
and nothing need be read ahead: what is a byte order mark, or strict UTF-8, says so itself; the named charset is next, then the one that
reports of the country are usually in.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

UTF_8: Final = "utf-8"
_WESTERN: Final = "cp1252"
_JAPANESE: Final = "cp932"
# As they stand in a Content-Type, in lower case and without what does not tell them apart. ISO-8859-1 means Windows' charset: its
# control characters 0x80 to 0x9f are quotation marks there, and nobody writes control characters.
_NAMED: Final = {
    "utf8": UTF_8,
    "ascii": UTF_8,
    "usascii": UTF_8,
    "cp1252": _WESTERN,
    "windows1252": _WESTERN,
    "iso88591": _WESTERN,
    "latin1": _WESTERN,
    "iso885915": "iso8859-15",
    "iso88592": "iso8859-2",
    "iso88599": "cp1254",
    "cp1250": "cp1250",
    "windows1250": "cp1250",
    "cp1254": "cp1254",
    "windows1254": "cp1254",
    "cp1256": "cp1256",
    "windows1256": "cp1256",
    "shiftjis": _JAPANESE,
    "sjis": _JAPANESE,
    "xsjis": _JAPANESE,
    "mskanji": _JAPANESE,
    "ms932": _JAPANESE,
    "cp932": _JAPANESE,
    "cp943": _JAPANESE,
    "windows31j": _JAPANESE,
    "cswindows31j": _JAPANESE,
    "eucjp": "euc_jp",
    "gbk": "gbk",
    "gb2312": "gbk",
    "big5": "big5",
}
_EAST_ASIAN: Final = frozenset({_JAPANESE, "euc_jp", "gbk", "big5"})
_WIDE: Final = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_NO_LETTERS: Final = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class Charsets:
    """The charsets that are tried, in this order; in the last resort `usual` takes whatever comes."""

    tried: tuple[str, ...]
    usual: str

    def text_of(self, line: bytes) -> tuple[str, bool]:
        """The line's text, and whether all its bytes have a meaning."""
        for charset in self.tried:
            try:
                return line.decode(charset), True
            except UnicodeDecodeError:
                continue
        return line.decode(self.usual, "replace"), False


def charsets_of(content_type: str | None, country: str) -> Charsets:
    """How to read a report of this country whose download had this Content-Type."""
    found = _CHARSET.search(content_type or "")
    named = None if found is None else _NAMED.get(_NO_LETTERS.sub("", found[1].lower()))
    usual = _JAPANESE if country == "JP" else _WESTERN
    if named is None or named == UTF_8:
        return Charsets((UTF_8, usual), usual)
    # Where bytes may be both, an East Asian name counts: two half-width kana are also one letter of UTF-8.
    first = (named, UTF_8) if named in _EAST_ASIAN else (UTF_8, named)
    return Charsets(tuple(dict.fromkeys((*first, usual))), named)


def without_mark(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes without a byte order mark; those of UTF-16 as UTF-8, in which a line's end is one byte."""
    coming = iter(pieces)
    first = b""
    while len(first) < len(codecs.BOM_UTF8) and (piece := next(coming, None)) is not None:
        first += piece
    for mark, charset in _WIDE:
        if first.startswith(mark):
            yield from _narrowed(first[len(mark) :], coming, charset)
            return
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from coming


def _narrowed(first: bytes, rest: Iterable[bytes], charset: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(charset)("replace")
    yield decoder.decode(first).encode(UTF_8, "replace")
    for piece in rest:
        yield decoder.decode(piece).encode(UTF_8, "replace")
    yield decoder.decode(b"", final=True).encode(UTF_8, "replace")
