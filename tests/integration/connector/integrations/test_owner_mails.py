"""Mails to owners: once, in their language, and only while there is something to tell."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from services.connector.integrations.consent_reminders import send_reminders
from services.connector.integrations.owner_mails import (
    LEASE,
    SENDING_SECONDS,
    MailServer,
    NoticeMailer,
    count_waiting,
)
from services.connector.integrations.service import recompute_lock
from shared.database import Sessions
from shared.tables import Account, Grant, Integration, Notice, User
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import connect, connect_named

SignInAs = Callable[..., Awaitable[SignedIn]]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Mailbox:
    """A real SMTP server that keeps what it takes, or refuses everything."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = "250 OK"
        self.port = 0
        # Cleared, it takes a mail and does not say so until it is set again.
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_asked = asyncio.Event()
        self.answers_quit = True

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        if not self.answers_quit:
            await asyncio.Event().wait()
        return "221 bye"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.is_asked.set()
        await self.answers.wait()
        return self.answer


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    yield box
    server.close()


@pytest.fixture
def notice_mailer(sessions: Sessions, mailbox: Mailbox) -> NoticeMailer:
    server = MailServer("127.0.0.1", mailbox.port, "none", None, None, "no-reply@replyco.example")
    return NoticeMailer(
        sessions, server, "https://app.example", CollectorRegistry(), mail_domain="replyco.email"
    )


async def send_due(notice_mailer: NoticeMailer, now: datetime) -> int:
    """Send all that is due. The answer is how many tries that were."""
    tries = 0
    while await notice_mailer.send_next(now):
        tries += 1
    return tries


async def revoke(sessions: Sessions, integration_id: str, account: Account, *, at: datetime = NOW) -> None:
    """As the vault does it."""
    async with sessions.begin() as session:
        await session.execute(
            update(Grant)
            .where(Grant.integration_id == UUID(integration_id))
            .values(refused_at=at, refused_by="lwa", revoked_at=at)
        )
        await recompute_lock(session, account.id, UUID(integration_id), at)


async def recover(sessions: Sessions, integration_id: str, account: Account) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Grant).values(refused_at=None, refused_by=None, revoked_at=None))
        await recompute_lock(session, account.id, UUID(integration_id), NOW + timedelta(hours=1))


async def notices(sessions: Sessions) -> list[tuple[str, str]]:
    async with sessions.begin() as session:
        rows = await session.execute(select(Notice.kind, Notice.state).order_by(Notice.id))
        return [(row.kind, row.state) for row in rows]


async def consented(sessions: Sessions, ago: timedelta) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Grant).values(consented_at=NOW - ago))


async def test_the_owner_is_told_once_when_the_lock_turns_red(
    signed_in: SignedIn, sessions: Sessions, notice_mailer: NoticeMailer, mailbox: Mailbox
):
    integration_id = await connect_named(signed_in, "Amazon Europa")

    await asyncio.gather(*(revoke(sessions, integration_id, signed_in.account) for _ in range(4)))
    await asyncio.gather(send_due(notice_mailer, NOW + DAY), send_due(notice_mailer, NOW + DAY))
    await send_due(notice_mailer, NOW + 2 * DAY)

    assert await notices(sessions) == [("lock_red", "sent")]
    [mail] = mailbox.mails
    assert mail["To"] == signed_in.user.email
    assert mail["Subject"] == "Amazon Europa: Autorisierung widerrufen"
    body = mail.get_content()
    assert f"https://app.example/integrations/{integration_id}" in body
    assert "ein Klick" in body


async def test_it_speaks_the_owners_language(
    signed_in: SignedIn, sessions: Sessions, notice_mailer: NoticeMailer, mailbox: Mailbox
):
    integration_id = await connect_named(signed_in)
    async with sessions.begin() as session:
        await session.execute(update(User).values(language="en", time_zone="America/New_York"))
    await revoke(sessions, integration_id, signed_in.account, at=datetime(2026, 11, 24, 2, 30, tzinfo=UTC))

    await send_due(notice_mailer, NOW + DAY)

    assert mailbox.mails[0]["Subject"] == "Amazon Europa: Authorization withdrawn"
    assert "Since: Nov 23, 2026, 9:30" in mailbox.mails[0].get_content()


