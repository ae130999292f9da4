"""New messages join their conversations: what the one transaction does that delivers a batch of mails."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery import queries
from services.mailrelay.delivery.message_rows import (
    NewMessage,
    OpenedConversationRow,
    StoredMessageRow,
    verdict_columns,
)
from services.mailrelay.delivery.queries import ConversationUpdate, ElsewhereFacts, IntegrationFacts
from services.mailrelay.delivery.reply_outcomes import find_reported, store_outcomes
from services.mailrelay.parsing.mail import MailKind
from shared.conversations import Threads, follow_threads, release
from shared.events import Event, EventKind, announce_all, event_of
from shared.jobs import Job, enqueue
from shared.replies import Reply
from shared.tables import Authenticity, ConversationStatus, MutableKind

# These say nothing about whether the seller's buyers reach us.
_PROVES_NOTHING: Final = frozenset({MailKind.VERIFICATION, MailKind.UNPARSEABLE})
# An auto-reply, and what tells of our own replies: these open no conversation, neither one that was closed nor a new one.
ASKS_FOR_NOTHING: Final = frozenset(
    {MailKind.AUTO_REPLY, MailKind.DELIVERY_FAILURE, MailKind.REPLY_CONFIRMATION}
)
_MUTABLE: Final = frozenset(MailKind(kind) for kind in MutableKind)


class PlacedMessage(NamedTuple):
    """A new message, and the conversation that it is in."""

    item: NewMessage
    conversation_id: UUID


class StoredBatch(NamedTuple):
    """What became of a batch: the messages that were stored, and the copies of stored ones that are to be checked once more."""

    new: list[NewMessage]
    to_recheck: list[NewMessage]


async def store_messages(session: AsyncSession, items: Sequence[NewMessage]) -> StoredBatch:
    """Store what is no copy of a stored message. A copy may still prove the message that it is a copy of, now or later."""
    new, copies = await _split_off_copies(session, items)
    if new:
        reported = await find_reported(session, new)
        placed = await _place_in_conversations(session, new, reported)
        await queries.insert_messages(
            session,
            [
                StoredMessageRow(**item.message, conversation_id=conversation_id)
                for item, conversation_id in placed
            ],
            [row for item in new for row in item.attachments],
        )
        await _update_integrations(session, [item for item in new if not item.is_quarantined])
        await _note_mail_elsewhere(session, new)
        await store_outcomes(
            session, new, reported, {item.message_id: conversation_id for item, conversation_id in placed}
        )
        await announce_all(
            session,
            [
                _quarantined(item, conversation_id)
                if item.is_quarantined
                else _received(item, conversation_id, item.message_id)
                for item, conversation_id in placed
            ],
        )
    return StoredBatch(new, [copy for copy in copies if not await _recheck_stored(session, copy)])


async def _split_off_copies(
    session: AsyncSession, items: Sequence[NewMessage]
) -> tuple[list[NewMessage], list[NewMessage]]:
    """What is new, and what are copies of stored messages; the first of two copies in one batch is new."""
    if not items:
        return [], []
    first = {(item.queued.relay_address_id, item.digest): item for item in reversed(items)}
    inserted = await queries.insert_digests(
        session,
        [
            queries.Digest(relay_address_id, digest, item.queued.account_id, item.message_id)
            for (relay_address_id, digest), item in first.items()
        ],
    )
    new_ids = {first[key].message_id for key in inserted}
    return (
        [item for item in items if item.message_id in new_ids],
        [item for item in items if item.message_id not in new_ids],
    )


async def _place_in_conversations(
    session: AsyncSession, items: Sequence[NewMessage], reported: Mapping[UUID, Reply]
) -> list[PlacedMessage]:
    """Find or open each message's conversation. One in quarantine has its own, to which no thread leads; one that reports on a reply
    goes where that reply is.
    """
    trusted = [item for item in items if not item.is_quarantined and item.message_id not in reported]
    found = await follow_threads(
        session,
        [
            Threads(
                item.queued.account_id,
                item.queued.integration_id,
                tuple(item.message["thread_keys"]),
                item.own_conversation_id,
            )
            for item in trusted
        ],
    )
    placed = [PlacedMessage(*each) for each in zip(trusted, found, strict=True)]
    placed += [PlacedMessage(item, item.own_conversation_id) for item in items if item.is_quarantined]
    placed += [
        PlacedMessage(item, reported[item.message_id].conversation_id)
        for item in items
        if item.message_id in reported
    ]
    by_conversation: defaultdict[UUID, list[NewMessage]] = defaultdict(list)
    for item, conversation_id in placed:
        by_conversation[conversation_id].append(item)
    muted = await _muted_of(session, items)
    opened: list[OpenedConversationRow] = []
    updates: list[ConversationUpdate] = []
    for conversation_id, messages in by_conversation.items():
        messages.sort(key=lambda item: item.queued.accepted_at)
        opener = next((item for item in messages if item.own_conversation_id == conversation_id), None)
        if opener is None:
            updates.append(_conversation_update(conversation_id, messages, muted))
        else:
            opened.append(_opened_conversation(opener, messages, muted))
    if opened:
        await queries.open_conversations(session, opened)
    if updates:
        await queries.update_conversations(session, updates)
    links: dict[queries.OrderLink, bool] = {}
    for item, conversation_id in placed:
        is_proven = item.message["authenticity"] == Authenticity.AUTHENTIC
        for order_id in item.parsed.order_ids:
            link = queries.OrderLink(item.queued.account_id, order_id, conversation_id)
            links[link] = links.get(link, False) or is_proven
    await _link_orders(session, links)
    return placed


async def _link_orders(session: AsyncSession, links: Mapping[queries.OrderLink, bool]) -> None:
    """Note which orders the mails name; for those that proven mails name, the connector's worker asks Amazon at once."""
    await queries.link_orders(session, links)
    proven = {link.conversation_id for link, is_proven in links.items() if is_proven}
    await enqueue(session, Job.FETCH_ORDERS_OF_CONVERSATION, *proven)


