"""Whether a buyer can be answered in a conversation, and if not, why. Pure.

What is decided here is asked again when a reply is sent: a store may be paused meanwhile.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.connector.http.language import Language
from shared.tables import ConversationStatus


class NotAnswerableReason(StrEnum):
    """Why nobody can be answered, the surest first."""

    ERASED = "erased"
    DISCONNECTED = "disconnected"
    PAUSED = "paused"
    UNNAMED = "unnamed"
    """The store has no name yet, and so no relay address to send from."""
    QUARANTINE = "quarantine"
    NO_ADDRESS = "no_address"
    """No message here is proven to be a buyer's, so there is no address of Amazon's to answer to."""


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What is known of a conversation and its store."""

    status: str
    is_erased: bool
    is_disconnected: bool
    is_paused: bool
    has_relay_address: bool
    has_buyer_message: bool


@dataclass(frozen=True, slots=True)
class NotAnswerableText:
    """A reason in one language."""

    title: str
    cure: str


def why_not_answerable(facts: AnswerFacts) -> NotAnswerableReason | None:
    """The first reason why nobody can be answered, or None."""
    reasons = {
        NotAnswerableReason.ERASED: facts.is_erased,
        NotAnswerableReason.DISCONNECTED: facts.is_disconnected,
        NotAnswerableReason.PAUSED: facts.is_paused,
        NotAnswerableReason.UNNAMED: not facts.has_relay_address,
        NotAnswerableReason.QUARANTINE: facts.status == ConversationStatus.QUARANTINE,
        NotAnswerableReason.NO_ADDRESS: not facts.has_buyer_message,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


_TEXTS: Final = {
    NotAnswerableReason.ERASED: {
        Language.DE: NotAnswerableText(
            "Dieser Store wurde entfernt.", "Antworten geht nur noch in Seller Central."
        ),
        Language.EN: NotAnswerableText("This store was removed.", "You can only answer in Seller Central."),
    },
    NotAnswerableReason.DISCONNECTED: {
        Language.DE: NotAnswerableText(
            "Dieser Store ist getrennt.",
            "Unter Integrationen lässt er sich wiederherstellen; antworten geht auch in Seller Central.",
        ),
        Language.EN: NotAnswerableText(
            "This store is disconnected.", "Restore it under Integrations, or answer in Seller Central."
        ),
    },
    NotAnswerableReason.PAUSED: {
        Language.DE: NotAnswerableText(
            "Dieser Store ist pausiert: Es wird nichts gesendet.",
            "Unter Integrationen lässt er sich fortsetzen.",
        ),
        Language.EN: NotAnswerableText(
            "This store is paused: nothing is sent.", "Resume it under Integrations."
        ),
    },
    NotAnswerableReason.UNNAMED: {
        Language.DE: NotAnswerableText(
            "Dieser Store hat noch keine Adresse, von der wir senden können.",
            "Unter Integrationen bekommt er einen Namen.",
        ),
        Language.EN: NotAnswerableText(
            "This store has no address yet that we could send from.", "Give it a name under Integrations."
        ),
    },
    NotAnswerableReason.QUARANTINE: {
        Language.DE: NotAnswerableText(
            "Diese Nachricht ist in Quarantäne.",
            "Ist sie sicher echt, muss sie zuerst freigegeben werden.",
        ),
        Language.EN: NotAnswerableText(
            "This message is in quarantine.", "Release it first if you know it to be real."
        ),
    },
    NotAnswerableReason.NO_ADDRESS: {
        Language.DE: NotAnswerableText(
            "Hier gibt es keine Käuferadresse von Amazon, an die wir antworten könnten.",
            "Antworten geht in Seller Central.",
        ),
        Language.EN: NotAnswerableText(
            "There is no buyer's address of Amazon's here that we could answer to.",
            "Answer in Seller Central.",
        ),
    },
}


def not_answerable_text(reason: NotAnswerableReason, language: Language) -> NotAnswerableText:
    """What a person is told."""
    return _TEXTS[reason][language]
