"""Replies: checked, written, read. One transaction writes the reply, its files, who wrote it, and what tells others of it.

Nobody answers what they have not read: a reply names the version of the conversation that its writer has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.http.etags import PreconditionFailed, etag_of, require_match
from services.connector.http.language import Language
from services.connector.inbox.answerable import (
    NotAnswerableReason,
    not_answerable_text,
    why_not_answerable,
)
from services.connector.inbox.answering import answer_facts_of
from services.connector.inbox.changes import ConversationMerged, lock_conversations, seen_until, version_of
from services.connector.inbox.queries import shown_id_of
from services.connector.inbox.thread import in_thread
from services.connector.inbox.unsealing import keys_of
from services.connector.problems.catalogue import NotFound
from services.connector.replies import drafts_service, queries
from services.connector.replies.checks import (
    MOST_CHARACTERS,
    CheckedReply,
    ChosenFile,
    blocked_by,
    require_confirmed,
    require_sendable,
)
from services.connector.replies.queries import ReplyCounts, ReplyFilters, SealedFile
from services.connector.replies.unsealing import OpenedFile, OpenedReply, open_files, open_replies, text_place
from services.connector.replies.warnings import Warned, warnings_of
from services.connector.throttling.limits import REPLIES
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.replies import Reply, announce, announce_due, answered_message_id
from shared.tables import Conversation, ConversationStatus, OutboundMessage, ReplyFile, ReplyState

LATEST: Final = timedelta(days=366)


class IfMatchRequired(Expected):
    """Whoever answers must say which version of the conversation they have read."""

    code = "if_match_required"


class ConversationChanged(Expected):
    """A buyer or a colleague has written meanwhile, or something else has changed that a decision rests on."""

    code = "conversation_changed"


class NotAnswerable(Expected):
    """Nobody can be answered here; `reason` says why."""

    code = "not_answerable"


class SendAtImpossible(Expected):
    """The time is past, or too far ahead."""

    code = "send_at_impossible"


class ReplyFileUnknown(Expected):
    """A file of the reply is not there, belongs to somebody else, or to a reply that was sent."""

    code = "reply_file_unknown"


@dataclass(frozen=True, slots=True)
class WantedReply:
    """What an agent wants to send."""

    text: str = field(repr=False)
    file_ids: Sequence[UUID] = ()
    send_at: datetime | None = None
    close: bool = False
    confirmed_warnings: Sequence[str] = ()


async def write_reply(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    conversation_id: UUID,
    wanted: WantedReply,
    *,
    if_match: str | None,
    language: Language,
    undo: timedelta,
    now: datetime,
) -> OpenedReply:
    """Let a reply be sent, when it can be undone no more or at its time.

    Raises NotFound, ConversationMerged, IfMatchRequired, ConversationChanged, NotAnswerable, SendAtImpossible, ReplyFileUnknown,
    ReplyEmpty, ReplyTooLong, PlaceholdersMissing, FilesRefused, ReplyWarned, TooOften.
    """
    if if_match is None or if_match.strip() == "*":
        raise IfMatchRequired
    _require_possible(wanted.send_at, now)
    await REPLIES.require(sessions, caller.account_id)
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        conversation = await session.get(Conversation, conversation_id)
        if conversation is None or conversation.account_id != caller.account_id:
            raise NotFound
        if conversation.merged_into is not None:
            raise ConversationMerged(into=str(conversation.merged_into))
        await _require_unchanged(session, conversation, if_match)
        answered_id = await require_answerable(session, caller, conversation_id, language)
        files = await _chosen_files(session, caller, conversation_id, wanted.file_ids)
        buyer_language = await queries.language_of_message(session, caller.account_id, answered_id)
    chosen = _chosen(open_files(keys, files))
    require_sendable(wanted.text, chosen, language)
    warnings = await _warnings(wanted.text, chosen, conversation.country, buyer_language)
    require_confirmed(wanted.text, warnings, wanted.confirmed_warnings, language)
    async with sessions.begin() as session:
        [conversation] = await lock_conversations(session, caller.account_id, conversation_id)
        await _require_unchanged(session, conversation, if_match)
        answered_id = await require_answerable(session, caller, conversation_id, language)
        row = await _store(
            session, keys, caller, conversation, wanted, answers=answered_id, undo=undo, now=now
        )
        await _attach(session, caller, conversation_id, row.id, wanted.file_ids)
        if caller.is_browser:
            await drafts_service.empty(session, keys, caller, conversation_id, now)
        if wanted.close and conversation.status == ConversationStatus.SNOOZED:
            # Closing it was wanted last. Whoever snoozes it after this means that, and it stays snoozed when the reply has gone.
            conversation.status, conversation.snoozed_until = ConversationStatus.OPEN.value, None
        # Later than the one before, also by the clock of a machine that is behind: else the version would stay the same.
        before = conversation.last_reply_at
        conversation.last_reply_at = now if before is None else max(now, before + timedelta(microseconds=1))
        session.add(audit_entry(caller, "reply_written", conversation_id, reply=str(row.id)))
        reply = Reply(row.id, row.account_id, row.integration_id, row.conversation_id)
        await announce(session, reply, ReplyState(row.state))
        await announce_due(session)
        return await opened_reply(session, keys, row.id)


async def check_reply(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    conversation_id: UUID,
    *,
    text: str,
    file_ids: Sequence[UUID],
    language: Language,
) -> CheckedReply:
    """What would be said to a reply if it were sent now. Raises NotFound, ReplyFileUnknown."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        conversation = await session.get(Conversation, conversation_id)
        if conversation is None or conversation.account_id != caller.account_id:
            raise NotFound
        answered_id = await answered_message_id(session, caller.account_id, conversation_id)
        files = await _chosen_files(session, caller, conversation_id, file_ids)
        buyer_language = None
        if answered_id is not None:
            buyer_language = await queries.language_of_message(session, caller.account_id, answered_id)
    chosen = _chosen(open_files(keys, files))
    warnings = await _warnings(text, chosen, conversation.country, buyer_language)
    return CheckedReply(warnings, blocked_by(text, chosen, language), sum(file.size for file in chosen))


