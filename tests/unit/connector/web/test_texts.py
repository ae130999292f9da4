"""The pages' texts: both languages say the same things, and every text is there and in use."""

import json
import re
from itertools import chain
from pathlib import Path

import pytest

from services.connector.web.texts import LANGUAGES, page_texts
from services.mailrelay.authenticity.faults import Fault
from services.mailrelay.parsing.patterns import FAILURE_REASONS
from shared.languages import MESSAGE_LANGUAGES
from shared.tables import ReplyState

STATIC = Path(__file__).parents[4] / "services" / "connector" / "web" / "static"
# t("key"), hasText("key"), parts(`key.${name}`, …), count("key", …); a key may also be chosen by `condition ? "a.b" : "c.d"`.
_CALL = re.compile(r"\b(?:t|parts|count|hasText)\(\s*(?:[^\"'`()]*\?\s*)?(\"[^\"]+\"|`[^`]+`)")
_LITERAL = re.compile(r"\"([a-z_]+(?:\.[a-zA-Z0-9_]+)+)\"")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def _scripts() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in STATIC.rglob("*.js")}


def _pattern(template: str) -> re.Pattern[str]:
    fixed = re.split(r"\$\{[^}]*\}", template)
    return re.compile(r"[\w.]+".join(map(re.escape, fixed)))


def _called_keys() -> set[tuple[str, str]]:
    """(script, key or template) of each call that asks for a text."""
    return {
        (script, found[1:-1]) for script, content in _scripts().items() for found in _CALL.findall(content)
    }


def _is_there(key: str, texts: dict[str, str]) -> bool:
    if "${" in key:
        return any(_pattern(key).fullmatch(each) for each in texts)
    return key in texts or f"{key}.other" in texts


def test_german_and_english_have_the_same_keys() -> None:
    assert page_texts("de").keys() == page_texts("en").keys()


def test_german_and_english_have_the_same_placeholders() -> None:
    german, english = page_texts("de"), page_texts("en")
    differing = [
        key
        for key in german
        if set(_PLACEHOLDER.findall(german[key])) != set(_PLACEHOLDER.findall(english[key]))
    ]
    assert differing == []


@pytest.mark.parametrize("language", ["de", "en"])
def test_no_text_is_empty(language: str) -> None:
    assert [key for key, text in page_texts(language).items() if not text.strip()] == []


def test_every_text_that_a_script_asks_for_is_there() -> None:
    texts = page_texts("de")
    called = _called_keys()
    assert len(called) > 100  # else the search above no longer finds the calls
    assert sorted((script, key) for script, key in called if not _is_there(key, texts)) == []


def test_every_text_is_used() -> None:
    keys = {key for _, key in _called_keys()}
    keys |= set(chain.from_iterable(_LITERAL.findall(content) for content in _scripts().values()))
    patterns = [_pattern(key) for key in keys if "${" in key]
    plain = {key for key in keys if "${" not in key}
    unused = [
        key
        for key in page_texts("de")
        if key not in plain
        and key.removesuffix(".one").removesuffix(".other") not in plain
        and not any(pattern.fullmatch(key) for pattern in patterns)
    ]
    assert unused == []


def test_no_script_makes_markup_out_of_text() -> None:
    forbidden = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        ".style.",
    )
    found = {(name, word) for name, content in _scripts().items() for word in forbidden if word in content}
    # What is placed or sized by numbers.
    assert found == {("long_list.js", ".style.")}


def test_every_reason_for_a_verdict_has_a_text() -> None:
    """Those that services.mailrelay.authenticity gives, and the claims of services.mailrelay.parsing."""
    reasons = {fault.value for fault in Fault} | {
        "signed_by_amazon", "sent_by_amazon", "forwarded_from_amazon", "not_signed", "signer_not_amazon",
        "dns_unavailable", "check_failed", "two_senders", "display_name", "lookalike_domain",
        "not_addressed_here", "replayed",
    }  # fmt: skip
    assert reasons == {
        key.removeprefix("authenticity.reason.")
        for key in page_texts("de")
        if key.startswith("authenticity.reason.")
    }


def test_templates_can_be_written_in_every_language_that_a_message_can_be_in() -> None:
    named = re.search(r"const LANGUAGES = (\[.*\]);", _scripts()["template_form.js"])

    assert named is not None
    assert tuple(json.loads(named[1])) == MESSAGE_LANGUAGES


def test_every_state_of_a_reply_has_a_word() -> None:
    states = {key.removeprefix("reply.state.") for key in page_texts("de") if key.startswith("reply.state.")}

    assert states == {state.value for state in ReplyState}


def test_every_reason_that_amazon_gives_for_a_failure_has_a_title_and_a_cure() -> None:
    for part in ("title", "cure"):
        assert {f"failure.{reason}.{part}" for reason in FAILURE_REASONS} <= page_texts("de").keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_lies_in_the_file_of_its_first_word(language: str) -> None:
    for path in sorted((STATIC / "texts" / language).iterdir()):
        assert {key.partition(".")[0] for key in json.loads(path.read_text("utf-8"))} == {path.stem}
