"""The SQL of what a mail becomes. Every function runs inside its caller's transaction.

Rows that two workers may touch at once are always touched in the same order (digests, threads, conversations, integrations, each
sorted), so that they wait for each other and never deadlock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypedDict
from uuid import UUID

from sqlalchemy import (
    and_,
    any_,
    bindparam,
    case,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery.message_rows import (
    AttachmentRow,
    OpenedConversationRow,
    StoredMessageRow,
    VerdictColumns,
)
from shared.blobs import Blob, sealed_or_blob
from shared.conversations import BUYER_MESSAGE
from shared.crypto.envelope import Sealed
from shared.tables import (
    Attachment,
    Conversation,
    ConversationStatus,
    ForwardedMailbox,
    Message,
    MessageDigest,
    MutedKind,
    Scan,
    SetupStepName,
)

# Arrays in place of rows: a statement of as many parameters would be built anew for each batch.
_INSERT_DIGESTS: Final = text(
    "INSERT INTO message_digests (relay_address_id, digest, account_id, message_id)"
    " SELECT * FROM unnest(CAST(:addresses AS uuid[]), CAST(:digests AS bytea[]), CAST(:accounts AS uuid[]),"
    " CAST(:messages AS uuid[])) ON CONFLICT DO NOTHING RETURNING relay_address_id, digest"
)
_LINK_ORDERS: Final = text(
    "INSERT INTO conversation_orders AS known (account_id, order_id, conversation_id, is_proven)"
    " SELECT * FROM unnest(CAST(:accounts AS uuid[]), CAST(:orders AS text[]), CAST(:conversations AS uuid[]),"
    " CAST(:proven AS bool[])) ON CONFLICT (account_id, order_id, conversation_id)"
    " DO UPDATE SET is_proven = true WHERE excluded.is_proven AND NOT known.is_proven"
)


# The rows are locked in the order of their ids; nothing is written where nothing is new.
_NOTE_MAIL: Final = text(
    "WITH facts AS (SELECT * FROM unnest(CAST(:integrations AS uuid[]), CAST(:newest AS timestamptz[]),"
    " CAST(:authentic AS timestamptz[]), CAST(:confirmed AS timestamptz[]))"
    " AS facts (id, newest_at, authentic_at, confirmed_at)),"
    " locked AS MATERIALIZED (SELECT id, last_message_at, first_authentic_mail_at, verification_mail_at FROM integrations"
    " WHERE id = ANY(CAST(:integrations AS uuid[])) ORDER BY id FOR NO KEY UPDATE)"
    " UPDATE integrations SET last_message_at = greatest(integrations.last_message_at, facts.newest_at),"
    " first_authentic_mail_at = coalesce(integrations.first_authentic_mail_at, facts.authentic_at),"
    " verification_mail_at = coalesce(integrations.verification_mail_at, facts.confirmed_at)"
    " FROM locked JOIN facts ON facts.id = locked.id WHERE integrations.id = locked.id"
    " AND (facts.newest_at > coalesce(integrations.last_message_at, '-infinity')"
    " OR (facts.authentic_at IS NOT NULL AND integrations.first_authentic_mail_at IS NULL)"
    " OR (facts.confirmed_at IS NOT NULL AND integrations.verification_mail_at IS NULL))"
    " RETURNING integrations.id,"
    " (facts.authentic_at IS NOT NULL AND locked.first_authentic_mail_at IS NULL)"
    " OR (facts.newest_at IS NOT NULL AND locked.last_message_at IS NULL)"
    " OR (facts.confirmed_at IS NOT NULL AND locked.verification_mail_at IS NULL) AS is_first"
)
# A conflict locks its row even where nothing is to change, so the steps that were seen before are left out first.
_TICK_STEPS: Final = text(
    "INSERT INTO setup_steps AS known (integration_id, step, country, account_id)"
    " SELECT sells.integration_id, CAST(:step AS text), sells.country, sells.account_id"
    " FROM unnest(CAST(:integrations AS uuid[]), CAST(:countries AS text[])) AS seen (integration_id, country)"
    " JOIN marketplace_participations AS sells USING (integration_id, country)"
    " WHERE sells.is_participating AND NOT EXISTS (SELECT FROM setup_steps AS step WHERE step.done_by IS NULL"
    " AND (step.integration_id, step.step, step.country) = (sells.integration_id, :step, sells.country))"
    " ORDER BY sells.integration_id, sells.country"
    " ON CONFLICT (integration_id, step, country) DO UPDATE SET done_by = NULL WHERE known.done_by IS NOT NULL"
    " RETURNING integration_id"
)


# The update changes nothing, but answers with the row that is there, and waits for whoever is just writing it.
_FIRST_ACCOUNTS: Final = text(
    "INSERT INTO seen_signatures AS seen (digest, account_id)"
    " SELECT * FROM unnest(CAST(:digests AS bytea[]), CAST(:accounts AS uuid[]))"
    " ON CONFLICT (digest) DO UPDATE SET account_id = seen.account_id RETURNING digest, account_id"
)
# The rows stay locked, so that whoever confirms a mailbox meanwhile waits for these messages, or is seen here. Noted to within ten minutes.
_NOTE_ELSEWHERE: Final = text(
    "WITH facts AS (SELECT * FROM unnest(CAST(:integrations AS uuid[]), CAST(:misdirected AS timestamptz[]),"
    " CAST(:forwarded AS timestamptz[])) AS facts (id, misdirected_at, forwarded_at)),"
    " locked AS MATERIALIZED (SELECT id FROM integrations WHERE id = ANY(CAST(:integrations AS uuid[]))"
    " ORDER BY id FOR NO KEY UPDATE)"
    " UPDATE integrations SET misdirected_mail_at = greatest(misdirected_mail_at, facts.misdirected_at),"
    " forwarded_mail_at = greatest(forwarded_mail_at, facts.forwarded_at)"
    " FROM locked JOIN facts USING (id) WHERE integrations.id = facts.id"
    " AND (facts.misdirected_at > coalesce(misdirected_mail_at + interval '10 minutes', '-infinity')"
    " OR facts.forwarded_at > coalesce(forwarded_mail_at + interval '10 minutes', '-infinity'))"
)


class Digest(NamedTuple):
    """A mail's digest, and the message that it would become. Compared in this order."""

    relay_address_id: UUID
    digest: bytes
    account_id: UUID
    message_id: UUID


