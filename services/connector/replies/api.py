"""Routes: replies to buyers, their files and drafts, and who is writing one."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from starlette.requests import ClientDisconnect

from services.connector.accounts.callers import Caller
from services.connector.dependencies import (
    BlobsDep,
    Cursor,
    IfMatch,
    InboxPerson,
    InboxReader,
    KeyringDep,
    LanguageDep,
    Now,
    ReadLogDep,
    ReplyWriter,
    SessionsDep,
    SettingsDep,
    TakeDownloadSlot,
    TakeUploadSlot,
)
from services.connector.http.etags import etag_of
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor
from services.connector.http.routers import api_router
from services.connector.inbox.chunked_response import ChunkedResponse
from services.connector.inbox.content_types import UNKNOWN
from services.connector.inbox.downloads import FILE_RESPONSES, download_headers
from services.connector.replies import changes_service, drafts_service, files_service, service
from services.connector.replies.limits import UploadBroken
from services.connector.replies.queries import ReplyFilters
from services.connector.replies.schemas import (
    CheckAnswer,
    CheckRequest,
    DraftAnswer,
    DraftRequest,
    FileAnswer,
    ReplyAnswer,
    ReplyCountsAnswer,
    ReplyPage,
    ReplyRequest,
)
from services.connector.replies.service import WantedReply
from services.connector.replies.views import (
    Shown,
    check_answer,
    draft_answer,
    file_answer,
    reply_answer,
    reply_page,
)
from shared.tables import ReplyState

router = api_router("replies")

_MAX_FILENAME: Final = 1_000
_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The file's bytes, as they are.",
        "content": {UNKNOWN: {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def _shown(now: Now, language: LanguageDep, settings: SettingsDep) -> Shown:
    return Shown(language, now, settings.amazon_base_url)


ShownDep = Annotated[Shown, Depends(_shown)]


@router.post("/conversations/{conversation_id}/replies", status_code=201, summary="Answer a buyer")
async def write_reply(
    *,
    conversation_id: UUID,
    body: ReplyRequest,
    caller: ReplyWriter,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    shown: ShownDep,
    if_match: IfMatch = None,
) -> ReplyAnswer:
    """If-Match must name the version of the conversation that was read (`428 if_match_required`): if a buyer or a colleague has written meanwhile,
    nothing is sent (`409 conversation_changed`, with the ids of what is new). The text becomes a mail from the store's address. Only you see it
    in the audit log; what becomes of it, `state` says.
    """
    reply = await service.write_reply(
        sessions,
        keyring,
        caller,
        conversation_id,
        WantedReply(
            text=body.text,
            file_ids=body.file_ids,
            send_at=body.send_at,
            close=body.close,
            confirmed_warnings=body.confirmed_warnings,
        ),
        if_match=if_match,
        language=shown.language,
        undo=timedelta(seconds=settings.reply_undo_seconds),
        now=shown.now,
    )
    return reply_answer(reply, shown)


@router.post("/conversations/{conversation_id}/replies/check", summary="Check a reply that is being written")
async def check_reply(
    *,
    conversation_id: UUID,
    body: CheckRequest,
    caller: InboxReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    language: LanguageDep,
) -> CheckAnswer:
    """What sending it would say: what Amazon forbids, which may be confirmed, and what it surely refuses. It only reads: a POST, because what
    somebody writes belongs in no URL.
    """
    checked = await service.check_reply(
        sessions,
        keyring,
        caller,
        conversation_id,
        text=body.text,
        file_ids=body.file_ids,
        language=language,
    )
    return check_answer(body.text, checked, language)


@router.get("/conversations/{conversation_id}/replies", summary="Read a conversation's replies")
async def list_conversation_replies(
    *,
    conversation_id: UUID,
    caller: InboxReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    shown: ShownDep,
    read_log: ReadLogDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> ReplyPage:
    """Newest first, without those that were taken back."""
    filters = ReplyFilters(conversation_id=conversation_id)
    page = await _page(caller, sessions, keyring, shown, filters, limit=limit, cursor=cursor)
    if page.items:
        await read_log.conversation(caller, conversation_id)
    return page


@router.get("/replies", summary="List replies")
async def list_replies(
    *,
    caller: InboxReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    shown: ShownDep,
    state: Annotated[
        ReplyState | None, Query(description="Left out: all but those that were taken back.")
    ] = None,
    integration_id: UUID | None = None,
    undismissed: Annotated[bool, Query(description="Without those that somebody left at that.")] = False,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> ReplyPage:
    """Of all conversations, newest first: those that failed, above all."""
    filters = ReplyFilters(state=state, integration_id=integration_id, is_undismissed=undismissed)
    return await _page(caller, sessions, keyring, shown, filters, limit=limit, cursor=cursor)


@router.get("/replies/counts", summary="Count replies")
async def count_replies(caller: InboxReader, sessions: SessionsDep) -> ReplyCountsAnswer:
    """Those that have not arrived, and those that wait for their time. Each number ends at 1000, which means 1000 or more."""
    counts = await service.count_replies(sessions, caller.account_id)
    return ReplyCountsAnswer(
        failed=counts.failed,
        perhaps_sent=counts.perhaps_sent,
        scheduled=counts.scheduled,
        delayed=counts.delayed,
    )


@router.get("/replies/{reply_id}", summary="Read a reply")
async def read_reply(
    *,
    reply_id: UUID,
    caller: InboxReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    shown: ShownDep,
    read_log: ReadLogDep,
) -> ReplyAnswer:
    """What was written, and what became of it."""
    reply = await service.read_reply(sessions, keyring, caller, reply_id)
    await read_log.conversation(caller, reply.row.conversation_id)
    return reply_answer(reply, shown)


@router.post("/replies/{reply_id}/cancel", summary="Take a reply back")
async def cancel_reply(
    reply_id: UUID, caller: ReplyWriter, sessions: SessionsDep, keyring: KeyringDep, shown: ShownDep
) -> ReplyAnswer:
    """As long as it is not being sent (`409 reply_state`). Text and files become its writer's draft again."""
    reply = await changes_service.cancel_reply(sessions, keyring, caller, reply_id, now=shown.now)
    return reply_answer(reply, shown)


