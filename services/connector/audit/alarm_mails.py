"""The mails that tell administrators what they should look at. Composed right before they are sent, with the names of that moment."""

from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from typing import Final
from uuid import UUID

from typing_extensions import override

from services.connector.accounts.letters import Compose, RoomMails, letter, reader_of
from services.connector.audit import queries
from services.connector.http.language import Language
from shared.tables import Notice, NoticeKind

_DE, _EN = Language.DE, Language.EN
# Subject and text.
_TEXTS: Final[dict[NoticeKind, dict[Language, tuple[str, str]]]] = {
    NoticeKind.MASS_READING: {
        _DE: (
            "Ungewöhnlich viel gelesen: {name}",
            ("{name} hat innerhalb einer Stunde {count} Unterhaltungen, Bestellungen oder Dateien geöffnet (bemerkt: {at}). Was das war:\n{link}\n\n"
            "Passt das nicht zur Arbeit, bitte Sitzungen beenden oder den Schlüssel sperren. Diese Nachricht kommt höchstens einmal am Tag."),
        ),
        _EN: (
            "An unusual amount was read: {name}",
            ("{name} opened {count} conversations, orders or files within an hour (noticed: {at}). What was opened:\n{link}\n\n"
            "If that is not their work, please end the sessions or revoke the key. This message comes once a day at most."),
        ),
    },
    NoticeKind.FAILED_SIGN_INS: {
        _DE: (
            "Viele fehlgeschlagene Anmeldungen",
            ("innerhalb einer Stunde sind {count} Anmeldungen fehlgeschlagen (bemerkt: {at}). Unter welchen Namen und aus welchen Netzen:\n{link}\n\n"
            "Ein zweiter Faktor für alle schützt auch dann, wenn ein Passwort erraten wird. Diese Nachricht kommt höchstens einmal am Tag."),
        ),
        _EN: (
            "Many sign-ins have failed",
            ("{count} sign-ins failed within an hour (noticed: {at}). The names and networks are here:\n{link}\n\n"
            "A second factor for everybody protects even if a password is guessed. This message comes once a day at most."),
        ),
    },
    NoticeKind.API_KEY_CREATED: {
        _DE: (
            "Neuer API-Schlüssel: {name}",
            ("es gibt einen neuen API-Schlüssel: „{name}“, erstellt von {by}, {at}. Ein Programm kann damit lesen und ändern, was ihm erlaubt wurde.\n{link}\n\n"
            "War das nicht abgesprochen, bitte den Schlüssel sofort sperren."),
        ),
        _EN: (
            "A new API key: {name}",
            ("there is a new API key: “{name}”, created by {by}, {at}. With it, a program can read and change what it has been allowed to.\n{link}\n\n"
            "If this was not agreed, please revoke the key at once."),
        ),
    },
}  # fmt: skip


class AlarmMails(RoomMails):
    """What an administrator should look at."""

    @override
    def composers(self) -> Mapping[NoticeKind, Compose]:
        return dict.fromkeys(_TEXTS, self._tell)

    async def _tell(self, notice: Notice, sender: str, now: datetime) -> EmailMessage | None:
        reader = await reader_of(self._sessions, notice.user_id)
        if reader is None:
            return None
        kind = NoticeKind(notice.kind)
        subject_id = UUID(notice.fields.get("subject", notice.fields["occasion"]))
        async with self._sessions.reading() as asked:
            named = await queries.people_and_keys(asked, notice.account_id, [subject_id])
        who = named.get(subject_id)
        link = {
            NoticeKind.MASS_READING: f"/settings/read-log?reader_id={subject_id}",
            NoticeKind.FAILED_SIGN_INS: "/settings/audit-log?action=sign_in_failed",
        }.get(kind, f"/settings/audit-log?subject_id={subject_id}")
        words = {
            "name": who.name if who else "?",
            "by": (who.made_by if who else None) or "?",
            "count": notice.fields.get("count", "?"),
            "at": reader.moment(notice.created_at),
            "link": f"{self._public_url}{link}",
        }
        subject, body = (text.format(**words) for text in _TEXTS[kind][reader.language])
        return letter(
            reader,
            subject,
            body,
            notice_id=notice.id,
            sender=sender,
            support_contact=self._support_contact,
            now=now,
        )