async def test_what_has_mended_itself_meanwhile_is_not_told(
    signed_in: SignedIn, sessions: Sessions, notice_mailer: NoticeMailer, mailbox: Mailbox
):
    integration_id = await connect_named(signed_in)
    await revoke(sessions, integration_id, signed_in.account)
    await recover(sessions, integration_id, signed_in.account)

    await send_due(notice_mailer, NOW + DAY)

    lock = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()["lock"]
    assert lock["state"] != "red"
    assert mailbox.mails == []
    assert await count_waiting(sessions) == 0


async def test_a_lock_that_turns_red_again_is_told_again(signed_in: SignedIn, sessions: Sessions):
    integration_id = await connect_named(signed_in)
    await revoke(sessions, integration_id, signed_in.account)
    await recover(sessions, integration_id, signed_in.account)

    await revoke(sessions, integration_id, signed_in.account, at=NOW + timedelta(hours=2))

    assert len(await notices(sessions)) == 2


async def test_without_an_owner_everybody_is_told_who_can_act(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions
):
    colleague = await sign_in_as()
    await sign_in_as(general_admin="view")
    integration_id = await connect_named(signed_in)
    async with sessions.begin() as session:
        await session.execute(update(Integration).values(owner_id=None))

    await revoke(sessions, integration_id, signed_in.account)

    async with sessions.begin() as session:
        told = set(await session.scalars(select(Notice.user_id)))
    assert told == {signed_in.user.id, colleague.user.id}


async def test_a_mail_server_that_is_away_costs_only_time_until_the_notice_is_given_up(
    signed_in: SignedIn, sessions: Sessions, notice_mailer: NoticeMailer, mailbox: Mailbox
):
    integration_id = await connect_named(signed_in)
    await revoke(sessions, integration_id, signed_in.account)
    mailbox.answer = "451 later"

    tries, now = 0, NOW + DAY
    while await count_waiting(sessions):
        tries += await send_due(notice_mailer, now)
        now += 2 * DAY

    assert tries == 7
    assert await notices(sessions) == [("lock_red", "dead")]


async def test_a_notice_that_cannot_be_composed_is_given_up_and_holds_up_no_other(
    signed_in: SignedIn,
    sign_in_as: SignInAs,
    sessions: Sessions,
    notice_mailer: NoticeMailer,
    mailbox: Mailbox,
):
    colleague = await sign_in_as()
    integration_id = await connect_named(signed_in)
    async with sessions.begin() as session:
        await session.execute(update(Integration).values(owner_id=None))
        # As if a time zone had been given up.
        await session.execute(
            update(User).where(User.id == signed_in.user.id).values(time_zone="Atlantis/Capital")
        )
    await revoke(sessions, integration_id, signed_in.account)

    tries, now = 0, NOW + DAY
    with capture_logs() as logs:
        while await count_waiting(sessions):
            tries += await send_due(notice_mailer, now)
            now += 2 * DAY

    assert tries == 7 + 1
    assert sorted(await notices(sessions)) == [("lock_red", "dead"), ("lock_red", "sent")]
    assert [mail["To"] for mail in mailbox.mails] == [colleague.user.email]
    events = Counter(line["event"] for line in logs)
    assert (events["notice_failed"], events["notice_given_up"]) == (7, 1)


async def test_a_notice_that_kills_its_worker_is_given_up(
    signed_in: SignedIn, sessions: Sessions, notice_mailer: NoticeMailer, mailbox: Mailbox
):
    integration_id = await connect_named(signed_in)
    await revoke(sessions, integration_id, signed_in.account)
    async with sessions.begin() as session:
        # Seven tries were begun, and none of them has an outcome.
        await session.execute(update(Notice).values(attempts=7))

    assert await send_due(notice_mailer, NOW + DAY) == 1

    assert await notices(sessions) == [("lock_red", "dead")]
    assert mailbox.mails == []


