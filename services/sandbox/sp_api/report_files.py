"""A report as a file: its lines in the right charset, compressed or not, and with the flaws that scenarios want. Never held whole."""

import codecs
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from services.sandbox.sp_api.report_lines import columns_of, header, lines, made_up_lines
from services.sandbox.state.order_making import place
from services.sandbox.state.orders import PlacedOrder
from services.sandbox.state.reports import Report, ReportStatus
from services.sandbox.state.sellers import Seller, make_order
from shared.marketplaces import BY_COUNTRY, BY_ID

# Java's names of charsets, as Amazon writes them.
CODECS: Final = {"UTF-8": "utf-8", "Cp1252": "cp1252", "Shift_JIS": "cp932", "": "utf-8"}
_GZIP: Final = 31
_CHUNK_BYTES: Final = 64 * 1024
_BOMB_BYTES: Final = 8 * 1024**3
_HUGE_BYTES: Final = 4 * 1024**3
_FATAL: Final = "The report could not be made: an internal error occurred. Please request it again later.\r\n"


def charset_of(report: Report) -> str:
    """The charset that the download's Content-Type names."""
    if report.delivery.charset is not None:
        return report.delivery.charset
    countries = {BY_ID[marketplace_id].country for marketplace_id in report.marketplace_ids}
    if "JP" in countries:
        return "Shift_JIS"
    return "UTF-8" if countries & {"US", "CA", "MX", "BR", "AU", "SG"} else "Cp1252"


def content_type(report: Report) -> str:
    charset = charset_of(report)
    return f"text/plain; charset={charset}" if charset else "text/plain"


def written(report: Report, seller: Seller, orders: Iterable[PlacedOrder]) -> bytes | None:
    """The report's file, compressed; None if it has no line."""
    columns = columns_of(report, seller)
    compressor = zlib.compressobj(6, wbits=_GZIP)
    content = compressor.compress(_encoded(report, header(columns)))
    is_empty = True
    for line in lines(report, columns, orders):
        content += compressor.compress(_encoded(report, line))
        is_empty = False
    return None if is_empty else content + compressor.flush()


def read_out(report: Report, seller: Seller) -> Iterator[bytes]:
    """What the download sends, in pieces. It is compressed if `is_compressed` says so."""
    if "report-zip-bomb" in report.flaws:
        return _bomb()
    plain = _flawed(report, _plain(report, seller))
    if report.delivery.byte_order_mark:
        plain = chain([codecs.BOM_UTF8], plain)
    return _compressed(plain) if report.delivery.compressed else plain


def is_compressed(report: Report) -> bool:
    return report.delivery.compressed or "report-zip-bomb" in report.flaws


def _plain(report: Report, seller: Seller) -> Iterator[bytes]:
    if report.outcome is ReportStatus.FATAL:
        yield _FATAL.encode()
        return
    rows = report.delivery.rows
    if "report-huge" in report.flaws or rows is not None:
        yield from _made_up(report, seller, rows)
        return
    decompressor = zlib.decompressobj(wbits=_GZIP)
    content = report.content or b""
    for start in range(0, len(content), _CHUNK_BYTES):
        yield decompressor.decompress(content[start : start + _CHUNK_BYTES])


def _made_up(report: Report, seller: Seller, rows: int | None) -> Iterator[bytes]:
    columns = columns_of(report, seller)
    like = _example_order(report, seller)
    sent = 0
    yield _encoded(report, header(columns))
    for some in made_up_lines(report, columns, like, rows if rows is not None else 10**9):
        piece = _encoded(report, some)
        yield piece
        sent += len(piece)
        if rows is None and sent > _HUGE_BYTES:
            return


def _example_order(report: Report, seller: Seller) -> PlacedOrder:
    """The order that made-up lines look like: one by the seller in the report's first country, created when it begins."""
    country = BY_ID[report.marketplace_ids[0]].country
    return place(seller.seller_id, make_order(seller.seller_id, BY_COUNTRY[country], 0), report.starts_at)


def _encoded(report: Report, text: str) -> bytes:
    charset = charset_of(report)
    codec = report.delivery.written_in or CODECS[charset]
    if "report-wrong-charset" in report.flaws:
        # The header says one thing, the bytes are another.
        codec = "cp1252" if charset == "UTF-8" else "utf-8"
    return text.encode(codec, "replace")


def _flawed(report: Report, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if "report-column-twice" in report.flaws:
        pieces = _with_column_twice(pieces)
    return _cut_in_line(pieces) if "report-cut" in report.flaws else pieces


def _with_column_twice(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The third column is there once more at the end, with the same values."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\r\n")
        yield b"".join(line + b"\t" + line.split(b"\t")[2] + b"\r\n" for line in whole)


def _cut_in_line(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """All but the second half of the last line."""
    held = b""
    for piece in pieces:
        if held:
            yield held
        held = piece
    yield held[: max(0, len(held) - 100)]


def _compressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(1, wbits=_GZIP)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def _bomb() -> Iterator[bytes]:
    """Eight gigabytes of one letter in eight megabytes: the same compressed block again and again."""
    compressor = zlib.compressobj(9, wbits=_GZIP)
    block = b"x" * 16 * 1024 * 1024
    yield compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    again = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    for _ in range(_BOMB_BYTES // len(block)):
        yield again
