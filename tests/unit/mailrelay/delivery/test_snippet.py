"""The beginning of a message as a list shows it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailrelay.delivery.snippet import MAX_SNIPPET_CHARS, snippet_of


@pytest.mark.parametrize(
    ("text", "snippet"),
    [
        ("Wann kommt meine Lampe?", "Wann kommt meine Lampe?"),
        ("Guten Tag,\n\n  wann\tkommt\u00a0sie?\n", "Guten Tag, wann kommt sie?"),
        ("> Ihre Lampe ist unterwegs.\nWo ist sie?\n  > Ende", "Wo ist sie?"),
        ("", None),
        (" \n\t\n", None),
        ("> nothing of their own", None),
        ("Am 2.11.2026 um 10:00 schrieb Shop <a@shop.example>:\n> Welche?\n\nDie rote.", "Die rote."),
        ("x\u202egpj.exe", "xgpj.exe"),
        ("\u2067مرحبا\u2069 أين طلبي؟", "مرحبا أين طلبي؟"),  # noqa: RUF001 - Arabic
        ("a\x00b\x1b[31m", "a b [31m"),
    ],
)
def test_a_snippet_is_the_first_words_on_one_line_without_quotes(text, snippet):
    assert snippet_of(text) == snippet


def test_a_long_text_ends_with_a_whole_word_and_an_ellipsis():
    snippet = snippet_of("Ich warte seit zwei Wochen, " * 20)

    assert snippet is not None
    assert snippet.endswith("Ich warte seit zwei Wochen, Ich warte seit zwei…")
    assert len(snippet) <= MAX_SNIPPET_CHARS


def test_a_text_without_blanks_is_cut_between_letters_not_inside_of_one():
    snippet = snippet_of("g" * 158 + "u\u0308" * 10)

    assert snippet == "g" * 158 + "…"


def test_a_text_of_exactly_the_limit_is_whole():
    assert snippet_of("x" * MAX_SNIPPET_CHARS) == "x" * MAX_SNIPPET_CHARS


def test_what_is_quoted_far_above_does_not_hide_the_words_for_ever():
    assert snippet_of("> old\n" * 500 + "Neu") == "Neu"


@given(st.text(max_size=600))
def test_any_text_becomes_one_bounded_line(text):
    snippet = snippet_of(text)

    assert snippet is None or (0 < len(snippet) <= MAX_SNIPPET_CHARS and snippet == snippet.strip())
    assert not any(unicodedata.category(character) == "Cc" for character in snippet or "")
