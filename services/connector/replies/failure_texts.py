"""What an agent is told of a reply that failed: what happened, and what helps. German and English, by code."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.connector.http.language import Language
from shared.tables import ReplyFailure


class FailureAction(StrEnum):
    """Where the cure is."""

    MESSAGING_PERMISSIONS = "open_messaging_permissions"
    """Seller Central: which senders may write to buyers."""
    SELLER_CENTRAL = "open_seller_central"
    SMTP_CONFIGURATION = "open_smtp_configuration"
    CHANGE_REPLY = "change_reply"
    SEND_AGAIN = "send_again"


@dataclass(frozen=True, slots=True)
class FailureText:
    """One failure in one language."""

    title: str
    text: str
    cure: str


def _texts(german: tuple[str, str, str], english: tuple[str, str, str]) -> dict[Language, FailureText]:
    return {Language.DE: FailureText(*german), Language.EN: FailureText(*english)}


_TEXTS: Final = {
    ReplyFailure.SENDER_NOT_APPROVED: _texts(
        (
            "Amazon kennt den Absender nicht",
            "Amazon gibt Käufern nur weiter, was von einer genehmigten Adresse kommt. Diese ist es in diesem Land nicht.",
            "Bitte in Seller Central unter „Kommunikationsberechtigungen“ genau diese Adresse genehmigen, in jedem Land, in dem der Store verkauft. Dann die Antwort noch einmal senden.",
        ),
        (
            "Amazon does not know the sender",
            "Amazon passes on to buyers only what comes from an approved address. This address is not approved in this country.",
            "Approve exactly this address in Seller Central under “Messaging Permissions”, in each country in which you sell. Then send the reply again.",
        ),
    ),
    ReplyFailure.ATTACHMENT_REFUSED: _texts(
        (
            "Amazon nimmt eine Datei nicht an",
            "Der Käufer hat weder den Text noch die Dateien bekommen.",
            "Bitte die Antwort noch einmal schreiben, mit einer anderen Art von Datei, am sichersten PDF, oder ohne Datei.",
        ),
        (
            "Amazon does not accept a file",
            "The buyer has received neither the text nor the files.",
            "Write the reply again with another kind of file, ideally a PDF, or without one.",
        ),
    ),
    ReplyFailure.BUYER_OPTED_OUT: _texts(
        (
            "Der Käufer möchte keine Nachrichten von Verkäufern",
            "Amazon hat die Antwort deshalb nicht weitergegeben.",
            "Für die eigene Anfrage des Käufers gilt das nicht: Dort lässt sich antworten. Sonst bleiben Amazons Vorlagen in Seller Central.",
        ),
        (
            "The buyer does not want messages from sellers",
            "That is why Amazon has not passed the reply on.",
            "Answer in a thread that the buyer started, where this does not apply, or use one of Amazon's templates in Seller Central.",
        ),
    ),
    ReplyFailure.SENDER_RESTRICTED: _texts(
        (
            "Amazon lässt dieses Verkäuferkonto gerade nicht schreiben",
            "Amazon hat das Schreiben an Käufer für dieses Verkäuferkonto eingeschränkt.",
            "Was dahintersteht, sagt Amazon in Seller Central, unter Kontostatus und in den Nachrichten dort.",
        ),
        (
            "Amazon does not let this seller account write at the moment",
            "Amazon has restricted your account from writing to buyers.",
            "Amazon says why in Seller Central, in Account Health and in your messages.",
        ),
    ),
    ReplyFailure.GUIDELINE_BLOCKED: _texts(
        (
            "Amazon hat die Antwort wegen ihres Inhalts zurückgehalten",
            "Etwas darin widerspricht Amazons Richtlinien für Nachrichten an Käufer.",
            "Bitte Links, Adressen, Telefonnummern und Werbung herausnehmen und die Antwort noch einmal schreiben.",
        ),
        (
            "Amazon has held the reply back because of its content",
            "Something in it is against Amazon's guidelines for messages to buyers.",
            "Take out links, addresses, telephone numbers and promotion, and write the reply again.",
        ),
    ),
    ReplyFailure.MESSAGE_LIMIT: _texts(
        (
            "Amazon nimmt gerade keine weiteren Nachrichten an",
            "An diesen Käufer, oder von diesem Verkäuferkonto, sind es in kurzer Zeit zu viele geworden.",
            "Bitte einige Stunden warten und die Antwort dann noch einmal senden.",
        ),
        (
            "Amazon does not accept more messages at the moment",
            "There have been too many in a short time, to this buyer or from your account.",
            "Wait a few hours, then send the reply again.",
        ),
    ),
    ReplyFailure.CONVERSATION_CLOSED: _texts(
        (
            "Amazon hat diesen Nachrichtenverlauf geschlossen",
            "Auf ihn kann nicht mehr geantwortet werden.",
            "Dem Käufer lässt sich in Seller Central über die Bestellung schreiben.",
        ),
        (
            "Amazon has closed this thread",
            "It can no longer be answered.",
            "Write to the buyer about the order in Seller Central.",
        ),
    ),
    ReplyFailure.ADDRESS_UNKNOWN: _texts(
        (
            "Die Adresse des Käufers gibt es bei Amazon nicht mehr",
            "Amazon nimmt für sie keine Nachrichten an.",
            "Dem Käufer lässt sich in Seller Central über die Bestellung schreiben.",
        ),
        (
            "The buyer's address no longer exists at Amazon",
            "Amazon does not accept messages for it.",
            "Write to the buyer about the order in Seller Central.",
        ),
    ),
    ReplyFailure.TOO_LARGE: _texts(
        (
            "Die Antwort ist zu groß",
            "Mit ihren Dateien ist sie größer, als der Server oder Amazon es zulässt.",
            "Bitte die Antwort noch einmal schreiben, mit kleineren oder weniger Dateien.",
        ),
        (
            "The reply is too large",
            "With its files it is larger than the server or Amazon allows.",
            "Write it again with smaller or fewer files.",
        ),
    ),
    ReplyFailure.TEMPORARY: _texts(
        (
            "Der Server war vier Stunden lang nicht zu erreichen",
            "Wir haben es immer wieder versucht. Der Käufer hat die Antwort nicht.",
            "Bitte die Antwort noch einmal senden.",
        ),
        (
            "The server could not be reached for four hours",
            "We kept trying. The buyer does not have the reply.",
            "Send it again.",
        ),
    ),
    ReplyFailure.SMTP_REFUSED: _texts(
        (
            "Der eigene SMTP-Server lehnt ab",
            "Der eigene SMTP-Server nimmt die Anmeldung oder den Absender nicht an.",
            "Bitte die SMTP-Einstellungen der Integration mit „Testen“ prüfen und die Antwort dann noch einmal senden.",
        ),
        (
            "Your SMTP server refuses mail",
            "Your own SMTP server does not accept the sign-in or the sender.",
            "Check the integration's SMTP settings with the test button, then send the reply again.",
        ),
    ),
    ReplyFailure.NOT_ANSWERABLE: _texts(
        (
            "Als die Antwort an der Reihe war, konnte sie nicht gesendet werden",
            "Der Store war inzwischen pausiert, getrennt oder entfernt, oder es gab niemanden mehr, dem zu antworten war.",
            "Bitte den Store fortsetzen oder wiederherstellen und die Antwort dann noch einmal senden.",
        ),
        (
            "The reply could not be sent when it was due",
            "By then the store had been paused, disconnected or removed, or there was nobody left to answer.",
            "Resume the store, or restore it, then send the reply again.",
        ),
    ),
    ReplyFailure.ATTACHMENT_INFECTED: _texts(
        (
            "In einer Datei wurde Schadsoftware gefunden",
            "Deshalb wurde nichts gesendet.",
            "Bitte den Rechner prüfen, von dem die Datei kommt, und die Antwort ohne sie noch einmal schreiben.",
        ),
        (
            "Malware was found in a file",
            "That is why nothing was sent.",
            "Check the computer that the file comes from, and write the reply again without it.",
        ),
    ),
    ReplyFailure.UNKNOWN: _texts(
        (
            "Die Antwort wurde nicht angenommen",
            "Den Grund kennen wir nicht. Was der Server gesagt hat, steht unten.",
            "Bitte die Antwort noch einmal senden, oder in Seller Central antworten.",
        ),
        (
            "The reply was not accepted",
            "We do not know why. What the server said is below.",
            "Send it again, or answer in Seller Central.",
        ),
    ),
}
_ACTIONS: Final = {
    ReplyFailure.SENDER_NOT_APPROVED: FailureAction.MESSAGING_PERMISSIONS,
    ReplyFailure.ATTACHMENT_REFUSED: FailureAction.CHANGE_REPLY,
    ReplyFailure.BUYER_OPTED_OUT: FailureAction.SELLER_CENTRAL,
    ReplyFailure.SENDER_RESTRICTED: FailureAction.SELLER_CENTRAL,
    ReplyFailure.GUIDELINE_BLOCKED: FailureAction.CHANGE_REPLY,
    ReplyFailure.MESSAGE_LIMIT: FailureAction.SEND_AGAIN,
    ReplyFailure.CONVERSATION_CLOSED: FailureAction.SELLER_CENTRAL,
    ReplyFailure.ADDRESS_UNKNOWN: FailureAction.SELLER_CENTRAL,
    ReplyFailure.TOO_LARGE: FailureAction.CHANGE_REPLY,
    ReplyFailure.TEMPORARY: FailureAction.SEND_AGAIN,
    ReplyFailure.SMTP_REFUSED: FailureAction.SMTP_CONFIGURATION,
    ReplyFailure.NOT_ANSWERABLE: FailureAction.SEND_AGAIN,
    ReplyFailure.ATTACHMENT_INFECTED: FailureAction.CHANGE_REPLY,
    ReplyFailure.UNKNOWN: FailureAction.SEND_AGAIN,
}


def failure_text(failure: ReplyFailure, language: Language) -> FailureText:
    """What is said of this failure."""
    return _TEXTS[failure][language]


def failure_action(failure: ReplyFailure) -> FailureAction:
    """Where the cure of this failure is."""
    return _ACTIONS[failure]
