"""The files that docs/standards.md names are there, and every RFC that the code goes by is on the page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "standards.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`((?:services|shared|tests)/[\w/.]+)`", PAGE)))
CODE = [
    path
    for room in ("services/connector", "services/mailrelay", "shared")
    for path in (ROOT / room).rglob("*.py")
]


def test_the_page_names_files():
    assert len(NAMED) > 40


@pytest.mark.parametrize("path", NAMED)
def test_each_is_there(path: str):
    assert (ROOT / path).is_file()


def test_every_row_says_yes_partial_or_no():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| Standard")]

    assert {row.split(" | ")[1] for row in rows} == {"Yes", "Partial", "No"}


def test_every_rfc_that_the_code_goes_by_is_on_the_page():
    cited = {number for path in CODE for number in re.findall(r"RFC (\d{4})", path.read_text("utf-8"))}

    assert sorted(number for number in cited if f"RFC {number}" not in PAGE) == []
