"""What the API has codes for is named in a sentence as the pages name it; the codes stay beside it."""

import json
from pathlib import Path

import pytest

from services.connector.http.language import Language
from services.connector.problems.catalogue import problem_body
from shared.outgoing.connections import Reason
from shared.permissions import Level, Permission
from shared.tables import ReplyState
from tests.german import ENGLISH_WORD

_ROOT = Path(__file__).parents[4] / "services/connector/web/static/texts"


def test_a_missing_permission_is_named_in_both_ways():
    body = problem_body("permission_missing", Language.DE, {"permission": "general.admin", "level": "edit"})

    assert "„Allgemein → Admin (anzeigen & bearbeiten)“" in str(body["detail"])
    assert (body["permission"], body["level"]) == ("general.admin", "edit")


@pytest.mark.parametrize(
    ("code", "field", "values"),
    [
        ("reply_state", "state", list(ReplyState)),
        ("outgoing_failed", "reason", list(Reason)),
        ("permission_missing", "permission", list(Permission)),
        ("permission_missing", "level", list(Level)),
    ],
)
def test_no_code_stands_in_a_german_sentence(code: str, field: str, values: list[str]):
    other: dict[str, str | int] = {}
    if code == "permission_missing":
        other = {"permission": "general.admin", "level": "edit"}
    for value in values:
        body = problem_body(code, Language.DE, other | {field: value})
        sentence = str(body["detail"])

        assert body[field] == value
        assert not any(word in sentence for word in (f"„{value}“", f" {value}.", f"({value})")), sentence
        assert not ENGLISH_WORD.search(sentence), sentence


@pytest.mark.parametrize("language", list(Language))
def test_a_reply_s_state_is_called_as_on_the_pages(language: Language):
    texts = json.loads((_ROOT / language.value / "reply.json").read_text("utf-8"))
    for state in ReplyState:
        said = str(problem_body("reply_state", language, {"state": state})["detail"])

        assert texts[f"reply.state.{state}"].lower() in said.lower()