async def read_reply(sessions: Sessions, keyring: Keyring, caller: Caller, reply_id: UUID) -> OpenedReply:
    """One reply. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        return await opened_reply(session, keys, reply_id)


async def list_replies(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    filters: ReplyFilters,
    *,
    limit: int,
    after: UUID | None,
) -> list[OpenedReply]:
    """Replies, newest first. Raises NotFound if they are to be of a conversation that the account has not."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.reading() as reader:
        if filters.conversation_id is not None:
            shown_id = await shown_id_of(reader, caller.account_id, filters.conversation_id)
            if shown_id is None:
                raise NotFound
            filters = ReplyFilters(filters.state, filters.integration_id, shown_id, filters.is_undismissed)
        rows = await queries.replies_of(reader, caller.account_id, filters, limit=limit, after=after)
        files = await queries.files_of_replies(reader, caller.account_id, [row.id for row in rows])
    return open_replies(keys, rows, files)


async def count_replies(sessions: Sessions, account_id: UUID) -> ReplyCounts:
    """How many replies wait for somebody, or for their time."""
    async with sessions.reading() as reader:
        return await queries.count_replies(reader, account_id)


async def opened_reply(session: AsyncSession, keys: AccountKeys, reply_id: UUID) -> OpenedReply:
    """A reply as the transaction leaves it. Raises NotFound."""
    await session.flush()
    row = await queries.reply_of(session, keys.account_id, reply_id)
    if row is None:
        raise NotFound
    [reply] = open_replies(keys, [row], await queries.files_of_replies(session, keys.account_id, [reply_id]))
    return reply


async def require_answerable(
    session: AsyncSession, caller: Caller, conversation_id: UUID, language: Language
) -> UUID:
    """The buyer's message that a reply would answer. Raises NotAnswerable."""
    facts, message_id = await answer_facts_of(session, caller.account_id, conversation_id)
    reason = why_not_answerable(facts)
    if reason is not None or message_id is None:
        reason = reason or NotAnswerableReason.NO_ADDRESS
        text = not_answerable_text(reason, language)
        raise NotAnswerable(reason=reason.value, why=f"{text.title} {text.cure}".removesuffix("."))
    return message_id


