"""The table of replies as a queue: which reply is due, who has it in hand, and what became of it.

A worker claims replies for a while and keeps its claims alive. A claim is told from an older one of the same reply by round and attempts,
which grow: whoever has lost theirs can store nothing any more. In a conversation one reply goes out after the other, in one order
in which each has its place (`_CLAIM`): none waits for one that waits for it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.mailrelay.outbound.outcomes import PATIENCE, Outcome, delay_after
from shared import conversations
from shared.crypto.envelope import Sealed
from shared.jobs import Job, enqueue
from shared.replies import Reply, change_state, change_states
from shared.tables import (
    Integration,
    OutboundMessage,
    ReplyFailure,
    ReplyState,
    ReplyTransport,
    SmtpConfiguration,
)

# So many that are due are looked at for a claim: those of a way that is busy are not among them.
_LOOKED_AT: Final = 500
_RECOVERED: Final = 100
# A worker that dies with a reply in hand may have died of it.
_AT_ONCE_ATTEMPTS: Final = 3
_ON_ITS_WAY: Final = ("scheduled", "queued", "delayed")
# What is being sent is before all others of its conversation, then what was tried before, then what is due first. A reply for tomorrow
# holds up none of today, one that failed holds up none at all.
_CLAIM: Final = text(
    "WITH due AS (SELECT waiting.id, waiting.due_at, waiting.integration_id, own.integration_id IS NOT NULL AS is_own"
    " FROM outbound_messages waiting LEFT JOIN smtp_configurations own ON own.integration_id = waiting.integration_id"
    " WHERE waiting.state IN ('scheduled', 'queued', 'delayed') AND waiting.due_at <= :now"
    " AND CASE WHEN own.integration_id IS NULL THEN :of_platform > 0"
    " ELSE waiting.integration_id <> ALL(CAST(:busy AS uuid[])) END"
    " AND NOT EXISTS (SELECT FROM outbound_messages before"
    " WHERE before.conversation_id = waiting.conversation_id AND before.id <> waiting.id"
    " AND before.state IN ('scheduled', 'queued', 'delayed', 'sending')"
    " AND (CASE before.state WHEN 'sending' THEN 0 WHEN 'delayed' THEN 1 ELSE 2 END,"
    " CASE before.state WHEN 'delayed' THEN coalesce(before.first_attempt_at, before.created_at) ELSE before.due_at END, before.id)"
    " < (CASE waiting.state WHEN 'delayed' THEN 1 ELSE 2 END,"
    " CASE waiting.state WHEN 'delayed' THEN coalesce(waiting.first_attempt_at, waiting.created_at) ELSE waiting.due_at END, waiting.id))"
    " ORDER BY waiting.due_at, waiting.id LIMIT :looked_at),"
    " placed AS (SELECT id, due_at, is_own,"
    " row_number() OVER (PARTITION BY CASE WHEN is_own THEN integration_id END ORDER BY due_at, id) AS place FROM due),"
    " chosen AS (SELECT id, state, due_at FROM outbound_messages WHERE id IN (SELECT id FROM placed"
    " WHERE place <= CASE WHEN is_own THEN :of_store ELSE :of_platform END ORDER BY due_at, id LIMIT :most)"
    " AND state IN ('scheduled', 'queued', 'delayed') AND due_at <= :now ORDER BY id FOR UPDATE SKIP LOCKED)"
    " UPDATE outbound_messages AS reply SET state = 'sending', state_since = now(), attempts = reply.attempts + 1,"
    " claimed_until = now() + :lease, data_sent_at = NULL FROM chosen WHERE reply.id = chosen.id"
    " RETURNING reply.id, reply.account_id, reply.integration_id, reply.conversation_id, reply.round, reply.attempts,"
    " reply.first_attempt_at, chosen.due_at, reply.answers_message_id, reply.body_text, reply.closes_conversation, reply.order_id,"
    " EXISTS (SELECT FROM smtp_configurations own WHERE own.integration_id = reply.integration_id) AS is_own"
)
_NOTE_DATA_SENT: Final = text(
    "UPDATE outbound_messages AS reply SET data_sent_at = clock_timestamp(), transport = attempt.transport,"
    " sent_from = attempt.sent_from, answers_message_id = attempt.answered_id"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:rounds AS int[]), CAST(:attempts AS int[]), CAST(:transports AS text[]),"
    " CAST(:senders AS text[]), CAST(:answered AS uuid[])) AS attempt (id, round, attempts, transport, sent_from, answered_id)"
    " WHERE reply.id = attempt.id AND reply.state = 'sending' AND reply.round = attempt.round"
    " AND reply.attempts = attempt.attempts AND reply.claimed_until > clock_timestamp()"
    # A store may have been paused while its reply waited for a connection.
    " AND NOT EXISTS (SELECT FROM integrations store WHERE store.id = reply.integration_id"
    " AND num_nonnulls(store.paused_at, store.disconnected_at, store.removed_at) > 0) RETURNING reply.id"
)
# Nothing newer came than what was answered. Amazon's notice may have been faster than our word, and an agent may have merged conversations.
_CLOSE: Final = text(
    "UPDATE conversations SET status = 'closed' FROM outbound_messages reply"
    " WHERE reply.id = ANY(CAST(:replies AS uuid[])) AND reply.state IN ('handed_over', 'confirmed')"
    " AND conversations.id = reply.conversation_id AND conversations.status = 'open' AND NOT EXISTS (SELECT FROM messages"
    " WHERE messages.conversation_id = conversations.id AND messages.kind = 'buyer_message' AND messages.id > reply.answers_message_id)"
)


class Claim(NamedTuple):
    """A reply that this worker has in hand, still sealed."""

    reply: Reply
    round: int
    attempts: int
    first_attempt_at: datetime | None
    due_at: datetime
    answers_message_id: UUID
    body_text: Sealed
    closes_conversation: bool
    order_id: str | None
    is_own: bool

    @property
    def id(self) -> UUID:
        return self.reply.id

    @property
    def fence(self) -> tuple[UUID, int, int]:
        """What no later claim of the same reply has."""
        return self.reply.id, self.round, self.attempts


class Room(NamedTuple):
    """How many replies a worker has room for: in all, for the platform's way, for each store's own. `busy`: stores that have no more."""

    most: int
    of_platform: int
    of_store: int
    busy: Collection[UUID]


class DataSent(NamedTuple):
    """All of a mail but its final dot has been sent, on this way, from this address, as an answer to this message."""

    claim: Claim
    transport: ReplyTransport
    sent_from: str
    answered_id: UUID


class Finished(NamedTuple):
    """What an attempt has come to. `words`: the server's, sealed."""

    claim: Claim
    outcome: Outcome
    words: Sealed | None
    began_at: datetime


