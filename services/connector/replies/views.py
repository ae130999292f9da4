"""What was read → what goes over the wire, in the caller's language."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.connector.http.language import Language
from services.connector.http.paging import encode_cursor
from services.connector.inbox.seller_central import thread_link
from services.connector.integrations.setup_steps import messaging_permissions_link
from services.connector.problems.catalogue import describe
from services.connector.replies.allowed_files import MOST_BYTES
from services.connector.replies.checks import MOST_CHARACTERS, CheckedReply, characters_of, shown_warning
from services.connector.replies.confirmation import is_unconfirmed
from services.connector.replies.failure_texts import FailureAction, failure_action, failure_text
from services.connector.replies.queries import SealedReply
from services.connector.replies.schemas import (
    BlockedAnswer,
    CheckAnswer,
    DraftAnswer,
    FailureAnswer,
    FileAnswer,
    ReplyAnswer,
    ReplyAuthor,
    ReplyFileAnswer,
    ReplyPage,
    WarningAnswer,
)
from services.connector.replies.unsealing import OpenedDraft, OpenedFile, OpenedReply
from shared.marketplaces import BY_COUNTRY
from shared.tables import ReplyFailure, ReplyState, ReplyTransport


@dataclass(frozen=True, slots=True)
class Shown:
    """For whom, and when, it is shown."""

    language: Language
    now: datetime
    amazon_base_url: str | None


def reply_page(replies: Sequence[OpenedReply], limit: int, shown: Shown) -> ReplyPage:
    """A page of a list. `replies` has one more than `limit` if there is another page."""
    page = replies[:limit]
    return ReplyPage(
        items=[reply_answer(reply, shown) for reply in page],
        next_cursor=encode_cursor(None, page[-1].row.id) if len(replies) > limit else None,
    )


def reply_answer(reply: OpenedReply, shown: Shown) -> ReplyAnswer:
    row = reply.row
    state = ReplyState(row.state)
    is_undoable = state is ReplyState.QUEUED and row.due_at > shown.now
    return ReplyAnswer(
        id=row.id,
        conversation_id=row.conversation_id,
        integration_id=row.integration_id,
        text=reply.text,
        files=[
            ReplyFileAnswer.model_validate({**_file(file), "scan": file.row.scan}) for file in reply.files
        ],
        state=state,
        state_since=row.state_since,
        written_by=None
        if row.written_by is None
        else ReplyAuthor(id=row.written_by, name=row.writer_name or ""),
        created_at=row.created_at,
        send_at=row.due_at if state is ReplyState.SCHEDULED else None,
        undo_until=row.due_at if is_undoable else None,
        attempts=row.attempts,
        next_attempt_at=row.due_at if state is ReplyState.DELAYED else None,
        handed_over_at=row.handed_over_at,
        confirmed_at=row.confirmed_at,
        unconfirmed=is_unconfirmed(
            state=row.state,
            handed_over_at=row.handed_over_at,
            store_confirmed_at=row.store_confirmed_at,
            store_notice_at=row.store_notice_at,
            now=shown.now,
        ),
        transport=None if row.transport is None else ReplyTransport(row.transport),
        sent_from=row.sent_from,
        failure=None
        if row.failure is None
        else _failure(row, ReplyFailure(row.failure), reply.server_words, shown),
        dismissed_at=row.dismissed_at,
        order_id=row.order_id,
        country=row.country,
        close=row.closes_conversation,
    )


def file_answer(file: OpenedFile) -> FileAnswer:
    return FileAnswer.model_validate(_file(file))


def draft_answer(draft: OpenedDraft) -> DraftAnswer:
    return DraftAnswer(
        text=draft.text,
        files=[file_answer(file) for file in draft.files],
        version=draft.version,
        updated_at=draft.updated_at,
    )


def check_answer(text: str, checked: CheckedReply, language: Language) -> CheckAnswer:
    return CheckAnswer(
        warnings=[
            WarningAnswer.model_validate(shown_warning(text, warned, language)) for warned in checked.warnings
        ],
        blocked=[
            BlockedAnswer(code=problem.code, detail=describe(problem.code, language, problem.fields)[2])
            for problem in checked.blocked
        ],
        characters=characters_of(text),
        most_characters=MOST_CHARACTERS,
        files_bytes=checked.files_bytes,
        most_files_bytes=MOST_BYTES,
    )


def _file(file: OpenedFile) -> dict[str, object]:
    return {
        "id": file.row.id,
        "filename": file.filename,
        "content_type": file.row.content_type,
        "size": file.row.size,
    }


def _failure(
    row: SealedReply, failure: ReplyFailure, server_words: str | None, shown: Shown
) -> FailureAnswer:
    text, action = failure_text(failure, shown.language), failure_action(failure)
    country = row.country if row.country in BY_COUNTRY else row.home_country
    link = None
    if action is FailureAction.MESSAGING_PERMISSIONS:
        link = messaging_permissions_link(country, shown.amazon_base_url)
    elif action is FailureAction.SELLER_CENTRAL:
        link = thread_link(country, None, shown.amazon_base_url)
    return FailureAnswer(
        code=failure,
        title=text.title,
        text=text.text,
        cure=text.cure,
        action=action,
        link=link,
        countries=[country] if action is FailureAction.MESSAGING_PERMISSIONS else [],
        server_words=server_words,
    )
