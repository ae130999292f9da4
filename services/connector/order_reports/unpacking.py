"""A report's bytes as they come → its bytes without compression, in pieces, within bounds. Pure.

Whether it is compressed is read off the bytes, not off what Amazon says of the document: on the way something may have unpacked it.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from shared.errors import Expected

MOST_BYTES: Final = 4 * 1024**3
_PIECE: Final = 256 * 1024
_GZIP: Final = b"\x1f\x8b"
_WITH_GZIP_HEADER: Final = 31
# Reports shrink to a fifth or a twentieth. Until so much has come, a long run of empty cells proves nothing.
_MOST_RATIO: Final = 200
_BEFORE_RATIO: Final = 16 * 1024**2


class ReportTooLarge(Expected):
    """The report goes on beyond the bound; what came before it is good."""

    code = "report_too_large"


class ZipBomb(Expected):
    """The report unpacks to so many times its size that it is no report."""

    code = "report_zip_bomb"


class ReportDamaged(Expected):
    """What came is no whole file: it ends too early, or its check sum is wrong."""

    code = "report_damaged"


def unpacked(chunks: Iterable[bytes], *, most_bytes: int = MOST_BYTES) -> Iterator[bytes]:
    """The report in pieces of some 256 KB. Raises ReportTooLarge, ZipBomb or ReportDamaged behind the pieces that were good."""
    coming = iter(chunks)
    first = b""
    while len(first) < len(_GZIP) and (chunk := next(coming, None)) is not None:
        first += chunk
    whole = _rejoined(first, coming)
    total = 0
    for piece in _gunzipped(whole) if first.startswith(_GZIP) else _in_pieces(whole):
        if total + len(piece) > most_bytes:
            yield piece[: most_bytes - total]
            raise ReportTooLarge(most_bytes=most_bytes)
        total += len(piece)
        yield piece


def _rejoined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _in_pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """All members of a gzip file (RFC 1952, section 2.2). What follows the last one is passed over, as gzip itself does."""
    unpacker = zlib.decompressobj(_WITH_GZIP_HEADER)
    came = told = 0
    for chunk in chunks:
        came += len(chunk)
        rest = chunk
        while rest:
            if unpacker.eof:
                if not rest.startswith(_GZIP[: len(rest)]):
                    return
                unpacker = zlib.decompressobj(_WITH_GZIP_HEADER)
            try:
                piece = unpacker.decompress(rest, _PIECE)
            except zlib.error:
                raise ReportDamaged(reason="zlib") from None
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            told += len(piece)
            if told > _BEFORE_RATIO and told > came * _MOST_RATIO:
                raise ZipBomb(bytes_in=came, bytes_out=told)
            if piece:
                yield piece
    if not unpacker.eof:
        raise ReportDamaged(reason="ends_early")
