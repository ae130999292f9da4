"""Accepted mail becomes messages: the use case of the mail worker.

A batch is claimed, unsealed, authenticated, parsed and sealed for its accounts without a transaction, because some of that asks
other hosts: the blob store, the DNS. Then one transaction locks the mails, stores the messages, and marks the mails delivered:
whatever dies in between, a mail is either still waiting or visible exactly once. What is not parsed within the time for a turn is
let go, and takes its turn anew. If a batch fails, its mails are delivered one by one, so that only the one that is at fault waits. A
mail that cannot be parsed is stored all the same (D8); held is only what cannot even be unsealed. What is our fault (a key, a grant, a table that is missing) costs a mail nothing but time: it waits until
we have mended it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, ProgrammingError

from services.mailrelay.authenticity.resolver import Resolver
from services.mailrelay.delivery import queue
from services.mailrelay.delivery.addressing import settle_addressees
from services.mailrelay.delivery.authentication import (
    AuthenticatedMail,
    authenticate_batch,
    recheck_at,
    wait_before_storing,
)
from services.mailrelay.delivery.clamav import Scanner, scan_attachments
from services.mailrelay.delivery.conversation_writer import store_messages
from services.mailrelay.delivery.large_attachments import put_large_attachments, remove_large_attachments
from services.mailrelay.delivery.message_rows import NewMessage, make_new_message
from services.mailrelay.delivery.metrics import SUSPECT, DeliveryMetrics
from services.mailrelay.delivery.parser_pool import ParserPool
from services.mailrelay.delivery.proven_networks import ProvenNetworks
from services.mailrelay.delivery.queue import QueuedMail
from services.mailrelay.delivery.suspects import Suspects
from services.mailrelay.delivery.turns import LEASE_SECONDS, Turns, claim_due
from services.mailrelay.delivery.unsealing import FetchedBlobs, UnsealedMail, unseal
from services.mailrelay.parsing.mail import ParsedMail, parse_header_only
from services.mailrelay.settings import AddressedElsewhere
from shared import tracing
from shared.blobs import (
    INLINE_LIMIT_BYTES,
    Blob,
    BlobDamaged,
    BlobMissing,
    BlobsFull,
    BlobStore,
    BlobsUnavailable,
)
from shared.crypto.envelope import AccountKeys, SealBroken, Sealed
from shared.crypto.key_provider import KeyServiceUnavailable
from shared.crypto.mail_key_files import MailPrivateKeyFile
from shared.crypto.raw_mail import MailPrivateKey
from shared.database import Sessions, is_unavailable, now_in, was_ended_for_others
from shared.errors import Expected
from shared.keyring import Keyring
from shared.lanes import Lane
from shared.tables import MailState
from shared.tracing import Steps

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
# The wait after a deadlock or a cancelled statement, which pass by themselves; no attempt is spent on it. It grows with the age of the
# mail: one whose statement is always cancelled must not take the workers from the others every few seconds.
CONTENTION_DELAY: Final = timedelta(seconds=10)
LONGEST_CONTENTION_DELAY: Final = timedelta(minutes=1)
# The wait for us to mend what is our fault; no attempt is spent on it.
MENDING_DELAY: Final = timedelta(minutes=10)
# The same for a blob store or a key management service that is away: it comes back by itself.
_AWAY_DELAY: Final = timedelta(minutes=1)
# After as many failed attempts only the header is read: better half a mail within two minutes than none.
ATTEMPTS_TO_PARSE: Final = 2
# After this time of parsing a turn ends with the mail in hand: what is slow lets the mail of others come before its next.
TURN_SECONDS: Final = 0.25
_UNCHECKED: Final = "authenticity_unchecked"


class MailKeyMissing(Expected):
    """The mail was sealed to a public key whose private key this worker does not have."""

    code = "mail_key_missing"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a mail worker needs to deliver the mail of a lane; a process has one for each, which share all but the parser and the turns."""

    sessions: Sessions
    keyring: Keyring
    private_keys: MailPrivateKeyFile
    parser: ParserPool
    metrics: DeliveryMetrics
    blobs: BlobStore
    resolver: Resolver
    scanner: Scanner | None = None
    addressed_elsewhere: AddressedElsewhere = AddressedElsewhere.QUARANTINE
    inline_limit_bytes: int = INLINE_LIMIT_BYTES
    lane: Lane = Lane.QUICK
    # Processor time of parsing: an ordinary mail takes half a millisecond. What costs more than this is delivered, and what its network
    # sends next to the account waits in the slow lane.
    costly_seconds: float = 0.1
    turn_seconds: float = TURN_SECONDS
    lease_seconds: float = LEASE_SECONDS
    turns: Turns = field(default_factory=Turns)
    suspects: Suspects = field(default_factory=Suspects)
    proven_networks: ProvenNetworks = field(default_factory=ProvenNetworks)


