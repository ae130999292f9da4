"""Incoming mails become messages in conversations: what the one transaction does that delivers them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery import queries
from services.mailrelay.delivery.message_rows import Incoming, verdict_columns
from services.mailrelay.parsing.mail import MailKind
from shared.conversations import Threads, follow_threads, release
from shared.events import Event, EventKind, announce, announce_all, event_of
from shared.tables import Authenticity

# These say nothing about whether the seller's buyers reach us.
_PROVES_NOTHING: Final = frozenset({MailKind.VERIFICATION, MailKind.UNPARSEABLE})


class Stored(NamedTuple):
    """A mail that is a message now, and where."""

    item: Incoming
    conversation_id: UUID


async def store(session: AsyncSession, items: Sequence[Incoming]) -> list[Incoming]:
    """Store the mails that are no copies of stored ones; the answer holds these."""
    new, copies = await _apart(session, items)
    if new:
        stored = await _place(session, new)
        await queries.insert_messages(
            session,
            [item.message | {"conversation_id": conversation_id} for item, conversation_id in stored],
            [row for item in new for row in item.attachments],
        )
        shown = [each for each in stored if not each.item.is_quarantined]
        await _move_integrations(session, [item for item, _ in shown])
        await announce_all(
            session,
            [
                _quarantined(item, conversation_id)
                if item.is_quarantined
                else _received(item, conversation_id, item.message_id)
                for item, conversation_id in stored
            ],
        )
    for copy in copies:
        await _judge_again(session, copy)
    return new


async def _apart(session: AsyncSession, items: Sequence[Incoming]) -> tuple[list[Incoming], list[Incoming]]:
    """What is new, and what is stored already; the first of two copies in one batch is new."""
    if not items:
        return [], []
    first = {(item.taken.relay_address_id, item.digest): item for item in reversed(items)}
    inserted = await queries.insert_digests(
        session,
        [
            queries.Digest(relay_address_id, digest, item.taken.account_id, item.message_id)
            for (relay_address_id, digest), item in first.items()
        ],
    )
    new_ids = {first[key].message_id for key in inserted}
    return (
        [item for item in items if item.message_id in new_ids],
        [item for item in items if item.message_id not in new_ids],
    )


async def _place(session: AsyncSession, items: Sequence[Incoming]) -> list[Stored]:
    """Find or open each mail's conversation. One in quarantine has its own, to which no thread leads."""
    trusted = [item for item in items if not item.is_quarantined]
    found = await follow_threads(
        session,
        [
            Threads(
                item.taken.account_id, item.taken.integration_id, item.thread_keys, item.own_conversation_id
            )
            for item in trusted
        ],
    )
    stored = [Stored(item, conversation_id) for item, conversation_id in zip(trusted, found, strict=True)]
    stored += [Stored(item, item.own_conversation_id) for item in items if item.is_quarantined]
    together: defaultdict[UUID, list[Incoming]] = defaultdict(list)
    for item, conversation_id in stored:
        together[conversation_id].append(item)
    opened, moved = [], []
    for conversation_id, mails in together.items():
        mails.sort(key=lambda item: item.taken.accepted_at)
        opener = next((item for item in mails if item.own_conversation_id == conversation_id), None)
        if opener is None:
            moved.append(_move(conversation_id, mails))
        else:
            opened.append(_opened(opener, mails))
    if opened:
        await queries.open_conversations(session, opened)
    if moved:
        await queries.move_conversations(session, moved)
    orders = {
        (item.taken.account_id, order_id, conversation_id)
        for item, conversation_id in stored
        for order_id in item.mail.order_ids
    }
    if orders:
        await queries.name_orders(session, orders)
    return stored


