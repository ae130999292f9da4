"""Stored messages are made anew from their raw mail by the parser of today: `python -m services.mailrelay reprocess`.

Goes through all messages in the order of their ids, and through each batch of those that an older version has made. No statement
takes longer for there being more messages. What is done has the new version, so a command that was interrupted continues where it was.
Live workers and agents are at work meanwhile: each message is written in a
transaction of its own that locks it and checks that nobody has changed it. What an agent has decided stays: where they put a
message, what they settled, closed, read or released. So do the verdicts on authenticity: they are about the sender, not the words.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery.authentication import readable_as_decided
from services.mailrelay.delivery.large_attachments import put_large_attachments
from services.mailrelay.delivery.message_rows import (
    TIME_TO_ANSWER,
    AttachmentRow,
    OpenedConversationRow,
    ParsedColumns,
    PrivateTexts,
    conversation_row,
    parsed_columns,
    private_texts,
    seal_texts,
)
from services.mailrelay.delivery.parser_pool import ParserPool
from services.mailrelay.delivery.queries import OrderLink, link_orders
from services.mailrelay.parsing.mail import PARSER_VERSION, MailKind, ParsedMail
from services.mailrelay.reprocessing import queries
from services.mailrelay.reprocessing.stored_files import StoredFile, are_same, attachment_rows, fetch_file
from shared.blobs import (
    INLINE_LIMIT_BYTES,
    Blob,
    BlobStore,
    BlobsUnavailable,
    blob_id_of,
    fetch_sealed,
    sealed_or_blob,
)
from shared.conversations import Threads, lock, recount
from shared.crypto.envelope import AccountKeys, Place
from shared.crypto.raw_mail import ContentKey
from shared.database import Sessions, is_unavailable
from shared.driver import new_id
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.tables import AcceptedMail, Authenticity, ConversationStatus, Message

log = structlog.get_logger()

# The mails of a batch are in memory together, raw, parsed and as they were stored: some of any size, or one of the largest.
MAX_BATCH: Final = 100
MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
# How many messages, or accepted mails, are looked through in one statement: it takes some milliseconds.
WINDOW: Final = 2000
_BEFORE_ALL: Final = UUID(int=0)


class ChangedMeanwhile(Expected):
    """Somebody else moved or reprocessed the message while it was parsed; the next run tries it once more."""

    code = "changed_meanwhile"


class RawMailMissing(Expected):
    """The mail behind a message is gone: its store was erased."""

    code = "raw_mail_missing"


class NeverProven(Expected):
    """To the parser of then it was a stranger's; to that of now it says that it is Amazon's, and nobody has checked that."""

    code = "never_proven"


@dataclass(frozen=True, slots=True)
class Reprocessing:
    """What the command needs to reprocess messages."""

    sessions: Sessions
    keyring: Keyring
    parser: ParserPool
    blobs: BlobStore
    inline_limit_bytes: int = INLINE_LIMIT_BYTES


@dataclass(slots=True)
class Report:
    """What was done: counts, and no contents. `fields` counts the messages in which a column changed.

    `passed` counts all messages, up to the one with the id `last`; `seen`, those of an older version.
    """

    estimated_total: int = 0
    passed: int = 0
    last: UUID = _BEFORE_ALL
    seen: int = 0
    changed: int = 0
    moved: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def summary(self, *, dry_run: bool) -> str:
        would = "would change" if dry_run else "changed"
        lines = [
            f"{self.seen} messages of an older version, {self.changed} {would}, {self.moved} moved to another conversation."
        ]
        lines += [f"  {name:<20} {count:>9}" for name, count in sorted(self.fields.items())]
        lines += [f"  left as it was, {code}: {count}" for code, count in sorted(self.failures.items())]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Reparsed:
    """A message, and what the parser of today makes of it."""

    message: Message
    parsed: ParsedMail
    keys: AccountKeys
    columns: ParsedColumns
    changed: frozenset[str]
    attachments: Sequence[StoredFile]


async def reprocess(
    reprocessing: Reprocessing,
    *,
    dry_run: bool,
    progress: Callable[[Report], None],
    version: int = PARSER_VERSION,
) -> Report:
    """Make every message anew that an older version has made. Raises what says that the database is away."""
    report = Report()
    async with reprocessing.sessions() as session:
        report.estimated_total = await queries.estimate_messages(session)
    while True:
        async with reprocessing.sessions() as session:
            window = await queries.next_messages(session, after=report.last, limit=WINDOW)
        if not window:
            return report
        for batch in _batches([each for each in window if each.parser_version < version]):
            await _reprocess_batch(reprocessing, batch, report, dry_run=dry_run, version=version)
            progress(report)
        report.passed += len(window)
        report.last = window[-1].id
        progress(report)


def _batches(messages: Iterable[queries.MessageAt]) -> Iterator[list[UUID]]:
    """The ids in batches of bounded number and bytes; a message that is larger alone makes a batch of its own."""
    batch: list[UUID] = []
    total = 0
    for message in messages:
        if batch and (len(batch) == MAX_BATCH or total + message.size > MAX_BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(message.id)
        total += message.size
    if batch:
        yield batch


async def _reprocess_batch(
    reprocessing: Reprocessing, message_ids: Sequence[UUID], report: Report, *, dry_run: bool, version: int
) -> None:
    async with reprocessing.sessions() as session:
        messages = await queries.outdated_messages(session, message_ids, version)
    reparsed = await _reparse(reprocessing, messages, report) if messages else []
    for item in reparsed:
        report.fields.update(item.changed)
    report.changed += sum(bool(item.changed) for item in reparsed)
    if not dry_run:
        await _store(reprocessing, reparsed, report, version)
    report.seen += len(messages)


async def _reparse(
    reprocessing: Reprocessing, messages: Sequence[Message], report: Report
) -> list[_Reparsed]:
    try:
        return await _reparse_together(reprocessing, messages)
    except Exception as error:  # one mail's doing must not hold up all others
        if is_unavailable(error) and not isinstance(error, TimeoutError):
            raise
        if len(messages) > 1:
            return [each for message in messages for each in await _reparse(reprocessing, [message], report)]
        _count_failure(report, messages[0], error)
        return []


def _count_failure(report: Report, message: Message, error: Exception) -> None:
    code = error.code if isinstance(error, Expected) else "unexpected"
    report.failures[code] += 1
    log.warning("message_left_as_it_was", message_id=str(message.id), code=code, exc_info=error)


async def _reparse_together(reprocessing: Reprocessing, messages: Sequence[Message]) -> list[_Reparsed]:
    keys = {
        account_id: await reprocessing.keyring.of(reprocessing.sessions, account_id)
        for account_id in {message.account_id for message in messages}
    }
    async with reprocessing.sessions.begin() as session:
        accepted = await queries.accepted_mails_of(
            session, [message.accepted_mail_id for message in messages]
        )
        attachments = await queries.attachments_of(session, [message.id for message in messages])
    raws = [
        await _raw(
            reprocessing.blobs, message, accepted.get(message.accepted_mail_id), keys[message.account_id]
        )
        for message in messages
    ]
    files = {
        message_id: [await fetch_file(reprocessing.blobs, row) for row in rows]
        for message_id, rows in attachments.items()
    }
    readable = await asyncio.to_thread(
        lambda: [
            _readable(message, raw, keys[message.account_id])
            for message, raw in zip(messages, raws, strict=True)
        ]
    )
    mails = await reprocessing.parser.parse(readable)
    return await asyncio.to_thread(
        lambda: [
            _compare(message, mail, keys[message.account_id], files.get(message.id, []))
            for message, mail in zip(messages, mails, strict=True)
        ]
    )


async def _raw(blobs: BlobStore, message: Message, accepted: AcceptedMail | None, keys: AccountKeys) -> bytes:
    """Read the raw mail. Raises RawMailMissing, SealBroken and the blob store's errors."""
    if accepted is None:
        raise RawMailMissing
    key = ContentKey(
        message.account_id,
        message.accepted_mail_id,
        keys.open(Place("messages", "raw_key", message.id), message.raw_key),
    )
    stored = sealed_or_blob(accepted.raw, accepted.blob_key, accepted.blob_digest)
    blob_id = blob_id_of(stored.key) if isinstance(stored, Blob) else None
    return key.open_mail(await fetch_sealed(blobs, stored), blob_id)


