"""German pages say du, or Sie for who chose it: each set keeps to its own words, and no text of one is missing in the other."""

import re

import pytest

from services.connector.web.texts import SIE, own_texts, page_texts
from tests.german import DU_WORD, SIE_WORD

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def test_no_text_that_says_du_has_a_word_of_sie() -> None:
    assert {key: text for key, text in page_texts("de").items() if SIE_WORD.search(text)} == {}


def test_no_text_that_says_sie_has_a_word_of_du() -> None:
    assert {key: text for key, text in page_texts(SIE).items() if DU_WORD.search(text)} == {}


def test_every_text_that_says_du_has_its_twin() -> None:
    twins = own_texts(SIE)
    assert [key for key, text in page_texts("de").items() if DU_WORD.search(text) and key not in twins] == []


def test_a_twin_belongs_to_a_text_and_differs_from_it() -> None:
    german = page_texts("de")
    assert [key for key, text in own_texts(SIE).items() if german.get(key) in (None, text)] == []


def test_twins_have_the_same_placeholders() -> None:
    german = page_texts("de")
    differing = [
        key
        for key, text in own_texts(SIE).items()
        if sorted(_PLACEHOLDER.findall(german[key])) != sorted(_PLACEHOLDER.findall(text))
    ]
    assert differing == []


@pytest.mark.parametrize(
    "text",
    [
        "Gib den Code ein.", "Bitte gib den Code ein.", "Bitte wähle ein Land.", "Was möchtest du verbinden?", "Dein Store",
        "Wir schicken dir einen Link", "Klick auf {save}.", "Fang einfach an.", "Wer bei euch Replyco verwaltet", "Sieh in Seller Central nach.",
        "Das ging schief. Versuch es noch einmal.", "Lies unten, was Amazon schreibt", "Hak ab, was fertig ist",
    ],
)  # fmt: skip
def test_words_that_say_du_are_known(text: str) -> None:
    assert DU_WORD.search(text)
    assert not SIE_WORD.search(text)


@pytest.mark.parametrize(
    "text", ["Bitte wählen Sie ein Land.", "Ihr Store", "In Ihrem Postfach", "Es fehlt Ihnen etwas."]
)
def test_words_that_say_sie_are_known(text: str) -> None:
    assert SIE_WORD.search(text)
    assert not DU_WORD.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "Der nächste Versuch ist morgen.",
        "Ein Klick genügt.",
        "Mit ihr kommt ihre Adresse.",
        "Sprache und Land",
    ],
)
def test_words_that_address_nobody_are_let_through(text: str) -> None:
    assert not DU_WORD.search(text)
    assert not SIE_WORD.search(text)
