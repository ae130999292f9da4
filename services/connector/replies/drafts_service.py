"""What agents have begun to write: kept on the server for each user and conversation, with versions, and who is typing just now.

A draft that was sent stays, empty, and goes on counting: a device that still holds an older one cannot write over a newer one.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.callers import Caller
from services.connector.http.etags import etag_of, require_match
from services.connector.inbox.changes import ConversationMerged, lock_conversations, refuse_quarantine
from services.connector.inbox.queries import shown_id_of
from services.connector.inbox.unsealing import keys_of
from services.connector.problems.catalogue import NotFound
from services.connector.replies import queries
from services.connector.replies.unsealing import OpenedDraft, draft_place, open_draft, open_files
from shared.blobs import BlobStore, BlobsUnavailable
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.events import EventKind
from shared.events import announce as announce_event
from shared.keyring import Keyring
from shared.tables import Conversation, OutboundMessage, ReplyDraft, ReplyFile

# Whoever types is told of this often at most.
TYPED_EVERY: Final = timedelta(seconds=5)
# Nobody types any more.
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class DraftChanged(Expected):
    """Another device has changed this draft; the answer holds it."""

    code = "draft_changed"


class _Whose(NamedTuple):
    """A draft is a user's in a conversation."""

    account_id: UUID
    conversation_id: UUID
    user_id: UUID


def _whose(caller: Caller, conversation_id: UUID) -> _Whose:
    return _Whose(caller.account_id, conversation_id, caller.user_id)


async def read_draft(
    sessions: Sessions, keyring: Keyring, caller: Caller, conversation_id: UUID
) -> OpenedDraft:
    """The caller's draft with its files; an empty one of version 0 if there is none. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        shown_id = await shown_id_of(session, caller.account_id, conversation_id)
        if shown_id is None:
            raise NotFound
        return await _opened(session, keys, caller, shown_id)


async def write_draft(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    conversation_id: UUID,
    text: str,
    *,
    if_match: str | None,
    now: datetime,
) -> OpenedDraft:
    """Keep a text. Raises NotFound, ConversationMerged, ConversationInQuarantine, DraftChanged."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        [conversation] = await lock_conversations(session, caller.account_id, conversation_id)
        refuse_quarantine(conversation)
        before = await _opened(session, keys, caller, conversation_id)
        _require_version(before, if_match)
        await _store(session, keys, _whose(caller, conversation_id), text, now)
        return await _opened(session, keys, caller, conversation_id)


async def give_back(
    session: AsyncSession, keys: AccountKeys, reply: OutboundMessage, text: str, *, now: datetime
) -> None:
    """Put a reply's text before whatever its writer has begun since. The conversation must be locked."""
    assert reply.written_by is not None
    whose = _Whose(reply.account_id, reply.conversation_id, reply.written_by)
    row = await _row(session, whose)
    begun = "" if row is None else open_draft(keys, row.id, row.body_text)
    whole = "\n\n".join(part for part in (text, begun) if part)
    await _store(session, keys, whose, whole, now, is_typed=False)


async def empty(
    session: AsyncSession, keys: AccountKeys, caller: Caller, conversation_id: UUID, now: datetime
) -> None:
    """The caller's draft was sent, or is discarded. The conversation must be locked."""
    whose = _whose(caller, conversation_id)
    if await _row(session, whose) is not None:
        await _store(session, keys, whose, "", now, is_typed=False)