async def _muted_of(session: AsyncSession, items: Sequence[NewMessage]) -> set[UUID]:
    """The messages of kinds that their account has muted: nobody has to read them."""
    of_kinds = [item for item in items if item.parsed.kind in _MUTABLE]
    if not of_kinds:
        return set()
    muted = await queries.muted_kinds(session, {item.queued.account_id for item in of_kinds})
    return {
        item.message_id
        for item in of_kinds
        if (item.queued.account_id, item.parsed.kind.value) in muted and not item.is_quarantined
    }


def _conversation_update(
    conversation_id: UUID, messages: Sequence[NewMessage], muted: Collection[UUID]
) -> ConversationUpdate:
    """What new messages change of a conversation; the oldest comes first."""
    kinds = [item.parsed.kind for item in messages]
    loud = [item for item in messages if item.message_id not in muted]
    dues = [item.message["answer_due_at"] for item in messages]
    # That a reply has arrived is seen on the reply: nobody has to read the notice.
    to_read = [item for item in messages if item.parsed.kind is not MailKind.REPLY_CONFIRMATION]
    newest = to_read[-1] if to_read else None
    return {
        "conversation": conversation_id,
        "messages": len(messages),
        "newest_at": None if newest is None else newest.queued.accepted_at,
        "newest_id": None if newest is None else newest.message_id,
        "newest_snippet": None if newest is None else newest.message["snippet"],
        "newest_kind": (MailKind.BUYER_MESSAGE if MailKind.BUYER_MESSAGE in kinds else kinds[-1]).value,
        "is_to_read": any(item.parsed.kind is not MailKind.REPLY_CONFIRMATION for item in loud),
        "reopens": any(item.parsed.kind not in ASKS_FOR_NOTHING for item in loud),
        "has_files": any(item.attachments for item in messages),
        "due_at": min((due for due in dues if due is not None), default=None),
        "first_order": _first(item.conversation["order_id"] for item in messages),
        "first_product": _first(item.conversation["asin"] for item in messages),
        "first_country": _first(item.conversation["country"] for item in messages),
    }


def _opened_conversation(
    opener: NewMessage, messages: Sequence[NewMessage], muted: Collection[UUID]
) -> OpenedConversationRow:
    update = _conversation_update(opener.own_conversation_id, messages, muted)
    conversation = opener.conversation
    if not opener.is_quarantined and not update["reopens"]:
        conversation["status"] = ConversationStatus.CLOSED.value
    return {
        **conversation,
        "message_count": update["messages"],
        "last_message_at": update["newest_at"] or messages[-1].queued.accepted_at,
        "kind": update["newest_kind"],
        "snippet": update["newest_snippet"],
        "snippet_message_id": update["newest_id"],
        "is_unread": opener.is_quarantined or update["reopens"],
        "has_files": update["has_files"],
        "answer_due_at": None if opener.is_quarantined else update["due_at"],
        "order_id": update["first_order"],
        "asin": update["first_product"],
        "country": update["first_country"],
    }


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


