"""How dates and lists are written: by the reader's language and region, never American for somebody else."""

from datetime import UTC, datetime

import pytest

from services.connector.http.language import Language
from services.connector.http.reading import reading_of_header, reading_of_zone

AT = datetime(2026, 11, 4, 2, 30, tzinfo=UTC)
# Unicode's data put a narrow space before AM and PM.
_NARROW = "\u202f"


@pytest.mark.parametrize(
    ("header", "day", "names"),
    [
        ("en-GB,en;q=0.9", "4 November 2026", "A, B and C"),
        ("en-US,en;q=0.9", "November 4, 2026", "A, B, and C"),
        # The pages are in English, the browser is a German one.
        ("de-DE,de;q=0.9,en;q=0.5", "4 November 2026", "A, B and C"),
        ("en", "4 November 2026", "A, B and C"),
        ("en-QQ", "4 November 2026", "A, B and C"),
        ("zh-Hans-CN", "4 November 2026", "A, B and C"),
        (",;q,-,en-1", "4 November 2026", "A, B and C"),
        (None, "4 November 2026", "A, B and C"),
    ],
)
def test_english_is_written_as_in_the_region_that_a_browser_names(header: str | None, day: str, names: str):
    reading = reading_of_header(Language.EN, header)

    assert reading.day(AT) == day
    assert reading.listed(["A", "B", "C"]) == names


@pytest.mark.parametrize("header", ["de-DE", "de", "en-US,de", "de-CH", None])
def test_german_is_german_whatever_else_the_browser_speaks(header: str | None):
    reading = reading_of_header(Language.DE, header)

    assert reading.day(AT) == "4. November 2026"
    assert reading.moment(AT) == "04.11.2026, 02:30 UTC"


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("Europe/London", "4 Nov 2026, 02:30"),
        ("Europe/Berlin", "4 Nov 2026, 03:30"),
        ("America/New_York", "Nov 3, 2026, 9:30 PM"),
        ("Asia/Calcutta", "4 Nov 2026, 8:00 am"),
        ("UTC", "4 Nov 2026, 2:30 am UTC"),
        ("Etc/GMT+3", "3 Nov 2026, 11:30 pm"),
    ],
)
def test_a_mail_in_english_is_written_as_where_its_reader_lives(zone: str, moment: str):
    written = reading_of_zone(Language.EN, zone).moment(AT)

    assert written.replace(_NARROW, " ") == moment