async def deliver_due(delivery: Delivery) -> int:
    """Deliver a batch of due mails of the lane; the answer is the number of mails claimed.

    Raises only what says that the database is away.
    """
    began = time.monotonic()
    async with claim_due(
        delivery.sessions,
        delivery.turns,
        lane=delivery.lane,
        limit=min(MAX_BATCH, delivery.turns.worthwhile),
        max_bytes=MAX_BATCH_BYTES,
        lease_seconds=delivery.lease_seconds,
    ) as mails:
        ours = await _move_suspects(delivery, await _postpone_other_keys(delivery, mails))
        if ours:
            await _deliver(delivery, ours)
    delivery.turns.end(len(mails), time.monotonic() - began)
    return len(mails)


async def _deliver(delivery: Delivery, mails: Sequence[QueuedMail]) -> None:
    try:
        await _deliver_together(delivery, mails)
    except Exception as error:  # whatever it is, it costs no other mail anything
        if _is_database_away(error):
            raise
        if len(mails) == 1:
            await _try_later(delivery, mails[0], error)
            return
        delivery.metrics.batches_failed.inc()
        log.warning("batch_failed", mails=len(mails), exc_info=error)
        for mail in mails:
            await _deliver(delivery, [mail])


async def _deliver_together(delivery: Delivery, mails: Sequence[QueuedMail]) -> None:
    steps = Steps()
    messages = await _prepare(delivery, [mail for mail in mails if not mail.is_store_disconnected], steps)
    to_store = {item.queued.id for item in messages} | {
        mail.id for mail in mails if mail.is_store_disconnected
    }
    if not to_store:
        return
    steps.begin("write message")
    try:
        delivered, stored = await _store(delivery, sorted(to_store), messages)
    except DBAPIError as error:
        # Only where PostgreSQL itself says that it has stored nothing: a COMMIT whose answer was lost may have come.
        if getattr(error.orig, "sqlstate", None) and not is_unavailable(error):
            await _remove_attachments(delivery, messages)
        raise
    _count(delivery.metrics, delivered, stored)
    if tracing.is_on():
        _trace(delivery, steps, delivered, stored)
    await _note_proven_networks(delivery, stored)
    stored_ids = {item.message_id for item in stored}
    await _remove_attachments(delivery, [item for item in messages if item.message_id not in stored_ids])


async def _store(
    delivery: Delivery, mail_ids: Sequence[UUID], messages: Sequence[NewMessage]
) -> tuple[list[NewMessage], list[NewMessage]]:
    """The one transaction. The answer holds the messages whose mails are delivered, and those of them that were stored."""
    async with delivery.sessions.begin() as session:
        locked = await queue.lock_for_delivery(session, mail_ids)
        ready = [item for item in messages if item.queued.id in locked]
        stored, to_recheck = await store_messages(session, ready)
        waiting = {item.queued.id for item in to_recheck}
        for item in to_recheck:
            now = await now_in(session)
            recheck_at = item.message["recheck_at"] or now
            await queue.postpone(session, [item.queued.id], failure_code=_UNCHECKED, delay=recheck_at - now)
        delivered = [item for item in ready if item.queued.id not in waiting]
        await queue.mark_delivered(session, [item.queued.id for item in delivered])
    return delivered, stored


async def _remove_attachments(delivery: Delivery, messages: Sequence[NewMessage]) -> None:
    for item in messages:
        await remove_large_attachments(delivery.blobs, item.attachments)


def _is_database_away(error: Exception) -> bool:
    """A statement that takes too long may be one mail's doing, and one mail must not hold up all others."""
    return is_unavailable(error) and not isinstance(error, TimeoutError)


