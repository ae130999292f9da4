"""How dates, times and lists are written for a reader: in their language, and as their region has it. English in Britain is no American one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_time, get_timezone
from babel.lists import format_list

from services.connector.http.language import Language

# Where nothing is known of the region, dates are not American: most English that is read in the world is not.
_ANYWHERE: Final = {Language.DE: Locale("de"), Language.EN: Locale("en", "001")}
_UTC: Final = "UTC"


@dataclass(frozen=True, slots=True)
class Reading:
    """A language with its region, and the clock that the reader goes by; UTC, said so, if nobody knows it."""

    language: Language
    locale: Locale
    time_zone: str = _UTC

    def day(self, at: datetime) -> str:
        return format_date(self._local(at), format="long", locale=self.locale)

    def moment(self, at: datetime) -> str:
        """Day and time. The month is a word: 11/12 is another day for each half of the world."""
        local = self._local(at)
        day = format_date(local, format="medium", locale=self.locale)
        time = format_time(local, format="short", locale=self.locale)
        return f"{day}, {time}" + (" UTC" if self.time_zone == _UTC else "")

    def listed(self, names: Sequence[str]) -> str:
        return format_list(names, locale=self.locale)

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(get_timezone(self.time_zone))


def reading_of_header(language: Language, accept_language: str | None) -> Reading:
    """By the region that a browser names with this language, else by the first one that it names."""
    tags = [item.partition(";")[0].strip() for item in (accept_language or "")[:200].split(",")]
    same = [tag for tag in tags if tag.lower().partition("-")[0] == language]
    regions = [part for tag in [*same, *tags] for part in tag.split("-")[1:] if len(part) == 2]
    return Reading(language, _locale(language, regions[0].upper() if regions else None))


def reading_of_zone(language: Language, time_zone: str) -> Reading:
    """By the country of a time zone, for people of whom nothing else is known: who get a mail."""
    known = get_global("zone_aliases").get(time_zone, time_zone)
    return Reading(language, _locale(language, get_global("zone_territories").get(known)), time_zone)


@lru_cache(maxsize=512)
def _locale(language: Language, territory: str | None) -> Locale:
    if territory is None or not territory.isalpha():
        return _ANYWHERE[language]
    try:
        return Locale(language.value, territory)
    except UnknownLocaleError:
        return _ANYWHERE[language]
