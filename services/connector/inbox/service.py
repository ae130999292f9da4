"""Reading the inbox: what is sealed is opened here, on purpose, for one conversation or one message that somebody reads.

Much is opened on a thread, so that nobody else waits for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

import structlog

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.http.concurrency import ConcurrencyLimit
from services.connector.inbox import listing, queries
from services.connector.inbox.changes import read_changed
from services.connector.inbox.content_types import IMAGES, UNKNOWN, safe_type
from services.connector.inbox.downloads import Download
from services.connector.inbox.filenames import clean_filename
from services.connector.inbox.html_document import (
    MAX_HTML_BYTES,
    MAX_IMAGE_BYTES,
    Image,
    document_of_text,
    is_small_enough,
    named_images,
)
from services.connector.inbox.listing import ConversationFilters, Counts, Sort
from services.connector.inbox.pictures import MAX_PICTURE_BYTES, is_small_picture
from services.connector.inbox.search import search_of
from services.connector.inbox.thread import in_thread
from services.connector.inbox.unsealing import (
    Beside,
    OpenedConversation,
    OpenedMessage,
    Opener,
    ReadConversation,
    keys_of,
    open_conversations,
    open_messages,
    sealed_bytes,
)
from services.connector.orders.snapshots import snapshots_of
from services.connector.problems.catalogue import NotFound
from shared.blobs import Blob, BlobDamaged, BlobMissing, BlobStore, BlobsUnavailable, blob_id_of, fetch_sealed
from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed
from shared.crypto.raw_mail import ContentKey
from shared.database import Reader, Sessions
from shared.errors import Expected
from shared.keyring import Keyring
from shared.permissions import Level, Permission
from shared.tables import Scan

log = structlog.get_logger()
T = TypeVar("T")

# AES-GCM opens this much in about 0.1 ms; handing it to a thread costs as much.
_SMALL_BYTES: Final = 128 * 1024
# Codes of older mails are not valid any more.
_VERIFICATION_MAILS: Final = 10
_VERIFICATION_TEXT: Final = 4_000


class AttachmentInfected(Expected):
    """The malware scanner has found something in it."""

    code = "attachment_infected"


class PictureNotShown(Expected):
    """The file is no picture that every browser can show, or a larger one than is shown."""

    code = "picture_not_shown"


@dataclass(frozen=True, slots=True)
class FormattedHtml:
    """What a document of a message is made of; images by Content-ID. `conversation_id`: where the message is."""

    conversation_id: UUID
    html: str
    images: dict[str, Image]
    is_quarantined: bool


@dataclass(frozen=True, slots=True)
class VerificationMail:
    """A mail with which Amazon proves the relay address; `text` is its beginning."""

    message_id: UUID
    received_at: datetime
    subject: str | None
    code: str | None
    text: str | None


async def list_conversations(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    filters: ConversationFilters,
    sort: Sort,
    *,
    searches: ConcurrencyLimit,
    query: str | None,
    mail_domain: str,
    limit: int,
    after: tuple[datetime, UUID] | None,
    now: datetime,
) -> list[OpenedConversation]:
    """A page of the list, with buyer, subject and snippet of each. `query`: an order id, an address, or words.

    Raises ListTooSlow, SearchTooShort, SearchTooLong, SearchesBusy.
    """
    keys = await keys_of(caller, sessions, keyring)
    if query is not None:
        filters = replace(filters, search=search_of(query, keys, mail_domain))
    ask = partial(listing.list_conversations, limit=limit, after=after, now=now)
    if listing.ends_with_its_page(filters, sort):
        found = await ask(sessions, caller.account_id, filters, sort)
    else:
        async with searches.slot(caller.account_id), sessions.begin() as session:
            found = await ask(session, caller.account_id, filters, sort)
    return open_conversations(keys, found)


async def count_conversations(sessions: Sessions, caller: Caller, now: datetime) -> Counts:
    """How many conversations wait for somebody; each number goes up to MOST_COUNTED."""
    async with sessions.reading() as reader:
        return await listing.count_conversations(reader, caller.account_id, caller.person_id, now)


async def read_conversation(
    sessions: Sessions, keyring: Keyring, caller: Caller, conversation_id: UUID
) -> ReadConversation:
    """One conversation for its page; the id of a merged one gives the conversation that it was merged into. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        return await read_changed(session, keys, caller, conversation_id)


