"""Routes: the read log, and the whole of it as a file."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from fastapi.responses import StreamingResponse

from services.connector.audit import csv_lines
from services.connector.audit.exports import RESPONSES
from services.connector.audit.objects import ShownObject
from services.connector.audit.schemas import object_answer
from services.connector.dependencies import AdminViewer, Cursor, SessionsDep, TakeDownloadSlot
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.request_types import Moment
from services.connector.http.routers import api_router
from services.connector.reads import service
from services.connector.reads.queries import ReadFilters, ReadRow
from services.connector.reads.schemas import ReadAnswer, ReaderAnswer, ReadPage
from shared.tables import ReadKind

router = api_router("accounts")


async def _filters(
    *,
    reader_id: UUID | None = None,
    subject_id: UUID | None = None,
    kind: ReadKind | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> ReadFilters:
    return ReadFilters(reader_id=reader_id, subject_id=subject_id, kind=kind, since=since, until=until)


Filters = Annotated[ReadFilters, Depends(_filters)]


@router.get("/read-log", summary="Read who read what")
async def list_reads(
    *,
    caller: AdminViewer,
    sessions: SessionsDep,
    filters: Filters,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> ReadPage:
    """Which conversations and orders were opened, which files and raw mails were taken, and that somebody searched: newest first.

    Somebody who comes back to a conversation within five minutes is not told again; a file or a raw mail is, each time. Entries are never changed,
    and kept for twelve months.
    """
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_reads(sessions, caller, filters, limit=limit + 1, after=after)
    page = rows[:limit]
    return ReadPage(
        items=[_answer(row, about) for row, about in page],
        next_cursor=encode_cursor(None, page[-1][0].id) if len(rows) > limit else None,
    )


@router.get(
    "/read-log/export", summary="Export who read what", response_class=StreamingResponse, responses=RESPONSES
)
async def export_reads(
    *, caller: AdminViewer, take_slot: TakeDownloadSlot, sessions: SessionsDep, filters: Filters
) -> StreamingResponse:
    """As CSV, newest first, 50,000 entries at most; a last line says if there are more. No cell is a formula."""
    await take_slot(caller.account_id)
    return StreamingResponse(
        service.export_reads(sessions, caller, filters),
        media_type=csv_lines.MEDIA_TYPE,
        headers=csv_lines.headers("read-log.csv"),
    )


def _answer(row: ReadRow, about: ShownObject | None) -> ReadAnswer:
    return ReadAnswer(
        id=row.id,
        at=row.at,
        reader=ReaderAnswer.model_validate(
            {"kind": row.reader_kind, "id": row.reader_id, "name": row.reader_name}
        ),
        kind=ReadKind(row.kind).value,
        subject_id=row.subject_id,
        part_id=row.part_id,
        subject=object_answer(about),
        found=row.found,
    )
