"""Mails of ours: written as rows by the transaction that they report, sent by the worker. Those to a store's owner are composed here.

Each row is claimed by itself right before its mail is sent, for longer than sending may take, so that a slow mail server makes no
second mail of it. Before it is sent its occasion is checked again: a trouble that has ended is
not reported.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, Final, Literal
from uuid import UUID

import aiosmtplib
import structlog
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.letters import Compose
from services.connector.http.language import Language
from services.connector.integrations import queries
from services.connector.integrations.health import Check, CheckState, checks_of
from services.connector.integrations.owner_mail_texts import compose
from shared.database import Sessions, is_unavailable
from shared.driver import new_id
from shared.permissions import Level
from shared.tables import Integration, Notice, NoticeKind, NoticeState, User

log = structlog.get_logger()

# One answer of the mail server, and the whole conversation with it: a server that dribbles is given up in time.
_ANSWER_SECONDS: Final = 20.0
SENDING_SECONDS: Final = 60.0
_QUIT_SECONDS: Final = 2.0
# Much longer than sending takes: a lease ends by itself only when its holder was killed.
LEASE: Final = timedelta(minutes=5)
# Waits after a try that failed; after the last one the notice is given up.
_DELAYS: Final = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 120, 360, 720, 1440))


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where notices are handed in. None of it is anybody's but the operator's."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    username: str | None
    password: SecretStr | None
    sender: str


async def notify_owners(
    session: AsyncSession,
    account_id: UUID,
    integration_id: UUID,
    kind: NoticeKind,
    occasion: str,
) -> None:
    """Add a mail to the owner; without one, to everybody in the account who can act. Once for each occasion."""
    owners = (
        select(User.id)
        .where(User.account_id == account_id, User.disabled_at.is_(None))
        .where(
            User.id == select(Integration.owner_id).where(Integration.id == integration_id).scalar_subquery()
        )
    )
    people = (await session.scalars(owners)).all() or (
        await session.scalars(
            select(User.id).where(
                User.account_id == account_id, User.disabled_at.is_(None), User.general_admin == Level.EDIT
            )
        )
    ).all()
    if not people:
        return
    await session.execute(
        insert(Notice).on_conflict_do_nothing(index_elements=["dedupe_key"]),
        [
            {
                "id": new_id(),
                "account_id": account_id,
                "user_id": user_id,
                "integration_id": integration_id,
                "kind": kind.value,
                "dedupe_key": f"{kind}:{integration_id}:{occasion}:{user_id}",
                "fields": {"occasion": occasion},
            }
            for user_id in people
        ],
    )


async def count_waiting(sessions: Sessions) -> int:
    """Notices that are not sent yet."""
    async with sessions.begin() as session:
        statement = select(func.count()).select_from(Notice).where(Notice.state == NoticeState.WAITING)
        return await session.scalar(statement) or 0


class NoticeMailer:
    """Sends notices. One a worker process."""

    def __init__(
        self,
        sessions: Sessions,
        server: MailServer,
        public_url: str,
        registry: CollectorRegistry,
        *,
        mail_domain: str,
        composers: Mapping[NoticeKind, Compose] | None = None,
        support_contact: str | None = None,
        seconds: float = SENDING_SECONDS,
    ) -> None:
        """`composers`: who makes the mails that are not about a store, by their kinds."""
        self._sessions = sessions
        self._server = server
        self._public_url = public_url
        self._mail_domain = mail_domain
        self._composers = composers or {}
        self._support_contact = support_contact
        self._seconds = seconds
        self._tries = Counter(
            "replyco_notice_tries", "Tries to send a notice to an owner.", ["outcome"], registry=registry
        )
        for outcome in NoticeState:
            self._tries.labels(outcome.value)

    async def send_next(self, now: datetime) -> bool:
        """Send one notice that is due. False: none is."""
        notice = await self._claim(now)
        if notice is None:
            return False
        outcome = await self._try(notice, now)
        self._tries.labels(outcome.value).inc()
        if outcome is NoticeState.DEAD:
            log.error("notice_given_up", notice_id=str(notice.id), kind=notice.kind)
        return True

    async def _try(self, notice: Notice, now: datetime) -> NoticeState:
        if notice.attempts > len(_DELAYS) + 1:
            # Its last try has no outcome: the worker was killed in it.
            return await self._finish(notice, NoticeState.DEAD, now)
        try:
            await self._send_if_still_true(notice, now)
        except Exception as error:
            if is_unavailable(error):
                raise  # it is due again when its lease ends
            if isinstance(error, (aiosmtplib.SMTPException, OSError)):
                log.warning("notice_not_sent", notice_id=str(notice.id), error=type(error).__name__)
            else:
                log.exception("notice_failed", notice_id=str(notice.id), kind=notice.kind)
            return await self._fail(notice, now)
        return await self._finish(notice, NoticeState.SENT, now)

    async def _claim(self, now: datetime) -> Notice | None:
        """Put it off by the lease at once: if this worker is killed, another one tries then."""
        due = (
            select(Notice.id)
            .where(Notice.state == NoticeState.WAITING, Notice.next_attempt_at <= now)
            .order_by(Notice.next_attempt_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._sessions.begin() as session:
            return await session.scalar(
                update(Notice)
                .where(Notice.id == due.scalar_subquery())
                .values(attempts=Notice.attempts + 1, next_attempt_at=now + LEASE)
                .returning(Notice)
            )

    async def _send_if_still_true(self, notice: Notice, now: datetime) -> None:
        compose_it = self._composers.get(NoticeKind(notice.kind), self._compose_for_owner)
        message = await compose_it(notice, self._server.sender, now)
        if message is not None:
            await self._hand_in(message)

    async def _compose_for_owner(self, notice: Notice, sender: str, now: datetime) -> EmailMessage | None:
        if notice.integration_id is None:
            return None
        async with self._sessions.begin() as session:
            user = await session.get_one(User, notice.user_id)
            detail = await queries.detail_of(session, notice.account_id, notice.integration_id)
        check = _still_true(notice, detail, now)
        if detail is None or check is None or user.disabled_at is not None:
            return None
        return compose(
            check,
            notice_id=notice.id,
            store=detail.listed.name or detail.listed.store_name or "Amazon",
            person=user.name,
            address=user.email,
            reply_address=detail.reply_address(self._mail_domain),
            language=Language(user.language),
            time_zone=user.time_zone,
            sender=sender,
            support_contact=self._support_contact,
            link=f"{self._public_url}/integrations/{notice.integration_id}",
            now=now,
        )

    async def _hand_in(self, message: EmailMessage) -> None:
        """Returns once the server has taken it. Raises SMTPException, OSError."""
        password = self._server.password
        client = aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            use_tls=self._server.tls == "tls",
            start_tls=self._server.tls == "starttls",
            username=self._server.username,
            password=password.get_secret_value() if password is not None else None,
            timeout=_ANSWER_SECONDS,
        )
        try:
            async with asyncio.timeout(self._seconds):
                await client.connect()
                await client.send_message(message)
            # It is taken: what the server says to QUIT, or that it says nothing, makes no second mail of it.
            with suppress(aiosmtplib.SMTPException, OSError):
                async with asyncio.timeout(_QUIT_SECONDS):
                    await client.quit()
        finally:
            client.close()

    async def _fail(self, notice: Notice, now: datetime) -> NoticeState:
        if notice.attempts > len(_DELAYS):
            return await self._finish(notice, NoticeState.DEAD, now)
        await self._write_outcome(notice, next_attempt_at=now + _DELAYS[notice.attempts - 1])
        return NoticeState.WAITING

    async def _finish(self, notice: Notice, state: NoticeState, now: datetime) -> NoticeState:
        await self._write_outcome(
            notice, state=state.value, sent_at=now if state is NoticeState.SENT else None
        )
        return state

    async def _write_outcome(self, notice: Notice, **values: Any) -> None:
        """Unless another worker has claimed it anew: then that worker's outcome counts."""
        async with self._sessions.begin() as session:
            await session.execute(
                update(Notice)
                .where(Notice.id == notice.id, Notice.attempts == notice.attempts)
                .values(**values)
            )


def _still_true(notice: Notice, detail: queries.Detail | None, now: datetime) -> Check | None:
    """The occasion of the mail, if it still holds."""
    if detail is None:
        return None
    checks = checks_of(detail.facts, now)
    if notice.kind == NoticeKind.LOCK_RED:
        is_same = notice.fields["occasion"] == detail.listed.lock_since.isoformat()
        return next((c for c in checks if is_same and c.state is CheckState.RED), None)
    return next((c for c in checks if c.code == "consent_expiring" and c.state is CheckState.AMBER), None)
