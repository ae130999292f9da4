"""What the checks say to a seller: title, text and cure, German and English. A text may name {date}, {since}, {time}, {next_try}, {countries} and {detail}."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.connector.http.language import Language
from services.connector.http.reading import Reading
from services.connector.integrations.health import (
    AT_RISK,
    DEACTIVATED,
    FORWARDED,
    STEPS_LEFT,
    Check,
    CheckState,
)
from services.connector.marketplaces.countries import country_name


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
            "Es fehlen noch Schritte, bis Nachrichten aus allen Ländern ankommen{in_countries}.",
            "Weiter geht es beim nächsten offenen Schritt der Anleitung.",
        ),
        Language.EN: CheckText(
            "Setup not finished",
            "Some steps are still open before messages from every country can arrive{in_countries}.",
            "Continue with the next open step of the guide.",
        ),
    },
    "grant_missing": {
        Language.DE: CheckText(
            "Nicht autorisiert",
            "Wir haben von Amazon keine Erlaubnis, die Daten dieses Stores zu lesen.",
            "Bitte den Store noch einmal verbinden. Name, Adresse und Unterhaltungen bleiben.",
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
            "Amazon begrenzt jede Zustimmung auf ein Jahr. Diese gilt bis {date}.",
            "Bitte den Store noch einmal autorisieren, mit demselben Land. Nichts geht verloren.",
        ),
        Language.EN: CheckText(
            "Consent expires soon",
            "Amazon limits every consent to one year. Yours is valid until {date}.",
            "Authorize the store again, with the same country. Nothing is lost.",
        ),
    },
    "no_participation": {
        Language.DE: CheckText(
            "Store verkauft in keinem Land",
            "Amazon nennt für diesen Store kein Land, in dem er gerade verkauft.",
            "Bitte in Seller Central den Zustand des Kontos prüfen.",
        ),
        Language.EN: CheckText(
            "Store does not sell in any country",
            "Amazon does not list any country in which this store is selling at the moment.",
            "Check the status of your account in Seller Central.",
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
            "Bisher ist noch keine Nachricht eines Käufers angekommen.",
            "Bitte prüfen, ob die Adresse dieser Integration in jedem Land eingetragen ist, im Verkäuferprofil und in den Benachrichtigungseinstellungen.",
        ),
        Language.EN: CheckText(
            "Waiting for the first message",
            "No buyer's message has arrived yet.",
            "Check that this integration's address is entered for each country, in the seller profile and in the notification "
            "preferences.",
        ),
    },
    "grant_revoked": {
        Language.DE: CheckText(
            "Autorisierung widerrufen",
            "Amazon nimmt unsere Erlaubnis für diesen Store nicht mehr an. Nachrichten kommen weiter an.",
            "Bitte den Store noch einmal autorisieren: ein Klick und die Zustimmung bei Amazon. Nichts geht verloren.",
        ),
        Language.EN: CheckText(
            "Authorization withdrawn",
            "Amazon no longer accepts our permission for this store. Messages still arrive.",
            "Authorize the store again: one click, and your consent at Amazon. Nothing is lost.",
        ),
    },
    "role_missing": {
        Language.DE: CheckText(
            "Berechtigung fehlt",
            "Amazon verweigert uns seit mehr als einem Tag einen Teil der Daten dieses Stores. Alles andere geht weiter.",
            "Bitte den Store noch einmal autorisieren. Steht dieser Hinweis einen Tag später noch da, liegt es nicht am Store: Dann hat Amazon diese Daten für Replyco nicht freigegeben.",
        ),
        Language.EN: CheckText(
            "Permission missing",
            "For more than a day, Amazon has been denying us some of this store's data. Everything else keeps working.",
            "Authorize the store again. If this note is still here a day later, it is not up to the store: Amazon has not released this data to Replyco.",
        ),
    },
    "amazon_trouble": {
        Language.DE: CheckText(
            "Störung bei Amazon",
            "Amazon antwortet uns gerade nicht zuverlässig. Nachrichten kommen weiter an.",
            "Zu tun ist nichts. Wir versuchen es laufend noch einmal.",
        ),
        Language.EN: CheckText(
            "Problems at Amazon",
            "Amazon is not answering us reliably at the moment. Messages still arrive.",
            "There is nothing for you to do. We keep trying.",
        ),
    },
    "service_trouble": {
        Language.DE: CheckText(
            "Störung bei uns",
            "Bei uns stimmt gerade etwas nicht. Nichts geht verloren.",
            "Zu tun ist nichts. Unser Betrieb ist informiert.",
        ),
        Language.EN: CheckText(
            "Problems on our side",
            "Something is wrong on our side at the moment. Nothing is lost.",
            "There is nothing for you to do. Our operators have been told.",
        ),
    },
    "amazon_paused": {
        Language.DE: CheckText(
            "Aufrufe bei Amazon angehalten",
            "Unser Betrieb hat alle Aufrufe bei Amazon angehalten. Nachrichten kommen weiter an, Bestellungen werden vorerst nicht aktualisiert.",
            "Zu tun ist nichts. Es geht von selbst weiter.",
        ),
        Language.EN: CheckText(
            "Calls to Amazon are paused",
            "Our operators have stopped all calls to Amazon. Messages still arrive; orders are not updated for now.",
            "There is nothing for you to do. It continues by itself.",
        ),
    },
    "paused": {
        Language.DE: CheckText(
            "Pausiert",
            "Jemand aus dem Konto hat diese Integration angehalten. Nachrichten kommen weiter an, alles andere ruht.",
            "Fortsetzen lässt sie sich jederzeit.",
        ),
        Language.EN: CheckText(
            "Paused",
            "Somebody in your account has paused this integration. Messages still arrive, everything else is on hold.",
            "Resume it whenever you like.",
        ),
    },
    "mail_country_missing": {
        Language.DE: CheckText(
            "Aus einigen Ländern kam noch nichts",
            "Aus diesen Ländern ist noch keine Nachricht angekommen: {countries}.",
            "Wird dort verkauft, bitte prüfen, ob die Adresse auch für diese Länder eingetragen ist.",
        ),
        Language.EN: CheckText(
            "Nothing from some countries yet",
            "No message has arrived from these countries yet: {countries}.",
            "If you sell there, check that the address is entered for these countries as well.",
        ),
    },
    "mail_not_authentic": {
        Language.DE: CheckText(
            "Nachrichten kommen nicht direkt von Amazon",
            "Hier ist Post angekommen, die Amazon an ein anderes Postfach geschickt hat. Noch wartet sie in Quarantäne.",
            "Leitet ein eigenes Postfach weiter? Besser ist es, die Adresse dieser Integration bei Amazon einzutragen; sonst lässt sich die Weiterleitung an der Nachricht bestätigen. Ist das Postfach unbekannt, ist nichts zu tun.",
        ),
        Language.EN: CheckText(
            "Mail does not come straight from Amazon",
            "Mail has arrived here that Amazon sent to another mailbox. It is waiting in quarantine.",
            "Does a mailbox of yours forward mail here? It is better to enter this integration's address at Amazon; otherwise confirm the "
            "forwarding at the message. If you do not know the mailbox, there is nothing for you to do.",
        ),
    },
    "sender_not_approved": {
        Language.DE: CheckText(
            "Absenderadresse nicht genehmigt",
            "Amazon hat Antworten nicht zugestellt, weil die Adresse {address} dort nicht als Absender genehmigt ist{in_countries}.",
            "Genau diese Adresse in Seller Central unter Nachrichten → Kommunikationsberechtigungen genehmigen. Dann die Antworten noch einmal senden: Text und Dateien sind noch da.",
        ),
        Language.EN: CheckText(
            "Sender address not approved",
            "Amazon has not delivered replies because the address {address} is not an approved sender there{in_countries}.",
            "Approve exactly this address in Seller Central, under Messages → Messaging Permissions. Then send the replies again: text and "
            "files are still there.",
        ),
    },
    "smtp_failing": {
        Language.DE: CheckText(
            "Eigener SMTP-Server lehnt ab",
            "Der eigene SMTP-Server nimmt die Anmeldung oder die Absenderadresse nicht an. Antworten dieses Stores gehen deshalb nicht hinaus.",
            "Bitte Benutzer, Passwort und Absenderadresse prüfen und die Einstellungen testen.",
        ),
        Language.EN: CheckText(
            "Your SMTP server refuses mail",
            "Your own SMTP server does not accept the sign-in or the sender address. That is why this store's replies are not sent.",
            "Check user, password and sender address, and test the settings.",
        ),
    },
    "orders_late": {
        Language.DE: CheckText(
            "Bestellungen verspätet",
            "Was sich an Bestellungen seit {since} geändert hat, fehlt hier vielleicht noch.{next_try}",
            "Zu tun ist nichts. Wir fragen Amazon laufend weiter; Bestellungen, nach denen jemand schreibt, holen wir einzeln.",
        ),
        Language.EN: CheckText(
            "Orders are late",
            "Changes to orders since {since} may still be missing here.{next_try}",
            "There is nothing for you to do. We keep asking Amazon; orders that somebody writes about are fetched one by one.",
        ),
    },
    "report_columns_missing": {
        Language.DE: CheckText(
            "Spalten fehlen im Bericht",
            "Dem Auftragsbericht vom {time} fehlen Spalten, die wir neben den Unterhaltungen zeigen: {detail}.",
            "Bitte in Seller Central alle Spalten einschalten. Danach fragen wir alle zwei Stunden einen neuen Bericht an; hat er sie alle, verschwindet dieser Hinweis.",
        ),
        Language.EN: CheckText(
            "Report columns are missing",
            "The order report of {time} lacks columns that we show next to your conversations: {detail}.",
            "Switch on all columns in Seller Central. We then ask for a new report every two hours; once it has them all, this note disappears.",
        ),
    },
}

_FORGET_PERMISSION: Final = {
    Language.DE: (
        "Unser Zugang zu diesem Amazon-Konto ist gelöscht. Damit auch Amazon die Erlaubnis vergisst, in Seller Central „Apps verwalten“ öffnen und bei Replyco „Autorisierung deaktivieren“ wählen. "
    ),
    Language.EN: (
        "Our access to this Amazon account has been deleted. To withdraw the permission at Amazon as well, open “Manage Your Apps” in "
        "Seller Central and choose “Disable authorization” for Replyco. "
    ),
}
_FORGET_ADDRESS: Final = {
    Language.DE: "Bitte die Adresse dieser Integration in Seller Central aus dem Verkäuferprofil und den Benachrichtigungseinstellungen löschen.",
    Language.EN: "Please remove this integration's address from the seller profile and the notification preferences in Seller Central.",
}

# Amazon has told of the account itself, and on which day.
_ACCOUNT: Final = {
    DEACTIVATED: {
        Language.DE: CheckText(
            "Amazon hat das Verkäuferkonto gesperrt",
            "Das hat Amazon am {date} mitgeteilt, für diese Länder: {countries}.",
            "Was zu tun ist, steht in Seller Central unter Kontostatus.",
        ),
        Language.EN: CheckText(
            "Amazon has deactivated the seller account",
            "Amazon reported this on {date}, for these countries: {countries}.",
            "Account Health in Seller Central says what to do.",
        ),
    },
    AT_RISK: {
        Language.DE: CheckText(
            "Das Verkäuferkonto ist in Gefahr",
            "Amazon hat am {date} mitgeteilt, dass es das Konto sperren könnte, für diese Länder: {countries}.",
            "Was zu tun ist, steht in Seller Central unter Kontostatus.",
        ),
        Language.EN: CheckText(
            "The seller account is at risk",
            "Amazon reported on {date} that it may deactivate the account, for these countries: {countries}.",
            "Account Health in Seller Central says what to do.",
        ),
    },
}

# An administrator has confirmed the mailbox, or our operators show such mail.
_FORWARDED: Final = {
    Language.DE: CheckText(
        "Nachrichten kommen über eine Weiterleitung",
        "Amazon schickt Post für diesen Store an ein anderes Postfach, das sie hierher weiterleitet. So kommt sie an, aber mit einem Umweg.",
        "Die Adresse dieser Integration bei Amazon eintragen, im Verkäuferprofil und in den Benachrichtigungseinstellungen.",
    ),
    Language.EN: CheckText(
        "Mail arrives through forwarding",
        "Amazon sends mail for this store to another mailbox, which forwards it here. It arrives, but takes a detour.",
        "Enter this integration's address at Amazon, in the seller profile and in the notification preferences.",
    ),
}

# What is left of the guide holds up no message.
_STEPS_LEFT: Final = {
    Language.DE: CheckText(
        "Schritte der Anleitung offen",
        "Für Nachrichten ist alles eingetragen; in der Anleitung sind noch andere Schritte offen.",
        "Alle Schritte stehen in der Anleitung; erledigte lassen sich dort abhaken.",
    ),
    Language.EN: CheckText(
        "Some steps of the guide are open",
        "Everything that messages need is entered; other steps of the guide are still open.",
        "The guide lists them; you can tick off there what is done.",
    ),
}

# A consent that has ended ends no more.
_CONSENT_OVER: Final = {
    Language.DE: CheckText(
        "Zustimmung abgelaufen",
        "Amazon begrenzt jede Zustimmung auf ein Jahr. Diese ist am {date} abgelaufen.",
        "Den Store neu autorisieren, mit demselben Land. Nichts geht verloren.",
    ),
    Language.EN: CheckText(
        "Consent has expired",
        "Amazon limits every consent to one year. This one expired on {date}.",
        "Authorize the store again, with the same country. Nothing is lost.",
    ),
}

# A first refusal is looked into before anybody is asked to act.
_FIRST_REFUSAL: Final = {
    Language.DE: CheckText(
        "Amazon hat einmal abgelehnt",
        "Amazon hat unsere Erlaubnis für diesen Store einmal nicht angenommen. Wir fragen gleich noch einmal.",
        "Zu tun ist nichts, solange es dabei bleibt.",
    ),
    Language.EN: CheckText(
        "Amazon has refused once",
        "Amazon rejected our permission for this store once. We are about to ask again.",
        "There is nothing for you to do unless it happens again.",
    ),
}


def text_of(check: Check, reading: Reading, *, address: str) -> CheckText:
    """What this check says; `address` is the one that the store's replies come from."""
    language = reading.language
    text = brief_of(check.code, language, check.state)
    if check.code == "setup_incomplete" and check.detail == STEPS_LEFT:
        text = _STEPS_LEFT[language]
    if check.code == "mail_not_authentic" and check.detail == FORWARDED:
        text = _FORWARDED[language]
    if check.code == "account_suspended" and check.detail:
        text = _ACCOUNT[check.detail][language]
    fields = {
        "date": reading.day(check.on) if check.on else "",
        "since": reading.moment(check.since) if check.since else "",
        "time": reading.moment(check.on) if check.on else "",
        "next_try": _next_try(check.on, reading),
        "address": address,
        "in_countries": _in_countries(check.countries, language),
        "countries": ", ".join(country_name(country, language) for country in check.countries),
        "detail": check.detail,
    }
    return CheckText(text.title, text.text.format_map(fields), text.cure)


