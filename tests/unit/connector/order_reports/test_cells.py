"""Cells as they are written in different countries."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.connector.order_reports.cells import (
    Assumed,
    amount_of,
    integer_of,
    json_of,
    time_of,
    truth_of,
)
from shared.marketplaces import MARKETPLACES

_COUNTRIES = sorted(marketplace.country for marketplace in MARKETPLACES)


@pytest.mark.parametrize(
    ("words", "country", "currency", "amount"),
    [
        ("12.34", "DE", "EUR", "12.34"),
        ("12,34", "DE", "EUR", "12.34"),
        ("1.234,56", "DE", "EUR", "1234.56"),
        ("1,234.56", "US", "USD", "1234.56"),
        ("1 234,56", "FR", "EUR", "1234.56"),
        ("1\u202f234,56", "FR", "EUR", "1234.56"),
        ("1.234", "DE", "EUR", "1234"),
        ("1.234", "US", "USD", "1.234"),
        ("1,234", "US", "USD", "1234"),
        ("1,234", "DE", "EUR", "1.234"),
        ("0.125", "DE", "EUR", "0.125"),
        ("1.234.567", "DE", "EUR", "1234567"),
        ("1,200", "JP", "JPY", "1200"),
        ("1.200", "JP", "JPY", "1200"),
        ("¥1,200", "JP", "JPY", "1200"),
        ("-5.00", "GB", "GBP", "-5"),
        ("5.00-", "DE", "EUR", "-5"),
        ("(5.00)", "US", "USD", "-5"),
        ("−5,00", "SE", "SEK", "-5"),  # noqa: RUF001
        ("EUR 7,50", "DE", "EUR", "7.5"),
        ("R$ 1.234,50", "BR", "BRL", "1234.5"),
        ("0", "DE", "XXQ", "0"),
        ("99999999999999.99", "US", "USD", "99999999999999.99"),
    ],
)
def test_an_amount_is_read_as_its_country_writes_it(words, country, currency, amount):
    assert amount_of(words, country, currency) == Decimal(amount)


@pytest.mark.parametrize(
    "words",
    [
        "NaN",
        "Infinity",
        "1e5",
        "1_000",
        "free",
        "-",
        "1..2",
        "--5",
        "-5-",
        "1.23456789",
        "9" * 15,
        "1" + "0" * 24,
        "١٢",
    ],
)
def test_what_is_no_amount_is_refused(words):
    with pytest.raises(ValueError, match=r"."):
        amount_of(words, "DE", "EUR")


_NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "country"),
    [
        ("2026-11-28T12:00:00+00:00", "DE"),
        ("2026-11-28T12:00:00Z", "DE"),
        ("2026-11-28T21:00:00+09:00", "JP"),
        ("2026-11-28T04:00:00-08:00", "US"),
        ("28.11.2026 12:00:00 UTC", "DE"),
        ("28/11/2026 12:00 GMT", "GB"),
        ("11/28/2026 12:00:00 PM UTC", "US"),
        ("2026/11/28 21:00:00 +0900", "JP"),
    ],
)
def test_a_time_with_a_zone_is_that_moment(words, country):
    assert time_of(words, country) == _NOON


@pytest.mark.parametrize(
    ("words", "country"),
    [
        ("2026-11-28T12:00:00", "DE"),
        ("28.11.2026 13:00", "DE"),
        ("28.11.26 13:00:00", "DE"),
        ("28.11.2026 13:00 MEZ", "DE"),
        ("28/11/2026 12:00:00", "GB"),
        ("28-11-2026 13:00", "NL"),
        ("11/28/2026 4:00 AM", "US"),
        ("11/28/26 04:00:00", "US"),
        ("2026/11/28 21:00", "JP"),
        ("28/11/2026 23:00", "AU"),
    ],
)
def test_without_a_zone_it_is_the_marketplaces_and_told(words, country):
    with pytest.raises(Assumed) as assumed:
        time_of(words, country)

    assert assumed.value.value == _NOON


@pytest.mark.parametrize(
    "words",
    [
        "yesterday",
        "31.02.2026",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "99.99.9999",
        "28.11.2026 25:00",
        "1790000000",
    ],
)
def test_what_is_no_time_is_refused(words):
    with pytest.raises(ValueError, match=r".") as refused:
        time_of(words, "DE")

    assert not isinstance(refused.value, Assumed)


@pytest.mark.parametrize(("words", "truth"), [("TRUE", True), ("false", False), ("Yes", True), ("n", False)])
def test_yes_and_no_have_several_spellings(words, truth):
    assert truth_of(words) is truth


def test_a_quantity_that_may_be_one_or_a_thousand_is_refused():
    assert integer_of("3.0") == 3
    with pytest.raises(ValueError, match=r"."):
        integer_of("1,000")


@pytest.mark.parametrize("words", ['{"a": [1]', "[" * 100_000, '"' + "a" * 200_000 + '"'])
def test_broken_deep_or_huge_json_is_refused(words):
    with pytest.raises(ValueError, match=r"."):
        json_of(words)


@settings(max_examples=150)
@given(words=st.text(max_size=40), country=st.sampled_from(_COUNTRIES))
def test_any_words_are_a_value_or_refused(words, country):
    for read in (
        lambda: amount_of(words, country, None),
        lambda: time_of(words, country),
        lambda: integer_of(words),
    ):
        try:
            read()
        except ValueError:
            continue


@settings(max_examples=100)
@given(cents=st.integers(-(10**12), 10**12))
def test_amounts_survive_both_ways_of_writing(cents):
    amount = Decimal(cents).scaleb(-2)
    english = f"{amount:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))

    assert amount_of(english, "US", "USD") == amount_of(german, "DE", "EUR") == amount
