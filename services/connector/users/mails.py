"""The mail of an invitation: composed right before it is sent, with a link that is made then. Only its hash stays."""

from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from typing_extensions import override

from services.connector.accounts.credentials import hash_secret, new_session_token
from services.connector.accounts.letters import Compose, RoomMails, addressed
from services.connector.http.language import Language
from services.connector.http.reading import reading_of_zone
from services.connector.http.support_contact import support_line
from shared.tables import Account, Invitation, Notice, NoticeKind, User

# Subject and text.
_TEXTS: Final[dict[Language, tuple[str, str]]] = {
    Language.DE: (
        "Einladung zu Replyco",
        (
            "Guten Tag{person},\n\n{inviter} lädt {address} zum Konto „{account}“ bei Replyco ein. Mit diesem Link lassen sich Name und Passwort "
            "wählen, einmal und bis {until}:\n\n{link}\n\nKommt die Einladung unerwartet, ist nichts zu tun.\n\nReplyco\n{help}"
        ),
    ),
    Language.EN: (
        "An invitation to Replyco",
        (
            "Hello{person},\n\n{inviter} invites {address} to the account “{account}” at Replyco. This link, which works once and until "
            "{until}, is for choosing a name and a password:\n\n{link}\n\nIf you did not expect this invitation, there is nothing to do.\n\nReplyco\n{help}"
        ),
    ),
}


class InvitationMails(RoomMails):
    """The mail of an invitation."""

    @override
    def composers(self) -> Mapping[NoticeKind, Compose]:
        return {NoticeKind.INVITATION: self._compose}

    async def _compose(self, notice: Notice, sender: str, now: datetime) -> EmailMessage | None:
        token = new_session_token()
        async with self._sessions.begin() as session:
            invitation = await session.scalar(
                update(Invitation)
                .where(Invitation.id == UUID(notice.fields["occasion"]), Invitation.expires_at > now)
                .values(token_hash=hash_secret(token))
                .returning(Invitation)
            )
            if invitation is None:
                return None
            inviter = await session.get_one(User, notice.user_id)
            account = (await session.scalars(select(Account).where(Account.id == notice.account_id))).one()
        language = Language(invitation.language)
        subject, text = _TEXTS[language]
        message = addressed(invitation.email, subject, notice_id=notice.id, sender=sender, now=now)
        # Where they are, nobody knows: the clock is the one of whoever invites them.
        until = reading_of_zone(language, inviter.time_zone).moment(invitation.expires_at)
        body = text.format(
            person=f" {invitation.name}" if invitation.name else "",
            inviter=inviter.name,
            address=invitation.email,
            account=account.name,
            until=until,
            # In the fragment: browsers send it to nobody, and no log has it.
            link=f"{self._public_url}/invitation#{token}",
            help=support_line(self._support_contact, language),
        )
        message.set_content(body)
        return message
