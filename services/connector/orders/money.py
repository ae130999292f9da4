"""Amounts as they go over the wire: a decimal as text, with the digits of its currency, so that no reader's floating point rounds it. Pure."""

from decimal import Decimal
from typing import Final

from babel.numbers import get_currency_precision

_MOST_DIGITS: Final = 4


def amount_text(amount: Decimal | None, currency: str | None) -> str | None:
    """49.9 in EUR is "49.90", in JPY "49.9": digits are added as the currency has them, and none that says something is taken away."""
    if amount is None:
        return None
    digits = 2 if currency is None else min(get_currency_precision(currency), _MOST_DIGITS)
    said = max(digits, -int(amount.normalize().as_tuple().exponent))
    return f"{amount:.{said}f}"
