"""Placeholders: which there are, how they are filled, and what a stranger's value can never do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.reply_templates.placeholders import (
    Placeholder,
    PlaceholderUnknown,
    check_placeholders,
    fill,
    first_name,
    marketplace_name,
    names_in,
)


def test_values_take_their_places_and_what_is_missing_stays_and_is_named():
    text = "Hallo {{buyer_first_name}},\nIhre Bestellung {{ order_id }} ({{order_id}}) kommt mit {{carrier}}."

    filled = fill(text, {Placeholder.ORDER_ID: "303-1234567-1234567", Placeholder.CARRIER: None})

    assert filled.text == (
        "Hallo {{buyer_first_name}},\nIhre Bestellung 303-1234567-1234567 (303-1234567-1234567) kommt mit {{carrier}}."
    )
    assert filled.missing == ("buyer_first_name", "carrier")


@pytest.mark.parametrize(
    "text",
    [
        "{{order}}",
        "{{#each items}}{{order_id}}{{/each}}",
        "{% for x in y %}",
        "{# comment #}",
        "{{order_id}",
        "{order_id}}",
        "{{order_id}}}}",
        "{{}}",
        "{{ order_id | upper }}",
        "{{{order_id}}}",
        "{{order\n_id}}",
        "{{ORDER_ID}}",
        "{{" * 1_000,
        "{{order_id}}{{",
    ],
)
def test_what_is_no_placeholder_of_ours_is_refused(text: str):
    with pytest.raises(PlaceholderUnknown):
        check_placeholders(text)


@pytest.mark.parametrize(
    "text", ["", "Hallo", "{{order_id}}", "a {b} c", "{ {order_id} }", "{{ asin }}{{carrier}}"]
)
def test_what_is_one_is_taken(text: str):
    check_placeholders(text)


@given(st.text(), st.text())
def test_a_value_is_never_read_as_a_placeholder(before: str, value: str):
    """Nor does it bring braces, line ends or signs that turn a text's direction."""
    filled = fill(f"{before}{{{{buyer_name}}}}", {Placeholder.BUYER_NAME: value + "{{order_id}}\u202e\n"})

    assert "order_id" not in names_in(filled.text.removeprefix(before))
    assert (
        not set(filled.text.removeprefix(before)) & set("{}\u202e\n\r\x00") or "buyer_name" in filled.missing
    )


@pytest.mark.parametrize(
    ("name", "country", "expected"),
    [
        ("Erika Beispiel", "DE", "Erika"),
        ("Beispiel, Erika", "DE", "Erika"),
        ("Beispiel, Erika Maria", "DE", "Erika"),
        ("Dr. Erika Beispiel", "DE", "Erika"),
        ("Frau Dr. Beispiel", "DE", None),
        ("Herr Beispiel", "DE", None),
        ("Mrs. Jane Doe", "GB", "Jane"),
        ("Jean-Luc Exemple", "FR", "Jean-Luc"),
        ("Conor O\u2019Example", "IE", "Conor"),
        ("Erika", "DE", "Erika"),
        ("erika", "DE", None),
        ("E. Beispiel", "DE", None),
        ("kim84", "DE", None),
        ("kim@mail.example", "DE", None),
        ("Lampen Beispiel GmbH", "DE", None),
        ("Example Ltd.", "GB", None),
        ("山田 太郎", "DE", None),
        ("Yamada Taro", "JP", None),
        ("", "DE", None),
        (" , ", "DE", None),
        (None, "DE", None),
    ],
)
def test_a_first_name_is_told_or_left_out(name: str | None, country: str, expected: str | None):
    assert first_name(name, country) == expected


def test_the_store_is_called_as_buyers_call_it():
    assert marketplace_name("DE") == "Amazon.de"
    assert marketplace_name("GB") == "Amazon.co.uk"
    assert marketplace_name(None) is None
    assert marketplace_name("XX") is None
