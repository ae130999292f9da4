"""Routes: conversations, messages, attachments, raw mail."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Header, Query, Response

from services.connector.accounts.callers import Caller
from services.connector.dependencies import (
    AdminInboxReader,
    BlobsDep,
    Cursor,
    IfMatch,
    InboxEditor,
    InboxReader,
    KeyringDep,
    LanguageDep,
    Now,
    PageTools,
    PageToolsDep,
    ReadLogDep,
    SessionsDep,
    SettingsDep,
    TakeDownloadSlot,
)
from services.connector.http.etags import etag_of
from services.connector.http.paging import InvalidCursor, decode_cursor, encode_cursor
from services.connector.http.routers import api_router
from services.connector.inbox import changes, merge_split, service
from services.connector.inbox.changes import version_of
from services.connector.inbox.chunked_response import ChunkedResponse
from services.connector.inbox.downloads import FILE_RESPONSES, PICTURE_RESPONSES, download_headers
from services.connector.inbox.html_document import document, policy
from services.connector.inbox.listing import ConversationFilters
from services.connector.inbox.schemas import (
    ConversationAnswer,
    ConversationChange,
    ConversationCounts,
    ConversationPage,
    ListRequest,
    MergePreviewAnswer,
    MergeRequest,
    MessageAnswer,
    MessagePage,
    SearchRequest,
    SplitRequest,
    VerificationMailAnswer,
    VerificationMailList,
)
from services.connector.inbox.thread import in_thread
from services.connector.inbox.unsealing import ReadConversation
from services.connector.inbox.views import (
    changes_of,
    conversation_answer,
    conversation_page,
    merge_preview_answer,
    message_answer,
    message_item,
)

router = api_router("inbox")

# Messages may be long, and every one on a page is opened.
_MAX_MESSAGES: Final = 50
_DEFAULT_MESSAGES: Final = 20


# No script can set these (Fetch Metadata), and no program has to.
_SetByBrowsers = Annotated[str | None, Header(include_in_schema=False)]

ShowConversation = Callable[[Caller, ReadConversation], Awaitable[ConversationAnswer]]


async def _shown(
    response: Response, language: LanguageDep, settings: SettingsDep, read_log: ReadLogDep
) -> ShowConversation:
    """Answers with one conversation in the caller's language, names its version, and writes down who sees it."""

    async def show(caller: Caller, read: ReadConversation) -> ConversationAnswer:
        await read_log.conversation(caller, read.opened.listed.id)
        response.headers["ETag"] = etag_of(version_of(read.opened.listed))
        return conversation_answer(read, language, settings.amazon_base_url)

    return show


Show = Annotated[ShowConversation, Depends(_shown)]


@router.get("/conversations", summary="List conversations")
async def list_conversations(
    *,
    asked: Annotated[ListRequest, Query()],
    caller: InboxReader,
    tools: PageToolsDep,
) -> ConversationPage:
    """The conversation with the newest message first, with what an agent reads first of each. One that gets a message meanwhile moves to the first page."""
    return await _page_of(tools, caller, asked)


@router.post("/conversations/search", summary="Search conversations")
async def search_conversations(
    *,
    body: SearchRequest,
    caller: InboxReader,
    tools: PageToolsDep,
    read_log: ReadLogDep,
    settings: SettingsDep,
) -> ConversationPage:
    """As the list, with what is looked for. It only reads: a POST, because a buyer's address or words belong in no URL."""
    page = await _page_of(tools, caller, body, query=body.q, mail_domain=settings.mail_domain)
    await read_log.search(caller, len(page["items"]))
    return page


@router.get("/conversations/counts", summary="Count conversations")
async def count_conversations(caller: InboxReader, sessions: SessionsDep, now: Now) -> ConversationCounts:
    """What waits for somebody. Each number ends at 1000, which means 1000 or more."""
    counts = await service.count_conversations(sessions, caller, now)
    return ConversationCounts(**asdict(counts))


