"""The words in a cell → a value, as they are written in the country of the marketplace. Pure.

Nothing here guesses in silence: what is no value of the column's type raises ValueError, and what had to be assumed is told.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from services.connector.order_reports.columns import CellType
from shared.marketplaces import TIME_ZONES

# Where a comma stands before the cents.
_WITH_COMMA: Final = frozenset({"DE", "FR", "IT", "ES", "NL", "BE", "SE", "PL", "TR", "BR", "ZA"})
# Money without cents: what looks like a thousandth is a thousand.
_WITHOUT_CENTS: Final = frozenset({"JPY", "KRW", "CLP", "VND"})
_PLAIN_AMOUNT: Final = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,4})?")
_THOUSANDTHS: Final = re.compile(r"[+-]?[0-9]{1,3}\.[0-9]{3}")
# Apostrophes and blanks, also narrow ones, between thousands; currencies' signs and letters around the number.
_ORNAMENTS: Final = re.compile(r"[\s'\u2019\u00a0\u202f]|[A-Z]{3}|[$€£¥￥₺₹₩]|R\$|kr|zł|TL")
_AMOUNT: Final = re.compile(r"([+-]?)([0-9]+(?:[.,][0-9]+)*)([+-]?)")
LARGEST: Final = Decimal(10) ** 14
_STEP: Final = Decimal("0.0001")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,10}(?:[.,]0{1,2})?")
_LARGEST_INTEGER: Final = 2_000_000_000
_TRUE: Final = frozenset({"true", "yes", "y", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "0"})
_MOST_JSON: Final = 100_000

_EARLIEST: Final = datetime(1995, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
# Which part of a date comes first. Amazon's own is ISO 8601, wherever it is.
_MONTH_FIRST: Final = frozenset({"US"})
_LOCAL: Final = re.compile(
    r"([0-9]{1,4})([./-])([0-9]{1,2})\2([0-9]{1,4})\.?"
    r"(?:[ T,]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?(?: ?([AaPp])\.?[Mm]\.?)?)?"
    r"(?: ?(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}|[A-Z]{2,5}))?"
)


class Assumed(ValueError):
    """The value is good as far as it goes, but something in it had to be assumed."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


@lru_cache(20_000)
def amount_of(words: str, country: str, currency: str | None) -> Decimal:
    """An amount, also a negative one. Raises ValueError."""
    if _PLAIN_AMOUNT.fullmatch(words) and not _THOUSANDTHS.fullmatch(words):
        amount = Decimal(words)
    else:
        amount = _written_amount(words, country, currency)
    if abs(amount) >= LARGEST:
        raise ValueError("more than there is")
    return amount


def _written_amount(words: str, country: str, currency: str | None) -> Decimal:
    bare = _ORNAMENTS.sub("", words.replace("−", "-"))  # noqa: RUF001 - a minus of typographers
    if bare.startswith("(") and bare.endswith(")"):
        bare = "-" + bare[1:-1]
    found = _AMOUNT.fullmatch(bare)
    if found is None or (found[1] and found[3]):
        raise ValueError("no amount")
    number, sign = found[2], found[1] or found[3]
    point = _decimal_point(number, country, currency)
    whole, _, cents = number.rpartition(point) if point else (number, "", "")
    digits = whole.replace(".", "").replace(",", "")
    amount = Decimal(f"{sign}{digits}.{cents or 0}")
    # What is larger has more digits than `quantize` takes, and is refused by its size.
    if abs(amount) < LARGEST and amount != amount.quantize(_STEP):
        raise ValueError("more than four digits behind the point")
    return amount


def _decimal_point(number: str, country: str, currency: str | None) -> str:
    """The sign before the cents, or nothing."""
    last = max(number.rfind("."), number.rfind(","))
    if last < 0:
        return ""
    sign, behind = number[last], len(number) - last - 1
    other = "," if sign == "." else "."
    if other in number:
        return sign
    if number.count(sign) > 1:
        return ""
    if behind == 3 and not number.startswith("0"):
        # 1.234: a thousand where the point parts thousands, or where there are no cents.
        usual = "," if country in _WITH_COMMA else "."
        return sign if sign == usual and currency not in _WITHOUT_CENTS else ""
    return sign


def integer_of(words: str) -> int:
    """A whole number. Raises ValueError."""
    if not _INTEGER.fullmatch(words):
        raise ValueError("no whole number")
    number = int(re.split("[.,]", words)[0])
    if abs(number) > _LARGEST_INTEGER:
        raise ValueError("more than there is")
    return number


def truth_of(words: str) -> bool:
    """Raises ValueError."""
    word = words.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("neither yes nor no")


def time_of(words: str, country: str) -> datetime:
    """A moment. Raises ValueError, or Assumed: without a zone, ISO's is UTC, a local one the marketplace's."""
    try:
        time = datetime.fromisoformat(words)
    except ValueError:
        return _local_time(words, country)
    if time.tzinfo is None:
        raise Assumed(_within_reason(time.replace(tzinfo=UTC)))
    return _within_reason(time)


def _within_reason(time: datetime) -> datetime:
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        raise ValueError("no time of ours") from None
    if not _EARLIEST <= time < _LATEST:
        raise ValueError("no time of ours")
    return time


def _local_time(words: str, country: str) -> datetime:
    found = _LOCAL.fullmatch(words)
    if found is None:
        raise ValueError("no time")
    year, month, day = _date_parts(found, country)
    hour = int(found[5] or 0)
    if found[8]:
        hour = hour % 12 + (12 if found[8] in "Pp" else 0)
    local = datetime(year, month, day, hour, int(found[6] or 0), int(found[7] or 0))  # noqa: DTZ001 - it gets its zone below
    zone = found[9]
    if zone in {"Z", "UTC", "GMT"}:
        return _within_reason(local.replace(tzinfo=UTC))
    if zone and zone[0] in "+-":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        return _within_reason(local.replace(tzinfo=timezone(offset if zone[0] == "+" else -offset)))
    raise Assumed(_within_reason(local.replace(tzinfo=_zone(country))))


def _date_parts(found: re.Match[str], country: str) -> tuple[int, int, int]:
    first, middle, last = int(found[1]), int(found[3]), int(found[4])
    if len(found[1]) == 4:
        return first, middle, last
    year = last if len(found[4]) == 4 else 2000 + last
    if country in _MONTH_FIRST or (country == "CA" and middle > 12):
        return year, first, middle
    return year, middle, first


@cache
def _zone(country: str) -> ZoneInfo:
    return ZoneInfo(TIME_ZONES.get(country, "UTC"))


def json_of(words: str) -> str:
    """The words, if they are JSON. Raises ValueError."""
    if len(words) > _MOST_JSON:
        raise ValueError("too long")
    try:
        json.loads(words)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return words


def reader_of(cell_type: CellType, country: str) -> Callable[[str], object] | None:
    """What reads a cell of this type in this country; None for text, which is what it is, and for amounts, which need their currency."""
    readers: dict[CellType, Callable[[str], object]] = {
        CellType.INTEGER: integer_of,
        CellType.BOOLEAN: truth_of,
        CellType.JSON: json_of,
        CellType.DATETIME: lambda words: time_of(words, country),
    }
    return readers.get(cell_type)
