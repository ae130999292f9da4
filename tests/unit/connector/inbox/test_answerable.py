"""Whether a buyer can be answered, and why not: the surest reason first, with its words."""

from dataclasses import replace

import pytest

from services.connector.http.language import Language
from services.connector.inbox.answerable import (
    AnswerFacts,
    NotAnswerableReason,
    not_answerable_text,
    why_not_answerable,
)

ASKED = AnswerFacts(
    status="open",
    is_erased=False,
    is_disconnected=False,
    is_paused=False,
    has_relay_address=True,
    has_buyer_message=True,
)


@pytest.mark.parametrize("status", ["open", "closed"])
def test_a_buyer_who_has_written_is_answered(status: str):
    assert why_not_answerable(replace(ASKED, status=status)) is None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"is_erased": True, "is_disconnected": True}, NotAnswerableReason.ERASED),
        ({"is_disconnected": True, "is_paused": True}, NotAnswerableReason.DISCONNECTED),
        ({"is_paused": True, "has_relay_address": False}, NotAnswerableReason.PAUSED),
        ({"has_relay_address": False, "status": "quarantine"}, NotAnswerableReason.UNNAMED),
        ({"status": "quarantine", "has_buyer_message": False}, NotAnswerableReason.QUARANTINE),
        ({"has_buyer_message": False}, NotAnswerableReason.NO_ADDRESS),
    ],
    ids=[reason.value for reason in NotAnswerableReason],
)
def test_the_surest_reason_is_told(facts: dict[str, object], reason: NotAnswerableReason):
    assert why_not_answerable(replace(ASKED, **facts)) is reason  # type: ignore[arg-type]  # a table of differences


@pytest.mark.parametrize("reason", list(NotAnswerableReason), ids=lambda reason: reason.value)
def test_each_reason_has_its_words_in_both_languages(reason: NotAnswerableReason):
    german, english = (not_answerable_text(reason, language) for language in (Language.DE, Language.EN))

    assert german.title.endswith(".")
    assert english.cure.endswith(".")
    assert german != english