async def _update_integrations(session: AsyncSession, shown: Sequence[NewMessage]) -> None:
    """Store what the mails prove of their stores. What follows from it for a store's lock, the connector decides.

    In two statements for all stores of the batch: one for each would cost more than storing the messages.
    """
    by_integration: defaultdict[UUID, list[NewMessage]] = defaultdict(list)
    for item in shown:
        by_integration[item.queued.integration_id].append(item)
    all_facts = [_facts_of(integration_id, items) for integration_id, items in sorted(by_integration.items())]
    facts = [
        each
        for each in all_facts
        if each.newest_message_at or each.first_authentic_mail_at or each.verification_mail_at
    ]
    if not facts:
        return
    has_new_facts = await queries.note_mail(session, facts)
    has_new_facts |= await queries.tick_notification_steps(session, facts)
    await enqueue(session, Job.RECOMPUTE_LOCK, *has_new_facts)


async def _note_mail_elsewhere(session: AsyncSession, items: Sequence[NewMessage]) -> None:
    """Note which stores get mail that Amazon has addressed to other mailboxes. A mailbox that is confirmed in this moment counts."""
    by_integration: defaultdict[UUID, list[NewMessage]] = defaultdict(list)
    for item in items:
        if item.is_misdirected or item.is_forwarded:
            by_integration[item.queued.integration_id].append(item)
    if not by_integration:
        return
    await queries.note_mail_elsewhere(
        session,
        [
            ElsewhereFacts(
                integration_id,
                misdirected_at=max((i.queued.accepted_at for i in found if i.is_misdirected), default=None),
                forwarded_at=max((i.queued.accepted_at for i in found if i.is_forwarded), default=None),
            )
            for integration_id, found in by_integration.items()
        ],
    )
    misdirected = [item.message_id for item in items if item.is_misdirected]
    if misdirected:
        await queries.recheck_if_confirmed_meanwhile(session, misdirected)


def _facts_of(integration_id: UUID, items: Sequence[NewMessage]) -> IntegrationFacts:
    from_buyers = [item for item in items if item.parsed.buyer_address is not None]
    # A stranger's mail proves nothing, or anybody who knows the address could turn the lock.
    proofs = (
        item.queued.accepted_at
        for item in items
        if item.parsed.amazon_domain and item.parsed.kind not in _PROVES_NOTHING
    )
    confirmations = (
        item.queued.accepted_at
        for item in items
        if item.parsed.amazon_domain and item.parsed.kind is MailKind.VERIFICATION
    )
    return IntegrationFacts(
        integration_id,
        newest_message_at=max((item.queued.accepted_at for item in from_buyers), default=None),
        first_authentic_mail_at=min(proofs, default=None),
        verification_mail_at=min(confirmations, default=None),
        countries=frozenset(item.parsed.country for item in from_buyers if item.parsed.country is not None),
    )


async def _recheck_stored(session: AsyncSession, copy: NewMessage) -> bool:
    """Give the stored message the verdict on its copy: on the same mail, rechecked, or on one that came later.

    A message that is in quarantine and is proven now is released. The answer is False if the copy can say more only later.

    Its conversations may be locked out of order here; PostgreSQL ends such a deadlock, and the mails are delivered one by one.
    """
    found = await queries.find_quarantined(session, copy.queued.relay_address_id, copy.digest)
    if found is None:
        return True
    is_proven = copy.verdict.authenticity is Authenticity.AUTHENTIC
    # Another copy says nothing against the first: it may have come by another way. One that nobody could check may be the true
    # one, whatever the first was found to be.
    if not is_proven and found.accepted_mail_id != copy.queued.id:
        return copy.message["recheck_at"] is None
    recheck_at = copy.message["recheck_at"]
    await queries.change_verdict(
        session,
        found.message_id,
        verdict_columns(copy.verdict, copy.keys, found.message_id, recheck_at=recheck_at),
    )
    if is_proven:
        conversation_id = await release(session, found.message_id)
        orders = (
            queries.OrderLink(copy.queued.account_id, order_id, conversation_id)
            for order_id in copy.parsed.order_ids
        )
        await _link_orders(session, dict.fromkeys(orders, True))
        await _update_integrations(session, [copy])
        await _note_mail_elsewhere(session, [copy])
        await announce_all(session, [_received(copy, conversation_id, found.message_id)])
    return True


def _received(item: NewMessage, conversation_id: UUID, message_id: UUID) -> Event:
    return event_of(
        item.queued.account_id,
        EventKind.MESSAGE_RECEIVED,
        integration_id=item.queued.integration_id,
        conversation_id=conversation_id,
        message_id=message_id,
    )


def _quarantined(item: NewMessage, conversation_id: UUID) -> Event:
    """Listeners to the quarantine get an event; for a helpdesk no message has come."""
    return event_of(
        item.queued.account_id,
        EventKind.CONVERSATION_CHANGED,
        integration_id=item.queued.integration_id,
        conversation_id=conversation_id,
    )