async def claim(session: AsyncSession, room: Room, *, now: datetime, lease: timedelta) -> list[Claim]:
    """Take replies that are due now, the longest due first."""
    rows = await session.execute(
        _CLAIM,
        {
            "now": now,
            "lease": lease,
            "most": room.most,
            "of_platform": room.of_platform,
            "of_store": room.of_store,
            "busy": list(room.busy),
            "looked_at": _LOOKED_AT,
        },
    )
    claims = [
        Claim(
            reply=Reply(row.id, row.account_id, row.integration_id, row.conversation_id),
            round=row.round,
            attempts=row.attempts,
            first_attempt_at=row.first_attempt_at,
            due_at=row.due_at,
            answers_message_id=row.answers_message_id,
            body_text=Sealed(bytes(row.body_text)),
            closes_conversation=row.closes_conversation,
            order_id=row.order_id,
            is_own=row.is_own,
        )
        for row in rows
    ]
    return sorted(claims, key=lambda each: (each.due_at, each.id))


async def next_due_at(session: AsyncSession, *, after: datetime) -> datetime | None:
    """When the next reply becomes due that is not due yet."""
    found: datetime | None = await session.scalar(
        select(OutboundMessage.due_at)
        .where(OutboundMessage.state.in_(_ON_ITS_WAY), OutboundMessage.due_at > after)
        .order_by(OutboundMessage.due_at)
        .limit(1)
    )
    return found