def _wait_without_attempt(error: Exception, age: timedelta) -> timedelta | None:
    """How long a mail waits after an error that is not its own; None if it is.

    Nothing is wrong with the mail if the database ended the statement in favour of others, if a key is missing here, or a grant or
    table in the database, or if the database or the machine is too slow, away or full.
    """
    if was_ended_for_others(error):
        return min(max(age / 2, CONTENTION_DELAY), LONGEST_CONTENTION_DELAY)
    if isinstance(error, KeyServiceUnavailable):
        return _AWAY_DELAY
    if isinstance(error, SealBroken):
        is_our_fault = error.fields.get("table") != "accepted_mail"
    else:
        is_our_fault = isinstance(error, ProgrammingError | OSError) or is_unavailable(error)
    return MENDING_DELAY if is_our_fault else None


async def _postpone_other_keys(delivery: Delivery, mails: Sequence[QueuedMail]) -> list[QueuedMail]:
    """Let mails wait that are sealed to a key which this worker does not have; the answer holds the others."""
    held = delivery.private_keys.keys
    others = [mail for mail in mails if mail.mail_key_id not in held]
    if others:
        await _postpone(delivery, [mail.id for mail in others], MailKeyMissing.code, MENDING_DELAY)
        log.error(
            MailKeyMissing.code,
            mails=len(others),
            our_key_ids=list(held),
            their_key_ids=sorted({m.mail_key_id for m in others})[:10],
        )
    return [mail for mail in mails if mail.mail_key_id in held]


async def _try_later(delivery: Delivery, mail: QueuedMail, error: Exception) -> None:
    code = error.code if isinstance(error, Expected) else "unexpected"
    delay = _wait_without_attempt(error, await delivery.sessions.now() - mail.accepted_at)
    if delay is not None:
        await _postpone(delivery, [mail.id], code, delay)
    else:
        async with delivery.sessions.begin() as session:
            state = await queue.record_failed_attempt(
                session,
                mail.id,
                failure_code=code,
                delays=DELAYS,
                is_held_at_last=isinstance(error, SealBroken),
            )
        if state is MailState.HELD:
            delivery.metrics.held.inc()
            _trace_put_off([mail.id], code)
            log.error("mail_held", accepted_mail_id=str(mail.id), code=code, exc_info=error)
            return
        delivery.metrics.put_off.labels(code).inc()
        _trace_put_off([mail.id], code)
    log.warning("mail_put_off", accepted_mail_id=str(mail.id), code=code, exc_info=error)


async def _postpone(
    delivery: Delivery, accepted_mail_ids: Sequence[UUID], code: str, delay: timedelta
) -> None:
    async with delivery.sessions.begin() as session:
        await queue.postpone(session, accepted_mail_ids, failure_code=code, delay=delay)
    delivery.metrics.put_off.labels(code).inc(len(accepted_mail_ids))
    _trace_put_off(accepted_mail_ids, code)


async def _prepare(delivery: Delivery, mails: Sequence[QueuedMail], steps: Steps) -> list[NewMessage]:
    """Unseal, authenticate, parse and seal for the account. A mail whose blob or verdict does not come waits, and is left out."""
    steps.begin("open mail")
    fetched = await _fetch(delivery, mails)
    there = [mail for mail in mails if not isinstance(mail.raw, Blob) or mail.raw in fetched]
    unsealed = await asyncio.to_thread(_unseal_all, delivery.private_keys.keys, there, fetched)
    now = await delivery.sessions.now()
    steps.begin("judge mail")
    authenticated = []
    for mail in await authenticate_batch(unsealed, delivery.resolver):
        queued = mail.unsealed.queued
        delay = wait_before_storing(mail.verdict, queued.accepted_at, now)
        if delay is not None:
            await _postpone(delivery, [queued.id], _UNCHECKED, delay)
        else:
            authenticated.append(mail)
    keys = {
        account_id: await delivery.keyring.of(delivery.sessions, account_id)
        for account_id in {mail.unsealed.queued.account_id for mail in authenticated}
    }
    authenticated = await settle_addressees(
        delivery.sessions, authenticated, keys, delivery.addressed_elsewhere
    )
    steps.begin("parse mail")
    authenticated, parsed = await _parse(delivery, authenticated)
    steps.begin("seal message")
    messages = await asyncio.to_thread(_make_messages, authenticated, parsed, keys, now)
    await scan_attachments(delivery.scanner, messages)
    return await _put_attachments(delivery, messages)


