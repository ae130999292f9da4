"""What the services say themselves addresses nobody: no du and no Sie, so that it is written once for every account."""

import ast
import json
from functools import cache
from pathlib import Path

import pytest

from services.connector.http.language import Language
from services.connector.problems.validation import field_problems
from tests.german import DU_WORD, ENGLISH_WORD, GERMAN_WORD, SIE_WORD

_SERVICES = Path(__file__).parents[3] / "services"
# What buyers are written, examples of requests, and words that are looked for in mail.
_NOT_OURS = ("sandbox", "parsing", "schemas.py", "warning_words.toml")


@cache
def _texts(path: Path) -> tuple[str, ...]:
    """Every constant that is no docstring."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    said = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return tuple(
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    )


def _files() -> list[Path]:
    return [path for path in sorted(_SERVICES.rglob("*.py")) if not set(path.parts) & set(_NOT_OURS)]


def test_no_text_of_a_service_says_sie() -> None:
    found = [
        (path.name, text)
        for path in _files()
        for text in _texts(path)
        if SIE_WORD.search(text) and " " in text
    ]
    assert found == []


def test_no_german_text_of_a_service_says_du() -> None:
    found = [
        (path.name, text)
        for path in _files()
        for text in _texts(path)
        if " " in text and not text.isascii() and DU_WORD.search(text)
    ]
    assert found == []


def test_no_german_text_has_english_words() -> None:
    pages = _SERVICES / "connector" / "web" / "static" / "texts"
    of_services = [
        (path.name, text) for path in _files() for text in _texts(path) if GERMAN_WORD.search(text)
    ]
    of_pages = [
        (path.name, text)
        for language in ("de", "de-sie")
        for path in sorted((pages / language).glob("*.json"))
        for text in json.loads(path.read_text("utf-8")).values()
    ]
    assert len(of_services) > 200
    assert len(of_pages) > 1000
    # A regular expression is no text.
    found = [each for each in of_services + of_pages if ENGLISH_WORD.search(each[1]) and "\\b" not in each[1]]
    assert found == []


@pytest.mark.parametrize(
    ("language", "detail"),
    [(Language.EN, "One of: none, view, edit."), (Language.DE, "Eines von: none, view, edit.")],
)
def test_the_values_that_are_possible_are_listed_without_a_word_of_another_language(
    language: Language, detail: str
) -> None:
    mistake = {"loc": ("body", "level"), "type": "enum", "ctx": {"expected": "'none', 'view' or 'edit'"}}
    assert field_problems([mistake], language)[0]["detail"] == detail


@pytest.mark.parametrize(("least", "detail"), [(1, "Bitte ausfüllen."), (2, "Mindestens 2 Zeichen.")])
def test_an_empty_field_is_asked_for(least: int, detail: str) -> None:
    mistake = {"loc": ("body", "name"), "type": "string_too_short", "ctx": {"min_length": least}}
    assert field_problems([mistake], Language.DE)[0]["detail"] == detail