@router.get("/conversations/{conversation_id}", summary="Read a conversation")
async def read_conversation(
    conversation_id: UUID, caller: InboxReader, sessions: SessionsDep, keyring: KeyringDep, show: Show
) -> ConversationAnswer:
    """The id of a merged conversation answers with the one that it was merged into, and with that one's id."""
    opened = await service.read_conversation(sessions, keyring, caller, conversation_id)
    return await show(caller, opened)


@router.patch("/conversations/{conversation_id}", summary="Change a conversation")
async def change_conversation(
    *,
    conversation_id: UUID,
    body: ConversationChange,
    caller: InboxEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    show: Show,
    now: Now,
    if_match: IfMatch = None,
) -> ConversationAnswer:
    """Close, reopen or snooze it, mark it as read or unread, assign it, tag it. With If-Match it is left alone if a message has come meanwhile."""
    opened = await changes.change(
        sessions,
        keyring,
        caller,
        conversation_id,
        changes_of(body),
        if_match=if_match,
        now=now,
    )
    return await show(caller, opened)


@router.post(
    "/conversations/{conversation_id}/no-answer-needed", summary="Stop a conversation's answer clock"
)
async def mark_no_answer_needed(
    *,
    conversation_id: UUID,
    caller: InboxEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    show: Show,
) -> ConversationAnswer:
    """None of its messages needs an answer. The buyer's next one starts a new clock. Only we know: Amazon's own clock ends in `seller_central_url`."""
    return await show(caller, await changes.settle_answers(sessions, keyring, caller, conversation_id))


@router.post("/conversations/{conversation_id}/merge", summary="Merge a conversation into another one")
async def merge_conversation(
    *,
    conversation_id: UUID,
    body: MergeRequest,
    caller: InboxEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    show: Show,
) -> ConversationAnswer:
    """Its messages go there, and so do later mails that would have come here. The answer is the conversation that goes on."""
    return await show(caller, await merge_split.merge(sessions, keyring, caller, conversation_id, body.into))


@router.get("/conversations/{conversation_id}/merge-preview", summary="See what a merge would make")
async def preview_merge(
    *,
    conversation_id: UUID,
    into: UUID,
    caller: InboxEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    read_log: ReadLogDep,
) -> MergePreviewAnswer:
    """Both conversations, the one that they would be, and whether they are known to be of other buyers or about other orders. Nothing is changed."""
    preview = await merge_split.preview_merge(sessions, keyring, caller, conversation_id, into)
    for shown in (conversation_id, into):
        await read_log.conversation(caller, shown)
    return merge_preview_answer(preview)


@router.post("/conversations/{conversation_id}/merges/{merge_id}/undo", summary="Undo a merge")
async def undo_merge(
    *,
    conversation_id: UUID,
    merge_id: UUID,
    caller: InboxEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    now: Now,
    show: Show,
) -> ConversationAnswer:
    """For 30 days, the newest merge first (`undoable_merge_id`). What was merged is a conversation of its own again, which is the answer.

    Messages that came since go where they would have come. What a colleague has changed since stays.
    """
    undone = await merge_split.undo_merge(sessions, keyring, caller, conversation_id, merge_id, now=now)
    return await show(caller, undone)


@router.post("/conversations/{conversation_id}/split", status_code=201, summary="Split messages off")
async def split_conversation(
    *,
    conversation_id: UUID,
    body: SplitRequest,
    caller: InboxEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    show: Show,
) -> ConversationAnswer:
    """These messages become a conversation of their own, which is the answer. At least one must stay."""
    chosen = merge_split.Chosen(body.message_ids or (), body.from_message_id)
    return await show(caller, await merge_split.split(sessions, keyring, caller, conversation_id, chosen))


