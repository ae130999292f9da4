"""Writes down who reads what, before they have it, and tells administrators of it.

An entry is committed before the answer is sent, so that a process that is killed takes none with it. Files and raw mails are told each
time. A conversation or an order is told once in some minutes, because a page asks for it several times: each process remembers what it has
written, and the database is asked about the other processes. For these PostgreSQL does not wait for its disk: only a machine that falls
over loses the last moment.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter

from services.connector.accounts.callers import Caller
from services.connector.audit.exports import AT_ONCE, MOST_EXPORTED, exported
from services.connector.audit.objects import ObjectKind, ShownObject, shown, wanted_of
from services.connector.audit.queries import names_of
from services.connector.reads import queries
from services.connector.reads.queries import ReadFilters, ReadRow
from shared.database import Sessions
from shared.tables import ReadKind

# Whoever comes back to a conversation later than this has opened it once more.
AGAIN_SECONDS: Final = 300.0
# About 400 bytes each. What is forgotten is asked of the database.
_MOST_REMEMBERED: Final = 10_000
_HEAD: Final = ("time", "reader_kind", "reader", "kind", "subject", "subject_id", "part_id", "found")


@dataclass(slots=True)
class _Opened:
    """Something that somebody has open. Whoever asks for it at the same moment waits until it is written down."""

    told_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ReadLog:
    """Where routes write down what they hand out. One a process."""

    def __init__(
        self,
        sessions: Sessions,
        registry: CollectorRegistry,
        *,
        again_seconds: float = AGAIN_SECONDS,
        most_remembered: int = _MOST_REMEMBERED,
    ) -> None:
        self._sessions = sessions
        self._again_seconds = again_seconds
        self._most_remembered = most_remembered
        self._opened: OrderedDict[tuple[UUID, UUID], _Opened] = OrderedDict()
        self._entries = Counter(
            "replyco_read_log_entries", "Entries written into the read log", ["kind"], registry=registry
        )
        for kind in ReadKind:
            self._entries.labels(kind.value)

    async def conversation(self, caller: Caller, conversation_id: UUID) -> None:
        """They see a conversation, or a part of it."""
        await self._open(caller, ReadKind.CONVERSATION, conversation_id)

    async def order(self, caller: Caller, order_row_id: UUID) -> None:
        """They see what is personal in an order."""
        await self._open(caller, ReadKind.ORDER, order_row_id)

    async def file(self, caller: Caller, conversation_id: UUID, file_id: UUID) -> None:
        """They get a file of a mail or of a reply."""
        await queries.add_taken(
            self._sessions, caller, ReadKind.FILE, subject_id=conversation_id, part_id=file_id
        )
        self._entries.labels(ReadKind.FILE.value).inc()

    async def raw_mail(self, caller: Caller, conversation_id: UUID, message_id: UUID) -> None:
        """They get a mail as it came."""
        await queries.add_taken(
            self._sessions, caller, ReadKind.RAW_MAIL, subject_id=conversation_id, part_id=message_id
        )
        self._entries.labels(ReadKind.RAW_MAIL.value).inc()

    async def search(self, caller: Caller, found: int) -> None:
        """They are shown so many of what they looked for; for what, nobody writes down."""
        await queries.add_search(self._sessions, caller, found)
        self._entries.labels(ReadKind.SEARCH.value).inc()

    async def _open(self, caller: Caller, kind: ReadKind, subject_id: UUID) -> None:
        opened = self._remembered(caller.id, subject_id)
        if time.monotonic() < opened.told_until:
            return
        async with opened.lock:
            if time.monotonic() < opened.told_until:
                return
            is_new = await queries.add_opened(
                self._sessions, caller, kind, subject_id, again_seconds=self._again_seconds
            )
            opened.told_until = time.monotonic() + self._again_seconds
        if is_new:
            self._entries.labels(kind.value).inc()

    def _remembered(self, reader_id: UUID, subject_id: UUID) -> _Opened:
        key = (reader_id, subject_id)
        opened = self._opened.get(key)
        if opened is None:
            opened = self._opened[key] = _Opened()
            if len(self._opened) > self._most_remembered:
                self._opened.popitem(last=False)
        return opened


async def list_reads(
    sessions: Sessions, caller: Caller, filters: ReadFilters, *, limit: int, after: UUID | None
) -> list[tuple[ReadRow, ShownObject | None]]:
    """A page of the read log, newest first, with what each entry is about."""
    async with sessions.reading() as reader:
        rows = await queries.reads_of(reader, caller.account_id, filters, limit=limit, after=after)
        wanted = wanted_of(caller, ((_kind_of(row), row.subject_id) for row in rows))
        named = await names_of(reader, caller.account_id, wanted)
    return [(row, shown(caller, _kind_of(row), row.subject_id, named)) for row in rows]


def export_reads(
    sessions: Sessions,
    caller: Caller,
    filters: ReadFilters,
    *,
    most: int = MOST_EXPORTED,
    at_once: int = AT_ONCE,
) -> AsyncIterator[str]:
    """The read log as CSV, newest first: so much at once, and no more than `most` entries."""

    async def read(limit: int, after: UUID | None) -> list[tuple[ReadRow, ShownObject | None]]:
        return await list_reads(sessions, caller, filters, limit=limit, after=after)

    return exported(_HEAD, read, _cells, most=most, at_once=at_once)


def _kind_of(row: ReadRow) -> ObjectKind | None:
    if row.subject_id is None:
        return None
    return ObjectKind.ORDER if row.kind == ReadKind.ORDER else ObjectKind.CONVERSATION


def _cells(row: ReadRow, about: ShownObject | None) -> tuple[str, ...]:
    return (
        row.at.isoformat(),
        row.reader_kind,
        row.reader_name or "",
        row.kind,
        (about.name or "") if about else "",
        str(row.subject_id or ""),
        str(row.part_id or ""),
        "" if row.found is None else str(row.found),
    )
