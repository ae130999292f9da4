"""Words by which sealed text is found: what is one, and what a hash gives away."""

import unicodedata
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.envelope import AccountKeys
from shared.search_words import MAX_WORDS, word_keys

_KEYS = AccountKeys(UUID(int=1), UUID(int=2), {UUID(int=2): b"k" * 32}, b"l" * 32)


def finds(query: str, text: str) -> bool:
    wanted = set(word_keys(_KEYS, query))
    return bool(wanted) and wanted <= set(word_keys(_KEYS, text))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("mühle", "Die MÜHLE mahlt zu grob."),
        ("grob mühle", "Die Mühle mahlt zu grob."),
        ("STRASSE", "Welche Straße?"),
        (unicodedata.normalize("NFD", "Mühle"), "Die Mühle"),
        ("don't", "I don't know"),
        ("IPX7", "wasserdicht nach \uff49\uff50\uff58\uff17?"),  # in full width
        ("istanbul", "İSTANBUL'dan"),
        ("返品", "返品したいのですが"),
        ("したい", "返品したいのですが"),
        ("ライト", "デスクライトが届きません"),
        ("ﾗｲﾄ", "デスクライトが届きません"),
        ("الطلب", "أين الطلب؟"),
        ("شكرا", "شُكْرًا"),
    ],
)
def test_a_word_is_found_in_any_spelling(query: str, text: str):
    assert finds(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("mühl", "Die Mühle"),  # whole words only
        ("grob fein", "Die Mühle mahlt zu grob."),
        ("品返", "返品"),
        ("a", "a b c"),
        ("!?", "!?"),
        ("", "words"),
    ],
)
def test_nothing_else_is_found(query: str, text: str):
    assert not finds(query, text)


def test_each_word_counts_once_over_all_texts():
    assert word_keys(_KEYS, "Mühle und mühle", None, "UND") == word_keys(_KEYS, "mühle und")


def test_the_words_of_a_long_message_are_bounded():
    assert len(word_keys(_KEYS, " ".join(f"word{number}" for number in range(5000)))) == MAX_WORDS


def test_another_account_has_other_keys():
    other = AccountKeys(UUID(int=3), UUID(int=2), {UUID(int=2): b"k" * 32}, b"m" * 32)

    assert not set(word_keys(_KEYS, "die mühle")) & set(word_keys(other, "die mühle"))


@given(st.text(max_size=300))
def test_any_text_gives_keys_that_the_database_takes(text: str):
    assert all(-(2**63) <= key < 2**63 for key in word_keys(_KEYS, text))