def _readable(message: Message, raw: bytes, keys: AccountKeys) -> bytes:
    """What may be read of the mail, as it was decided when its sender was checked. Raises SealBroken."""
    if message.authentication_results is None:
        return raw
    place = Place("messages", "authentication_results", message.id)
    results = keys.open_text(place, message.authentication_results)
    return readable_as_decided(raw, message.received_at, message.authenticity_reason, results)


def _compare(
    message: Message, mail: ParsedMail, keys: AccountKeys, attachments: Sequence[StoredFile]
) -> _Reparsed:
    if mail.amazon_domain and message.authenticity == Authenticity.STRANGER:
        raise NeverProven
    columns = parsed_columns(mail, keys)
    changed = {column for column, value in columns.items() if _stored_value(message, column, keys) != value}
    if not are_same(attachments, mail.attachments, keys):
        changed.add("attachments")
    return _Reparsed(message, mail, keys, columns, frozenset(changed), attachments)


def _stored_value(message: Message, column: str, keys: AccountKeys) -> object:
    value = getattr(message, column)
    if column not in PrivateTexts.__annotations__ or value is None:
        return value
    return keys.open_text(Place("messages", column, message.id), value)


async def _store(
    reprocessing: Reprocessing, reparsed: Sequence[_Reparsed], report: Report, version: int
) -> None:
    same = [item.message.id for item in reparsed if not item.changed]
    if same:
        async with reprocessing.sessions.begin() as session:
            await queries.mark_up_to_date(session, same, version)
    for item in reparsed:
        if item.changed:
            try:
                report.moved += await _store_one(reprocessing, item, version)
            except Exception as error:
                if is_unavailable(error) and not isinstance(error, TimeoutError):
                    raise
                _count_failure(report, item.message, error)


