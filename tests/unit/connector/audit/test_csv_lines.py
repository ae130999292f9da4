"""Exports are read by spreadsheets, which run whatever looks like a formula."""

import pytest

from services.connector.audit.csv_lines import lines, safe


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\u00a0=1",
        "\uff1dcmd",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
    ],
)
def test_what_would_be_a_formula_is_a_text(cell: str):
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["", "Anna", "2026-11-28T09:30:00+00:00", "a=b", "303-1234567-1234567", "'x"]
)
def test_everything_else_stays_as_it_is(cell: str):
    assert safe(cell) == cell


def test_quotes_commas_and_line_ends_stay_inside_their_cell():
    assert lines([['a "b"', "c,d", "e\nf"], ["=x", "", "g"]]) == '"a ""b""","c,d","e\nf"\r\n\'=x,,g\r\n'