def _require_possible(send_at: datetime | None, now: datetime) -> None:
    if send_at is not None and not timedelta(0) < send_at - now <= LATEST:
        raise SendAtImpossible(days=LATEST.days)


async def _require_unchanged(session: AsyncSession, conversation: Conversation, if_match: str) -> None:
    """Raises ConversationChanged, which says what is new."""
    try:
        require_match(if_match, version_of(conversation))
    except PreconditionFailed:
        changed = ConversationChanged()
        since = seen_until(if_match)
        if since is not None:
            news = await queries.news_since(session, conversation.account_id, conversation.id, since)
            changed.shown = {
                "messages": [str(message_id) for message_id in news.message_ids],
                "replies": [str(reply_id) for reply_id in news.reply_ids],
            }
        else:
            changed.shown = {"messages": [], "replies": []}
        changed.headers = {"ETag": etag_of(version_of(conversation))}
        raise changed from None


async def _chosen_files(
    session: AsyncSession, caller: Caller, conversation_id: UUID, file_ids: Sequence[UUID]
) -> list[SealedFile]:
    """The chosen ones of the caller's files, in the order of the choice. Raises ReplyFileUnknown."""
    if not file_ids:
        return []
    user_id = caller.person_id
    files = await queries.files_of_draft(session, caller.account_id, conversation_id, user_id)
    by_id = {file.id: file for file in files}
    if len(set(file_ids)) < len(file_ids) or not by_id.keys() >= set(file_ids):
        raise ReplyFileUnknown
    return [by_id[file_id] for file_id in file_ids]


def _chosen(files: Sequence[OpenedFile]) -> list[ChosenFile]:
    return [ChosenFile(file.filename, file.row.size, file.row.scan) for file in files]


async def _warnings(
    text: str, files: Sequence[ChosenFile], country: str | None, buyer_language: str | None
) -> list[Warned]:
    # On the thread: it takes some milliseconds, even though only what can be sent is looked at.
    looked_at = text.strip()[:MOST_CHARACTERS]
    return await in_thread(
        lambda: warnings_of(
            looked_at, [file.filename for file in files], country=country, buyer_language=buyer_language
        )
    )


async def _store(
    session: AsyncSession,
    keys: AccountKeys,
    caller: Caller,
    conversation: Conversation,
    wanted: WantedReply,
    *,
    answers: UUID,
    undo: timedelta,
    now: datetime,
) -> OutboundMessage:
    reply_id = new_id()
    orders = await queries.orders_of_message(session, caller.account_id, answers)
    row = OutboundMessage(
        id=reply_id,
        account_id=caller.account_id,
        integration_id=conversation.integration_id,
        conversation_id=conversation.id,
        answers_message_id=answers,
        written_by=caller.person_id,
        body_text=keys.seal_text(text_place(reply_id), wanted.text.strip()),
        country=conversation.country,
        # A thread that was used again for another order is about that one.
        order_id=orders[0] if orders else conversation.order_id,
        closes_conversation=wanted.close,
        state=(ReplyState.QUEUED if wanted.send_at is None else ReplyState.SCHEDULED).value,
        state_since=now,
        due_at=wanted.send_at or now + undo,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return row


async def _attach(
    session: AsyncSession, caller: Caller, conversation_id: UUID, reply_id: UUID, file_ids: Sequence[UUID]
) -> None:
    """The files are the reply's from now on. Raises ReplyFileUnknown if one was removed or sent meanwhile."""
    user_id = caller.person_id
    for position, file_id in enumerate(file_ids):
        taken = await session.scalar(
            update(ReplyFile)
            .where(ReplyFile.id == file_id, *queries.is_of_draft(caller.account_id, conversation_id, user_id))
            .values(outbound_message_id=reply_id, position=position)
            .returning(ReplyFile.id)
        )
        if taken is None:
            raise ReplyFileUnknown
