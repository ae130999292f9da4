"""The table of accepted mail as a queue: which mail is due, what becomes of its row, and when it is tried again.

A worker claims due mails (`turns`), prepares them, and stores them in one transaction that locks their rows. The claim saves the work of
preparing a mail twice, and nothing more: only the transaction decides who delivers a mail.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, and_, case, func, or_, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery.queue_start import SINCE, QueueStart
from shared.blobs import Blob
from shared.channels import MAIL_CHANNEL
from shared.crypto.envelope import Sealed
from shared.driver import DRIVER_UNAVAILABLE, asyncpg_dsn, connect_driver
from shared.lanes import Lane
from shared.networks import Network, network_of
from shared.restorations import IS_UNCERTAIN
from shared.tables import (
    AcceptedMail,
    Attachment,
    Conversation,
    ConversationStatus,
    Integration,
    MailState,
    Message,
    RelayAddress,
    ReplyFile,
)

# Polling delivers meanwhile; listening begins again, also when the server refused it (a password that was changed).
LISTENING_FAILURES: Final = (*DRIVER_UNAVAILABLE, asyncpg.PostgresError)
# So many put-off mails at a time take their place among the due ones again.
_RETURNED_BATCH: Final = 500
_RECHECK_BATCH: Final = 500
_RECHECK_LEASE: Final = timedelta(hours=1)
# The last recheck of a message by itself is a week after it came (`authentication.recheck_at`).
_RECHECKS_END: Final = timedelta(days=8)
_DAY: Final = timedelta(days=1)
# The state is written out: for a parameter PostgreSQL would keep no plan, as the index of what is due would not be in it.
_AGE: Final = text("""
    SELECT extract(epoch FROM now() - next_attempt_at) FROM accepted_mail
    WHERE id >= :since AND state = 'accepted' ORDER BY next_attempt_at LIMIT 1
