"""Accepted mail → message: the use case of the mail worker.

One transaction claims a batch, stores what was understood, and marks the mails delivered: whatever dies in between, a mail
is either still waiting or visible exactly once. If a batch fails, its mails are delivered one by one, so that only the one
that is at fault waits. A mail that cannot be understood is stored all the same (D8); held is only what cannot even be opened.
What is our fault (a key, a grant, a table that is missing) costs a mail nothing but time: it waits until we have mended it.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery import queries
from services.mailrelay.delivery.figures import Figures
from services.mailrelay.delivery.parser import Parser
from services.mailrelay.delivery.threads import Thread, thread_of
from services.mailrelay.parsing.filenames import safe_filename
from services.mailrelay.parsing.mail import MailKind, ParsedMail, parse_header_only
from shared.blobs import Blob, BlobDamaged, BlobMissing, BlobStore, BlobsUnavailable
from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed
from shared.crypto.raw_mail import ContentKey, MailPrivateKey
from shared.database import Sessions, is_unavailable, new_id
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.tables import MailState

log = structlog.get_logger()

# A batch shares one transaction's cost: beyond fifty there is little left to share, and the last waits for the first.
MAX_BATCH: Final = 50
# The mails of a batch are in memory together, sealed and opened.
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
# Waits between attempts. The last one is repeated for ever, unless the mail does not even open: that one is held.
DELAYS: Final = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
# The wait for us to mend what is our fault; no attempt is spent on it.
MENDING_DELAY: Final = timedelta(minutes=10)
# After as many failed attempts only the header is read: better half a mail within two minutes than none.
ATTEMPTS_TO_PARSE: Final = 2
# These say nothing about whether the seller's buyers reach us.
_PROVES_NOTHING = frozenset({MailKind.VERIFICATION, MailKind.UNPARSEABLE})


class MailKeyMissing(Expected):
    """The mail was sealed to a public key whose private key this worker does not have."""

    code = "mail_key_missing"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What delivering needs; one a process."""

    sessions: Sessions
    keyring: Keyring
    private_key: MailPrivateKey
    parser: Parser
    figures: Figures
    blobs: BlobStore


@dataclass(frozen=True, slots=True)
class _Opened:
    claimed: queries.Claimed
    content_key: ContentKey
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A mail on its way to be a message."""

    claimed: queries.Claimed
    content_key: ContentKey
    mail: ParsedMail
    keys: AccountKeys
    thread: Thread
    message_id: UUID

    @property
    def digest(self) -> bytes:
        return self.keys.lookup_hash("mail", self.mail.digest)

    @property
    def thread_key(self) -> bytes:
        return self.keys.lookup_hash("thread", self.thread.name)


async def deliver_due(delivery: Delivery) -> int:
    """Deliver a batch of what is due; the number of mails it took on. Raises only what says that the database is away."""
    claimed: list[queries.Claimed] = []
    try:
        async with delivery.sessions.begin() as session:
            claimed = await queries.claim_due(session, limit=MAX_BATCH, max_bytes=MAX_BATCH_BYTES)
            openable = await _leave_other_keys(delivery, session, claimed)
            stored = await _deliver(delivery, session, openable)
    except Exception as error:
        if not claimed or _is_database_away(error):
            raise
        log.warning("batch_failed", mails=len(claimed), exc_info=error)
        for mail in claimed:
            await _deliver_alone(delivery, mail.id)
        return len(claimed)
    _count(delivery.figures, openable, stored)
    return len(claimed)


def _is_database_away(error: Exception) -> bool:
    """A statement that takes too long may be one mail's doing, and one mail must not hold up all others."""
    return is_unavailable(error) and not isinstance(error, TimeoutError)


def _is_our_fault(error: Exception) -> bool:
    """Nothing is wrong with the mail: a key is missing here, a blob, or a grant or table in the database, or it is too slow."""
    if isinstance(error, SealBroken):
        return error.fields.get("table") != "accepted_mail"
    return isinstance(
        error,
        MailKeyMissing | ProgrammingError | TimeoutError | BlobMissing | BlobDamaged | BlobsUnavailable,
    )


async def _leave_other_keys(
    delivery: Delivery, session: AsyncSession, claimed: list[queries.Claimed]
) -> list[queries.Claimed]:
    """Mails sealed to a key that we do not have wait until a worker has it; the answer holds the others."""
    key_id = delivery.private_key.key_id
    others = [mail for mail in claimed if mail.mail_key_id != key_id]
    if others:
        code = MailKeyMissing.code
        await queries.wait(session, [mail.id for mail in others], failure_code=code, delay=MENDING_DELAY)
        delivery.figures.put_off.labels(code).inc(len(others))
        log.error(
            code,
            mails=len(others),
            our_key_id=key_id,
            their_key_ids=sorted({m.mail_key_id for m in others})[:10],
        )
    return [mail for mail in claimed if mail.mail_key_id == key_id]


