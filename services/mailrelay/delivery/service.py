"""Accepted mail → message: the use case of the mail worker.

A batch is taken, opened, parsed, judged and sealed without a transaction, because some of that asks other hosts: the blob store,
the DNS. Then one transaction locks the mails, stores what was understood, and marks them delivered: whatever dies in between, a
mail is either still waiting or visible exactly once. If a batch fails, its mails are delivered one by one, so that only the one
that is at fault waits. A mail that cannot be understood is stored all the same (D8); held is only what cannot even be opened.
What is our fault (a key, a grant, a table that is missing) costs a mail nothing but time: it waits until we have mended it.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import ProgrammingError

from services.mailrelay.authenticity.questions import Resolver
from services.mailrelay.delivery import queue as waiting_mail
from services.mailrelay.delivery.authentication import Understood, judge, recheck_at, wait_before_storing
from services.mailrelay.delivery.clamav import Scanner, scan_all
from services.mailrelay.delivery.conversation_writer import store
from services.mailrelay.delivery.message_rows import Incoming, make_incoming
from services.mailrelay.delivery.metrics import Figures
from services.mailrelay.delivery.parser_pool import Parser
from services.mailrelay.delivery.queue import Taken
from services.mailrelay.delivery.unsealing import Fetched, Opened, open_mail
from services.mailrelay.parsing.mail import ParsedMail, parse_header_only
from shared.blobs import Blob, BlobDamaged, BlobMissing, BlobStore, BlobsUnavailable
from shared.crypto.envelope import SealBroken, Sealed
from shared.crypto.raw_mail import MailPrivateKey
from shared.database import Sessions, is_unavailable
from shared.errors import Expected
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
# The same for a blob store that is away: it comes back by itself.
_BLOBS_AWAY_DELAY: Final = timedelta(minutes=1)
# After as many failed attempts only the header is read: better half a mail within two minutes than none.
ATTEMPTS_TO_PARSE: Final = 2
_UNCHECKED: Final = "authenticity_unchecked"


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
    resolver: Resolver
    scanner: Scanner | None = None


async def deliver_due(delivery: Delivery) -> int:
    """Deliver a batch of what is due and lies in its row; the number of mails it took on.

    Raises only what says that the database is away.
    """
    return await _deliver_due(delivery, in_blob_store=False)


async def deliver_due_from_blob_store(delivery: Delivery) -> int:
    """The same for what lies in the blob store. It is large, and small mail does not wait for it."""
    return await _deliver_due(delivery, in_blob_store=True)


async def _deliver_due(delivery: Delivery, *, in_blob_store: bool) -> int:
    async with waiting_mail.taken(
        delivery.sessions, in_blob_store=in_blob_store, limit=MAX_BATCH, max_bytes=MAX_BATCH_BYTES
    ) as mails:
        ours = await _leave_other_keys(delivery, mails)
        if ours:
            await _deliver(delivery, ours)
    return len(mails)


async def _deliver(delivery: Delivery, mails: Sequence[Taken]) -> None:
    try:
        await _deliver_together(delivery, mails)
    except Exception as error:  # whatever it is, it costs no other mail anything
        if _is_database_away(error):
            raise
        if len(mails) == 1:
            await _put_off(delivery, mails[0].id, error)
            return
        log.warning("batch_failed", mails=len(mails), exc_info=error)
        for mail in mails:
            await _deliver(delivery, [mail])


async def _deliver_together(delivery: Delivery, mails: Sequence[Taken]) -> None:
    incoming = await _understand(delivery, [mail for mail in mails if not mail.is_resting])
    async with delivery.sessions.begin() as session:
        locked = await waiting_mail.lock_these(session, [mail.id for mail in mails])
        ready = [item for item in incoming if item.taken.id in locked]
        stored = await store(session, ready)
        await waiting_mail.mark_delivered(session, [item.taken.id for item in ready])
    _count(delivery.figures, ready, stored)


def _is_database_away(error: Exception) -> bool:
    """A statement that takes too long may be one mail's doing, and one mail must not hold up all others."""
    return is_unavailable(error) and not isinstance(error, TimeoutError)


def _is_our_fault(error: Exception) -> bool:
    """Nothing is wrong with the mail: a key is missing here, or a grant or table in the database, or it is too slow."""
    if isinstance(error, SealBroken):
        return error.fields.get("table") != "accepted_mail"
    return isinstance(error, ProgrammingError | TimeoutError)


async def _leave_other_keys(delivery: Delivery, mails: Sequence[Taken]) -> list[Taken]:
    """Mails sealed to a key that we do not have wait until a worker has it; the answer holds the others."""
    key_id = delivery.private_key.key_id
    others = [mail for mail in mails if mail.mail_key_id != key_id]
    if others:
        await _wait(delivery, [mail.id for mail in others], MailKeyMissing.code, MENDING_DELAY)
        log.error(
            MailKeyMissing.code,
            mails=len(others),
            our_key_id=key_id,
            their_key_ids=sorted({m.mail_key_id for m in others})[:10],
        )
    return [mail for mail in mails if mail.mail_key_id == key_id]