@router.post("/replies/{reply_id}/send-now", summary="Send a scheduled reply now")
async def send_reply_now(
    reply_id: UUID, caller: ReplyWriter, sessions: SessionsDep, keyring: KeyringDep, shown: ShownDep
) -> ReplyAnswer:
    """It does not wait for its time."""
    reply = await changes_service.send_reply_now(
        sessions, keyring, caller, reply_id, language=shown.language, now=shown.now
    )
    return reply_answer(reply, shown)


@router.post("/replies/{reply_id}/send-again", summary="Send a reply again")
async def send_reply_again(
    reply_id: UUID, caller: ReplyWriter, sessions: SessionsDep, keyring: KeyringDep, shown: ShownDep
) -> ReplyAnswer:
    """One that failed, or one of which nobody knows whether the buyer has it: then they may have it twice."""
    reply = await changes_service.send_reply_again(
        sessions, keyring, caller, reply_id, language=shown.language, now=shown.now
    )
    return reply_answer(reply, shown)


@router.post("/replies/{reply_id}/dismiss", summary="Leave a reply that has not arrived")
async def dismiss_reply(
    reply_id: UUID, caller: ReplyWriter, sessions: SessionsDep, keyring: KeyringDep, shown: ShownDep
) -> ReplyAnswer:
    """It stays as it is, and is not counted any more among those that somebody has to look at."""
    reply = await changes_service.dismiss_reply(sessions, keyring, caller, reply_id, now=shown.now)
    return reply_answer(reply, shown)


@router.post(
    "/conversations/{conversation_id}/files",
    status_code=201,
    summary="Upload a file for a reply",
    openapi_extra=_UPLOAD,
)
async def add_reply_file(
    *,
    conversation_id: UUID,
    filename: Annotated[str, Query(max_length=_MAX_FILENAME)],
    request: Request,
    caller: ReplyWriter,
    take_slot: TakeUploadSlot,
    sessions: SessionsDep,
    keyring: KeyringDep,
    blobs: BlobsDep,
    language: LanguageDep,
    now: Now,
) -> FileAnswer:
    """What Amazon surely refuses is refused at once (`422 files_refused`): by name, bytes and size, whatever Content-Type says. It belongs to the caller's draft
    until a reply names it, and is removed after 30 days without one.
    """
    await take_slot(caller.account_id)
    file = await files_service.add_file(
        sessions,
        keyring,
        blobs,
        caller,
        conversation_id,
        filename=filename,
        content=_bytes_of(request),
        language=language,
        now=now,
    )
    return file_answer(file)