async def _store_one(reprocessing: Reprocessing, item: _Reparsed, version: int) -> bool:
    """Whether the message moved to another conversation. Locks as everybody does: threads, conversations, then the message."""
    message, keys = item.message, item.keys
    current_id = message.conversation_id
    sealed = await asyncio.to_thread(seal_texts, private_texts(item.parsed), keys, message.id)
    changed = {name: value for name, value in {**item.columns, **sealed}.items() if name in item.changed}
    kept: list[AttachmentRow] = []
    new: list[AttachmentRow] = []
    if "attachments" in item.changed:
        kept, new = await asyncio.to_thread(
            attachment_rows, item.attachments, item.parsed.attachments, keys, message.id
        )
    await put_large_attachments(reprocessing.blobs, new, reprocessing.inline_limit_bytes)
    unnamed: list[str] = []
    now = await reprocessing.sessions.now()
    async with reprocessing.sessions.begin() as session:
        target_id = await _find_conversation(session, item)
        placement = await queries.lock_outdated(session, message.id, version)
        if placement is None:  # another command, or an erasure, was faster
            raise ChangedMeanwhile
        if (placement.conversation_id, placement.placed_by) != (current_id, message.placed_by):
            raise ChangedMeanwhile
        await queries.change_message(
            session, message.id, {**changed, "parser_version": version, "answer_due_at": _due_at(item, now)}
        )
        if "attachments" in item.changed:
            unnamed = await queries.replace_attachments(session, message.id, kept, new)
        orders = (OrderLink(message.account_id, order_id, target_id) for order_id in item.parsed.order_ids)
        is_proven = message.authenticity == Authenticity.AUTHENTIC
        await link_orders(session, dict.fromkeys(orders, is_proven))
        await queries.fill_in_buyer(
            session, conversation_row(item.parsed, keys, target_id, message.integration_id)
        )
        if target_id == current_id:
            await recount(session, current_id)
        else:
            await queries.move_message(session, message.id, current_id, target_id)
            for conversation_id in (current_id, target_id):
                await announce(
                    session,
                    message.account_id,
                    EventKind.CONVERSATION_CHANGED,
                    integration_id=message.integration_id,
                    conversation_id=conversation_id,
                )
    for key in unnamed:
        with suppress(BlobsUnavailable):  # then the sweeper finds it
            await reprocessing.blobs.remove(key)
    return target_id != current_id


async def _find_conversation(session: AsyncSession, item: _Reparsed) -> UUID:
    """The conversation that the message belongs to now. Where an agent has put it, or in quarantine, it stays."""
    message = item.message
    current_id, new_keys = message.conversation_id, tuple(item.columns["thread_keys"])
    is_free = (
        message.placed_by is None
        and await queries.status_of(session, current_id) != ConversationStatus.QUARANTINE
    )
    # A message without its threads of old came before they were kept; one that shares one is no stranger here.
    belongs_here = not message.thread_keys or bool(set(message.thread_keys) & set(new_keys))
    if not is_free or not new_keys or "thread_keys" not in item.changed:
        await lock(session, current_id)
        return current_id
    if not belongs_here and not await queries.is_alone(session, message.id, current_id):
        own_id = new_id()
    else:
        own_id = current_id
    opened = OpenedConversationRow(
        **conversation_row(item.parsed, item.keys, own_id, message.integration_id),
        message_count=0,
        last_message_at=message.received_at,
        kind=item.parsed.kind.value,
        snippet=None,
        snippet_message_id=None,
        answer_due_at=None,
        is_unread=True,
        has_files=False,
    )
    return await queries.find_conversation(
        session, Threads(message.account_id, message.integration_id, new_keys, own_id), current_id, opened
    )


def _due_at(item: _Reparsed, now: datetime) -> datetime | None:
    """When an answer is due. A clock that would be over by now is not started: the answer was given, or nobody missed it."""
    if item.parsed.kind is not MailKind.BUYER_MESSAGE:
        return None
    due_at = item.message.received_at + TIME_TO_ANSWER
    return due_at if item.message.answer_due_at is not None or due_at > now else None


async def retry_held(sessions: Sessions, *, dry_run: bool, progress: Callable[[int, int], None]) -> int:
    """Let all held mail be tried again from the beginning, as its key may be there by now; the answer says how many.

    `progress` is told how many mails were looked through, and how many of them were held.
    """
    after, passed, found = _BEFORE_ALL, 0, 0
    while True:
        async with sessions() as session:
            window = await queries.next_mails(session, after=after, limit=WINDOW)
        if not window:
            return found
        held = [mail.id for mail in window if mail.is_held]
        if dry_run:
            found += len(held)
        elif held:
            async with sessions.begin() as session:
                found += await queries.requeue_held(session, held)
        after = window[-1].id
        passed += len(window)
        progress(passed, found)