async def read_messages(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    conversation_id: UUID,
    *,
    limit: int,
    after: UUID | None,
) -> list[OpenedMessage]:
    """A conversation's messages, newest first. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.reading() as reader:
        shown_id = await queries.shown_id_of(reader, caller.account_id, conversation_id)
        if shown_id is None:
            raise NotFound
        found = await queries.messages_of(reader, caller.account_id, shown_id, limit=limit, after=after)
        beside = await _beside(reader, caller, [each.id for each in found])
    size = sum(sealed_bytes(each) for each in found)
    return await _off_loop(size, lambda: open_messages(keys, found, beside))


async def read_message(
    sessions: Sessions, keyring: Keyring, caller: Caller, message_id: UUID
) -> OpenedMessage:
    """One message. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.reading() as reader:
        found = await queries.message_of(reader, caller.account_id, message_id)
        if found is None:
            raise NotFound
        beside = await _beside(reader, caller, [message_id])
    [message] = await _off_loop(sealed_bytes(found), lambda: open_messages(keys, [found], beside))
    return message


async def _beside(reader: Reader, caller: Caller, message_ids: Sequence[UUID]) -> Beside:
    """What the messages are shown with: orders only for those who may see orders."""
    attachments = await queries.attachments_of(reader, caller.account_id, message_ids)
    if not caller.may(Permission.INBOX_ORDERS, Level.VIEW):
        return Beside(attachments, {})
    return Beside(attachments, await snapshots_of(reader, caller.account_id, message_ids))


async def read_html(
    sessions: Sessions, keyring: Keyring, blobs: BlobStore, caller: Caller, message_id: UUID
) -> FormattedHtml:
    """A message's HTML with the images that it shows, as far as they are images. Raises NotFound, SealBroken."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        found = await queries.html_of(session, caller.account_id, message_id, most_bytes=MAX_HTML_BYTES)
        if found is None:
            raise NotFound
        attachments = await queries.attachments_of(session, caller.account_id, [message_id])
    size = len((found.html or found.text).ciphertext)
    html = await _off_loop(size, lambda: _html_or_text(keys, message_id, found))
    if found.is_quarantined:
        return FormattedHtml(found.conversation_id, html, {}, is_quarantined=True)
    wanted = await _off_loop(len(html), lambda: _wanted_images(keys, html, attachments.get(message_id, [])))
    async with sessions.begin() as session:
        stored = await queries.contents_of(
            session, caller.account_id, message_id, [row.id for row in wanted.values()]
        )
    contents = await _fetch_images(blobs, stored)
    images = await _off_loop(
        sum(row.size for row in wanted.values()), lambda: _open_images(keys, wanted, contents)
    )
    return FormattedHtml(found.conversation_id, html, images, is_quarantined=False)


def _html_or_text(keys: AccountKeys, message_id: UUID, found: queries.SealedHtml) -> str:
    """The HTML; what an earlier version of the mail worker has kept may be too large to be shown so, until it is reprocessed."""
    if found.html is not None:
        html = keys.open_text(Place("messages", "body_html", message_id), found.html)
        if is_small_enough(html):
            return html
    return document_of_text(keys.open_text(Place("messages", "body_text", message_id), found.text))


def _wanted_images(
    keys: AccountKeys, html: str, attachments: Sequence[queries.ListedAttachment]
) -> dict[str, queries.ListedAttachment]:
    """The images that the HTML names, by Content-ID; the first ones that are together small enough."""
    images = [row for row in attachments if row.sniffed_type in IMAGES and row.scan != Scan.INFECTED]
    named = named_images(html) if images else set[str]()
    wanted, room = dict[str, queries.ListedAttachment](), MAX_IMAGE_BYTES
    for row in images:
        if row.size > room:
            continue
        content_id = Opener(keys, "attachments", row.id).text("content_id", row.content_id)
        if content_id in named and content_id not in wanted:
            wanted[content_id] = row
            room -= row.size
    return wanted


async def _fetch_images(blobs: BlobStore, stored: Mapping[UUID, Sealed | Blob]) -> dict[UUID, Sealed]:
    """An image whose blob does not come is left out: it costs the image, not the words (D8)."""
    contents = {}
    for attachment_id, content in stored.items():
        try:
            contents[attachment_id] = await fetch_sealed(blobs, content)
        except BlobsUnavailable:
            continue
        except (BlobMissing, BlobDamaged) as error:
            log.exception(error.code, table="attachments", row_id=str(attachment_id))
    return contents


def _open_images(
    keys: AccountKeys, wanted: Mapping[str, queries.ListedAttachment], contents: Mapping[UUID, Sealed]
) -> dict[str, Image]:
    images = {}
    for content_id, row in wanted.items():
        if row.id not in contents:
            continue
        try:
            content = keys.open(Place("attachments", "content", row.id), contents[row.id])
        except SealBroken:
            # It costs the image, not the words (D8).
            log.exception("seal_broken", table="attachments", column="content", row_id=str(row.id))
            continue
        images[content_id] = Image(row.sniffed_type or UNKNOWN, content)
    return images


async def read_verification_mails(
    sessions: Sessions, keyring: Keyring, caller: Caller, integration_id: UUID
) -> list[VerificationMail]:
    """The newest mails by which Amazon proves the address, so that whoever sets it up finds the code. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        rows = await queries.verification_mails_of(
            session, caller.account_id, integration_id, limit=_VERIFICATION_MAILS
        )
        if rows is None:
            raise NotFound
    size = sum(len(row.body_text.ciphertext) for row in rows)
    return await _off_loop(size, lambda: [_verification_mail(keys, row) for row in rows])