async def renew(session: AsyncSession, claims: Collection[Claim], lease: timedelta) -> None:
    """Keep these claims alive."""
    await session.execute(
        update(OutboundMessage).where(_is_held(claims)).values(claimed_until=func.now() + lease)
    )


async def note_data_sent(connection: AsyncConnection, sent: Sequence[DataSent]) -> list[bool]:
    """On a connection that commits each statement: note that the final dots are about to be sent. False: no dot may be sent, as the claim
    is over, or the store has gone meanwhile, which whoever takes the reply next will find.
    """
    noted = await connection.execute(
        _NOTE_DATA_SENT,
        {
            "ids": [each.claim.id for each in sent],
            "rounds": [each.claim.round for each in sent],
            "attempts": [each.claim.attempts for each in sent],
            "transports": [each.transport.value for each in sent],
            "senders": [each.sent_from for each in sent],
            "answered": [each.answered_id for each in sent],
        },
    )
    ids = set(noted.scalars())
    return [each.claim.id in ids for each in sent]


async def store_outcomes(session: AsyncSession, finished: Sequence[Finished]) -> list[bool]:
    """Store what attempts have come to. False: the claim is over, and somebody else has decided."""
    # All at once, in their order: the conversations of one after the other could be locked crosswise.
    taken = [each for each in finished if each.outcome.state is ReplyState.HANDED_OVER]
    others = [each for each in finished if each.outcome.state is not ReplyState.HANDED_OVER]
    if taken and others:
        from_all = {each.claim.reply.conversation_id for each in finished}
        await conversations.lock(session, *from_all)
    stored = await _store_handed_over(session, taken) if taken else frozenset()
    for each in others:
        if await _store_one(session, each):
            stored |= {each.claim.id}
    return [each.claim.id in stored for each in finished]


async def _store_handed_over(session: AsyncSession, taken: Sequence[Finished]) -> frozenset[UUID]:
    stored = await change_states(
        session,
        [each.claim.reply for each in taken],
        ReplyState.HANDED_OVER,
        only_if=[_is_of([each.claim for each in taken])],
        handed_over_at=func.now(),
        server_words=None,
    )
    closing = [each.claim.id for each in taken if each.claim.closes_conversation]
    if closing:
        await session.execute(_CLOSE, {"replies": closing})
    own = {each.claim.reply.integration_id for each in taken if each.claim.is_own}
    if own:
        accepted = await session.scalars(
            update(SmtpConfiguration)
            .where(SmtpConfiguration.integration_id.in_(own), SmtpConfiguration.refused_since.is_not(None))
            .values(refused_since=None, refused_at=None)
            .returning(SmtpConfiguration.integration_id)
        )
        await enqueue(session, Job.RECOMPUTE_LOCK, *accepted)
    return stored


async def _store_one(session: AsyncSession, finished: Finished) -> bool:
    claim, outcome = finished.claim, finished.outcome
    values: dict[str, object] = {"server_words": finished.words}
    if outcome.state is ReplyState.DELAYED:
        values |= {"due_at": outcome.due_at, "data_sent_at": None}
    if outcome.state is ReplyState.FAILED:
        assert outcome.failure is not None
        values |= {"failure": outcome.failure.value}
    if outcome.counts:
        values |= {"first_attempt_at": func.coalesce(OutboundMessage.first_attempt_at, finished.began_at)}
    else:
        values |= {"attempts": claim.attempts - 1}
    if not await change_state(session, claim.reply, outcome.state, only_if=[_is_of([claim])], **values):
        return False
    await _note_refusal(session, claim, outcome)
    return True


