"""Route: the audit log."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.connector.audit import service
from services.connector.audit.queries import AuditFilters, Entry
from services.connector.audit.schemas import ActorAnswer, EntryAnswer, EntryPage
from services.connector.dependencies import AdminViewer, Cursor, SessionsDep
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.request_types import Moment

router = APIRouter(tags=["accounts"])


@router.get("/audit-log", summary="Read the audit log")
async def list_entries(
    *,
    caller: AdminViewer,
    sessions: SessionsDep,
    actor_id: UUID | None = None,
    subject_id: UUID | None = None,
    action: Annotated[str | None, Query(pattern=r"^[a-z_.]{1,60}$")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> EntryPage:
    """Who did what, and when: newest first. Entries are never changed, and kept for at least twelve months."""
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_entries(
        sessions,
        caller.account_id,
        AuditFilters(actor_id=actor_id, subject_id=subject_id, action=action, since=since, until=until),
        limit=limit + 1,
        after=after,
    )
    page = rows[:limit]
    return EntryPage(
        items=[_answer(row) for row in page],
        next_cursor=encode_cursor(None, page[-1].id) if len(rows) > limit else None,
    )


def _answer(row: Entry) -> EntryAnswer:
    return EntryAnswer(
        id=row.id,
        at=row.at,
        actor=ActorAnswer.model_validate(
            {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name}
        ),
        action=row.action,
        subject_id=row.subject_id,
        fields=row.fields,
    )