async def _put_off(delivery: Delivery, accepted_mail_id: UUID, error: Exception) -> None:
    code = error.code if isinstance(error, Expected) else "unexpected"
    if _is_our_fault(error):
        await _wait(delivery, [accepted_mail_id], code, MENDING_DELAY)
    else:
        async with delivery.sessions.begin() as session:
            state = await waiting_mail.put_off(
                session,
                accepted_mail_id,
                failure_code=code,
                delays=DELAYS,
                is_held_at_last=isinstance(error, SealBroken),
            )
        if state is MailState.HELD:
            delivery.figures.held.inc()
            log.error("mail_held", accepted_mail_id=str(accepted_mail_id), code=code, exc_info=error)
            return
        delivery.figures.put_off.labels(code).inc()
    log.warning("mail_put_off", accepted_mail_id=str(accepted_mail_id), code=code, exc_info=error)


async def _wait(delivery: Delivery, accepted_mail_ids: Sequence[UUID], code: str, delay: timedelta) -> None:
    async with delivery.sessions.begin() as session:
        await waiting_mail.wait(session, accepted_mail_ids, failure_code=code, delay=delay)
    delivery.figures.put_off.labels(code).inc(len(accepted_mail_ids))


async def _understand(delivery: Delivery, mails: Sequence[Taken]) -> list[Incoming]:
    """Open, parse, judge and seal. Those whose blob or verdict does not come wait, and are left out."""
    fetched = await _fetch(delivery, mails)
    there = [mail for mail in mails if not isinstance(mail.raw, Blob) or mail.raw in fetched]
    opened = await asyncio.to_thread(_open_all, delivery.private_key, there, fetched)
    parsed = await _parse(delivery.parser, opened)
    understood = [Understood(item, mail) for item, mail in zip(opened, parsed, strict=True)]
    verdicts = await judge(understood, delivery.resolver)
    now = datetime.now(UTC)
    judged = []
    for item, verdict in zip(understood, verdicts, strict=True):
        delay = wait_before_storing(verdict, item.opened.taken.accepted_at, now)
        if delay is not None:
            await _wait(delivery, [item.opened.taken.id], _UNCHECKED, delay)
        else:
            judged.append((item, verdict))
    async with delivery.sessions() as session:
        keys = {
            account_id: await delivery.keyring.of(session, account_id)
            for account_id in {item.opened.taken.account_id for item, _ in judged}
        }
    incoming = await asyncio.to_thread(
        lambda: [
            make_incoming(
                item,
                verdict,
                keys[item.opened.taken.account_id],
                recheck_at=recheck_at(verdict, item.opened.taken.accepted_at, now),
            )
            for item, verdict in judged
        ]
    )
    await scan_all(delivery.scanner, incoming)
    return incoming


async def _fetch(delivery: Delivery, mails: Sequence[Taken]) -> Fetched:
    """What several copies share is fetched once. Mails whose blob does not come wait."""
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
        await _wait(
            delivery, ids, code, _BLOBS_AWAY_DELAY if code == BlobsUnavailable.code else MENDING_DELAY
        )
        log.error(code, mails=len(ids), accepted_mail_ids=[str(mail_id) for mail_id in ids[:10]])
    return {blob: result for blob, result in results.items() if not isinstance(result, Expected)}


async def _get(blobs: BlobStore, blob: Blob) -> Sealed | Expected:
    try:
        return Sealed(await blobs.get(blob))
    except (BlobMissing, BlobDamaged, BlobsUnavailable) as error:
        return error


def _open_all(private_key: MailPrivateKey, mails: Sequence[Taken], fetched: Fetched) -> list[Opened]:
    return [open_mail(private_key, mail, fetched) for mail in mails]


async def _parse(parser: Parser, opened: Sequence[Opened]) -> list[ParsedMail]:
    """Parse what has not failed too often; of the rest, the header."""
    to_parse = [item for item in opened if item.taken.attempts < ATTEMPTS_TO_PARSE]
    parsed = iter(await parser.parse([item.raw for item in to_parse]) if to_parse else [])
    return [
        next(parsed) if item.taken.attempts < ATTEMPTS_TO_PARSE else parse_header_only(item.raw)
        for item in opened
    ]


def _count(figures: Figures, delivered: Sequence[Incoming], stored: Sequence[Incoming]) -> None:
    for kind, count in Counter(item.mail.kind.value for item in stored).items():
        figures.delivered.labels(kind).inc(count)
    verdicts = Counter((item.verdict.authenticity.value, item.verdict.reason) for item in stored)
    for labels, count in verdicts.items():
        figures.judged.labels(*labels).inc(count)
    figures.duplicates.inc(len(delivered) - len(stored))
    now = datetime.now(UTC)
    for item in stored:
        figures.seconds.observe(max(0.0, (now - item.taken.accepted_at).total_seconds()))
