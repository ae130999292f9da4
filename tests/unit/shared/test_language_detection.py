"""The language of a buyer's words, by sentences that were written for it (`tests/mails/languages.toml`)."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from time import process_time

import pytest

from services.mailrelay.parsing.patterns import WORDING
from shared.language_detection import MAX_CHARS, language_of
from shared.languages import MESSAGE_LANGUAGES

SIGNS = WORDING.signs_of_languages
_FILE = tomllib.loads((Path(__file__).parents[2] / "mails" / "languages.toml").read_text(encoding="utf-8"))
NOT_NAMED: dict[str, list[str]] = _FILE.pop("none")
NAMED: dict[str, list[str]] = _FILE


def test_there_are_sentences_in_each_language():
    assert NAMED.keys() | {"pt-BR"} == set(MESSAGE_LANGUAGES)
    assert min(map(len, NAMED.values())) >= 8


def test_the_docs_and_the_description_of_the_api_say_the_same_list():
    docs = Path(__file__).parents[3] / "docs"
    message = json.loads((docs / "openapi.json").read_text())["components"]["schemas"]["MessageAnswer"]

    enums = [kind["enum"] for kind in message["properties"]["language"]["anyOf"] if "enum" in kind]

    assert enums == [list(MESSAGE_LANGUAGES)]
    assert f"One of {', '.join(MESSAGE_LANGUAGES)}, or none" in (docs / "mail.md").read_text()


@pytest.mark.parametrize("language", NAMED)
def test_no_sentence_is_said_to_be_in_another_language(language: str):
    found = [language_of(sentence, SIGNS) for sentence in NAMED[language]]

    assert set(found) <= {language, None}
    # One may be too short to tell, and of Danish and Czech some are Norwegian and Slovak too.
    assert found.count(language) >= len(found) - (4 if language in {"da", "cs"} else 1)


@pytest.mark.parametrize("language", NOT_NAMED)
def test_a_language_that_is_not_ours_is_none(language: str):
    assert {sentence: language_of(sentence, SIGNS) for sentence in NOT_NAMED[language]} == dict.fromkeys(NOT_NAMED[language])  # fmt: skip


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("WO IST MEIN PAKET", "de"),
        (
            "Where is my parcel? https://www.amazon.de/dp/B0TEST0001 302-1234567-7654321 kim@mail.example",
            "en",
        ),
        ("Où est\nmon colis\u00a0?\n\nMerci d\u2019avance", "fr"),
        ("谢谢", "zh"),
        ("\ud800 Wo ist mein Paket?", "de"),
        ("Wo ist\x00 mein Paket?", "de"),
        ("</s> __label__fr Wo ist mein Paket?", "de"),
        ("", None),
        ("\n\n", None),
        ("a" * 5_000, None),
        ("😀" * 500, None),
    ],
)
def test_text_that_is_not_only_words(text: str, language: str | None):
    assert language_of(text, SIGNS) == language


def test_a_long_text_takes_no_longer_than_its_beginning():
    text = "Wo bleibt mein Paket, und wann kommt es an? " * 4_000

    def seconds(text: str) -> float:
        taken = []
        for _ in range(30):
            start = process_time()
            language_of(text, SIGNS)
            taken.append(process_time() - start)
        return min(taken)

    assert seconds(text) < 3 * seconds(text[:MAX_CHARS])


def test_the_model_is_the_one_that_the_package_carries():
    program = """
import sys, robust_downloader
def refuse(*_, **__): sys.exit("something is loaded from elsewhere")
robust_downloader.download = refuse
from shared.language_detection import language_of
print(language_of("Wo bleibt mein Paket, und wann kommt es an?", {}))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout.strip()) == (0, "de"), result.stderr