async def _deliver_alone(delivery: Delivery, accepted_mail_id: UUID) -> None:
    try:
        async with delivery.sessions.begin() as session:
            claimed = await queries.claim(session, accepted_mail_id)
            if claimed is None:
                return
            stored = await _deliver(delivery, session, [claimed])
    except Exception as error:  # whatever it is, it costs no other mail anything
        if _is_database_away(error):
            raise
        await _put_off(delivery, accepted_mail_id, error)
        return
    _count(delivery.figures, [claimed], stored)


async def _put_off(delivery: Delivery, accepted_mail_id: UUID, error: Exception) -> None:
    code = error.code if isinstance(error, Expected) else "unexpected"
    state: MailState | None = MailState.ACCEPTED
    async with delivery.sessions.begin() as session:
        if _is_our_fault(error):
            await queries.wait(session, [accepted_mail_id], failure_code=code, delay=MENDING_DELAY)
        else:
            state = await queries.put_off(
                session,
                accepted_mail_id,
                failure_code=code,
                delays=DELAYS,
                is_held_at_last=isinstance(error, SealBroken),
            )
    if state is MailState.HELD:
        delivery.figures.held.inc()
        log.error("mail_held", accepted_mail_id=str(accepted_mail_id), code=code, exc_info=error)
    else:
        delivery.figures.put_off.labels(code).inc()
        log.warning("mail_put_off", accepted_mail_id=str(accepted_mail_id), code=code, exc_info=error)


async def _deliver(
    delivery: Delivery, session: AsyncSession, claimed: list[queries.Claimed]
) -> list[_Incoming]:
    if not claimed:
        return []
    contents = await queries.load_contents(session, [mail.id for mail in claimed])
    sealed_mails = await _fetch(delivery.blobs, contents)
    opened = await asyncio.to_thread(_open, delivery.private_key, claimed, contents, sealed_mails)
    parsed = await _understand(delivery.parser, opened)
    incoming: list[_Incoming] = []
    for sealed, mail in zip(opened, parsed, strict=True):
        keys = await delivery.keyring.of(session, sealed.claimed.account_id)
        incoming.append(_Incoming(sealed.claimed, sealed.content_key, mail, keys, thread_of(mail), new_id()))

    new = await _without_duplicates(session, incoming)
    if new:
        conversation_ids = await _find_conversations(session, new)
        messages, attachments = await asyncio.to_thread(_seal_rows, new, conversation_ids)
        await queries.insert_messages(session, messages, attachments)
        await _move_integrations(session, new)
        for item in new:
            await announce(
                session,
                item.claimed.account_id,
                EventKind.MESSAGE_RECEIVED,
                integration_id=item.claimed.integration_id,
                conversation_id=conversation_ids[item.claimed.integration_id, item.thread_key],
                message_id=item.message_id,
            )
    await queries.mark_delivered(session, [mail.id for mail in claimed])
    return new


async def _fetch(blobs: BlobStore, contents: dict[UUID, queries.Contents]) -> dict[UUID, Sealed]:
    """The sealed mails, those too that lie in the blob store."""
    return {
        mail_id: Sealed(await blobs.get(content.raw)) if isinstance(content.raw, Blob) else content.raw
        for mail_id, content in contents.items()
    }


def _open(
    private_key: MailPrivateKey,
    claimed: list[queries.Claimed],
    contents: dict[UUID, queries.Contents],
    sealed_mails: dict[UUID, Sealed],
) -> list[_Opened]:
    opened: list[_Opened] = []
    for mail in claimed:
        if mail.mail_key_id != private_key.key_id:
            raise MailKeyMissing(mail_key_id=mail.mail_key_id)
        key = ContentKey.open_with(private_key, mail.account_id, mail.id, contents[mail.id].content_key)
        opened.append(_Opened(mail, key, key.open("raw", sealed_mails[mail.id])))
    return opened


async def _understand(parser: Parser, opened: list[_Opened]) -> list[ParsedMail]:
    """Parse what has not failed too often; of the rest, the header."""
    to_parse = [item for item in opened if item.claimed.attempts < ATTEMPTS_TO_PARSE]
    parsed = iter(await parser.parse([item.raw for item in to_parse]) if to_parse else [])
    return [
        next(parsed) if item.claimed.attempts < ATTEMPTS_TO_PARSE else parse_header_only(item.raw)
        for item in opened
    ]


async def _without_duplicates(session: AsyncSession, incoming: list[_Incoming]) -> list[_Incoming]:
    """Leave out what is stored already; the first of two copies in one batch stays."""
    first = {(item.claimed.relay_address_id, item.digest): item for item in reversed(incoming)}
    new = await queries.insert_digests(
        session,
        [
            {
                "relay_address_id": relay_address_id,
                "digest": digest,
                "account_id": item.claimed.account_id,
                "message_id": item.message_id,
            }
            for (relay_address_id, digest), item in first.items()
        ],
    )
    kept = {first[key].message_id for key in new}
    return [item for item in incoming if item.message_id in kept]


