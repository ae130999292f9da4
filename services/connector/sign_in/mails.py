"""Mails about signing in: composed right before they are sent.

What must never happen here: the token of a link in the database or in a log. It is made when its mail is sent, and only its hash stays; a
mail that is sent again has another one.
"""

from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from uuid import UUID

from sqlalchemy import update
from typing_extensions import override

from services.connector.accounts.credentials import hash_secret, new_session_token
from services.connector.accounts.letters import Compose, RoomMails, reader_of
from services.connector.sign_in.mail_texts import compose
from shared.tables import Notice, NoticeKind, PasswordReset

_KINDS = (
    NoticeKind.PASSWORD_CHANGED,
    NoticeKind.NEW_BROWSER,
    NoticeKind.SECOND_FACTOR_CHANGED,
    NoticeKind.SECOND_FACTOR_RESET,
)


class SignInMails(RoomMails):
    """About signing in."""

    @override
    def composers(self) -> Mapping[NoticeKind, Compose]:
        return dict.fromkeys(_KINDS, self._tell) | {NoticeKind.PASSWORD_RESET: self._send_link}

    async def _tell(self, notice: Notice, sender: str, now: datetime) -> EmailMessage | None:
        reader = await reader_of(self._sessions, notice.user_id)
        if reader is None:
            return None
        return compose(
            NoticeKind(notice.kind),
            reader,
            notice_id=notice.id,
            sender=sender,
            support_contact=self._support_contact,
            now=now,
            at=reader.moment(notice.created_at),
            browser=notice.fields.get("browser", "?"),
            network=notice.fields.get("network", "?"),
            profile=f"{self._public_url}/profile",
            forgot=f"{self._public_url}/forgot-password",
        )

    async def _send_link(self, notice: Notice, sender: str, now: datetime) -> EmailMessage | None:
        reader = await reader_of(self._sessions, notice.user_id)
        if reader is None:
            return None
        token = new_session_token()
        statement = (
            update(PasswordReset)
            .where(PasswordReset.id == UUID(notice.fields["occasion"]), PasswordReset.expires_at > now)
            .values(token_hash=hash_secret(token))
            .returning(PasswordReset.expires_at)
        )
        async with self._sessions.begin() as session:
            until = await session.scalar(statement)
        if until is None:
            return None
        return compose(
            NoticeKind.PASSWORD_RESET,
            reader,
            notice_id=notice.id,
            sender=sender,
            support_contact=self._support_contact,
            now=now,
            # In the fragment: browsers send it to nobody, and no log has it.
            link=f"{self._public_url}/reset-password#{token}",
            until=reader.moment(until),
        )