async def insert_digests(session: AsyncSession, digests: Iterable[Digest]) -> set[tuple[UUID, bytes]]:
    """Store digests; the answer holds those that were new. Waits for a worker that is storing the same mail."""
    ordered = sorted(digests)
    inserted = await session.execute(
        _INSERT_DIGESTS,
        {
            "addresses": [one.relay_address_id for one in ordered],
            "digests": [one.digest for one in ordered],
            "accounts": [one.account_id for one in ordered],
            "messages": [one.message_id for one in ordered],
        },
    )
    return {(row.relay_address_id, bytes(row.digest)) for row in inserted}


class Mailbox(NamedTuple):
    """Somebody else's mailbox that a mail of this integration names, by its keyed hash."""

    integration_id: UUID
    address_key: bytes


async def find_forwarded_mailboxes(session: AsyncSession, mailboxes: Sequence[Mailbox]) -> set[Mailbox]:
    """Those of which an administrator has confirmed that their mail is forwarded here."""
    columns = ForwardedMailbox.integration_id, ForwardedMailbox.address_key
    found = await session.execute(select(*columns).where(tuple_(*columns).in_(mailboxes)))
    return {Mailbox(row.integration_id, bytes(row.address_key)) for row in found}


async def first_accounts(
    session: AsyncSession, signatures: Iterable[tuple[bytes, UUID]]
) -> dict[bytes, UUID]:
    """The account that had each signature first, for (signature, account); it is remembered for those that nobody had."""
    first = dict(sorted(set(signatures), reverse=True))
    found = await session.execute(
        _FIRST_ACCOUNTS, {"digests": sorted(first), "accounts": [first[digest] for digest in sorted(first)]}
    )
    return {bytes(row.digest): row.account_id for row in found}


class Quarantined(NamedTuple):
    """A message in quarantine, and the mail that it was made of."""

    message_id: UUID
    accepted_mail_id: UUID


async def find_quarantined(
    session: AsyncSession, relay_address_id: UUID, digest: bytes
) -> Quarantined | None:
    """The message with this digest if it is in quarantine, None otherwise."""
    statement = (
        select(Message.id, Message.accepted_mail_id)
        .join(MessageDigest, MessageDigest.message_id == Message.id)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            MessageDigest.relay_address_id == relay_address_id,
            MessageDigest.digest == digest,
            Conversation.status == ConversationStatus.QUARANTINE,
        )
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else Quarantined(*row)


class ElsewhereFacts(NamedTuple):
    """When the newest mail of a batch came that names a mailbox which nobody has confirmed, and one that is forwarded here."""

    integration_id: UUID
    misdirected_at: datetime | None
    forwarded_at: datetime | None


