"""Mail workers, and PostgreSQL once, are killed at random moments while mail waits; then everything is counted."""

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, insert, select

from deploy.demo.postgres import OWNER
from shared.database import Sessions, create_engine, create_sessions
from shared.tables import AcceptedMail, Attachment, Conversation, MailState, Message, MessageDigest
from tests.conftest import Database, Keys
from tests.faults.mailrelay.worker import all_delivered, worker_process
from tests.integration.mailrelay.delivery.conftest import Store, accepted_row
from tests.signing import signed

_SEEDS = sorted((Path(__file__).parents[2] / "mails").glob("*.eml"))
# One in so many comes a second time, by another way.
_COPIED = 10
# A batch takes some 50 ms; a worker that is killed sooner has not begun.
_LONGEST_WAIT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Visible:
    """What is there in the end. Right is: all numbers of messages are the same, and nothing waits or is missing."""

    mails: int
    messages: int
    accepted_mails_behind_them: int
    digests: int
    counted_by_conversations: int
    empty_conversations: int
    attachments_missing: int
    waiting: int

    @property
    def is_right(self) -> bool:
        each = {
            self.mails,
            self.messages,
            self.accepted_mails_behind_them,
            self.digests,
            self.counted_by_conversations,
        }
        return len(each) == 1 and not self.empty_conversations + self.attachments_missing + self.waiting


async def delivered_though_killed(
    database: Database, keys: Keys, store: Store, *, mails: int, kills: int
) -> Visible:
    """Accept mails of every kind, kill a worker after the other, let two finish, and count."""
    engine = create_engine(database.url(OWNER), application_name="tests")
    sessions = create_sessions(engine)
    raws = [
        signed(b"X-Number: %d\r\n" % number + _SEEDS[number % len(_SEEDS)].read_bytes(), b"x-number")
        for number in range(mails)
    ]
    raws += [b"Received: by another hop\r\n" + raw for raw in raws[::_COPIED]]
    async with sessions.begin() as session:
        await session.execute(
            insert(AcceptedMail), [accepted_row(store, keys.mail_public_key, raw) for raw in raws]
        )
    for kill in range(kills):
        async with worker_process(database, keys) as worker:
            await _one_more(sessions, mails)
            if kill == kills // 2:
                database.postgres.kill()
                database.postgres.start_again()
                await engine.dispose()
                await _one_more(sessions, mails)  # the same worker goes on
            await asyncio.sleep(secrets.randbelow(1000) / 1000 * _LONGEST_WAIT_SECONDS)
            worker.kill()
            await worker.wait()
    async with worker_process(database, keys), worker_process(database, keys):
        await all_delivered(database, within_seconds=200)
    try:
        return await _count(sessions, mails)
    finally:
        await engine.dispose()


async def _one_more(sessions: Sessions, mails: int) -> None:
    """Until there is a message more, if one is missing. Some mails make no event that could be awaited."""
    enough = min(await _messages(sessions) + 1, mails)
    async with asyncio.timeout(60):
        while await _messages(sessions) < enough:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _messages(sessions: Sessions) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(Message)) or 0


async def _count(sessions: Sessions, mails: int) -> Visible:
    async with sessions() as session:

        async def number(of: object) -> int:
            return int(await session.scalar(of) or 0)  # type: ignore[call-overload]  # any SELECT of one number

        return Visible(
            mails=mails,
            messages=await number(select(func.count()).select_from(Message)),
            accepted_mails_behind_them=await number(
                select(func.count(func.distinct(Message.accepted_mail_id)))
            ),
            digests=await number(select(func.count()).select_from(MessageDigest)),
            counted_by_conversations=await number(select(func.sum(Conversation.message_count))),
            empty_conversations=await number(
                select(func.count())
                .select_from(Conversation)
                .where(~select(Message.id).where(Message.conversation_id == Conversation.id).exists())
            ),
            attachments_missing=await number(
                select(
                    func.sum(Message.attachment_count)
                    - select(func.count()).select_from(Attachment).scalar_subquery()
                )
            ),
            waiting=await number(
                select(func.count())
                .select_from(AcceptedMail)
                .where(AcceptedMail.state != MailState.DELIVERED)
            ),
        )