async def _note_refusal(session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
    """What the lock must know: the store's own server refuses it, or Amazon its sender."""
    store = claim.reply.integration_id
    if outcome.refuses_store:
        await session.execute(
            update(SmtpConfiguration)
            .where(SmtpConfiguration.integration_id == store)
            .values(
                refused_since=func.coalesce(SmtpConfiguration.refused_since, func.now()),
                refused_at=func.now(),
            )
        )
    elif outcome.failure is ReplyFailure.SENDER_NOT_APPROVED:
        await session.execute(
            update(Integration)
            .where(Integration.id == store, Integration.sender_refused_at.is_(None))
            .values(sender_refused_at=func.now())
        )
    else:
        return
    await enqueue(session, Job.RECOMPUTE_LOCK, store)


class Recovered(NamedTuple):
    """Which replies of workers that have died became what."""

    delayed: int
    failed: int
    perhaps_sent: int


async def recover(session: AsyncSession, *, in_hand: Collection[UUID], now: datetime) -> Recovered:
    """Decide about replies whose claims are over: tried again if their final dots were not about to be sent, else perhaps sent.

    `in_hand`: those that this worker has itself, and will decide about.
    """
    is_over = and_(OutboundMessage.state == ReplyState.SENDING, OutboundMessage.claimed_until < func.now())
    rows = (
        await session.execute(
            select(
                OutboundMessage.id,
                OutboundMessage.account_id,
                OutboundMessage.integration_id,
                OutboundMessage.conversation_id,
                OutboundMessage.attempts,
                OutboundMessage.first_attempt_at,
                OutboundMessage.data_sent_at,
            )
            .where(is_over, OutboundMessage.id.not_in(in_hand))
            .order_by(OutboundMessage.claimed_until)
            .limit(_RECOVERED)
        )
    ).all()
    if not rows:
        return Recovered(0, 0, 0)
    await conversations.lock(session, *{row.conversation_id for row in rows})
    became = dict.fromkeys(ReplyState, 0)
    for row in rows:
        reply = Reply(row.id, row.account_id, row.integration_id, row.conversation_id)
        values: dict[str, object] = {}
        if row.data_sent_at is not None:
            state = ReplyState.PERHAPS_SENT
        elif row.first_attempt_at is not None and now >= row.first_attempt_at + PATIENCE:
            state, values = ReplyState.FAILED, {"failure": ReplyFailure.TEMPORARY.value}
        else:
            wait = timedelta(0) if row.attempts <= _AT_ONCE_ATTEMPTS else delay_after(row.attempts, 0.5)
            state, values = ReplyState.DELAYED, {"due_at": now + wait}
        # Its worker may live after all, and have gone on meanwhile.
        is_same = and_(
            is_over,
            OutboundMessage.attempts == row.attempts,
            OutboundMessage.data_sent_at.is_not_distinct_from(row.data_sent_at),
        )
        began = func.coalesce(OutboundMessage.first_attempt_at, OutboundMessage.state_since)
        if await change_state(session, reply, state, only_if=[is_same], first_attempt_at=began, **values):
            became[state] += 1
    return Recovered(became[ReplyState.DELAYED], became[ReplyState.FAILED], became[ReplyState.PERHAPS_SENT])


class Measured(NamedTuple):
    """What alarms ask for."""

    due_age_seconds: float
    perhaps_sent_open: int


async def measure(session: AsyncSession) -> Measured:
    """How long the reply that is due longest has waited, and how many wait for an agent to say whether they were sent."""
    oldest = (
        select(func.extract("epoch", func.now() - OutboundMessage.due_at))
        .where(OutboundMessage.state.in_(_ON_ITS_WAY))
        .order_by(OutboundMessage.due_at)
        .limit(1)
    )
    undecided = select(func.count()).where(
        OutboundMessage.state == ReplyState.PERHAPS_SENT, OutboundMessage.dismissed_at.is_(None)
    )
    return Measured(max(0.0, float(await session.scalar(oldest) or 0)), await session.scalar(undecided) or 0)


def _is_of(claims: Collection[Claim]) -> ColumnElement[bool]:
    return tuple_(OutboundMessage.id, OutboundMessage.round, OutboundMessage.attempts).in_(
        [claim.fence for claim in claims]
    )


def _is_held(claims: Collection[Claim]) -> ColumnElement[bool]:
    return and_(_is_of(claims), OutboundMessage.state == ReplyState.SENDING)
