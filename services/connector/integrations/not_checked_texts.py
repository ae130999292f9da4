"""What is not known at present, said as a question and not as a fault: German and English."""

from typing import Final

from services.connector.http.language import Language

NOT_CHECKED: Final = {
    "grant_missing": {
        Language.DE: "Ob der Store autorisiert ist",
        Language.EN: "Whether the store is authorized",
    },
    "grant_revoked": {
        Language.DE: "Ob die Autorisierung noch gilt",
        Language.EN: "Whether the authorization is still valid",
    },
    "consent_expiring": {
        Language.DE: "Wie lange die Zustimmung gilt",
        Language.EN: "How long the consent is valid",
    },
    "no_participation": {
        Language.DE: "In welchen Ländern der Store verkauft",
        Language.EN: "In which countries the store sells",
    },
    "role_missing": {
        Language.DE: "Ob alle Berechtigungen da sind",
        Language.EN: "Whether all permissions are there",
    },
    "account_suspended": {
        Language.DE: "Ob Amazon etwas gesperrt hat",
        Language.EN: "Whether Amazon has suspended anything",
    },
    "amazon_trouble": {Language.DE: "Ob Amazon erreichbar ist", Language.EN: "Whether Amazon can be reached"},
    "service_trouble": {
        Language.DE: "Ob bei uns alles läuft",
        Language.EN: "Whether everything works on our side",
    },
    "amazon_paused": {
        Language.DE: "Ob Aufrufe bei Amazon laufen",
        Language.EN: "Whether calls to Amazon are made",
    },
    "setup_incomplete": {
        Language.DE: "Ob die Einrichtung fertig ist",
        Language.EN: "Whether setup is finished",
    },
    "mail_first": {Language.DE: "Ob Nachrichten ankommen", Language.EN: "Whether messages arrive"},
    "mail_country_missing": {
        Language.DE: "Aus welchen Ländern Nachrichten kommen",
        Language.EN: "From which countries messages come",
    },
    "mail_not_authentic": {
        Language.DE: "Ob Nachrichten direkt von Amazon kommen",
        Language.EN: "Whether mail comes straight from Amazon",
    },
    "sender_not_approved": {
        Language.DE: "Ob Amazon Antworten von dieser Adresse annimmt",
        Language.EN: "Whether Amazon accepts replies from this address",
    },
    "smtp_failing": {
        Language.DE: "Ob der eigene SMTP-Server annimmt",
        Language.EN: "Whether your SMTP server accepts mail",
    },
    "orders_late": {
        Language.DE: "Ob Bestellungen aktuell sind",
        Language.EN: "Whether orders are up to date",
    },
    "report_columns_missing": {
        Language.DE: "Ob der Auftragsbericht alle Spalten hat",
        Language.EN: "Whether the order report has all columns",
    },
}
