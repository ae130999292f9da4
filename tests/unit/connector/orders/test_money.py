"""Amounts as text: with the digits of the currency, and none lost."""

from decimal import Decimal

import pytest

from services.connector.orders.money import amount_text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("49.9000", "EUR", "49.90"),
        ("0", "EUR", "0.00"),
        ("-5", "EUR", "-5.00"),
        ("49.9999", "EUR", "49.9999"),
        ("4990.0000", "JPY", "4990"),
        ("4990.5", "JPY", "4990.5"),
        ("1.5", "BHD", "1.500"),
        ("1E+3", "EUR", "1000.00"),
        ("99999999999999.9999", "EUR", "99999999999999.9999"),
        # A currency that nobody knows, and none.
        ("7", "XQQ", "7.00"),
        ("7", None, "7.00"),
    ],
)
def test_an_amount_has_the_digits_of_its_currency_and_loses_none(amount, currency, text):
    assert amount_text(Decimal(amount), currency) == text


def test_without_an_amount_there_is_none():
    assert amount_text(None, "EUR") is None
