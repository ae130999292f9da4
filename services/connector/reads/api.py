"""Route: the read log."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.connector.dependencies import AdminViewer, Cursor, SessionsDep
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.request_types import Moment
from services.connector.reads import service
from services.connector.reads.queries import ReadFilters, ShownRead
from services.connector.reads.schemas import ReadAnswer, ReaderAnswer, ReadPage
from shared.tables import ReadKind

router = APIRouter(tags=["accounts"])


@router.get("/read-log", summary="Read who read what")
async def list_reads(
    *,
    caller: AdminViewer,
    sessions: SessionsDep,
    reader_id: UUID | None = None,
    subject_id: UUID | None = None,
    kind: ReadKind | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> ReadPage:
    """Which conversations and orders were opened, which files and raw mails were taken, and that somebody searched: newest first.

    Somebody who comes back to a conversation within five minutes is not told again; a file or a raw mail is, each time. Entries are never changed,
    and kept for twelve months.
    """
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_reads(
        sessions,
        caller.account_id,
        ReadFilters(reader_id=reader_id, subject_id=subject_id, kind=kind, since=since, until=until),
        limit=limit + 1,
        after=after,
    )
    page = rows[:limit]
    return ReadPage(
        items=[_answer(row) for row in page],
        next_cursor=encode_cursor(None, page[-1].id) if len(rows) > limit else None,
    )


def _answer(row: ShownRead) -> ReadAnswer:
    return ReadAnswer(
        id=row.id,
        at=row.at,
        reader=ReaderAnswer.model_validate(
            {"kind": row.reader_kind, "id": row.reader_id, "name": row.reader_name}
        ),
        kind=ReadKind(row.kind).value,
        subject_id=row.subject_id,
        part_id=row.part_id,
        found=row.found,
    )
