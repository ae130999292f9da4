"""Names of integrations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.integrations.names import NameEmpty, NameTooLong, clean_name, name_key


@pytest.mark.parametrize(
    ("entered", "name"),
    [
        ("Europa", "Europa"),
        ("  Amazon   Europa\t", "Amazon Europa"),
        ("Gro\u0308\u00dfe", "Größe"),
        ("zwei\nZeilen", "zwei Zeilen"),
        ("un\u200bsichtbar\x00", "unsichtbar"),
        ("zwei \u200b Wörter", "zwei Wörter"),
        ("Gro\u200b\u0308\u00dfe", "Größe"),
        ("日本ストア", "日本ストア"),
        ("x" * 60, "x" * 60),
    ],
)
def test_a_name_is_cleaned(entered: str, name: str):
    assert clean_name(entered) == name


@pytest.mark.parametrize(
    ("one", "other"), [("Straße", "STRASSE"), ("Größe", "GRO\u0308SSE"), ("\uff21", "a")]
)
def test_names_that_look_the_same_are_the_same(one: str, other: str):
    assert name_key(clean_name(one)) == name_key(clean_name(other))


@given(st.text(max_size=200))
def test_whatever_is_entered_becomes_a_storable_name_or_a_named_error(entered: str):
    try:
        name = clean_name(entered)
    except (NameEmpty, NameTooLong):
        return

    assert 1 <= len(name) <= 60
    assert name.isprintable()
    assert name == name.strip()
    assert clean_name(name) == name
    assert name_key(name)
