"""Files for buyers: taken as bytes, looked at, sealed, kept until their reply is sent, and given out again.

No transaction is open while a file is read, sealed, or brought to the blob store.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.callers import Caller
from services.connector.http.language import Language
from services.connector.inbox.changes import lock_conversations, refuse_quarantine
from services.connector.inbox.content_types import safe_type
from services.connector.inbox.downloads import Download
from services.connector.inbox.filenames import clean_filename
from services.connector.inbox.queries import shown_id_of
from services.connector.inbox.service import AttachmentInfected
from services.connector.inbox.thread import in_thread
from services.connector.inbox.unsealing import keys_of
from services.connector.problems.catalogue import NotFound
from services.connector.replies import queries
from services.connector.replies.allowed_files import MOST_BYTES, Refusal, check_file, check_together
from services.connector.replies.checks import files_refused
from services.connector.replies.queries import SealedFile
from services.connector.replies.unsealing import OpenedFile, file_place
from services.connector.throttling.limits import REPLY_FILES
from shared.blobs import INLINE_LIMIT_BYTES, Blob, BlobStore, BlobsUnavailable, fetch_sealed
from shared.crypto.envelope import AccountKeys, Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables import ReplyFile, Scan, User

# What somebody has uploaded and not sent, in all conversations together.
MOST_UNSENT_BYTES: Final = 20 * MOST_BYTES
MOST_UNSENT_FILES: Final = 400


class TooManyUnsentFiles(Expected):
    """Too much has been uploaded and not sent."""

    code = "too_many_unsent_files"


@dataclass(frozen=True, slots=True)
class _New:
    """A file that is about to be stored."""

    id: UUID
    filename: str
    content_type: str
    size: int
    content: Sealed | Blob


async def add_file(
    sessions: Sessions,
    keyring: Keyring,
    blobs: BlobStore,
    caller: Caller,
    conversation_id: UUID,
    *,
    filename: str,
    content: AsyncIterator[bytes],
    language: Language,
    now: datetime,
    inline_limit_bytes: int = INLINE_LIMIT_BYTES,
) -> OpenedFile:
    """Take a file for the caller's next reply in this conversation. Its bytes are read here, and no further than Amazon's limit.

    Raises NotFound, ConversationMerged, ConversationInQuarantine, FilesRefused, TooManyUnsentFiles, TooOften, BlobsUnavailable, BlobsFull.
    """
    await REPLY_FILES.require(sessions, caller.id)
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        if await shown_id_of(session, caller.account_id, conversation_id) is None:
            raise NotFound
    whole = await _read(content, language)
    name = clean_filename(filename)
    checked = check_file(name, whole)
    if checked.refusal is not None:
        raise files_refused(checked.refusal, language)
    file_id = new_id()
    sealed = await in_thread(lambda: keys.seal(file_place("content", file_id), whole))
    stored: Sealed | Blob = sealed
    if len(sealed.ciphertext) > inline_limit_bytes:
        stored = await blobs.put(file_id, sealed.ciphertext)
    new = _New(file_id, name, checked.content_type, len(whole), stored)
    try:
        async with sessions.begin() as session:
            return await _store(session, keys, caller, conversation_id, new, language=language, now=now)
    except Expected:
        if isinstance(stored, Blob):
            await _remove(blobs, stored.key)
        raise


async def remove_file(sessions: Sessions, blobs: BlobStore, caller: Caller, file_id: UUID) -> None:
    """Remove one of the caller's own files that was not sent. Raises NotFound."""
    user_id = caller.person_id
    async with sessions.begin() as session:
        gone = (
            await session.execute(
                delete(ReplyFile)
                .where(
                    ReplyFile.id == file_id,
                    ReplyFile.account_id == caller.account_id,
                    ReplyFile.uploaded_by.is_not_distinct_from(user_id),
                    ReplyFile.outbound_message_id.is_(None),
                )
                .returning(ReplyFile.blob_key)
            )
        ).one_or_none()
        if gone is None:
            raise NotFound
    if gone.blob_key is not None:
        await _remove(blobs, gone.blob_key)


async def download_file(
    sessions: Sessions, keyring: Keyring, blobs: BlobStore, caller: Caller, file_id: UUID
) -> Download:
    """The bytes that were uploaded. Raises NotFound, AttachmentInfected, SealBroken, BlobMissing, BlobDamaged, BlobsUnavailable."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.reading() as reader:
        found = await queries.file_of(reader, caller.account_id, file_id)
    if found is None:
        raise NotFound
    if found.row.scan == Scan.INFECTED:
        raise AttachmentInfected
    filename = keys.open_text(file_place("filename", file_id), found.row.filename)
    sealed = await fetch_sealed(blobs, found.content)
    content = await in_thread(lambda: keys.open(file_place("content", file_id), sealed))
    return Download(
        filename,
        safe_type(found.row.content_type, found.row.content_type),
        content,
        conversation_id=found.conversation_id,
    )


async def _read(content: AsyncIterator[bytes], language: Language) -> bytes:
    whole = bytearray()
    async for chunk in content:
        whole += chunk
        if len(whole) > MOST_BYTES:
            raise files_refused(Refusal.TOO_LARGE, language)
    return bytes(whole)


async def _store(
    session: AsyncSession,
    keys: AccountKeys,
    caller: Caller,
    conversation_id: UUID,
    new: _New,
    *,
    language: Language,
    now: datetime,
) -> OpenedFile:
    [conversation] = await lock_conversations(session, caller.account_id, conversation_id)
    refuse_quarantine(conversation)
    user_id = caller.person_id
    # One at a time for each user: their files are counted.
    await session.execute(select(User.id).where(User.id == caller.user_id).with_for_update(key_share=True))
    await _require_room(session, caller, user_id, new.size)
    others = await queries.files_of_draft(session, caller.account_id, conversation_id, user_id)
    if user_id is not None:
        refusal = check_together([*(file.size for file in others), new.size])
        if refusal is not None:
            raise files_refused(refusal, language)
    filename = keys.seal_text(file_place("filename", new.id), new.filename)
    blob = new.content if isinstance(new.content, Blob) else None
    session.add(
        ReplyFile(
            id=new.id,
            account_id=caller.account_id,
            conversation_id=conversation_id,
            uploaded_by=user_id,
            position=len(others),
            filename=filename,
            content_type=new.content_type,
            size=new.size,
            content=new.content if isinstance(new.content, Sealed) else None,
            blob_key=None if blob is None else blob.key,
            blob_digest=None if blob is None else blob.digest,
            created_at=now,
        )
    )
    return OpenedFile(SealedFile(new.id, None, filename, new.content_type, new.size, None), new.filename)


async def _require_room(session: AsyncSession, caller: Caller, user_id: UUID | None, size: int) -> None:
    unsent = (
        await session.execute(
            select(func.count(), func.coalesce(func.sum(ReplyFile.size), 0)).where(
                ReplyFile.account_id == caller.account_id,
                ReplyFile.uploaded_by.is_not_distinct_from(user_id),
                ReplyFile.outbound_message_id.is_(None),
            )
        )
    ).one()
    if unsent[0] >= MOST_UNSENT_FILES or unsent[1] + size > MOST_UNSENT_BYTES:
        raise TooManyUnsentFiles


async def _remove(blobs: BlobStore, key: str) -> None:
    # What cannot be removed now is swept.
    with suppress(BlobsUnavailable):
        await blobs.remove(key)
