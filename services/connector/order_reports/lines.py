"""A report's bytes → its lines as texts, many at a time. Pure.

Tab-separated without quoting: a `"` is a letter like any other, and no cell holds the end of a line.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from services.connector.order_reports.charsets import Charsets

# A row of every known column with long names takes some 8 KB.
MOST_LINE: Final = 1024 * 1024
# Control characters as blanks, but for those that part lines and cells: PostgreSQL takes no NUL, and nobody sees the others. No charset
# that is read has them in a letter of several bytes.
_AS_BLANKS: Final = bytes.maketrans(
    bytes(code for code in (*range(32), 127) if code not in b"\t\n\r"), b" " * 30
)


class Lines(NamedTuple):
    """Lines that follow each other. `strange`: which of them hold bytes that mean nothing. A line that is None was too long to be read."""

    texts: list[str | None]
    strange: frozenset[int] = frozenset()
    # The last one has no end: it may have been cut off.
    is_open: bool = False


def lines_of(pieces: Iterable[bytes], charsets: Charsets, *, most_line: int = MOST_LINE) -> Iterator[Lines]:
    """All lines, also empty ones, each once."""
    rest = b""
    is_skipping = False
    for piece in pieces:
        ended, line_end, after = piece.rpartition(b"\n")
        if not line_end:
            if is_skipping or len(rest) + len(after) > most_line:
                is_skipping, rest = True, b""
            else:
                rest += after
            continue
        block = (rest + ended).translate(_AS_BLANKS)
        rest = b"" if len(after) > most_line else after
        is_long = is_skipping
        is_skipping = len(after) > most_line
        yield _read(block, charsets, most_line, first_is_long=is_long)
    if is_skipping:
        yield Lines([None], is_open=True)
    elif rest:
        yield _read(rest.translate(_AS_BLANKS), charsets, most_line)._replace(is_open=True)


def _read(block: bytes, charsets: Charsets, most_line: int, *, first_is_long: bool = False) -> Lines:
    """Most blocks are one charset's throughout: they are read at once, and cut afterwards."""
    texts: list[str | None]
    strange: set[int] = set()
    try:
        texts = list(block.decode(charsets.tried[0]).split("\n"))
    except UnicodeDecodeError:
        texts, strange = _one_by_one(block, charsets)
    if b"\r" in block:
        texts = [text.removesuffix("\r") if text is not None else None for text in texts]
    if len(block) > most_line:
        texts = [text if text is not None and len(text) <= most_line else None for text in texts]
    if first_is_long:
        texts[0] = None
    return Lines(texts, frozenset(strange))


def _one_by_one(block: bytes, charsets: Charsets) -> tuple[list[str | None], set[int]]:
    texts: list[str | None] = []
    strange = set()
    for number, line in enumerate(block.split(b"\n")):
        text, is_good = charsets.text_of(line)
        texts.append(text)
        if not is_good:
            strange.add(number)
    return texts, strange
