"""What mails to the people of an account have in common: who reads it, and its frame. They address nobody by "du" or "Sie"."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import Final
from uuid import UUID

from services.connector.accounts import queries
from services.connector.http.language import Language
from services.connector.http.reading import reading_of_zone
from services.connector.http.support_contact import support_line
from shared.database import Sessions
from shared.tables import Notice, NoticeKind

_FRAME: Final = {
    Language.DE: "Guten Tag {person},\n\n{text}\n\nReplyco\n{help}",
    Language.EN: "Hello {person},\n\n{text}\n\nReplyco\n{help}",
}


# Makes the mail of a notice right before it is sent, from this sender; None if there is nothing to tell any more.
Compose = Callable[[Notice, str, datetime], Awaitable[EmailMessage | None]]


class RoomMails(ABC):
    """Makes the mails of a room; `public_url` is where their links lead, and `support_contact` where their readers find help."""

    def __init__(self, sessions: Sessions, public_url: str, *, support_contact: str | None = None) -> None:
        self._sessions = sessions
        self._public_url = public_url
        self._support_contact = support_contact

    @abstractmethod
    def composers(self) -> Mapping[NoticeKind, Compose]:
        """By the kinds of their occasions."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a mail, and how times are told them."""

    person: str
    address: str
    language: Language
    time_zone: str

    def moment(self, at: datetime) -> str:
        return reading_of_zone(self.language, self.time_zone).moment(at)


async def reader_of(sessions: Sessions, user_id: UUID, *, even_if_disabled: bool = False) -> Reader | None:
    """None if they must not get mails any more."""
    async with sessions.begin() as session:
        user = await queries.user_who_is_there(session, user_id)
    if user is None or (user.disabled_at is not None and not even_if_disabled):
        return None
    return Reader(user.name, user.email, Language(user.language), user.time_zone)


def addressed(address: str, subject: str, *, notice_id: UUID, sender: str, now: datetime) -> EmailMessage:
    """A mail of ours without its text. The same notice has the same Message-ID, should it ever be sent twice."""
    message = EmailMessage()
    message["From"] = formataddr(("Replyco", sender))
    message["To"] = address
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{notice_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def letter(
    reader: Reader,
    subject: str,
    text: str,
    *,
    notice_id: UUID,
    sender: str,
    support_contact: str | None,
    now: datetime,
) -> EmailMessage:
    """A mail in the frame that all of these have."""
    message = addressed(reader.address, subject, notice_id=notice_id, sender=sender, now=now)
    help_line = support_line(support_contact, reader.language)
    message.set_content(_FRAME[reader.language].format(person=reader.person, text=text, help=help_line))
    return message
