"""What arriving mails say of replies that were sent: confirmed, or failed and why.

A mail names a reply by its Message-ID, which nobody knows but who got that reply: then even a stranger's report of a failure counts, as
mail servers send them. Without it only a proven mail of Amazon's counts, for the newest reply about its order in the last days. A report
about an earlier round of a reply says nothing of the present one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import any_, case, func, literal, null, or_, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Uuid

from services.mailrelay.delivery import queries
from services.mailrelay.delivery.message_rows import NewMessage
from services.mailrelay.outbound.reasons import shown_line
from services.mailrelay.outbound.reply import NamedReply, reply_named_in
from services.mailrelay.parsing.mail import MailKind
from shared import conversations
from shared.crypto.envelope import Place
from shared.jobs import Job, enqueue
from shared.replies import Reply, change_state
from shared.tables import Authenticity, Integration, OutboundMessage, ReplyFailure, ReplyState

# Amazon says within minutes what has become of a mail. One that says it days later is about something else.
_LATEST: Final = timedelta(days=2)
_REPORTS: Final = frozenset({MailKind.DELIVERY_FAILURE, MailKind.REPLY_CONFIRMATION})
_FROM_BUYERS: Final = frozenset({MailKind.BUYER_MESSAGE, MailKind.AUTO_REPLY})
# When a store's reply was last confirmed is noted to within this time.
_NOTED_TO: Final = timedelta(minutes=10)


async def find_reported(session: AsyncSession, items: Sequence[NewMessage]) -> dict[UUID, Reply]:
    """The replies that these mails report on, by the id of the message. Their conversations stay locked."""
    reports = [item for item in items if item.parsed.kind in _REPORTS and not item.is_quarantined]
    if not reports:
        return {}
    named = {item.message_id: reply_named_in(" ".join(item.parsed.references)) for item in reports}
    rows = await _rows_of(session, [each.outbound_message_id for each in named.values() if each is not None])
    found: dict[UUID, UUID] = {}
    for item in reports:
        name = named[item.message_id]
        reply_id = await _newest_about_order(session, item) if name is None else _is_meant(item, name, rows)
        if reply_id is not None:
            found[item.message_id] = reply_id
    return await _locked(session, found)


async def store_outcomes(
    session: AsyncSession,
    items: Sequence[NewMessage],
    reported: Mapping[UUID, Reply],
    conversation_of: Mapping[UUID, UUID],
) -> None:
    """Bring replies into the states that these mails, which are stored already, prove. `conversation_of` is where each message is."""
    for item in items:
        reply = reported.get(item.message_id)
        if reply is not None and item.parsed.kind is MailKind.DELIVERY_FAILURE:
            await _fail(session, item, reply)
        elif reply is not None:
            await _confirm(session, reply, item.queued.accepted_at, is_notice=True)
    written = [
        item
        for item in items
        if item.parsed.kind in _FROM_BUYERS and item.verdict.authenticity is Authenticity.AUTHENTIC
    ]
    for item, answered in await _answered_by_buyers(session, written, conversation_of):
        await _confirm(session, answered, item.queued.accepted_at, is_notice=False)


class _Row(NamedTuple):
    id: UUID
    integration_id: UUID
    round: int


async def _rows_of(session: AsyncSession, reply_ids: Sequence[UUID]) -> dict[UUID, _Row]:
    if not reply_ids:
        return {}
    statement = select(OutboundMessage.id, OutboundMessage.integration_id, OutboundMessage.round).where(
        OutboundMessage.id == any_(literal(list(reply_ids), ARRAY(Uuid)))
    )
    return {row.id: _Row(*row) for row in await session.execute(statement)}


def _is_meant(item: NewMessage, name: NamedReply, rows: Mapping[UUID, _Row]) -> UUID | None:
    row = rows.get(name.outbound_message_id)
    is_ours = row is not None and row.integration_id == item.queued.integration_id
    # A report of success is Amazon's alone.
    may_say = item.parsed.kind is MailKind.DELIVERY_FAILURE or _is_amazons(item)
    if row is None or not is_ours or name.round_number != row.round or not may_say:
        return None
    return row.id


async def _newest_about_order(session: AsyncSession, item: NewMessage) -> UUID | None:
    if not item.parsed.order_ids or not _is_amazons(item):
        return None
    at = item.queued.accepted_at
    states = [ReplyState.SENDING, ReplyState.HANDED_OVER, ReplyState.PERHAPS_SENT]
    if item.parsed.kind is MailKind.DELIVERY_FAILURE:
        states.append(ReplyState.CONFIRMED)
    found: UUID | None = await session.scalar(
        select(OutboundMessage.id)
        .where(
            OutboundMessage.account_id == item.queued.account_id,
            OutboundMessage.integration_id == item.queued.integration_id,
            OutboundMessage.order_id.in_(item.parsed.order_ids),
            OutboundMessage.state.in_([state.value for state in states]),
            OutboundMessage.data_sent_at.between(at - _LATEST, at),
        )
        .order_by(OutboundMessage.data_sent_at.desc())
        .limit(1)
    )
    return found


def _is_amazons(item: NewMessage) -> bool:
    return item.parsed.amazon_domain and item.verdict.authenticity is Authenticity.AUTHENTIC


async def _locked(session: AsyncSession, found: Mapping[UUID, UUID]) -> dict[UUID, Reply]:
    if not found:
        return {}
    statement = select(
        OutboundMessage.id,
        OutboundMessage.account_id,
        OutboundMessage.integration_id,
        OutboundMessage.conversation_id,
    ).where(OutboundMessage.id == any_(literal(list(set(found.values())), ARRAY(Uuid))))
    before = {row.id: row.conversation_id for row in await session.execute(statement)}
    await conversations.lock(session, *sorted(set(before.values())))
    # Read anew: whoever merged the conversation meanwhile has taken the reply along.
    rows = {
        row.id: Reply(row.id, row.account_id, row.integration_id, row.conversation_id)
        for row in await session.execute(statement)
    }
    return {message_id: rows[reply_id] for message_id, reply_id in found.items() if reply_id in rows}


async def _answered_by_buyers(
    session: AsyncSession, items: Sequence[NewMessage], conversation_of: Mapping[UUID, UUID]
) -> list[tuple[NewMessage, Reply]]:
    """The replies that were handed over before their buyer wrote again in the same conversation: the thread goes on, so they have it."""
    if not items:
        return []
    by_conversation = {conversation_of[item.message_id]: item for item in items}
    named = [reply_named_in(" ".join(item.parsed.references)) for item in items]
    rows = await session.execute(
        select(
            OutboundMessage.id,
            OutboundMessage.account_id,
            OutboundMessage.integration_id,
            OutboundMessage.conversation_id,
            OutboundMessage.handed_over_at,
        )
        .where(
            OutboundMessage.conversation_id == any_(literal(list(by_conversation), ARRAY(Uuid))),
            or_(
                OutboundMessage.state == ReplyState.HANDED_OVER.value,
                # Of these nobody knows whether they were sent, unless the buyer's mail names them.
                (OutboundMessage.state == ReplyState.PERHAPS_SENT.value)
                & OutboundMessage.id.in_([each.outbound_message_id for each in named if each is not None]),
            ),
        )
        .order_by(OutboundMessage.id)
    )
    return [
        (
            by_conversation[row.conversation_id],
            Reply(row.id, row.account_id, row.integration_id, row.conversation_id),
        )
        for row in rows
        if row.handed_over_at is None
        or row.handed_over_at < by_conversation[row.conversation_id].queued.accepted_at
    ]


async def _fail(session: AsyncSession, item: NewMessage, reply: Reply) -> None:
    reason = item.parsed.failure_reason
    failure = ReplyFailure(reason) if reason is not None else ReplyFailure.UNKNOWN
    words = shown_line(item.parsed.report_text)
    is_changed = await change_state(
        session,
        reply,
        ReplyState.FAILED,
        failure=failure.value,
        server_words=item.keys.seal_text(Place("outbound_messages", "server_words", reply.id), words),
    )
    if is_changed and failure is ReplyFailure.SENDER_NOT_APPROVED:
        await session.execute(
            update(Integration)
            .where(Integration.id == reply.integration_id)
            .values(sender_refused_at=func.coalesce(Integration.sender_refused_at, item.queued.accepted_at))
        )
        await enqueue(session, Job.RECOMPUTE_LOCK, reply.integration_id)


async def _confirm(session: AsyncSession, reply: Reply, at: datetime, *, is_notice: bool) -> None:
    # A notice may be faster than our own note of the hand-over.
    handed_over_at = func.coalesce(OutboundMessage.handed_over_at, at)
    if not await change_state(
        session, reply, ReplyState.CONFIRMED, confirmed_at=at, handed_over_at=handed_over_at
    ):
        return
    its = select(OutboundMessage.data_sent_at, OutboundMessage.country).where(OutboundMessage.id == reply.id)
    sent_at, country = (await session.execute(its)).one()
    changed = await session.scalar(
        update(Integration)
        .where(
            Integration.id == reply.integration_id,
            or_(
                Integration.reply_confirmed_at.is_(None),
                Integration.reply_confirmed_at < at - _NOTED_TO,
                Integration.sender_refused_at < sent_at,
                *(
                    [func.coalesce(Integration.confirmation_notice_at < at - _NOTED_TO, true())]
                    if is_notice
                    else []
                ),
            ),
        )
        .values(
            reply_confirmed_at=func.greatest(Integration.reply_confirmed_at, at),
            confirmation_notice_at=func.greatest(
                Integration.confirmation_notice_at, at if is_notice else None
            ),
            # What was sent before the refusal says nothing of it.
            sender_refused_at=case(
                (Integration.sender_refused_at < sent_at, null()), else_=Integration.sender_refused_at
            ),
        )
        .returning(Integration.id)
    )
    ticked = set[UUID]()
    if country is not None:
        ticked = await queries.tick_approved_sender(session, reply.integration_id, country)
    if changed is not None or ticked:
        await enqueue(session, Job.RECOMPUTE_LOCK, reply.integration_id)
