"""Accepted mail → message: the use case of the mail worker.

One transaction claims a batch, stores what was understood, and marks the mails delivered: whatever dies in between, a mail
is either still waiting or visible exactly once. What lies in the blob store, which may be another host, is fetched before that
transaction begins; it is large, and has batches of its own, so that small mail never waits for the store. If a batch fails, its mails are delivered one by one, so that only the one
that is at fault waits. A mail that cannot be understood is stored all the same (D8); held is only what cannot even be opened.
What is our fault (a key, a grant, a table that is missing) costs a mail nothing but time: it waits until we have mended it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery import queries
from services.mailrelay.delivery.figures import Figures
from services.mailrelay.delivery.incoming import Incoming, conversation_row, seal_rows
from services.mailrelay.delivery.parser import Parser
from services.mailrelay.delivery.threads import thread_of
from services.mailrelay.parsing.mail import MailKind, ParsedMail, parse_header_only
from shared.blobs import Blob, BlobDamaged, BlobMissing, BlobStore, BlobsUnavailable, blob_id_of
from shared.crypto.envelope import SealBroken, Sealed
from shared.crypto.raw_mail import ContentKey, MailPrivateKey
from shared.database import Sessions, is_unavailable, new_id
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.tables import MailState

log = structlog.get_logger()

# The sealed mails that lie in the blob store.
Fetched = dict[Blob, Sealed]

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
# The same for a blob store that is away: it comes back by itself.
_BLOBS_AWAY_DELAY: Final = timedelta(minutes=1)
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


async def deliver_due(delivery: Delivery) -> int:
    """Deliver a batch of what is due and lies in its row; the number of mails it took on.

    Raises only what says that the database is away.
    """
    return await _deliver_batch(
        delivery,
        lambda session: queries.claim_due(session, limit=MAX_BATCH, max_bytes=MAX_BATCH_BYTES),
        fetched={},
    )


async def deliver_due_from_blob_store(delivery: Delivery) -> int:
    """The same for what lies in the blob store. Another worker may fetch the same mails meanwhile; one delivers them."""
    async with delivery.sessions.begin() as session:
        due = await queries.due_in_blob_store(session, limit=MAX_BATCH, max_bytes=MAX_BATCH_BYTES)
    fetched = await _fetch(delivery, due)
    ids = [mail.id for mail in due if mail.blob in fetched]
    if ids:
        await _deliver_batch(delivery, lambda session: queries.claim_these(session, ids), fetched=fetched)
    return len(due)


async def _deliver_batch(
    delivery: Delivery,
    claim: Callable[[AsyncSession], Awaitable[list[queries.Claimed]]],
    *,
    fetched: Fetched,
) -> int:
    claimed: list[queries.Claimed] = []
    try:
        async with delivery.sessions.begin() as session:
            claimed = await claim(session)
            openable = await _leave_other_keys(delivery, session, claimed)
            stored = await _deliver(delivery, session, openable, fetched)
    except Exception as error:
        if not claimed or _is_database_away(error):
            raise
        log.warning("batch_failed", mails=len(claimed), exc_info=error)
        for mail in claimed:
            await _deliver_alone(delivery, mail.id, fetched)
        return len(claimed)
    _count(delivery.figures, openable, stored)
    return len(claimed)


def _is_database_away(error: Exception) -> bool:
    """A statement that takes too long may be one mail's doing, and one mail must not hold up all others."""
    return is_unavailable(error) and not isinstance(error, TimeoutError)


def _is_our_fault(error: Exception) -> bool:
    """Nothing is wrong with the mail: a key is missing here, or a grant or table in the database, or it is too slow."""
    if isinstance(error, SealBroken):
        return error.fields.get("table") != "accepted_mail"
    return isinstance(error, MailKeyMissing | ProgrammingError | TimeoutError)


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


async def _deliver_alone(delivery: Delivery, accepted_mail_id: UUID, fetched: Fetched) -> None:
    try:
        async with delivery.sessions.begin() as session:
            claimed = await queries.claim_these(session, [accepted_mail_id])
            stored = await _deliver(delivery, session, claimed, fetched)
    except Exception as error:  # whatever it is, it costs no other mail anything
        if _is_database_away(error):
            raise
        await _put_off(delivery, accepted_mail_id, error)
        return
    _count(delivery.figures, claimed, stored)


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
    delivery: Delivery, session: AsyncSession, claimed: list[queries.Claimed], fetched: Fetched
) -> list[Incoming]:
    if not claimed:
        return []
    contents = await queries.load_contents(session, [mail.id for mail in claimed])
    opened = await asyncio.to_thread(_open, delivery.private_key, claimed, contents, fetched)
    parsed = await _understand(delivery.parser, opened)
    incoming: list[Incoming] = []
    for sealed, mail in zip(opened, parsed, strict=True):
        keys = await delivery.keyring.of(session, sealed.claimed.account_id)
        incoming.append(Incoming(sealed.claimed, sealed.content_key, mail, keys, thread_of(mail), new_id()))

    new = await _without_duplicates(session, incoming)
    if new:
        conversation_ids = await _find_conversations(session, new)
        messages, attachments = await asyncio.to_thread(seal_rows, new, conversation_ids)
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