@router.get("/conversations/{conversation_id}/messages", summary="Read a conversation's messages")
async def list_messages(
    *,
    conversation_id: UUID,
    caller: InboxReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    read_log: ReadLogDep,
    limit: Annotated[int, Query(ge=1, le=_MAX_MESSAGES)] = _DEFAULT_MESSAGES,
    cursor: Cursor = None,
) -> MessagePage:
    """Newest first. A message that cannot be opened is in the list all the same, and says so in `problem`."""
    after = decode_cursor(cursor)[1] if cursor is not None else None
    messages = await service.read_messages(
        sessions, keyring, caller, conversation_id, limit=limit + 1, after=after
    )
    page = messages[:limit]
    if page:
        await read_log.conversation(caller, page[0].row.conversation_id)
    return MessagePage(
        items=[message_item(message) for message in page],
        next_cursor=encode_cursor(None, page[-1].row.id) if len(messages) > limit else None,
    )


@router.get("/messages/{message_id}", summary="Read a message")
async def read_message(
    message_id: UUID, caller: InboxReader, sessions: SessionsDep, keyring: KeyringDep, read_log: ReadLogDep
) -> MessageAnswer:
    """The message as it was parsed; its attachments are downloads of their own."""
    message = await service.read_message(sessions, keyring, caller, message_id)
    await read_log.conversation(caller, message.row.conversation_id)
    return message_answer(message)


@router.get(
    "/messages/{message_id}/html",
    summary="Show a message's HTML",
    response_class=Response,
    responses={200: {"description": "A document for a sandboxed frame.", "content": {"text/html": {}}}},
)
async def read_message_html(
    *,
    message_id: UUID,
    caller: InboxReader,
    take_slot: TakeDownloadSlot,
    sessions: SessionsDep,
    keyring: KeyringDep,
    blobs: BlobsDep,
    language: LanguageDep,
    read_log: ReadLogDep,
    sec_fetch_dest: _SetByBrowsers = None,
    sec_fetch_site: _SetByBrowsers = None,
) -> Response:
    """The mail as it was formatted, as a document of its own that runs and loads nothing: put it into a sandboxed frame.

    Its own images are inside of it; remote ones are named, not loaded. Behind each link stands where it leads. Of a message in
    quarantine, links cannot be clicked.
    """
    await take_slot(caller.account_id)
    formatted = await service.read_html(sessions, keyring, blobs, caller, message_id)
    await read_log.conversation(caller, formatted.conversation_id)
    # On a thread: megabytes of images are written.
    content = await in_thread(
        lambda: document(
            formatted.html, formatted.images, language, is_quarantined=formatted.is_quarantined
        ).encode()
    )
    return ChunkedResponse(
        content,
        media_type="text/html",
        headers={
            "Content-Language": language.value,
            "Content-Security-Policy": policy(
                is_quarantined=formatted.is_quarantined,
                is_in_our_page=(sec_fetch_dest, sec_fetch_site) == ("iframe", "same-origin"),
            ),
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store, private",
        },
    )


@router.post("/messages/{message_id}/release", summary="Release a message from quarantine")
async def release_message(
    *,
    message_id: UUID,
    caller: InboxEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    show: Show,
) -> ConversationAnswer:
    """Release a mail that you know to be genuine: it joins the conversation that it belongs to, which is the answer."""
    return await show(caller, await merge_split.release(sessions, keyring, caller, message_id))


@router.get(
    "/messages/{message_id}/attachments/{attachment_id}",
    summary="Download an attachment",
    response_class=Response,
    responses=FILE_RESPONSES,
)
async def download_attachment(
    *,
    message_id: UUID,
    attachment_id: UUID,
    caller: InboxReader,
    take_slot: TakeDownloadSlot,
    sessions: SessionsDep,
    keyring: KeyringDep,
    blobs: BlobsDep,
    read_log: ReadLogDep,
) -> Response:
    """Byte for byte what was sent. Always a download, never shown in our pages' place."""
    await take_slot(caller.account_id)
    download = await service.download_attachment(
        sessions, keyring, blobs, caller, message_id=message_id, attachment_id=attachment_id
    )
    await read_log.file(caller, download.conversation_id, attachment_id)
    return ChunkedResponse(download.content, headers=download_headers(download))


