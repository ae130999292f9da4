"""What the checks say to a seller: title, text and cure, German and English. A text may name {date} and {countries}."""

from dataclasses import dataclass
from typing import Final

from babel.dates import format_date

from services.connector.countries import country_name
from services.connector.integrations.health import Check
from services.connector.language import Language


@dataclass(frozen=True, slots=True)
class CheckText:
    """One check in one language."""

    title: str
    text: str
    cure: str


_TEXTS: Final = {
    "setup_incomplete": {
        Language.DE: CheckText(
            "Einrichtung nicht abgeschlossen",
            "Es fehlen noch Schritte, bis Nachrichten aus allen Ländern ankommen.",
            "Machen Sie beim nächsten offenen Schritt der Anleitung weiter.",
        ),
        Language.EN: CheckText(
            "Setup not finished",
            "Some steps are still open before messages from every country can arrive.",
            "Go on with the next open step of the guide.",
        ),
    },
    "grant_missing": {
        Language.DE: CheckText(
            "Nicht autorisiert",
            "Wir haben von Amazon keine Erlaubnis, die Daten dieses Stores zu lesen.",
            "Verbinden Sie den Store noch einmal. Name, Adresse und Unterhaltungen bleiben.",
        ),
        Language.EN: CheckText(
            "Not authorized",
            "Amazon has not allowed us to read the data of this store.",
            "Connect the store again. Its name, address and conversations stay.",
        ),
    },
    "consent_expiring": {
        Language.DE: CheckText(
            "Zustimmung läuft ab",
            "Amazon begrenzt jede Zustimmung auf ein Jahr. Ihre gilt bis {date}.",
            "Verbinden Sie den Store noch einmal, mit demselben Land. Nichts geht verloren.",
        ),
        Language.EN: CheckText(
            "Consent is running out",
            "Amazon limits every consent to one year. Yours is valid until {date}.",
            "Connect the store again, with the same country. Nothing is lost.",
        ),
    },
    "no_participation": {
        Language.DE: CheckText(
            "Store verkauft in keinem Land",
            "Amazon nennt für diesen Store kein Land, in dem er gerade verkauft.",
            "Prüfen Sie in Seller Central den Zustand Ihres Kontos.",
        ),
        Language.EN: CheckText(
            "Store sells in no country",
            "Amazon names no country in which this store is selling at present.",
            "Check the state of your account in Seller Central.",
        ),
    },
    "account_suspended": {
        Language.DE: CheckText(
            "Amazon meldet eine Sperre",
            "In diesen Ländern hat Amazon Angebote gesperrt: {countries}.",
            "Was zu tun ist, steht in Seller Central unter Kontostatus.",
        ),
        Language.EN: CheckText(
            "Amazon reports a suspension",
            "Amazon has suspended listings in these countries: {countries}.",
            "Account Health in Seller Central says what to do.",
        ),
    },
    "mail_first": {
        Language.DE: CheckText(
            "Warten auf die erste Nachricht",
            "Bisher ist noch keine Nachricht von Amazon angekommen.",
            "Prüfen Sie, ob die Adresse dieser Integration in jedem Land eingetragen ist, im Verkäuferprofil und in den "
            "Benachrichtigungseinstellungen.",
        ),
        Language.EN: CheckText(
            "Waiting for the first message",
            "No message from Amazon has arrived yet.",
            "Check that this integration's address is entered for each country, in the seller profile and in the notification "
            "preferences.",
        ),
    },
}


def text_of(check: Check, language: Language) -> CheckText:
    """What this check says."""
    text = _TEXTS[check.code][language]
    fields = {
        "date": format_date(check.on, format="long", locale=language.value) if check.on else "",
        "countries": ", ".join(country_name(country, language) for country in check.countries),
    }
    return CheckText(text.title, text.text.format_map(fields), text.cure)