def _verification_mail(keys: AccountKeys, row: queries.SealedVerificationMail) -> VerificationMail:
    opener = Opener(keys, "messages", row.id)
    text = opener.text("body_text", row.body_text)
    return VerificationMail(
        row.id,
        row.received_at,
        subject=opener.text("subject", row.subject),
        code=opener.text("verification_code", row.verification_code),
        text=None if text is None else text[:_VERIFICATION_TEXT],
    )


async def download_attachment(
    sessions: Sessions,
    keyring: Keyring,
    blobs: BlobStore,
    caller: Caller,
    *,
    message_id: UUID,
    attachment_id: UUID,
) -> Download:
    """The bytes that were sent.

    Raises NotFound, AttachmentInfected, SealBroken, BlobMissing, BlobDamaged, BlobsUnavailable.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        found = await queries.attachment_of(session, caller.account_id, message_id, attachment_id)
        if found is None:
            raise NotFound
        if found.scan == Scan.INFECTED:
            raise AttachmentInfected
    opener = Opener(keys, "attachments", attachment_id)
    filename = clean_filename(opener.text("filename", found.filename) or "")
    place = Place("attachments", "content", attachment_id)
    # No transaction waits for the blob store.
    sealed = await fetch_sealed(blobs, found.content)
    content = await _off_loop(found.size, lambda: keys.open(place, sealed))
    return Download(
        filename,
        safe_type(found.content_type, found.sniffed_type),
        content,
        conversation_id=found.conversation_id,
    )


async def read_picture(
    sessions: Sessions,
    keyring: Keyring,
    blobs: BlobStore,
    caller: Caller,
    *,
    message_id: UUID,
    attachment_id: UUID,
) -> Download:
    """A picture among the attachments, as it was sent, if a page can show it.

    Raises NotFound, AttachmentInfected, PictureNotShown, SealBroken, BlobMissing, BlobDamaged, BlobsUnavailable.
    """
    async with sessions.reading() as reader:
        listed = (await queries.attachments_of(reader, caller.account_id, [message_id])).get(message_id, [])
    row = next((row for row in listed if row.id == attachment_id), None)
    if row is None:
        raise NotFound
    if safe_type(row.content_type, row.sniffed_type) not in IMAGES or row.size > MAX_PICTURE_BYTES:
        raise PictureNotShown
    download = await download_attachment(
        sessions, keyring, blobs, caller, message_id=message_id, attachment_id=attachment_id
    )
    if not is_small_picture(download.content, download.content_type):
        raise PictureNotShown
    return download


async def download_raw_mail(
    sessions: Sessions, keyring: Keyring, blobs: BlobStore, caller: Caller, message_id: UUID, *, now: datetime
) -> Download:
    """The mail as it was accepted; who took it is written down first.

    Raises ReauthenticationNeeded, NotFound, SealBroken, BlobMissing, BlobDamaged, BlobsUnavailable.
    """
    caller.require_recent(now)
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        found = await queries.raw_mail_key_of(session, caller.account_id, message_id)
        sealed = None
        if found is not None:
            sealed = await queries.raw_mail_of(session, caller.account_id, found.accepted_mail_id)
        if found is None or sealed is None:
            raise NotFound
    # No transaction waits for the blob store.
    blob_id = blob_id_of(sealed.key) if isinstance(sealed, Blob) else None
    whole = await fetch_sealed(blobs, sealed)
    key = keys.open(Place("messages", "raw_key", message_id), found.raw_key)
    content_key = ContentKey(caller.account_id, found.accepted_mail_id, key)
    content = await _off_loop(len(whole.ciphertext), lambda: content_key.open_mail(whole, blob_id))
    async with sessions.begin() as session:
        session.add(audit_entry(caller, "message.raw_downloaded", message_id))
    return Download(
        f"message-{message_id}.eml", "message/rfc822", content, conversation_id=found.conversation_id
    )


async def _off_loop(size: int, work: Callable[[], T]) -> T:
    return work() if size <= _SMALL_BYTES else await in_thread(work)
