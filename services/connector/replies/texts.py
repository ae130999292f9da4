"""What people are told before a reply is sent: the rules that it may break, and why a file is refused. German and English."""

from typing import Final

from babel import Locale

from services.connector.http.language import Language
from services.connector.replies.allowed_files import ENDINGS, MOST_BYTES, MOST_FILES, Refusal
from services.connector.replies.warnings import Rule, Warned

_RULES: Final = {
    Rule.LINK_OUTSIDE_AMAZON: (
        "Links, die von Amazon wegführen, sind in Nachrichten an Käufer nicht erlaubt.",
        "Links that lead away from Amazon are not allowed in messages to buyers.",
    ),
    Rule.EMAIL_ADDRESS: (
        "E-Mail-Adressen sind in Nachrichten an Käufer nicht erlaubt.",
        "E-mail addresses are not allowed in messages to buyers.",
    ),
    Rule.PHONE_NUMBER: (
        "Telefonnummern sind in Nachrichten an Käufer nicht erlaubt.",
        "Telephone numbers are not allowed in messages to buyers.",
    ),
    Rule.PROMOTION: (
        "Werbung ist in Nachrichten an Käufer nicht erlaubt.",
        "Promotion is not allowed in messages to buyers.",
    ),
    Rule.REVIEW_REQUEST: (
        "Um eine gute Bewertung oder darum, eine zu ändern, darf man Käufer nicht bitten.",
        "Buyers must not be asked for a good review, or to change one.",
    ),
    Rule.LOGO: (
        "Logos, die auf den eigenen Laden verweisen, sind nicht erlaubt.",
        "Logos that refer to your own shop are not allowed.",
    ),
    Rule.HTML: (
        "Der Käufer sieht reinen Text: HTML käme so an, wie es hier steht.",
        "The buyer sees plain text: HTML would arrive exactly as you see it here.",
    ),
    Rule.OTHER_LANGUAGE: (
        "Der Käufer schreibt auf {theirs}, diese Antwort ist auf {ours}.",
        "The buyer writes in {theirs}, this reply is in {ours}.",
    ),
}
_MEGABYTES: Final = MOST_BYTES // 1024 // 1024
_REFUSALS: Final = {
    Refusal.EMPTY: ("Diese Datei ist leer.", "This file is empty."),
    Refusal.TYPE: (
        f"Dateien dieser Art nimmt Amazon nicht an. Erlaubt sind: {', '.join(ENDINGS)}.",
        f"Amazon does not accept files of this kind. These are allowed: {', '.join(ENDINGS)}.",
    ),
    Refusal.CONTENT: (
        "Der Inhalt dieser Datei ist nicht das, was ihr Name sagt. Bitte noch einmal unter dem richtigen Typ speichern.",
        "The content of this file does not match its name. Save it again as the right type.",
    ),
    Refusal.TOO_LARGE: (
        f"Amazon nimmt für eine Antwort höchstens {_MEGABYTES} MB an Dateien an.",
        f"Amazon accepts at most {_MEGABYTES} MB of files per reply.",
    ),
    Refusal.TOO_MANY: (
        f"Eine Antwort kann höchstens {MOST_FILES} Dateien haben.",
        f"A reply can have {MOST_FILES} files at most.",
    ),
    Refusal.INFECTED: (
        "In einer dieser Dateien hat die Schadsoftware-Prüfung etwas gefunden. Bitte entfernen.",
        "The malware scanner has found something in one of these files. Remove it.",
    ),
}


def rule_text(warned: Warned, language: Language) -> str:
    """The rule that a reply may break, as a sentence."""
    german, english = _RULES[warned.rule]
    sentence = german if language is Language.DE else english
    if warned.languages is None:
        return sentence
    ours, theirs = (_language_name(each, language) for each in warned.languages)
    return sentence.format(ours=ours, theirs=theirs)


def refusal_text(refusal: Refusal, language: Language) -> str:
    """Why a file is refused, as a sentence."""
    german, english = _REFUSALS[refusal]
    return german if language is Language.DE else english


def _language_name(code: str, language: Language) -> str:
    name = Locale(language.value).languages.get(code.partition("-")[0])
    return code if name is None else str(name)