async def note_typing(
    sessions: Sessions, keyring: Keyring, caller: Caller, conversation_id: UUID, now: datetime
) -> None:
    """Tell colleagues that the caller is writing an answer here.

    Raises NotFound, ConversationMerged, ConversationInQuarantine.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        # Held, so that no merge takes other drafts to where this one is added.
        conversation = await session.scalar(
            select(Conversation)
            .where(Conversation.id == conversation_id, Conversation.account_id == caller.account_id)
            .with_for_update(read=True, key_share=True)
        )
        if conversation is None:
            raise NotFound
        if conversation.merged_into is not None:
            raise ConversationMerged(into=str(conversation.merged_into))
        refuse_quarantine(conversation)
        draft_id = new_id()
        told = await session.scalar(
            insert(ReplyDraft)
            .values(
                id=draft_id,
                account_id=caller.account_id,
                conversation_id=conversation_id,
                user_id=caller.user_id,
                body_text=keys.seal_text(draft_place(draft_id), ""),
                version=0,
                typed_at=now,
                updated_at=now,
            )
            .on_conflict_do_update(
                index_elements=["conversation_id", "user_id"],
                set_={"typed_at": now},
                where=ReplyDraft.typed_at <= now - TYPED_EVERY,
            )
            .returning(ReplyDraft.id)
        )
        if told is not None:
            await announce_event(
                session,
                caller.account_id,
                EventKind.REPLY_TYPED,
                conversation_id=conversation_id,
                user_id=caller.user_id,
            )


async def discard_draft(
    sessions: Sessions,
    keyring: Keyring,
    blobs: BlobStore,
    caller: Caller,
    conversation_id: UUID,
    *,
    now: datetime,
) -> None:
    """Throw the caller's draft away, with its files. Raises NotFound, ConversationMerged."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        await lock_conversations(session, caller.account_id, conversation_id)
        await empty(session, keys, caller, conversation_id, now)
        gone = await session.scalars(
            delete(ReplyFile)
            .where(*queries.is_of_draft(caller.account_id, conversation_id, caller.user_id))
            .returning(ReplyFile.blob_key)
        )
        blob_keys = [key for key in gone if key is not None]
    # What cannot be removed now is swept.
    with suppress(BlobsUnavailable):
        for key in blob_keys:
            await blobs.remove(key)


def _require_version(before: OpenedDraft, if_match: str | None) -> None:
    try:
        require_match(if_match, before.version)
    except Expected:
        changed = DraftChanged()
        changed.shown = {"draft": {"text": before.text, "version": before.version}}
        changed.headers = {"ETag": etag_of(before.version)}
        raise changed from None


async def _row(session: AsyncSession, whose: _Whose) -> ReplyDraft | None:
    found: ReplyDraft | None = await session.scalar(
        select(ReplyDraft)
        .where(
            ReplyDraft.account_id == whose.account_id,
            ReplyDraft.conversation_id == whose.conversation_id,
            ReplyDraft.user_id == whose.user_id,
        )
        .execution_options(populate_existing=True)
    )
    return found


async def _opened(
    session: AsyncSession, keys: AccountKeys, caller: Caller, conversation_id: UUID
) -> OpenedDraft:
    row = await _row(session, _whose(caller, conversation_id))
    files = open_files(
        keys, await queries.files_of_draft(session, caller.account_id, conversation_id, caller.user_id)
    )
    if row is None:
        return OpenedDraft("", 0, None, files)
    return OpenedDraft(open_draft(keys, row.id, row.body_text), row.version, row.updated_at, files)


async def _store(
    session: AsyncSession,
    keys: AccountKeys,
    whose: _Whose,
    text: str,
    now: datetime,
    *,
    is_typed: bool = True,
) -> None:
    """Typing alone may add the row meanwhile; everything else waits for the conversation. Only typing itself says that somebody types."""
    row = await _row(session, whose)
    if row is None:
        draft_id = new_id()
        added = await session.scalar(
            insert(ReplyDraft)
            .values(
                id=draft_id,
                account_id=whose.account_id,
                conversation_id=whose.conversation_id,
                user_id=whose.user_id,
                body_text=keys.seal_text(draft_place(draft_id), text),
                version=1,
                typed_at=_LONG_AGO,
                updated_at=now,
            )
            .on_conflict_do_nothing()
            .returning(ReplyDraft.id)
        )
        if added is not None:
            return
        row = await _row(session, whose)
        assert row is not None
    await session.execute(
        update(ReplyDraft)
        .where(ReplyDraft.id == row.id)
        .values(
            body_text=keys.seal_text(draft_place(row.id), text),
            version=ReplyDraft.version + 1,
            typed_at=ReplyDraft.typed_at if is_typed else _LONG_AGO,
            updated_at=now,
        )
    )
