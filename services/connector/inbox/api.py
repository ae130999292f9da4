"""Routes: conversations, messages, attachments, raw mail."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.connector.dependencies import AdminViewer, BlobsOf, InboxReader, KeyringOf, SessionsOf
from services.connector.inbox import service
from services.connector.inbox.downloads import Downloads
from services.connector.inbox.filenames import content_disposition
from services.connector.inbox.queries import ListedConversation
from services.connector.inbox.schemas import (
    AttachmentAnswer,
    ConversationAnswer,
    ConversationItem,
    ConversationPage,
    IntegrationOfConversation,
    MessageAnswer,
    MessagePage,
)
from services.connector.paging import DEFAULT_PAGE, MAX_PAGE, InvalidCursor, decode_cursor, encode_cursor

router = APIRouter(tags=["inbox"])

# Messages may be long, and every one on a page is opened.
_MAX_MESSAGES: Final = 50
_DEFAULT_MESSAGES: Final = 20
# Types under which a browser shows a file and runs nothing of it. Everything else is bytes.
_SAFE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "application/pdf", "text/plain"})
_DOWNLOAD: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def _place(request: Request) -> AsyncIterator[None]:
    """Kept until the answer has been sent."""
    downloads: Downloads = request.app.state.parts.downloads
    async with downloads.place():
        yield


# After the caller in each list of parameters: who is not let in takes no place.
PlaceForDownload = Annotated[None, Depends(_place)]


@router.get("/conversations", summary="List conversations")
async def list_conversations(
    caller: InboxReader,
    sessions: SessionsOf,
    integration_id: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> ConversationPage:
    """The conversation with the newest message first. One that gets a message meanwhile moves to the first page."""
    after = None
    if cursor is not None:
        at, row_id = decode_cursor(cursor)
        if at is None:
            raise InvalidCursor
        after = (at, row_id)
    rows = await service.list_conversations(
        sessions, caller.account_id, integration_id=integration_id, limit=limit + 1, after=after
    )
    page = rows[:limit]
    return ConversationPage(
        items=[ConversationItem(**_listed(row)) for row in page],
        next_cursor=encode_cursor(page[-1].last_message_at, page[-1].id) if len(rows) > limit else None,
    )


@router.get("/conversations/{conversation_id}", summary="Read a conversation")
async def read_conversation(
    conversation_id: UUID, caller: InboxReader, sessions: SessionsOf, keyring: KeyringOf
) -> ConversationAnswer:
    """With the buyer's name and the subject."""
    opened = await service.read_conversation(sessions, keyring, caller.account_id, conversation_id)
    return ConversationAnswer(**_listed(opened.listed), buyer_name=opened.buyer_name, subject=opened.subject)


@router.get("/conversations/{conversation_id}/messages", summary="Read a conversation's messages")
async def read_messages(
    *,
    conversation_id: UUID,
    caller: InboxReader,
    sessions: SessionsOf,
    keyring: KeyringOf,
    limit: Annotated[int, Query(ge=1, le=_MAX_MESSAGES)] = _DEFAULT_MESSAGES,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> MessagePage:
    """Newest first. A message that cannot be opened is in the list all the same, and says so in `problem`."""
    after = decode_cursor(cursor)[1] if cursor is not None else None
    messages = await service.read_messages(
        sessions, keyring, caller.account_id, conversation_id, limit=limit + 1, after=after
    )
    page = messages[:limit]
    return MessagePage(
        items=[_message(message) for message in page],
        next_cursor=encode_cursor(None, page[-1].row.id) if len(messages) > limit else None,
    )


@router.get("/messages/{message_id}", summary="Read a message")
async def read_message(
    message_id: UUID, caller: InboxReader, sessions: SessionsOf, keyring: KeyringOf
) -> MessageAnswer:
    """What was understood of the mail; its attachments are downloads of their own."""
    return _message(await service.read_message(sessions, keyring, caller.account_id, message_id))


@router.get(
    "/messages/{message_id}/attachments/{attachment_id}",
    summary="Download an attachment",
    response_class=Response,
    responses=_DOWNLOAD,
)
async def download_attachment(
    *,
    message_id: UUID,
    attachment_id: UUID,
    caller: InboxReader,
    _place: PlaceForDownload,
    sessions: SessionsOf,
    keyring: KeyringOf,
) -> Response:
    """Byte for byte what was sent. Always a download, never shown in our pages' place."""
    download = await service.download_attachment(
        sessions, keyring, caller.account_id, message_id, attachment_id
    )
    is_safe = download.content_type in _SAFE_TYPES
    return _download(download, download.content_type if is_safe else "application/octet-stream")


@router.get(
    "/messages/{message_id}/raw",
    summary="Download the raw mail",
    response_class=Response,
    responses={200: {"description": "The mail as it was accepted.", "content": {"message/rfc822": {}}}},
)
async def download_raw_mail(
    *,
    message_id: UUID,
    caller: AdminViewer,
    _place: PlaceForDownload,
    sessions: SessionsOf,
    keyring: KeyringOf,
    blobs: BlobsOf,
) -> Response:
    """The mail as it was accepted, byte for byte. The audit log keeps who took it."""
    return _download(
        await service.download_raw_mail(sessions, keyring, blobs, caller, message_id), "message/rfc822"
    )


def _download(download: service.Download, content_type: str) -> Response:
    """A stranger's bytes: whatever they are, no browser may run them as ours."""
    return Response(
        download.content,
        headers={
            # Here, not as media_type: that would claim a charset for text, which nobody has checked.
            "Content-Type": content_type,
            "Content-Disposition": content_disposition(download.filename),
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store, private",
        },
    )


def _listed(row: ListedConversation) -> dict[str, Any]:
    return {
        "id": row.id,
        "integration": IntegrationOfConversation(id=row.integration_id, name=row.integration_name),
        "order_id": row.order_id,
        "country": row.country,
        "message_count": row.message_count,
        "last_message_at": row.last_message_at,
    }


def _message(message: service.OpenedMessage) -> MessageAnswer:
    row = message.row
    return MessageAnswer(
        id=row.id,
        conversation_id=row.conversation_id,
        kind=row.kind,
        received_at=row.received_at,
        sent_at=row.sent_at,
        subject=message.subject,
        sender_name=message.sender_name,
        sender_address=message.sender_address,
        text=message.text,
        html=message.html,
        from_amazon_domain=row.from_amazon_domain,
        truncated=row.truncated,
        size=row.size,
        attachments=[
            AttachmentAnswer(id=a.id, filename=a.filename, content_type=a.content_type, size=a.size)
            for a in message.attachments
        ],
        problem=None if message.is_whole else "seal_broken",
    )
