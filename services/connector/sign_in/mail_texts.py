"""The mails about signing in, in the reader's language and time zone. They address nobody by "du" or "Sie"."""

from datetime import datetime
from email.message import EmailMessage
from typing import Final
from uuid import UUID

from services.connector.accounts.letters import Reader, letter
from services.connector.http.language import Language
from shared.tables import NoticeKind

_DE, _EN = Language.DE, Language.EN
# Subject and text.
_TEXTS: Final[dict[NoticeKind, dict[Language, tuple[str, str]]]] = {
    NoticeKind.PASSWORD_RESET: {
        _DE: (
            "Neues Passwort für Replyco",
            ("für {address} wurde ein neues Passwort angefordert. Mit diesem Link lässt es sich setzen, einmal und bis {until}:\n\n{link}\n\n"
            "War das jemand anderes, ist nichts zu tun: Das bisherige Passwort gilt weiter."),
        ),
        _EN: (
            "A new password for Replyco",
            ("a new password was requested for {address}. This link sets it; it works once and until {until}:\n\n{link}\n\n"
            "If that was somebody else, there is nothing to do: the current password stays valid."),
        ),
    },
    NoticeKind.PASSWORD_CHANGED: {
        _DE: (
            "Das Passwort für Replyco wurde geändert",
            ("das Passwort für {address} wurde geändert: {at}, {browser}, Netz {network}. Die anderen Sitzungen wurden beendet.\n\n"
            "War das jemand anderes? Dann bitte sofort ein neues Passwort setzen und der Administration Bescheid geben:\n{forgot}"),
        ),
        _EN: (
            "The password for Replyco was changed",
            ("the password for {address} was changed: {at}, {browser}, network {network}. All other sessions have ended.\n\n"
            "Was it somebody else? Then please set a new password at once, and tell an administrator:\n{forgot}"),
        ),
    },
    NoticeKind.NEW_BROWSER: {
        _DE: (
            "Anmeldung bei Replyco mit einem neuen Browser",
            ("mit {address} hat sich ein Browser angemeldet, der bisher nicht bekannt war:\n\n{at}\n{browser}\nNetz {network}\n\n"
            "War das jemand anderes? Unter dieser Adresse lassen sich die Sitzung beenden und das Passwort ändern:\n{profile}"),
        ),
        _EN: (
            "A sign-in to Replyco with a new browser",
            ("somebody signed in as {address} with a browser that was not known before:\n\n{at}\n{browser}\nnetwork {network}\n\n"
            "Was it somebody else? The session can be ended and the password changed here:\n{profile}"),
        ),
    },
    NoticeKind.SECOND_FACTOR_CHANGED: {
        _DE: (
            "Der zweite Faktor für Replyco wurde geändert",
            ("an den zweiten Faktoren von {address} wurde etwas geändert: {at}. Was eingerichtet ist, steht hier:\n{profile}\n\n"
            "War das jemand anderes? Dann bitte sofort das Passwort ändern und der Administration Bescheid geben."),
        ),
        _EN: (
            "The second factor for Replyco was changed",
            ("the second factors of {address} were changed: {at}. This page shows what is set up:\n{profile}\n\n"
            "Was it somebody else? Then please change the password at once, and tell an administrator."),
        ),
    },
    NoticeKind.SECOND_FACTOR_RESET: {
        _DE: (
            "Der zweite Faktor für Replyco wurde zurückgesetzt",
            ("jemand aus der Administration hat die zweiten Faktoren von {address} zurückgesetzt: {at}. Alle Sitzungen wurden beendet. "
            "Nach der nächsten Anmeldung lassen sich neue einrichten:\n{profile}\n\nWar das nicht abgesprochen, bitte dort nachfragen."),
        ),
        _EN: (
            "The second factor for Replyco was reset",
            ("an administrator has reset the second factors of {address}: {at}. All sessions have ended. After the next sign-in, "
            "new ones can be set up:\n{profile}\n\nIf this was not agreed, please ask an administrator."),
        ),
    },
}  # fmt: skip


def compose(
    kind: NoticeKind,
    reader: Reader,
    *,
    notice_id: UUID,
    sender: str,
    now: datetime,
    support_contact: str | None = None,
    **words: str,
) -> EmailMessage:
    """A mail about signing in."""
    subject, text = _TEXTS[kind][reader.language]
    body = text.format(address=reader.address, **words)
    return letter(
        reader, subject, body, notice_id=notice_id, sender=sender, support_contact=support_contact, now=now
    )
