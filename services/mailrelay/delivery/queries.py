"""The SQL of delivery. Every function runs inside its caller's transaction.

Rows that two workers may touch at once are always touched in the same order (digests, conversations, integrations, each
sorted), so that they wait for each other and never deadlock.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, and_, case, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.blobs import Blob
from shared.crypto.envelope import Sealed
from shared.database import UNAVAILABLE, asyncpg_dsn
from shared.events import MAIL_CHANNEL
from shared.tables import (
    AcceptedMail,
    Attachment,
    Conversation,
    Integration,
    Lock,
    MailState,
    MarketplaceParticipation,
    Message,
    MessageDigest,
    RelayAddress,
    SetupStep,
    SetupStepName,
)

# Polling delivers meanwhile; listening begins again, also when the server refused it (a password that was changed).
LISTENING_FAILURES: Final = (*UNAVAILABLE, asyncpg.PostgresError)

_Mail = TypeVar("_Mail")


class Claimed(NamedTuple):
    """An accepted mail that this transaction has locked."""

    id: UUID
    account_id: UUID
    integration_id: UUID
    relay_address_id: UUID
    accepted_at: datetime
    size: int
    attempts: int
    mail_key_id: str


class InBlobStore(NamedTuple):
    """An accepted mail that is due and lies in the blob store."""

    id: UUID
    blob: Blob


class Contents(NamedTuple):
    """What is sealed of an accepted mail."""

    content_key: bytes
    raw: Sealed | Blob


async def claim_due(session: AsyncSession, *, limit: int, max_bytes: int) -> list[Claimed]:
    """Lock the mails that lie in their rows, have waited longest, and that no other worker has.

    At least one, else not more than `max_bytes`.
    """
    # Ordered as the partial index is: a backlog of a million costs no sort.
    statement = (
        _claimable()
        .where(AcceptedMail.blob_key.is_(None))
        .order_by(AcceptedMail.next_attempt_at)
        .limit(limit)
    )
    while True:
        claimed = [Claimed(*row) for row in await session.execute(statement)]
        awake = await _let_rest(session, _up_to(max_bytes, claimed, size_of=lambda mail: mail.size))
        if awake or not claimed:
            return sorted(awake)


async def due_in_blob_store(session: AsyncSession, *, limit: int, max_bytes: int) -> list[InBlobStore]:
    """The mails that lie in the blob store and have waited longest, without those that a worker is delivering."""
    statement = (
        select(AcceptedMail.id, AcceptedMail.blob_key, AcceptedMail.blob_digest, AcceptedMail.size)
        .where(_is_due(), AcceptedMail.blob_key.is_not(None))
        .order_by(AcceptedMail.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = _up_to(max_bytes, (await session.execute(statement)).all(), size_of=lambda row: row.size)
    return [InBlobStore(row.id, Blob(row.blob_key, row.blob_digest)) for row in due]


def _up_to(max_bytes: int, mails: Sequence[_Mail], *, size_of: Callable[[_Mail], int]) -> list[_Mail]:
    total = 0
    for count, mail in enumerate(mails):
        total += size_of(mail)
        if count > 0 and total > max_bytes:
            return list(mails[:count])
    return list(mails)


async def claim_these(session: AsyncSession, accepted_mail_ids: Sequence[UUID]) -> list[Claimed]:
    """Lock those that still wait and that no other worker has."""
    statement = _claimable().where(AcceptedMail.id.in_(accepted_mail_ids))
    return sorted(await _let_rest(session, [Claimed(*row) for row in await session.execute(statement)]))


async def _let_rest(session: AsyncSession, claimed: Sequence[Claimed]) -> list[Claimed]:
    """Mail of a store that is disconnected rests, sealed, until the store is restored or removed. The others.

    Holding the row: whoever restores the store meanwhile waits, and finds the mail.
    """
    statement = (
        select(Integration.id)
        .where(
            Integration.id.in_({mail.integration_id for mail in claimed}),
            Integration.disconnected_at.is_not(None),
            Integration.removed_at.is_(None),
        )
        .order_by(Integration.id)
        .with_for_update(read=True)
    )
    resting = set(await session.scalars(statement))
    if not resting:
        return list(claimed)
    await session.execute(
        update(AcceptedMail)
        .where(AcceptedMail.id.in_([mail.id for mail in claimed if mail.integration_id in resting]))
        .values(state=MailState.RESTING)
    )
    return [mail for mail in claimed if mail.integration_id not in resting]


def _claimable() -> Any:
    return (
        select(
            AcceptedMail.id,
            AcceptedMail.account_id,
            RelayAddress.integration_id,
            AcceptedMail.relay_address_id,
            AcceptedMail.accepted_at,
            AcceptedMail.size,
            AcceptedMail.attempts,
            AcceptedMail.mail_key_id,
        )
        .join(RelayAddress, RelayAddress.id == AcceptedMail.relay_address_id)
        .where(_is_due())
        .with_for_update(of=AcceptedMail, skip_locked=True)
    )


def _is_due() -> ColumnElement[bool]:
    return and_(AcceptedMail.state == MailState.ACCEPTED, AcceptedMail.next_attempt_at <= func.now())


async def queue_age_seconds(session: AsyncSession) -> float:
    """How long the mail that is due longest has been due; locked ones count, those put off until later do not."""
    statement = (
        select(func.extract("epoch", func.now() - AcceptedMail.next_attempt_at))
        .where(AcceptedMail.state == MailState.ACCEPTED)
        .order_by(AcceptedMail.next_attempt_at)
        .limit(1)
    )
    return max(0.0, float(await session.scalar(statement) or 0))


async def load_contents(session: AsyncSession, accepted_mail_ids: Sequence[UUID]) -> dict[UUID, Contents]:
    """The sealed mails that belong to claimed rows."""
    statement = select(
        AcceptedMail.id,
        AcceptedMail.content_key,
        AcceptedMail.raw,
        AcceptedMail.blob_key,
        AcceptedMail.blob_digest,
    ).where(AcceptedMail.id.in_(accepted_mail_ids))
    return {
        row.id: Contents(row.content_key, row.raw or Blob(row.blob_key, row.blob_digest))
        for row in await session.execute(statement)
    }


async def named_blobs(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    """Those that a row names; several may name one."""
    statement = select(AcceptedMail.blob_key).where(AcceptedMail.blob_key.in_(keys))
    return {key for key in await session.scalars(statement) if key is not None}


async def insert_digests(session: AsyncSession, rows: Iterable[dict[str, Any]]) -> set[tuple[UUID, bytes]]:
    """Remember digests; the answer holds those that were new. Waits for a worker that is storing the same mail."""
    ordered = sorted(rows, key=lambda row: (row["relay_address_id"], row["digest"]))
    statement = (
        upsert(MessageDigest)
        .values(ordered)
        .on_conflict_do_nothing()
        .returning(MessageDigest.relay_address_id, MessageDigest.digest)
    )
    return {(row.relay_address_id, row.digest) for row in await session.execute(statement)}


async def find_or_open_conversations(
    session: AsyncSession, rows: Iterable[dict[str, Any]]
) -> dict[tuple[UUID, bytes], UUID]:
    """Open conversations, or move those that are open already; the answer names each by integration and thread."""
    statement = upsert(Conversation).values(
        sorted(rows, key=lambda row: (row["integration_id"], row["thread_key"]))
    )
    found = (
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[Conversation.integration_id, Conversation.thread_key],
                set_={
                    "message_count": Conversation.message_count + statement.excluded.message_count,
                    "last_message_at": func.greatest(
                        Conversation.last_message_at, statement.excluded.last_message_at
                    ),
                },
            ).returning(Conversation.integration_id, Conversation.thread_key, Conversation.id)
        )
    ).all()
    return {(row.integration_id, row.thread_key): row.id for row in found}


async def insert_messages(
    session: AsyncSession, messages: list[dict[str, Any]], attachments: list[dict[str, Any]]
) -> None:
    """Store messages with their attachments."""
    await session.execute(insert(Message), messages)
    if attachments:
        await session.execute(insert(Attachment), attachments)


async def move_last_message_at(session: AsyncSession, integration_id: UUID, at: datetime) -> None:
    """Move the list's column, never backwards."""
    await session.execute(
        update(Integration)
        .where(
            Integration.id == integration_id,
            or_(Integration.last_message_at.is_(None), Integration.last_message_at < at),
        )
        .values(last_message_at=at)
    )