def _next_try(at: datetime | None, reading: Reading) -> str:
    """Nothing, if nobody tries at present."""
    words = {Language.DE: " Nächster Versuch: {}.", Language.EN: " Next attempt: {}."}[reading.language]
    return words.format(reading.moment(at)) if at else ""


def _in_countries(countries: Sequence[str], language: Language) -> str:
    names = ", ".join(country_name(country, language) for country in countries)
    return f" ({names})" if names else ""


def brief_of(code: str, language: Language, state: CheckState) -> CheckText:
    """What a check in this state says, as far as that is known without its details: of the text, the words before they are filled in."""
    if code == "grant_revoked" and state is CheckState.NOTICE:
        return _FIRST_REFUSAL[language]
    if code == "consent_expiring" and state is CheckState.RED:
        return _CONSENT_OVER[language]
    return _TEXTS[code][language]


def title_of(code: str, language: Language, state: CheckState = CheckState.NOTICE) -> str:
    """What a check is about."""
    if code == "grant_revoked" and state is CheckState.NOTICE:
        return _TEXTS[code][language].title
    return brief_of(code, language, state).title


def disconnection_text(language: Language, *, uses_api: bool) -> str:
    """The steps left for sellers after they have disconnected a store; one without the API had no permission."""
    return (_FORGET_PERMISSION[language] if uses_api else "") + _FORGET_ADDRESS[language]