""").bindparams(SINCE)


class QueuedMail(NamedTuple):
    """An accepted mail that this worker has claimed, still sealed. `raw` may lie in the blob store."""

    id: UUID
    account_id: UUID
    integration_id: UUID
    relay_address_id: UUID
    accepted_at: datetime
    size: int
    attempts: int
    mail_key_id: str
    peer_address: str
    is_store_disconnected: bool
    content_key: bytes
    envelope: Sealed
    raw: Sealed | Blob

    @property
    def network(self) -> Network:
        """Where it came from."""
        return network_of(ip_address(self.peer_address))


async def read_due(session: AsyncSession, ids: Sequence[UUID], *, since: UUID) -> list[QueuedMail]:
    """These mails, in this order, as far as they are due. None of them is older than `since`."""
    statement = (
        select(
            AcceptedMail.id,
            AcceptedMail.account_id,
            RelayAddress.integration_id,
            AcceptedMail.relay_address_id,
            AcceptedMail.accepted_at,
            AcceptedMail.size,
            AcceptedMail.attempts,
            AcceptedMail.mail_key_id,
            AcceptedMail.peer_address,
            and_(Integration.disconnected_at.is_not(None), Integration.removed_at.is_(None)).label(
                "is_store_disconnected"
            ),
            AcceptedMail.content_key,
            AcceptedMail.envelope,
            AcceptedMail.raw,
            AcceptedMail.blob_key,
            AcceptedMail.blob_digest,
        )
        .join(RelayAddress, RelayAddress.id == AcceptedMail.relay_address_id)
        .join(Integration, Integration.id == RelayAddress.integration_id)
        # Again: another worker may have delivered it just before it let it go.
        .where(AcceptedMail.id.in_(ids), AcceptedMail.id >= SINCE, _is_still_due())
    )
    mails = {
        row.id: QueuedMail(
            id=row.id,
            account_id=row.account_id,
            integration_id=row.integration_id,
            relay_address_id=row.relay_address_id,
            accepted_at=row.accepted_at,
            size=row.size,
            attempts=row.attempts,
            mail_key_id=row.mail_key_id,
            peer_address=row.peer_address,
            is_store_disconnected=row.is_store_disconnected,
            content_key=row.content_key,
            envelope=row.envelope,
            raw=row.raw if row.raw is not None else Blob(row.blob_key, row.blob_digest),
        )
        for row in await session.execute(statement, {"since": since})
    }
    return [mails[mail_id] for mail_id in ids if mail_id in mails]


async def return_put_off(session: AsyncSession, lane: Lane) -> int:
    """Mails of a lane that were put off until now are due again, and take their turns; the answer says how many."""
    due = (
        select(AcceptedMail.id)
        .where(_is_due(), AcceptedMail.is_put_off, AcceptedMail.lane == lane)
        .order_by(AcceptedMail.next_attempt_at)
        .limit(_RETURNED_BATCH)
    )
    ids = (await session.scalars(due)).all()
    await session.execute(
        update(AcceptedMail).where(AcceptedMail.id.in_(ids), _is_due()).values(is_put_off=False)
    )
    return len(ids)


async def move_to_slow_lane(session: AsyncSession, accepted_mail_ids: Sequence[UUID]) -> None:
    """Let no mail of another lane wait for these any more; whoever works on the slow lane is told."""
    await session.execute(
        update(AcceptedMail)
        .where(AcceptedMail.id.in_(accepted_mail_ids), AcceptedMail.state == MailState.ACCEPTED)
        .values(lane=Lane.SLOW)
    )
    await session.execute(select(func.pg_notify(MAIL_CHANNEL, "")))


async def lock_for_delivery(session: AsyncSession, accepted_mail_ids: Sequence[UUID]) -> set[UUID]:
    """Lock the mails that still wait; the answer holds those to deliver now.

    Mail of a store that is disconnected stays sealed until the store is restored or removed. The store's row is held: whoever
    restores it meanwhile waits, and finds the mail.
    """
    locked = (
        await session.execute(
            select(AcceptedMail.id, RelayAddress.integration_id)
            .join(RelayAddress, RelayAddress.id == AcceptedMail.relay_address_id)
            .where(AcceptedMail.id.in_(accepted_mail_ids), _is_still_due())
            .with_for_update(of=AcceptedMail, skip_locked=True)
        )
    ).all()
    if not locked:
        return set()
    statement = (
        select(Integration.id)
        .where(
            Integration.id.in_({row.integration_id for row in locked}),
            Integration.disconnected_at.is_not(None),
            Integration.removed_at.is_(None),
        )
        .order_by(Integration.id)
        .with_for_update(read=True)
    )
    disconnected = set(await session.scalars(statement))
    if disconnected:
        await session.execute(
            update(AcceptedMail)
            .where(AcceptedMail.id.in_([row.id for row in locked if row.integration_id in disconnected]))
            .values(state=MailState.RESTING)
        )
    return {row.id for row in locked if row.integration_id not in disconnected}


def _is_due() -> ColumnElement[bool]:
    return and_(AcceptedMail.state == MailState.ACCEPTED, AcceptedMail.next_attempt_at <= func.now())


def _is_still_due() -> ColumnElement[bool]:
    """The same for mails that are found by their ids.

    Said so that no index of what waits promises it: PostgreSQL, which mostly knows the table from a time when nothing waited, would
    read all that waits, and look for the ids among it.
    """
    others = [state for state in MailState if state is not MailState.ACCEPTED]
    return and_(AcceptedMail.state.not_in(others), AcceptedMail.next_attempt_at <= func.now())


async def queue_age_seconds(session: AsyncSession, queue_start: QueueStart) -> float:
    """Seconds since the mail that is due longest became due; mail whose next attempt lies in the future does not count."""
    age = await session.scalar(_AGE, {"since": await queue_start.find(session)})
    return max(0.0, float(age or 0))


async def count_stores_addressed_elsewhere(session: AsyncSession) -> int:
    """How many stores saw, in the last day, only mail that Amazon has addressed to mailboxes of which nothing is known."""
    statement = select(func.count()).where(
        Integration.misdirected_mail_at > func.now() - _DAY,
        Integration.disconnected_at.is_(None),
        or_(Integration.last_message_at.is_(None), Integration.last_message_at < func.now() - _DAY),
    )
    return await session.scalar(statement) or 0


async def referenced_blobs(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    """Those of these blobs that a row refers to: of accepted mail, of an attachment, of a reply's file."""
    named = (
        select(table.blob_key).where(table.blob_key.in_(keys))
        for table in (AcceptedMail, Attachment, ReplyFile)
    )
    return {key for key in await session.scalars(union_all(*named)) if key is not None}


async def is_uncertain_after_restore(session: AsyncSession) -> bool:
    """Whether rows may be missing that were made after the point of a restore."""
    return bool(await session.scalar(text(f"SELECT {IS_UNCERTAIN}")))