async def note_mail_elsewhere(session: AsyncSession, facts: Sequence[ElsewhereFacts]) -> None:
    """Keep what is known of mail that names other mailboxes, in the order of the integrations' ids, which stay locked."""
    ordered = sorted(facts, key=lambda each: each.integration_id)
    await session.execute(
        _NOTE_ELSEWHERE,
        {
            "integrations": [each.integration_id for each in ordered],
            "misdirected": [each.misdirected_at for each in ordered],
            "forwarded": [each.forwarded_at for each in ordered],
        },
    )


async def recheck_if_confirmed_meanwhile(session: AsyncSession, message_ids: Sequence[UUID]) -> None:
    """Let misdirected messages be checked once more whose mailbox was confirmed since they were. Their integrations are locked."""
    is_confirmed = exists(
        select(ForwardedMailbox.address_key).where(
            ForwardedMailbox.integration_id == Message.integration_id,
            ForwardedMailbox.address_key == any_(Message.sent_to_keys),
        )
    )
    await session.execute(
        update(Message).where(Message.id.in_(message_ids), is_confirmed).values(recheck_at=func.now())
    )


async def change_verdict(session: AsyncSession, message_id: UUID, columns: VerdictColumns) -> None:
    """Replace the verdict on a stored message."""
    await session.execute(update(Message).where(Message.id == message_id).values(**columns))


class ConversationUpdate(TypedDict):
    """What new messages change of their conversation."""

    conversation: UUID
    messages: int
    newest_at: datetime | None
    newest_id: UUID | None
    newest_snippet: Sealed | None
    newest_kind: str
    is_to_read: bool
    reopens: bool
    has_files: bool
    due_at: datetime | None
    first_order: str | None
    first_product: str | None
    first_country: str | None


async def update_conversations(session: AsyncSession, updates: Sequence[ConversationUpdate]) -> None:
    """Let conversations say of themselves what their new messages bring; one that was closed may open again."""
    is_newest = (
        bindparam("newest_at", type_=Conversation.last_message_at.type) >= Conversation.last_message_at
    )
    statement = (
        update(Conversation)
        .where(Conversation.id == bindparam("conversation"))
        .values(
            message_count=Conversation.message_count + bindparam("messages"),
            # NULL, where there is nothing to read, is ignored by `greatest`, and not newer than anything.
            last_message_at=func.greatest(Conversation.last_message_at, bindparam("newest_at")),
            kind=case((Conversation.kind == BUYER_MESSAGE, BUYER_MESSAGE), else_=bindparam("newest_kind")),
            snippet=case(
                (is_newest, bindparam("newest_snippet", type_=Conversation.snippet.type)),
                else_=Conversation.snippet,
            ),
            snippet_message_id=case(
                (is_newest, bindparam("newest_id")), else_=Conversation.snippet_message_id
            ),
            is_unread=or_(Conversation.is_unread, bindparam("is_to_read")),
            status=case(
                # Not `not_in`, whose parameter SQLAlchemy expands by the statement: this one has several sets of parameters.
                (
                    and_(
                        Conversation.status != ConversationStatus.CLOSED,
                        Conversation.status != ConversationStatus.SNOOZED,
                    ),
                    Conversation.status,
                ),
                (bindparam("reopens"), ConversationStatus.OPEN.value),
                else_=Conversation.status,
            ),
            snoozed_until=case((bindparam("reopens"), null()), else_=Conversation.snoozed_until),
            has_files=or_(Conversation.has_files, bindparam("has_files")),
            answer_due_at=func.least(Conversation.answer_due_at, bindparam("due_at")),
            order_id=func.coalesce(Conversation.order_id, bindparam("first_order")),
            asin=func.coalesce(Conversation.asin, bindparam("first_product")),
            country=func.coalesce(Conversation.country, bindparam("first_country")),
        )
    )
    connection = await session.connection()
    await connection.execute(statement, sorted(updates, key=lambda each: each["conversation"]))


async def muted_kinds(session: AsyncSession, account_ids: Collection[UUID]) -> set[tuple[UUID, str]]:
    """Which kinds of notices arrive closed and read, in which of these accounts."""
    statement = select(MutedKind.account_id, MutedKind.kind).where(MutedKind.account_id.in_(account_ids))
    return {(row.account_id, row.kind) for row in await session.execute(statement)}


async def open_conversations(session: AsyncSession, rows: Sequence[OpenedConversationRow]) -> None:
    """Store conversations that nobody knows yet."""
    await session.execute(insert(Conversation), rows)


