"""Routes: the audit log, and the whole of it as a file."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from fastapi.responses import StreamingResponse

from services.connector.audit import csv_lines, service
from services.connector.audit.exports import RESPONSES
from services.connector.audit.objects import ShownObject
from services.connector.audit.queries import AuditFilters, Entry
from services.connector.audit.schemas import ActorAnswer, EntryAnswer, EntryPage, object_answer
from services.connector.dependencies import AdminViewer, Cursor, SessionsDep, TakeDownloadSlot
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.request_types import Moment
from services.connector.http.routers import api_router

router = api_router("accounts")


async def _filters(
    *,
    actor_id: UUID | None = None,
    subject_id: UUID | None = None,
    action: Annotated[str | None, Query(pattern=r"^[a-z_.]{1,60}$")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> AuditFilters:
    return AuditFilters(actor_id=actor_id, subject_id=subject_id, action=action, since=since, until=until)


Filters = Annotated[AuditFilters, Depends(_filters)]


@router.get("/audit-log", summary="Read the audit log")
async def list_audit_entries(
    *,
    caller: AdminViewer,
    sessions: SessionsDep,
    filters: Filters,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> EntryPage:
    """Who did what, and when: newest first. Entries are never changed, and kept for at least twelve months."""
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_entries(sessions, caller, filters, limit=limit + 1, after=after)
    page = rows[:limit]
    return EntryPage(
        items=[_answer(row, about) for row, about in page],
        next_cursor=encode_cursor(None, page[-1][0].id) if len(rows) > limit else None,
    )


@router.get(
    "/audit-log/export",
    summary="Export the audit log",
    response_class=StreamingResponse,
    responses=RESPONSES,
)
async def export_audit_entries(
    *, caller: AdminViewer, take_slot: TakeDownloadSlot, sessions: SessionsDep, filters: Filters
) -> StreamingResponse:
    """As CSV, newest first, 50,000 entries at most; a last line says if there are more. No cell is a formula."""
    await take_slot(caller.account_id)
    return StreamingResponse(
        service.export_entries(sessions, caller, filters),
        media_type=csv_lines.MEDIA_TYPE,
        headers=csv_lines.headers("audit-log.csv"),
    )


def _answer(row: Entry, about: ShownObject | None) -> EntryAnswer:
    return EntryAnswer(
        id=row.id,
        at=row.at,
        actor=ActorAnswer.model_validate(
            {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name}
        ),
        action=row.action,
        subject_id=row.subject_id,
        object=object_answer(about),
        fields=row.fields,
    )