async def requeue_for_recheck(session: AsyncSession) -> int:
    """Queue the mails of messages whose authenticity could not be checked and is to be rechecked now; the answer says how many.

    Each is delivered once more, and found to be a copy of what is stored (`conversation_writer`).
    """
    statement = (
        select(Message.id, Message.accepted_mail_id, Conversation.status)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Message.recheck_at <= func.now())
        .order_by(Message.recheck_at)
        .limit(_RECHECK_BATCH)
        .with_for_update(of=Message, skip_locked=True)
    )
    due = (await session.execute(statement)).all()
    in_quarantine = [row for row in due if row.status == ConversationStatus.QUARANTINE]
    if not due:
        return 0
    # What an agent has released needs no verdict any more. The others are queued again if whoever delivers them dies.
    await session.execute(
        update(Message)
        .where(Message.id.in_([row.id for row in due]))
        .values(
            recheck_at=case(
                (
                    and_(
                        Message.id.in_([row.id for row in in_quarantine]),
                        Message.received_at > func.now() - _RECHECKS_END,
                    ),
                    func.now() + _RECHECK_LEASE,
                ),
                else_=None,
            )
        )
    )
    await session.execute(
        update(AcceptedMail)
        .where(
            AcceptedMail.id.in_([row.accepted_mail_id for row in in_quarantine]),
            AcceptedMail.state == MailState.DELIVERED,
        )
        .values(state=MailState.ACCEPTED, next_attempt_at=func.now(), is_put_off=False)
    )
    return len(in_quarantine)


async def mark_delivered(session: AsyncSession, accepted_mail_ids: Sequence[UUID]) -> None:
    """Note that the mails are messages now, or copies of messages."""
    await session.execute(
        update(AcceptedMail)
        .where(AcceptedMail.id.in_(accepted_mail_ids))
        .values(state=MailState.DELIVERED, failure_code=None)
    )


async def record_failed_attempt(
    session: AsyncSession,
    accepted_mail_id: UUID,
    *,
    failure_code: str,
    delays: Sequence[timedelta],
    is_held_at_last: bool,
) -> MailState | None:
    """Count an attempt that failed, and try again later; the answer is the new state, or None if the mail no longer waits.

    After the last delay the mail is held, or tried again after that delay for ever: in the slow lane, where it holds up none that
    has not failed.
    """
    last = len(delays)
    attempts = AcceptedMail.attempts
    after_last = MailState.HELD if is_held_at_last else MailState.ACCEPTED
    statement = (
        update(AcceptedMail)
        .where(AcceptedMail.id == accepted_mail_id, AcceptedMail.state == MailState.ACCEPTED)
        .values(
            attempts=attempts + 1,
            failure_code=failure_code,
            lane=Lane.SLOW,
            is_put_off=True,
            state=case((attempts >= last, after_last.value), else_=MailState.ACCEPTED.value),
            next_attempt_at=func.now()
            + case(*((attempts == count, delay) for count, delay in enumerate(delays)), else_=delays[-1]),
        )
        .returning(AcceptedMail.state)
    )
    state = (await session.execute(statement)).scalar_one_or_none()
    return None if state is None else MailState(state)


async def postpone(
    session: AsyncSession, accepted_mail_ids: Sequence[UUID], *, failure_code: str, delay: timedelta
) -> None:
    """Try again later, without counting an attempt."""
    await session.execute(
        update(AcceptedMail)
        .where(AcceptedMail.id.in_(accepted_mail_ids), AcceptedMail.state == MailState.ACCEPTED)
        .values(failure_code=failure_code, is_put_off=True, next_attempt_at=func.now() + delay)
    )


@asynccontextmanager
async def announcements(
    database_url: str, heard: Mapping[str, Callable[[], None]], on_loss: Callable[[], None]
) -> AsyncIterator[None]:
    """Call what `heard` has for a channel whenever somebody has notified there. A connection of its own, because pooled ones come and go."""
    connection: asyncpg.Connection[asyncpg.Record] = await connect_driver(
        asyncpg_dsn(database_url),
        timeout=5,
        server_settings={"application_name": "replyco-mail-worker-listen"},
    )
    try:
        connection.add_termination_listener(lambda _connection: on_loss())
        for channel, call in heard.items():
            await connection.add_listener(channel, lambda *_args, call=call: call())
        yield
    finally:
        connection.terminate()
