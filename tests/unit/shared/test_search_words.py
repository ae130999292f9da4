"""Words by which sealed text is found: what is one, and what a hash gives away."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.envelope import AccountKeys
from shared.search_words import MAX_WORDS, former_wanted_keys, wanted_keys, wanted_words, word_keys

_KEYS = AccountKeys(UUID(int=1), UUID(int=2), {UUID(int=2): b"k" * 32}, b"l" * 32)


# What the pages mark by the same rules is tested with the same cases: tests/browser/test_page_modules.py.
_CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "search_words.json").read_text("utf-8")
)


def finds(query: str, text: str) -> bool:
    wanted = set(wanted_keys(_KEYS, query))
    return bool(wanted) and wanted <= set(word_keys(_KEYS, text))


@pytest.mark.parametrize(
    "case", _CASES, ids=[ascii(case["query"]) + " " + ascii(case["text"]) for case in _CASES]
)
def test_a_word_is_found_in_any_spelling_and_nothing_else_is(case: dict[str, Any]):
    assert finds(case["query"], case["text"]) is (case["marked"] is not None)


@given(st.text(max_size=100))
def test_whoever_looks_for_a_whole_text_finds_it(text: str):
    assert finds(text, text) or not wanted_words(text)


def test_of_a_buyers_address_the_whole_is_found_and_each_part_before_the_domain():
    keys = word_keys(_KEYS, "Hallo", addresses=("abc+tag@marketplace.amazon.de", None))

    for query in ("ABC+tag@marketplace.amazon.de", "abc@marketplace.amazon.de", "abc+tag", "abc", "hallo"):
        assert set(wanted_keys(_KEYS, query)) <= set(keys), query
    for query in ("marketplace", "amazon.de", "bc", "abc+other@marketplace.amazon.de"):
        assert not set(wanted_keys(_KEYS, query)) <= set(keys), query


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a@" * 100_000, "a." * 100_000, "@" * 200_000, "1-" * 100_000]
)
def test_no_text_takes_long(text: str):
    started = time.process_time()
    word_keys(_KEYS, "lampe " * 33_000)
    plain = time.process_time() - started
    started = time.process_time()
    word_keys(_KEYS, text)

    assert time.process_time() - started < 20 * plain + 0.2


def test_each_word_counts_once_over_all_texts():
    assert word_keys(_KEYS, "Mühle und mühle", None, "UND") == word_keys(_KEYS, "mühle und")


def test_the_words_of_a_long_message_are_bounded():
    assert len(word_keys(_KEYS, " ".join(f"word{number}" for number in range(5000)))) == MAX_WORDS


def test_what_was_hashed_before_is_looked_for_as_it_was():
    assert former_wanted_keys(_KEYS, "Straße") == word_keys(_KEYS, "strasse")
    assert former_wanted_keys(_KEYS, "Mühle") != wanted_keys(_KEYS, "Mühle")
    assert former_wanted_keys(_KEYS, "grobe Lampe") == wanted_keys(_KEYS, "grobe Lampe")


def test_another_account_has_other_keys():
    other = AccountKeys(UUID(int=3), UUID(int=2), {UUID(int=2): b"k" * 32}, b"m" * 32)

    assert not set(word_keys(_KEYS, "die mühle")) & set(word_keys(other, "die mühle"))


@given(st.text(max_size=300))
def test_any_text_gives_keys_that_the_database_takes(text: str):
    assert all(-(2**63) <= key < 2**63 for key in word_keys(_KEYS, text))