async def _fetch(delivery: Delivery, due: list[queries.InBlobStore]) -> Fetched:
    """What several copies share is fetched once. Mails whose blob does not come wait."""
    blobs = list({mail.blob for mail in due})
    results = dict(
        zip(blobs, await asyncio.gather(*(_get(delivery.blobs, blob) for blob in blobs)), strict=True)
    )
    waiting: dict[str, list[UUID]] = {}
    for mail in due:
        result = results[mail.blob]
        if isinstance(result, Expected):
            waiting.setdefault(result.code, []).append(mail.id)
    for code, ids in waiting.items():
        delay = _BLOBS_AWAY_DELAY if code == BlobsUnavailable.code else MENDING_DELAY
        async with delivery.sessions.begin() as session:
            await queries.wait(session, ids, failure_code=code, delay=delay)
        delivery.figures.put_off.labels(code).inc(len(ids))
        log.error(code, mails=len(ids), accepted_mail_ids=[str(mail_id) for mail_id in ids[:10]])
    return {blob: result for blob, result in results.items() if not isinstance(result, Expected)}


async def _get(blobs: BlobStore, blob: Blob) -> Sealed | Expected:
    try:
        return Sealed(await blobs.get(blob))
    except (BlobMissing, BlobDamaged, BlobsUnavailable) as error:
        return error


def _open(
    private_key: MailPrivateKey,
    claimed: list[queries.Claimed],
    contents: dict[UUID, queries.Contents],
    fetched: Fetched,
) -> list[_Opened]:
    opened: list[_Opened] = []
    for mail in claimed:
        if mail.mail_key_id != private_key.key_id:
            raise MailKeyMissing(mail_key_id=mail.mail_key_id)
        content = contents[mail.id]
        key = ContentKey.open_with(private_key, mail.account_id, mail.id, content.content_key)
        if isinstance(content.raw, Blob):
            raw = key.open_mail(fetched[content.raw], blob_id_of(content.raw.key))
        else:
            raw = key.open_mail(content.raw, None)
        opened.append(_Opened(mail, key, raw))
    return opened


async def _understand(parser: Parser, opened: list[_Opened]) -> list[ParsedMail]:
    """Parse what has not failed too often; of the rest, the header."""
    to_parse = [item for item in opened if item.claimed.attempts < ATTEMPTS_TO_PARSE]
    parsed = iter(await parser.parse([item.raw for item in to_parse]) if to_parse else [])
    return [
        next(parsed) if item.claimed.attempts < ATTEMPTS_TO_PARSE else parse_header_only(item.raw)
        for item in opened
    ]


async def _without_duplicates(session: AsyncSession, incoming: list[Incoming]) -> list[Incoming]:
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
    session: AsyncSession, incoming: list[Incoming]
) -> dict[tuple[UUID, bytes], UUID]:
    rows: dict[tuple[UUID, bytes], dict[str, Any]] = {}
    for item in incoming:
        key = (item.claimed.integration_id, item.thread_key)
        row = rows.get(key)
        if row is None:
            rows[key] = conversation_row(item)
        else:
            row["message_count"] += 1
            row["last_message_at"] = max(row["last_message_at"], item.claimed.accepted_at)
    return await queries.find_or_open_conversations(session, rows.values())


async def _move_integrations(session: AsyncSession, incoming: list[Incoming]) -> None:
    by_integration: dict[UUID, list[Incoming]] = {}
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


def _count(figures: Figures, claimed: list[queries.Claimed], stored: list[Incoming]) -> None:
    for kind, count in Counter(item.mail.kind.value for item in stored).items():
        figures.delivered.labels(kind).inc(count)
    figures.duplicates.inc(len(claimed) - len(stored))
    now = datetime.now(UTC)
    for item in stored:
        figures.seconds.observe(max(0.0, (now - item.claimed.accepted_at).total_seconds()))