class OrderLink(NamedTuple):
    """An order that a mail names, and the conversation in which it does. Compared in this order."""

    account_id: UUID
    order_id: str
    conversation_id: UUID


async def link_orders(session: AsyncSession, links: Mapping[OrderLink, bool]) -> None:
    """Let conversations be found by the orders that their mails name. Those that a proven mail names (`True`) are the conversations' own."""
    if not links:
        return
    ordered = sorted(links)
    await session.execute(
        _LINK_ORDERS,
        {
            "accounts": [link.account_id for link in ordered],
            "orders": [link.order_id for link in ordered],
            "conversations": [link.conversation_id for link in ordered],
            "proven": [links[link] for link in ordered],
        },
    )


async def insert_messages(
    session: AsyncSession, messages: Sequence[StoredMessageRow], attachments: Sequence[AttachmentRow]
) -> None:
    """Store messages with their attachments."""
    await session.execute(insert(Message), messages)
    if attachments:
        await session.execute(insert(Attachment), attachments)


class IntegrationFacts(NamedTuple):
    """What the mails of a batch show about a store: when its newest buyer's message and its first authentic mail came, when Amazon had
    its address confirmed, and from which countries its buyers write. They sort by the store.
    """

    integration_id: UUID
    newest_message_at: datetime | None
    first_authentic_mail_at: datetime | None
    verification_mail_at: datetime | None
    countries: frozenset[str]


async def note_mail(session: AsyncSession, facts: Sequence[IntegrationFacts]) -> set[UUID]:
    """Store when mail came to the stores, never going back; the answer holds those to which the first of a kind has come."""
    noted = await session.execute(
        _NOTE_MAIL,
        {
            "integrations": [each.integration_id for each in facts],
            "newest": [each.newest_message_at for each in facts],
            "authentic": [each.first_authentic_mail_at for each in facts],
            "confirmed": [each.verification_mail_at for each in facts],
        },
    )
    return {row.id for row in noted if row.is_first}


async def tick_notification_steps(session: AsyncSession, facts: Sequence[IntegrationFacts]) -> set[UUID]:
    """A buyer's message from a country proves that the address is entered there: the step ticks itself. The answer holds the stores
    in which one did.

    A step without `done_by` was done by a mail, not ticked by a person; one that a person ticked before becomes such a step.
    """
    seen = sorted((each.integration_id, country) for each in facts for country in each.countries)
    if not seen:
        return set()
    ticked = await session.execute(
        _TICK_STEPS,
        {
            "integrations": [integration_id for integration_id, _ in seen],
            "countries": [country for _, country in seen],
            "step": SetupStepName.NOTIFICATION_PREFERENCES.value,
        },
    )
    return {row.integration_id for row in ticked}


async def tick_approved_sender(session: AsyncSession, integration_id: UUID, country: str) -> set[UUID]:
    """A reply that has reached a buyer in a country proves that its sender is approved there: the step ticks itself."""
    ticked = await session.execute(
        _TICK_STEPS,
        {
            "integrations": [integration_id],
            "countries": [country],
            "step": SetupStepName.APPROVED_SENDER.value,
        },
    )
    return {row.integration_id for row in ticked}


class UnscannedAttachment(NamedTuple):
    """An attachment that has not been scanned."""

    id: UUID
    account_id: UUID
    message_id: UUID


async def unscanned_attachments(
    session: AsyncSession, *, after: UUID, limit: int
) -> list[UnscannedAttachment]:
    """The next attachments that no scanner has seen, in the order of their ids."""
    statement = (
        select(Attachment.id, Attachment.account_id, Attachment.message_id)
        .where(or_(Attachment.scan.is_(None), Attachment.scan == Scan.FAILED), Attachment.id > after)
        .order_by(Attachment.id)
        .limit(limit)
    )
    return [UnscannedAttachment(*row) for row in await session.execute(statement)]


async def attachment_content(
    session: AsyncSession, message_id: UUID, attachment_id: UUID
) -> Sealed | Blob | None:
    """The sealed file, or where it lies, if it is still there."""
    statement = select(Attachment.content, Attachment.blob_key, Attachment.blob_digest).where(
        Attachment.message_id == message_id, Attachment.id == attachment_id
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else sealed_or_blob(row.content, row.blob_key, row.blob_digest)


async def store_scan_result(
    session: AsyncSession, message_id: UUID, attachment_id: UUID, result: Scan
) -> None:
    """Note what the scanner said of an attachment."""
    await session.execute(
        update(Attachment)
        .where(Attachment.message_id == message_id, Attachment.id == attachment_id)
        .values(scan=result.value)
    )