async def test_the_countdown_is_told_at_thirty_seven_and_one_days_each_once(
    signed_in: SignedIn, sessions: Sessions, notice_mailer: NoticeMailer, mailbox: Mailbox
):
    """# S: consent countdown 30/7/1 days, then red"""
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    await consented(sessions, timedelta(days=330))
    told: list[int] = []
    for day in range(36):
        now = NOW + day * DAY
        await asyncio.gather(send_reminders(sessions, now), send_reminders(sessions, now))
        await send_due(notice_mailer, now + timedelta(hours=1))
        if len(mailbox.mails) > len(told):
            told.append(35 - day)

    assert told == [30, 7, 1, 0]
    assert [kind for kind, _ in await notices(sessions)] == [
        "consent_30",
        "consent_7",
        "consent_1",
        "lock_red",
    ]
    async with sessions.begin() as session:
        assert await session.scalar(select(Integration.lock)) == "red"
    await connect(signed_in.client)
    assert (await signed_in.client.get(path)).json()["lock"]["state"] != "red"
    await send_reminders(sessions, NOW)
    async with sessions.begin() as session:
        assert await session.scalar(select(Integration.consent_warned)) is None


async def test_a_store_with_nothing_due_is_not_touched(signed_in: SignedIn, sessions: Sessions):
    await connect_named(signed_in)

    assert await send_reminders(sessions, NOW) == 0
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(Notice)) == 0


async def test_a_mail_server_that_stalls_makes_no_second_mail_and_holds_up_no_other_worker(
    *,
    signed_in: SignedIn,
    sign_in_as: SignInAs,
    sessions: Sessions,
    notice_mailer: NoticeMailer,
    mailbox: Mailbox,
):
    """Of a batch that one worker had claimed, another one would have sent what was left when the lease ended, and both would have."""
    for _ in range(4):
        await sign_in_as()
    integration_id = await connect_named(signed_in)
    async with sessions.begin() as session:
        await session.execute(update(Integration).values(owner_id=None))
    await revoke(sessions, integration_id, signed_in.account)
    server = MailServer("127.0.0.1", mailbox.port, "none", None, None, "no-reply@replyco.example")
    other = NoticeMailer(
        sessions, server, "https://app.example", CollectorRegistry(), mail_domain="replyco.email"
    )
    mailbox.answers.clear()
    stalled = asyncio.create_task(send_due(notice_mailer, NOW + DAY))
    await mailbox.is_asked.wait()
    mailbox.is_asked.clear()

    # Shortly before the lease of the one mail that is under way ends, the other worker takes all that are left.
    stalled_too = asyncio.create_task(send_due(other, NOW + DAY + LEASE - timedelta(seconds=1)))
    await mailbox.is_asked.wait()
    mailbox.answers.set()

    assert await stalled + await stalled_too == 5
    recipients = [mail["To"] for mail in mailbox.mails]
    assert len(recipients) == len(set(recipients)) == 5
    assert await notices(sessions) == [("lock_red", "sent")] * 5


async def test_a_conversation_with_the_mail_server_ends_long_before_the_lease(
    signed_in: SignedIn, sessions: Sessions, mailbox: Mailbox
):
    assert timedelta(seconds=SENDING_SECONDS) * 2 < LEASE
    integration_id = await connect_named(signed_in)
    await revoke(sessions, integration_id, signed_in.account)
    server = MailServer("127.0.0.1", mailbox.port, "none", None, None, "no-reply@replyco.example")
    hasty = NoticeMailer(
        sessions, server, "https://app.example", CollectorRegistry(), seconds=0.5, mail_domain="replyco.email"
    )
    mailbox.answers.clear()

    assert await hasty.send_next(NOW + DAY)

    assert await notices(sessions) == [("lock_red", "waiting")]
    mailbox.answers.set()


async def test_a_server_that_says_nothing_to_quit_gets_no_second_mail(
    signed_in: SignedIn, sessions: Sessions, notice_mailer: NoticeMailer, mailbox: Mailbox
):
    integration_id = await connect_named(signed_in)
    await revoke(sessions, integration_id, signed_in.account)
    mailbox.answers_quit = False

    assert await send_due(notice_mailer, NOW + DAY) == 1

    assert await notices(sessions) == [("lock_red", "sent")]
    assert len(mailbox.mails) == 1
