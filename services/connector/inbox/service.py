"""Reading the inbox: what is sealed is opened here, on purpose, for one conversation or one message that somebody reads.

A value that does not open costs that value alone: the message is shown without it and says so (D8). Much is opened on a
thread, so that nobody else waits for it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

import structlog

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.inbox import queries
from services.connector.inbox.filenames import clean_filename
from shared.blobs import Blob, BlobStore, blob_id_of
from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed
from shared.crypto.raw_mail import ContentKey
from shared.database import Sessions
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables import Message

log = structlog.get_logger()
T = TypeVar("T")

# AES-GCM opens this much in about 0.1 ms; handing it to a thread costs as much.
_SMALL_BYTES: Final = 128 * 1024


class InboxNotFound(Expected):
    """No such conversation, message or attachment in this account."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class OpenedConversation:
    listed: queries.ListedConversation
    buyer_name: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class OpenedAttachment:
    id: UUID
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A message to be read. `is_whole`: everything that is stored of it could be opened."""

    row: Message
    subject: str | None
    sender_name: str | None
    sender_address: str | None
    text: str | None
    html: str | None
    attachments: list[OpenedAttachment]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Download:
    filename: str
    content_type: str
    content: bytes


async def list_conversations(
    sessions: Sessions,
    account_id: UUID,
    *,
    integration_id: UUID | None,
    limit: int,
    after: tuple[datetime, UUID] | None,
) -> list[queries.ListedConversation]:
    """Nothing sealed is opened."""
    async with sessions.begin() as session:
        return await queries.list_conversations(
            session, account_id, integration_id=integration_id, limit=limit, after=after
        )


async def read_conversation(
    sessions: Sessions, keyring: Keyring, account_id: UUID, conversation_id: UUID
) -> OpenedConversation:
    """With buyer and subject. Raises InboxNotFound."""
    async with sessions.begin() as session:
        found = await queries.conversation_of(session, account_id, conversation_id)
        if found is None:
            raise InboxNotFound
        opener = _Opener(await keyring.of(session, account_id), "conversations", conversation_id)
    return OpenedConversation(
        found.listed,
        buyer_name=opener.text("buyer_name", found.buyer_name),
        subject=opener.text("subject", found.subject),
    )


async def read_messages(
    sessions: Sessions,
    keyring: Keyring,
    account_id: UUID,
    conversation_id: UUID,
    *,
    limit: int,
    after: UUID | None,
) -> list[OpenedMessage]:
    """A conversation's messages, newest first. Raises InboxNotFound."""
    async with sessions.begin() as session:
        if not await queries.has_conversation(session, account_id, conversation_id):
            raise InboxNotFound
        rows = await queries.messages_of(session, account_id, conversation_id, limit=limit, after=after)
        attachments = await queries.attachments_of(session, account_id, [row.id for row in rows])
        keys = await keyring.of(session, account_id)
    size = sum(_sealed_bytes(row) for row in rows)
    return await _off_loop(
        size, lambda: [_open_message(keys, row, attachments.get(row.id, [])) for row in rows]
    )


async def read_message(
    sessions: Sessions, keyring: Keyring, account_id: UUID, message_id: UUID
) -> OpenedMessage:
    """One message. Raises InboxNotFound."""
    async with sessions.begin() as session:
        row = await queries.message_of(session, account_id, message_id)
        if row is None:
            raise InboxNotFound
        attachments = await queries.attachments_of(session, account_id, [row.id])
        keys = await keyring.of(session, account_id)
    return await _off_loop(_sealed_bytes(row), lambda: _open_message(keys, row, attachments.get(row.id, [])))


async def download_attachment(
    sessions: Sessions, keyring: Keyring, account_id: UUID, message_id: UUID, attachment_id: UUID
) -> Download:
    """The bytes that were sent. Raises InboxNotFound, SealBroken."""
    async with sessions.begin() as session:
        found = await queries.attachment_of(session, account_id, message_id, attachment_id)
        if found is None:
            raise InboxNotFound
        keys = await keyring.of(session, account_id)
    opener = _Opener(keys, "attachments", attachment_id)
    filename = clean_filename(opener.text("filename", found.filename) or "")
    place = Place("attachments", "content", attachment_id)
    content = await _off_loop(found.size, lambda: keys.open(place, found.content))
    return Download(filename, found.content_type, content)


async def download_raw_mail(
    sessions: Sessions, keyring: Keyring, blobs: BlobStore, caller: Caller, message_id: UUID
) -> Download:
    """The mail as it was accepted; who took it is written down first.

    Raises InboxNotFound, SealBroken, BlobMissing, BlobDamaged, BlobsUnavailable.
    """
    account_id = caller.account_id
    async with sessions.begin() as session:
        found = await queries.raw_mail_key_of(session, account_id, message_id)
        sealed = None
        if found is not None:
            sealed = await queries.raw_mail_of(session, account_id, found.accepted_mail_id)
        if found is None or sealed is None:
            raise InboxNotFound
        keys = await keyring.of(session, account_id)
    # No transaction waits for the blob store.
    blob_id = blob_id_of(sealed.key) if isinstance(sealed, Blob) else None
    whole = Sealed(await blobs.get(sealed)) if isinstance(sealed, Blob) else sealed
    key = keys.open(Place("messages", "raw_key", message_id), found.raw_key)
    content_key = ContentKey(account_id, found.accepted_mail_id, key)
    content = await _off_loop(len(whole.ciphertext), lambda: content_key.open_mail(whole, blob_id))
    async with sessions.begin() as session:
        session.add(audit_entry(caller, "message.raw_downloaded", message_id))
    return Download(f"message-{message_id}.eml", "message/rfc822", content)


class _Opener:
    """Opens the texts of one row; what does not open is None, and `is_whole` says so."""

    def __init__(self, keys: AccountKeys, table: str, row_id: UUID) -> None:
        self._keys = keys
        self._table = table
        self._row_id = row_id
        self.is_whole = True

    def text(self, column: str, sealed: Sealed | None) -> str | None:
        if sealed is None:
            return None
        try:
            return self._keys.open_text(Place(self._table, column, self._row_id), sealed)
        except SealBroken:
            # An operator's matter: a wrong key, or somebody has changed the row.
            log.exception("seal_broken", table=self._table, column=column, row_id=str(self._row_id))
            self.is_whole = False
            return None


def _open_message(
    keys: AccountKeys, row: Message, attachments: list[queries.ListedAttachment]
) -> OpenedMessage:
    opener = _Opener(keys, "messages", row.id)
    subject = opener.text("subject", row.subject)
    sender_name = opener.text("sender_name", row.sender_name)
    sender_address = opener.text("sender_address", row.sender_address)
    text = opener.text("body_text", row.body_text)
    html = opener.text("body_html", row.body_html)
    is_whole = opener.is_whole
    opened = []
    for attachment in attachments:
        of_attachment = _Opener(keys, "attachments", attachment.id)
        filename = clean_filename(of_attachment.text("filename", attachment.filename) or "")
        is_whole &= of_attachment.is_whole
        opened.append(OpenedAttachment(attachment.id, filename, attachment.content_type, attachment.size))
    return OpenedMessage(row, subject, sender_name, sender_address, text, html, opened, is_whole)


def _sealed_bytes(row: Message) -> int:
    return len(row.body_text.ciphertext) + (len(row.body_html.ciphertext) if row.body_html else 0)


async def _off_loop(size: int, work: Callable[[], T]) -> T:
    return work() if size <= _SMALL_BYTES else await asyncio.to_thread(work)