async def _find_conversations(
    session: AsyncSession, incoming: list[_Incoming]
) -> dict[tuple[UUID, bytes], UUID]:
    rows: dict[tuple[UUID, bytes], dict[str, Any]] = {}
    for item in incoming:
        key = (item.claimed.integration_id, item.thread_key)
        row = rows.get(key)
        if row is None:
            rows[key] = _conversation_row(item)
        else:
            row["message_count"] += 1
            row["last_message_at"] = max(row["last_message_at"], item.claimed.accepted_at)
    return await queries.find_or_open_conversations(session, rows.values())


def _conversation_row(item: _Incoming) -> dict[str, Any]:
    conversation_id = new_id()
    address = item.thread.buyer_address

    def seal(column: str, text: str | None) -> Sealed | None:
        return (
            None
            if text is None
            else item.keys.seal_text(Place("conversations", column, conversation_id), text)
        )

    return {
        "id": conversation_id,
        "account_id": item.claimed.account_id,
        "integration_id": item.claimed.integration_id,
        "thread_key": item.thread_key,
        "order_id": item.thread.order_id,
        "country": item.mail.country,
        "buyer_key": None if address is None else item.keys.lookup_hash("buyer", address),
        "buyer_name": seal("buyer_name", item.mail.buyer_name),
        "buyer_address": seal("buyer_address", item.mail.buyer_address),
        "subject": seal("subject", item.mail.subject),
        "message_count": 1,
        "last_message_at": item.claimed.accepted_at,
    }


def _seal_rows(
    incoming: list[_Incoming], conversation_ids: dict[tuple[UUID, bytes], UUID]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    messages: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []
    for item in incoming:
        conversation_id = conversation_ids[item.claimed.integration_id, item.thread_key]
        messages.append(_message_row(item, conversation_id))
        attachments.extend(_attachment_rows(item))
    return messages, attachments


def _message_row(item: _Incoming, conversation_id: UUID) -> dict[str, Any]:
    mail = item.mail

    def seal(column: str, text: str | None) -> Sealed | None:
        return None if text is None else item.keys.seal_text(Place("messages", column, item.message_id), text)

    return {
        "id": item.message_id,
        "account_id": item.claimed.account_id,
        "integration_id": item.claimed.integration_id,
        "conversation_id": conversation_id,
        "accepted_mail_id": item.claimed.id,
        # The accepted mail is never rewritten: its key is kept a second time, for the readers of this account.
        "raw_key": item.keys.seal(Place("messages", "raw_key", item.message_id), item.content_key.key),
        "kind": mail.kind.value,
        "from_amazon_domain": mail.amazon_domain,
        "truncated": mail.truncated,
        "received_at": item.claimed.accepted_at,
        "sent_at": mail.sent_at,
        "subject": seal("subject", mail.subject),
        "sender_name": seal("sender_name", mail.sender_name),
        "sender_address": seal("sender_address", mail.sender_address),
        "body_text": seal("body_text", mail.text),
        "body_html": seal("body_html", mail.html),
        "size": item.claimed.size,
        "attachment_count": len(mail.attachments),
    }


def _attachment_rows(item: _Incoming) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for position, attachment in enumerate(item.mail.attachments):
        attachment_id = new_id()
        filename = safe_filename(attachment.filename, attachment.content_type)
        rows.append(
            {
                "id": attachment_id,
                "account_id": item.claimed.account_id,
                "message_id": item.message_id,
                "position": position,
                "filename": item.keys.seal_text(Place("attachments", "filename", attachment_id), filename),
                "content_type": attachment.content_type,
                "size": len(attachment.content),
                "content": item.keys.seal(Place("attachments", "content", attachment_id), attachment.content),
            }
        )
    return rows


async def _move_integrations(session: AsyncSession, incoming: list[_Incoming]) -> None:
    by_integration: dict[UUID, list[_Incoming]] = {}
    for item in incoming:
        by_integration.setdefault(item.claimed.integration_id, []).append(item)
    for integration_id, items in sorted(by_integration.items()):
        from_buyers = [item for item in items if item.mail.buyer_address is not None]
        changed = False
        if from_buyers:
            newest = max(item.claimed.accepted_at for item in from_buyers)
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
                items[0].claimed.account_id,
                EventKind.INTEGRATION_CHANGED,
                integration_id=integration_id,
            )


def _count(figures: Figures, claimed: list[queries.Claimed], stored: list[_Incoming]) -> None:
    for kind, count in Counter(item.mail.kind.value for item in stored).items():
        figures.delivered.labels(kind).inc(count)
    figures.duplicates.inc(len(claimed) - len(stored))
    now = datetime.now(UTC)
    for item in stored:
        figures.seconds.observe(max(0.0, (now - item.claimed.accepted_at).total_seconds()))
