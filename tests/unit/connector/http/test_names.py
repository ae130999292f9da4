"""Names that others read: nothing in them is invisible, or turns the text around them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from services.connector.http.request_types import NameLine

NAME: TypeAdapter[str] = TypeAdapter(NameLine)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Erika", "Erika"),
        ("  Erika ", "Erika"),
        ("\u202eakirE", "akirE"),
        ("Erika\u2069\u202e (Admin)", "Erika (Admin)"),
        ("Eri\u200bka\ufeff", "Erika"),
        # Markup is text, and what languages need to join or set apart letters is theirs.
        ("<b>Erika</b>", "<b>Erika</b>"),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
    ],
)
def test_what_nobody_sees_is_no_part_of_a_name(given: str, name: str):
    assert NAME.validate_python(given) == name


@pytest.mark.parametrize("given", ["\u200b", "\u202e\u2066 ", "Erika\nBcc: x@y.example", "Erika\x00"])
def test_a_name_can_be_seen_and_is_one_line(given: str):
    with pytest.raises(ValidationError):
        NAME.validate_python(given)