def _move(conversation_id: UUID, mails: Sequence[Incoming]) -> dict[str, Any]:
    """What new mails change of a conversation; the oldest comes first."""
    kinds = [item.mail.kind for item in mails]
    dues = [item.message["answer_due_at"] for item in mails]
    return {
        "conversation": conversation_id,
        "messages": len(mails),
        "at": mails[-1].taken.accepted_at,
        "newest_kind": (MailKind.BUYER_MESSAGE if MailKind.BUYER_MESSAGE in kinds else kinds[-1]).value,
        # An auto-reply asks for nothing.
        "opens": any(kind is not MailKind.AUTO_REPLY for kind in kinds),
        "due_at": min((due for due in dues if due is not None), default=None),
        "order": _first(item.conversation["order_id"] for item in mails),
        "product": _first(item.conversation["asin"] for item in mails),
        "from_country": _first(item.conversation["country"] for item in mails),
    }


def _opened(opener: Incoming, mails: Sequence[Incoming]) -> dict[str, Any]:
    move = _move(opener.own_conversation_id, mails)
    return opener.conversation | {
        "message_count": move["messages"],
        "last_message_at": move["at"],
        "kind": move["newest_kind"],
        "answer_due_at": None if opener.is_quarantined else move["due_at"],
        "order_id": move["order"],
        "asin": move["product"],
        "country": move["from_country"],
    }


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


async def _move_integrations(session: AsyncSession, shown: Sequence[Incoming]) -> None:
    by_integration: defaultdict[UUID, list[Incoming]] = defaultdict(list)
    for item in shown:
        by_integration[item.taken.integration_id].append(item)
    for integration_id, items in sorted(by_integration.items()):
        from_buyers = [item for item in items if item.mail.buyer_address is not None]
        changed = False
        if from_buyers:
            newest = max(item.taken.accepted_at for item in from_buyers)
            await queries.move_last_message_at(session, integration_id, newest)
        # A stranger's mail proves nothing, or anybody who knows the address could turn the lock.
        if any(item.mail.amazon_domain and item.mail.kind not in _PROVES_NOTHING for item in items):
            changed = await queries.turn_green(session, integration_id)
        countries = {item.mail.country for item in from_buyers if item.mail.country is not None}
        if countries:
            changed |= await queries.tick_notification_step(session, integration_id, countries)
        if changed:
            await announce(
                session,
                items[0].taken.account_id,
                EventKind.INTEGRATION_CHANGED,
                integration_id=integration_id,
            )


async def _judge_again(session: AsyncSession, copy: Incoming) -> None:
    """A mail that is stored came once more, or is looked at once more. What waits in quarantine and is proven now is let out.

    Its conversations may be locked out of order here; PostgreSQL ends such a deadlock, and the mails are delivered one by one.
    """
    found = await queries.quarantined_with_digest(session, copy.taken.relay_address_id, copy.digest)
    if found is None:
        return
    is_proven = copy.verdict.authenticity is Authenticity.AUTHENTIC
    # Another copy says nothing against the first: it may have come by another way.
    if not is_proven and found.accepted_mail_id != copy.taken.id:
        return
    recheck_at = copy.message["recheck_at"]
    await queries.change_verdict(
        session,
        found.message_id,
        verdict_columns(copy.verdict, copy.keys, found.message_id, recheck_at=recheck_at),
    )
    if is_proven:
        conversation_id = await release(session, found.message_id)
        await _move_integrations(session, [copy])
        await announce_all(session, [_received(copy, conversation_id, found.message_id)])


def _received(item: Incoming, conversation_id: UUID, message_id: UUID) -> Event:
    return event_of(
        item.taken.account_id,
        EventKind.MESSAGE_RECEIVED,
        integration_id=item.taken.integration_id,
        conversation_id=conversation_id,
        message_id=message_id,
    )


def _quarantined(item: Incoming, conversation_id: UUID) -> Event:
    """Whoever watches over the quarantine hears of it; to a helpdesk no message has come."""
    return event_of(
        item.taken.account_id,
        EventKind.CONVERSATION_CHANGED,
        integration_id=item.taken.integration_id,
        conversation_id=conversation_id,
    )