async def turn_green(session: AsyncSession, integration_id: UUID) -> bool:
    """The first mail has come: a lock that is pending turns green. A red one is not ours to turn."""
    statement = (
        update(Integration)
        .where(Integration.id == integration_id, Integration.lock == Lock.PENDING)
        .values(lock=Lock.GREEN, lock_since=func.now())
        .returning(Integration.id)
    )
    return (await session.execute(statement)).first() is not None


async def tick_notification_step(session: AsyncSession, integration_id: UUID, countries: set[str]) -> bool:
    """A buyer's message from a country proves that the address is entered there: the step ticks itself.

    Without `done_by` it was seen, not told; a step that somebody has ticked before becomes one that was seen.
    """
    proven = select(
        MarketplaceParticipation.integration_id,
        literal(SetupStepName.NOTIFICATION_PREFERENCES.value),
        MarketplaceParticipation.country,
        MarketplaceParticipation.account_id,
    ).where(
        MarketplaceParticipation.integration_id == integration_id,
        MarketplaceParticipation.country.in_(countries),
        MarketplaceParticipation.is_participating,
    )
    statement = (
        upsert(SetupStep)
        .from_select(["integration_id", "step", "country", "account_id"], proven)
        .on_conflict_do_update(
            index_elements=[SetupStep.integration_id, SetupStep.step, SetupStep.country],
            set_={"done_by": None},
            where=SetupStep.done_by.is_not(None),
        )
        .returning(SetupStep.country)
    )
    return (await session.execute(statement)).first() is not None