@router.get(
    "/files/{file_id}", summary="Download a reply's file", response_class=Response, responses=FILE_RESPONSES
)
async def download_reply_file(
    *,
    file_id: UUID,
    caller: InboxReader,
    take_slot: TakeDownloadSlot,
    sessions: SessionsDep,
    keyring: KeyringDep,
    blobs: BlobsDep,
    read_log: ReadLogDep,
) -> Response:
    """Byte for byte what was uploaded. Always a download."""
    await take_slot(caller.account_id)
    download = await files_service.download_file(sessions, keyring, blobs, caller, file_id)
    await read_log.file(caller, download.conversation_id, file_id)
    return ChunkedResponse(download.content, headers=download_headers(download))


@router.delete("/files/{file_id}", status_code=204, summary="Remove a file")
async def remove_reply_file(
    file_id: UUID, caller: ReplyWriter, sessions: SessionsDep, blobs: BlobsDep
) -> None:
    """One's own, as long as no reply has it."""
    await files_service.remove_file(sessions, blobs, caller, file_id)


@router.get("/conversations/{conversation_id}/draft", summary="Read one's draft")
async def read_draft(
    conversation_id: UUID, caller: InboxPerson, sessions: SessionsDep, keyring: KeyringDep, response: Response
) -> DraftAnswer:
    """What the caller has begun to write here, on whatever device. Empty, in version 0, if nothing."""
    draft = await drafts_service.read_draft(sessions, keyring, caller, conversation_id)
    response.headers["ETag"] = etag_of(draft.version)
    return draft_answer(draft)


@router.put("/conversations/{conversation_id}/draft", summary="Keep one's draft")
async def write_draft(
    *,
    conversation_id: UUID,
    body: DraftRequest,
    caller: InboxPerson,
    sessions: SessionsDep,
    keyring: KeyringDep,
    response: Response,
    now: Now,
    if_match: IfMatch = None,
) -> DraftAnswer:
    """With If-Match, another device's newer text is not written over (`412 draft_changed`, with that one as `draft`)."""
    draft = await drafts_service.write_draft(
        sessions, keyring, caller, conversation_id, body.text, if_match=if_match, now=now
    )
    response.headers["ETag"] = etag_of(draft.version)
    return draft_answer(draft)


@router.delete("/conversations/{conversation_id}/draft", status_code=204, summary="Discard one's draft")
async def discard_draft(
    *,
    conversation_id: UUID,
    caller: InboxPerson,
    sessions: SessionsDep,
    keyring: KeyringDep,
    blobs: BlobsDep,
    now: Now,
) -> None:
    """With its files."""
    await drafts_service.discard_draft(sessions, keyring, blobs, caller, conversation_id, now=now)


@router.put(
    "/conversations/{conversation_id}/typing", status_code=204, summary="Tell colleagues that one is writing"
)
async def note_typing(
    conversation_id: UUID, caller: InboxPerson, sessions: SessionsDep, keyring: KeyringDep, now: Now
) -> None:
    """They hear of it every five seconds at most (`reply.typed`), and it is over after 30 seconds without."""
    await drafts_service.note_typing(sessions, keyring, caller, conversation_id, now)


async def _bytes_of(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises UploadBroken."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise UploadBroken from None


async def _page(
    caller: Caller,
    sessions: SessionsDep,
    keyring: KeyringDep,
    shown: Shown,
    filters: ReplyFilters,
    *,
    limit: int,
    cursor: str | None,
) -> ReplyPage:
    after = None if cursor is None else decode_cursor(cursor)[1]
    replies = await service.list_replies(sessions, keyring, caller, filters, limit=limit + 1, after=after)
    return reply_page(replies, limit, shown)
