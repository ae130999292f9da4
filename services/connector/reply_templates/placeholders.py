"""Placeholders such as `{{order_id}}`: which there are, and how a text is filled with a conversation's values. Pure.

A text is filled once, from left to right: what a value holds is never read as a placeholder.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import Expected
from shared.marketplaces import BY_COUNTRY


class Placeholder(StrEnum):
    """What a text may name. From `order_status` on, what our copy of the order says (order_values.py); without one they have no value."""

    ORDER_ID = "order_id"
    ASIN = "asin"
    BUYER_NAME = "buyer_name"
    BUYER_FIRST_NAME = "buyer_first_name"
    MARKETPLACE = "marketplace"
    STORE_NAME = "store_name"
    AGENT_NAME = "agent_name"
    ORDER_STATUS = "order_status"
    ORDER_DATE = "order_date"
    ORDER_TOTAL = "order_total"
    ITEM_TITLES = "item_titles"
    SHIP_BY = "ship_by"
    DELIVER_BY = "deliver_by"
    TRACKING_NUMBER = "tracking_number"
    CARRIER = "carrier"


# Longer ones are no names of ours; they are named in a problem all the same, as far as this.
_NAMED: Final = re.compile(r"\{\{[ \t]{0,5}([^{}\n]{0,60}?)[ \t]{0,5}\}\}")
# What looks like the language of another template: loops, conditions, comments.
_STATEMENT: Final = re.compile(r"\{[%#]|[%#]\}")
_TITLES: Final = frozenset(
    {"herr", "frau", "hr", "fr", "dr", "prof", "dipl", "ing", "mr", "mrs", "ms", "miss", "mx", "sir", "m", "mme", "mlle", "sig", "sra", "sr", "dott"}
)  # fmt: skip
# Where the family's name comes first, the first word is no first name.
_FAMILY_FIRST: Final = frozenset({"JP"})
_FAMILY_FIRST_SCRIPT: Final = re.compile("[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_COMPANY: Final = re.compile(
    r"\b(?:gmbh|ag|ug|kg|ohg|e\.?\s?k|mbh|ltd|limited|llc|inc|sarl|s\.?r\.?l|s\.?p\.?a|b\.?v|oy|ab)\b\.?",
    re.IGNORECASE,
)


class PlaceholderUnknown(Expected):
    """The text names a placeholder that does not exist, or tries to do more than to name one."""

    code = "placeholder_unknown"


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its values; `missing` are the placeholders that stayed because they have none, in the order of the text."""

    text: str
    missing: tuple[str, ...]


def check_placeholders(text: str) -> None:
    """Check a template as it is stored. Raises PlaceholderUnknown."""
    known = {placeholder.value for placeholder in Placeholder}
    unknown = [name for name in names_in(text) if name not in known]
    statement = _STATEMENT.search(text)
    rest = _NAMED.sub("", text)
    # A brace beside a placeholder would stay beside its value.
    if statement is not None or "{{" in rest or "}}" in rest or "{{{" in text or "}}}" in text:
        unknown.append("{{" if statement is None else statement[0])
    if unknown:
        raise PlaceholderUnknown(names=", ".join(unknown[:5]), known=", ".join(sorted(known)))


def names_in(text: str) -> tuple[str, ...]:
    """What stands in double braces, each once, in the order of the text."""
    return tuple(dict.fromkeys(match[1] for match in _NAMED.finditer(text)))


def fill(text: str, values: Mapping[Placeholder, str | None]) -> Filled:
    """Put the values in. Without one, a placeholder stays."""
    known = {placeholder.value: value for placeholder in Placeholder if (value := values.get(placeholder))}
    filled = _NAMED.sub(lambda match: _plain(known[match[1]]) if match[1] in known else match[0], text)
    return Filled(filled, tuple(name for name in names_in(text) if name not in known))


def first_name(name: str | None, country: str | None) -> str | None:
    """The first name in a buyer's name, or None where that would be a guess."""
    if name is None or country in _FAMILY_FIRST or _FAMILY_FIRST_SCRIPT.search(name) or _COMPANY.search(name):
        return None
    # "Beispiel, Erika"
    family, comma, given = name.partition(",")
    words = (given if comma else family).split()
    untitled = [word for word in words if word.strip(".").casefold() not in _TITLES]
    # "Frau Beispiel" has none.
    if not untitled or (len(untitled) == 1 and len(words) > 1 and not comma):
        return None
    first = untitled[0].strip(".")
    # Initials say too little, and an account's name such as "kim84" is none.
    is_name = len(first) > 1 and all(character.isalpha() or character in "-'\u2019" for character in first)
    return first if is_name and (comma or len(untitled) > 1 or first[0].isupper()) else None


def marketplace_name(country: str | None) -> str | None:
    """How buyers call the store: Amazon.de, Amazon.co.uk."""
    marketplace = BY_COUNTRY.get(country or "")
    return None if marketplace is None else marketplace.retail_domain.capitalize()


def _plain(value: str) -> str:
    """A stranger's value in one line, without braces, control characters and signs that turn its direction."""
    line = " ".join(value.split())
    return "".join(
        character
        for character in line
        if character not in "{}" and unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