async def _put_attachments(delivery: Delivery, messages: Sequence[NewMessage]) -> list[NewMessage]:
    """Put large attachments into the blob store. A mail whose attachments it does not take waits, and is left out."""
    ready = []
    for item in messages:
        try:
            await put_large_attachments(delivery.blobs, item.attachments, delivery.inline_limit_bytes)
        except (BlobsUnavailable, BlobsFull) as error:
            await _postpone(delivery, [item.queued.id], error.code, _AWAY_DELAY)
            if isinstance(error, BlobsFull):
                log.exception(error.code, mails=1, accepted_mail_ids=[str(item.queued.id)])
        else:
            ready.append(item)
    return ready


def _make_messages(
    mails: Sequence[AuthenticatedMail],
    parsed: Sequence[ParsedMail],
    keys: dict[UUID, AccountKeys],
    now: datetime,
) -> list[NewMessage]:
    return [
        make_new_message(
            mail,
            content,
            keys[mail.unsealed.queued.account_id],
            recheck_at=recheck_at(mail.verdict, mail.unsealed.queued.accepted_at, now),
        )
        for mail, content in zip(mails, parsed, strict=True)
    ]


async def _fetch(delivery: Delivery, mails: Sequence[QueuedMail]) -> FetchedBlobs:
    """Fetch what lies in the blob store, once for all mails that share it. A mail whose blob does not come waits."""
    blobs = list({mail.raw for mail in mails if isinstance(mail.raw, Blob)})
    results = dict(
        zip(blobs, await asyncio.gather(*(_get(delivery.blobs, blob) for blob in blobs)), strict=True)
    )
    waiting: dict[str, list[UUID]] = {}
    for mail in mails:
        result = results[mail.raw] if isinstance(mail.raw, Blob) else None
        if isinstance(result, Expected):
            waiting.setdefault(result.code, []).append(mail.id)
    for code, ids in waiting.items():
        await _postpone(delivery, ids, code, _AWAY_DELAY if code == BlobsUnavailable.code else MENDING_DELAY)
        if code != BlobsUnavailable.code:
            log.error(code, mails=len(ids), accepted_mail_ids=[str(mail_id) for mail_id in ids[:10]])
    return {blob: result for blob, result in results.items() if not isinstance(result, Expected)}


async def _get(blobs: BlobStore, blob: Blob) -> Sealed | Expected:
    try:
        return Sealed(await blobs.get(blob))
    except (BlobMissing, BlobDamaged, BlobsUnavailable) as error:
        return error


def _unseal_all(
    private_keys: Mapping[str, MailPrivateKey], mails: Sequence[QueuedMail], fetched: FetchedBlobs
) -> list[UnsealedMail]:
    return [unseal(private_keys, mail, fetched) for mail in mails]


async def _parse(
    delivery: Delivery, mails: Sequence[AuthenticatedMail]
) -> tuple[list[AuthenticatedMail], list[ParsedMail]]:
    """Parse for the time of a turn; the answer holds the mails that are parsed, and what they are.

    Of what has failed too often, only the header is read. One that cannot be parsed is put aside, and those behind it wait.
    """
    readable = await asyncio.to_thread(lambda: {mail.unsealed.queued.id: mail.readable() for mail in mails})
    to_parse = [mail.unsealed.queued for mail in mails if mail.unsealed.queued.attempts < ATTEMPTS_TO_PARSE]
    turn = await delivery.parser.parse_for(
        [readable[mail.id] for mail in to_parse], turn_seconds=delivery.turn_seconds
    )
    tried = len(turn.mails) + (turn.failure is not None)
    if tried < len(to_parse):
        delivery.turns.pass_over([(mail.account_id, mail.relay_address_id) for mail in to_parse[:tried]])
    for queued, cost in zip(to_parse, turn.costs, strict=False):
        if cost >= delivery.costly_seconds and delivery.lane is not Lane.SLOW:
            delivery.suspects.note(queued.network, queued.account_id)
    if turn.failure is not None:
        await _put_aside(delivery, to_parse[tried - 1], turn.failure)
    parsed = {mail.id: content for mail, content in zip(to_parse, turn.mails, strict=False)}
    for mail in mails:
        if mail.unsealed.queued.attempts >= ATTEMPTS_TO_PARSE:
            parsed[mail.unsealed.queued.id] = parse_header_only(readable[mail.unsealed.queued.id])
    done = [mail for mail in mails if mail.unsealed.queued.id in parsed]
    return done, [parsed[mail.unsealed.queued.id] for mail in done]


