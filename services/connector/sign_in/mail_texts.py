"""The mails about signing in, in the reader's language and time zone. They address nobody by "du" or "Sie"."""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import Final
from uuid import UUID

from babel.dates import format_datetime as format_moment
from babel.dates import get_timezone

from services.connector.http.language import Language
from services.connector.http.support_contact import support_line
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
            ("a new password was asked for {address}. This link sets it, once and until {until}:\n\n{link}\n\n"
            "If that was somebody else, there is nothing to do: the password stays as it is."),
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
            ("the password for {address} was changed: {at}, {browser}, network {network}. The other sessions were ended.\n\n"
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
            ("a browser that was not known before has signed in as {address}:\n\n{at}\n{browser}\nnetwork {network}\n\n"
            "Was it somebody else? Here the session can be ended and the password changed:\n{profile}"),
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
            ("the second factors of {address} were changed: {at}. What is set up can be seen here:\n{profile}\n\n"
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
            ("an administrator has reset the second factors of {address}: {at}. All sessions were ended. After the next sign-in, "
            "new ones can be set up:\n{profile}\n\nIf that was not agreed upon, please ask there."),
        ),
    },
}  # fmt: skip
_FRAME: Final = {
    _DE: "Guten Tag {person},\n\n{text}\n\nReplyco\n{help}",
    _EN: "Hello {person},\n\n{text}\n\nReplyco\n{help}",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a mail, and how times are told them."""

    person: str
    address: str
    language: Language
    time_zone: str

    def moment(self, at: datetime) -> str:
        return format_moment(
            at, format="long", tzinfo=get_timezone(self.time_zone), locale=self.language.value
        )


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
    """The same notice has the same Message-ID, should it ever be sent twice."""
    subject, text = _TEXTS[kind][reader.language]
    message = EmailMessage()
    message["From"] = formataddr(("Replyco", sender))
    message["To"] = reader.address
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{notice_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    body = text.format(address=reader.address, **words)
    help_line = support_line(support_contact, reader.language)
    message.set_content(_FRAME[reader.language].format(person=reader.person, text=body, help=help_line))
    return message