@router.get(
    "/messages/{message_id}/attachments/{attachment_id}/picture",
    summary="Show a picture among the attachments",
    response_class=Response,
    responses=PICTURE_RESPONSES,
)
async def read_attachment_picture(
    *,
    message_id: UUID,
    attachment_id: UUID,
    caller: InboxReader,
    take_slot: TakeDownloadSlot,
    sessions: SessionsDep,
    keyring: KeyringDep,
    blobs: BlobsDep,
    read_log: ReadLogDep,
) -> Response:
    """As it was sent, for an `<img>`: PNG, JPEG, GIF or WebP of at most 10 MB and 50 million pixels. In the read log it is a look at the conversation."""
    await take_slot(caller.account_id)
    picture = await service.read_picture(
        sessions, keyring, blobs, caller, message_id=message_id, attachment_id=attachment_id
    )
    await read_log.conversation(caller, picture.conversation_id)
    return ChunkedResponse(picture.content, headers=download_headers(picture))


@router.get(
    "/messages/{message_id}/raw",
    summary="Download the raw mail",
    response_class=Response,
    responses={200: {"description": "The mail as it was accepted.", "content": {"message/rfc822": {}}}},
)
async def download_raw_mail(
    *,
    message_id: UUID,
    caller: AdminInboxReader,
    take_slot: TakeDownloadSlot,
    sessions: SessionsDep,
    keyring: KeyringDep,
    blobs: BlobsDep,
    read_log: ReadLogDep,
    now: Now,
) -> Response:
    """The mail as it was accepted, byte for byte; a person has proved lately who they are. Audit log and read log keep who took it."""
    await take_slot(caller.account_id)
    download = await service.download_raw_mail(sessions, keyring, blobs, caller, message_id, now=now)
    await read_log.raw_mail(caller, download.conversation_id, message_id)
    return ChunkedResponse(download.content, headers=download_headers(download))


@router.get(
    "/integrations/{integration_id}/verification-mails", summary="Read an integration's verification mails"
)
async def list_verification_mails(
    integration_id: UUID, caller: AdminInboxReader, sessions: SessionsDep, keyring: KeyringDep
) -> VerificationMailList:
    """The newest ten mails by which Amazon proves that the relay address is the seller's, with their codes."""
    mails = await service.read_verification_mails(sessions, keyring, caller, integration_id)
    return VerificationMailList(
        items=[
            VerificationMailAnswer(
                message_id=mail.message_id,
                received_at=mail.received_at,
                subject=mail.subject,
                code=mail.code,
                text=mail.text,
            )
            for mail in mails
        ]
    )


async def _page_of(
    tools: PageTools,
    caller: Caller,
    asked: ListRequest,
    *,
    query: str | None = None,
    mail_domain: str = "",
) -> ConversationPage:
    after = None
    if asked.cursor is not None:
        at, row_id = decode_cursor(asked.cursor)
        if at is None:
            raise InvalidCursor
        after = (at, row_id)
    assignee_id = asked.assignee if isinstance(asked.assignee, UUID) else None
    filters = ConversationFilters(
        integration_id=asked.integration_id,
        status=asked.status,
        kind=asked.kind,
        country=asked.country,
        is_unread=asked.unread,
        is_due=asked.due,
        is_overdue=asked.overdue,
        has_failed_reply=asked.failed,
        # Nothing is a program's own.
        assignee_id=(caller.person_id or caller.id) if asked.assignee == "me" else assignee_id,
        is_unassigned=asked.assignee == "nobody",
        tag_id=asked.tag_id,
    )
    found = await service.list_conversations(
        tools.sessions,
        tools.keyring,
        caller,
        filters,
        asked.sort,
        searches=tools.searches,
        query=query,
        mail_domain=mail_domain,
        limit=asked.limit + 1,
        after=after,
        now=await tools.sessions.now(),
    )
    return conversation_page(found, asked.limit, asked.sort)
