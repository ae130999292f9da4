"""Files that stand in a text in uuencode (POSIX `uuencode`), as mail had them before MIME.

Only what truly decodes is taken out of a text, line by line: nobody's words that begin with "begin" are touched.
"""

import binascii
import re
from dataclasses import dataclass
from itertools import islice

from services.mailrelay.parsing.transfer import decode_base64

_BEGIN = re.compile(
    rb"^begin(?P<base64>-base64)? [0-7]{3,4} (?P<name>[^\r\n]{1,255}?)[ \t]*\r?\n", re.MULTILINE
)
# A length, then as many letters; none of them is a small letter.
_LINE = re.compile(rb"[!-M][ -`]{2,61}")
_FULL_LINE = ord("M")
# As many as a mail may have parts; what follows is shown as it is.
_MAX_BEGINNINGS = 500
_LINE_OF_BASE64 = re.compile(rb"[A-Za-z0-9+/]{1,76}={0,2}")


@dataclass(frozen=True, slots=True)
class UuencodedFile:
    """A file that stood in a text."""

    name: bytes
    content: bytes


def split_uuencoded(text: bytes) -> tuple[bytes, list[UuencodedFile]]:
    """The text without its files, and the files."""
    kept: list[bytes] = []
    files: list[UuencodedFile] = []
    position = 0
    for begin in islice(_BEGIN.finditer(text), _MAX_BEGINNINGS):
        if begin.start() < position:
            continue
        read = _read_base64 if begin["base64"] else _read_lines
        found = read(text, begin.end())
        if found is not None:
            kept.append(text[position : begin.start()])
            files.append(UuencodedFile(begin["name"], found[0]))
            position = found[1]
    kept.append(text[position:])
    return b"".join(kept), files


def _read_lines(text: bytes, start: int) -> tuple[bytes, int] | None:
    """The file whose lines begin here and where it ends: with `end`, or in a whole line of data if it was cut off."""
    decoded: list[bytes] = []
    has_full_line = False
    position = start
    while position < len(text):
        line, following = _line_at(text, position)
        if line == b"end":
            return (b"".join(decoded), following) if decoded else None
        if line in {b"", b"`", b" "}:
            position = following
            if _line_at(text, following)[0] != b"end":
                break
            continue
        piece = _decode_line(line)
        if piece is None:
            break
        has_full_line |= line[0] == _FULL_LINE
        decoded.append(piece)
        position = following
    return (b"".join(decoded), position) if has_full_line else None


def _line_at(text: bytes, position: int) -> tuple[bytes, int]:
    end = text.find(b"\n", position, position + 1_000)
    if end < 0:
        return text[position : position + 100].removesuffix(b"\r"), min(len(text), position + 1_000)
    return text[position:end].removesuffix(b"\r"), end + 1


def _decode_line(line: bytes) -> bytes | None:
    if _LINE.fullmatch(line) is None:
        return None
    length = line[0] - 32
    # Whole groups of four; some programs leave the last one incomplete, some add a checksum.
    if not -(-length * 4 // 3) <= len(line) - 1 <= -(-length // 3) * 4 + 1:
        return None
    try:
        return binascii.a2b_uu(line[: 1 + -(-length // 3) * 4])
    except binascii.Error:
        return None


def _read_base64(text: bytes, start: int) -> tuple[bytes, int] | None:
    """The same in base64, which must end with its `====`."""
    position = start
    while position < len(text):
        line, following = _line_at(text, position)
        if line == b"====":
            return decode_base64(text[start:position]), following
        if _LINE_OF_BASE64.fullmatch(line) is None:
            return None
        position = following
    return None