async def mark_delivered(session: AsyncSession, accepted_mail_ids: Sequence[UUID]) -> None:
    """The mails are messages now, or copies of messages."""
    await session.execute(
        update(AcceptedMail)
        .where(AcceptedMail.id.in_(accepted_mail_ids))
        .values(state=MailState.DELIVERED, failure_code=None)
    )


async def put_off(
    session: AsyncSession,
    accepted_mail_id: UUID,
    *,
    failure_code: str,
    delays: Sequence[timedelta],
    is_held_at_last: bool,
) -> MailState | None:
    """Try again later. After the last delay the mail is held, or tried after that delay for ever. None if it no longer waits."""
    last = len(delays)
    attempts = AcceptedMail.attempts
    after_last = MailState.HELD if is_held_at_last else MailState.ACCEPTED
    statement = (
        update(AcceptedMail)
        .where(AcceptedMail.id == accepted_mail_id, AcceptedMail.state == MailState.ACCEPTED)
        .values(
            attempts=attempts + 1,
            failure_code=failure_code,
            state=case((attempts >= last, after_last.value), else_=MailState.ACCEPTED.value),
            next_attempt_at=func.now()
            + case(*((attempts == count, delay) for count, delay in enumerate(delays)), else_=delays[-1]),
        )
        .returning(AcceptedMail.state)
    )
    state = (await session.execute(statement)).scalar_one_or_none()
    return None if state is None else MailState(state)


async def wait(
    session: AsyncSession, accepted_mail_ids: Sequence[UUID], *, failure_code: str, delay: timedelta
) -> None:
    """Try again later, as if nothing had been tried."""
    await session.execute(
        update(AcceptedMail)
        .where(AcceptedMail.id.in_(accepted_mail_ids), AcceptedMail.state == MailState.ACCEPTED)
        .values(failure_code=failure_code, next_attempt_at=func.now() + delay)
    )


@asynccontextmanager
async def mail_announcements(
    database_url: str, on_mail: Callable[[], None], on_loss: Callable[[], None]
) -> AsyncIterator[None]:
    """Hear at once when a relay has committed mail. A connection of its own, because pooled ones come and go."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        asyncpg_dsn(database_url),
        timeout=5,
        server_settings={"application_name": "replyco-mail-worker-listen"},
    )
    try:
        connection.add_termination_listener(lambda _connection: on_loss())
        await connection.add_listener(MAIL_CHANNEL, lambda *_args: on_mail())
        yield
    finally:
        connection.terminate()