async def _put_aside(delivery: Delivery, mail: QueuedMail, failure: Expected) -> None:
    """A mail could not be parsed: it goes into the slow lane, where it has more time, and nobody waits for it who does not wait there."""
    if delivery.lane is Lane.SLOW:
        await _try_later(delivery, mail, failure)
        return
    delivery.suspects.note(mail.network, mail.account_id)
    await _move_to_slow_lane(delivery, [mail], failure.code)
    log.warning("mail_slow", accepted_mail_id=str(mail.id), lane=delivery.lane.value, code=failure.code)


async def _move_suspects(delivery: Delivery, mails: Sequence[QueuedMail]) -> list[QueuedMail]:
    """Move into the slow lane what comes from where mail came that was slow; the answer holds the others."""
    known = {mail.network for mail in mails if delivery.suspects.knows(mail.network)}
    if delivery.lane is Lane.SLOW or not known:
        return list(mails)
    proven = await delivery.proven_networks.among(delivery.sessions, known)
    suspect = [
        mail
        for mail in mails
        if delivery.suspects.has(mail.network, mail.account_id, is_proven=mail.network in proven)
    ]
    await _move_to_slow_lane(delivery, suspect, SUSPECT)
    moved = {mail.id for mail in suspect}
    return [mail for mail in mails if mail.id not in moved]


async def _move_to_slow_lane(delivery: Delivery, mails: Sequence[QueuedMail], code: str) -> None:
    if mails:
        async with delivery.sessions.begin() as session:
            await queue.move_to_slow_lane(session, [mail.id for mail in mails])
        delivery.metrics.slow.labels(delivery.lane.value, code).inc(len(mails))


async def _note_proven_networks(delivery: Delivery, stored: Sequence[NewMessage]) -> None:
    proven = {item.queued.network for item in stored if item.proves_its_network}
    try:
        await delivery.proven_networks.note(delivery.sessions, proven)
    except Exception:  # the mail is delivered; the next one from there is noted
        log.exception("proven_network_not_noted")


def _trace(
    delivery: Delivery, steps: Steps, delivered: Sequence[NewMessage], stored: Sequence[NewMessage]
) -> None:
    stored_ids = {item.message_id for item in stored}
    for item in delivered:
        is_stored = item.message_id in stored_ids
        steps.record(
            "deliver mail",
            item.queued.id,
            mail_id=item.queued.id,
            message_id=item.message_id if is_stored else None,
            account_id=item.queued.account_id,
            integration_id=item.queued.integration_id,
            lane=delivery.lane.value,
            attempts=item.queued.attempts,
            batch=len(delivered),
            kind=item.parsed.kind.value,
            authenticity=item.verdict.authenticity.value,
            reason=item.verdict.reason,
            outcome="stored" if is_stored else "duplicate",
        )


def _trace_put_off(mail_ids: Sequence[UUID], code: str) -> None:
    now = time.monotonic()
    for mail_id in mail_ids:
        tracing.record("put mail off", mail_id, began=now, ended=now, error=code, mail_id=mail_id)


def _count(metrics: DeliveryMetrics, delivered: Sequence[NewMessage], stored: Sequence[NewMessage]) -> None:
    for kind, count in Counter(item.parsed.kind.value for item in stored).items():
        metrics.delivered.labels(kind).inc(count)
    verdicts = Counter((item.verdict.authenticity.value, item.verdict.reason) for item in stored)
    for labels, count in verdicts.items():
        metrics.judged.labels(*labels).inc(count)
    metrics.duplicates.inc(len(delivered) - len(stored))
    now = datetime.now(UTC)
    for item in stored:
        metrics.seconds.observe(max(0.0, (now - item.queued.accepted_at).total_seconds()))
