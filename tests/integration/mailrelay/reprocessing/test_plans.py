"""However many messages there are, no statement of `reprocess` reads a table through, and no batch holds more than its bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import Engine, FromClause, event

from deploy.demo.postgres import OWNER
from services.mailrelay.delivery.service import Delivery
from services.mailrelay.reprocessing import service
from services.mailrelay.reprocessing.queries import MessageAt
from services.mailrelay.reprocessing.service import Report, Reprocessing, reprocess, retry_held
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.tables import AcceptedMail, Attachment, Message
from tests.conftest import Database
from tests.integration.mailrelay.delivery.conftest import Accept
from tests.integration.mailrelay.delivery.test_clamav import with_files
from tests.integration.mailrelay.delivery.test_what_is_stored import ORDER, buyers_mail, deliver

pytestmark = pytest.mark.usefixtures("short_tables")

ROWS = 10_000
LARGE = (AcceptedMail, Message, Attachment)


def _columns(table: FromClause, *but: str) -> str:
    return ", ".join(column.name for column in table.columns if column.name not in but)


async def fill(owner: "asyncpg.Connection[asyncpg.Record]", message: Message) -> None:
    """As many messages as this one, in its conversation, up to date, with their mails and an attachment each."""
    mails, messages, attachments = (table.__table__ for table in LARGE)
    columns = _columns(mails, "id")
    await owner.execute(
        f"INSERT INTO accepted_mail (id, {columns})"
        f" SELECT uuidv7(), {columns} FROM accepted_mail, generate_series(1, {ROWS}) WHERE id = $1",
        message.accepted_mail_id,
    )
    columns = _columns(messages, "id")
    await owner.execute(
        f"INSERT INTO messages (id, {columns})"
        f" SELECT uuidv7(), {columns} FROM messages, generate_series(1, {ROWS}) WHERE id = $1",
        message.id,
    )
    columns = _columns(attachments, "id", "message_id")
    await owner.execute(
        f"INSERT INTO attachments (id, message_id, {columns})"
        f" SELECT uuidv7(), other.id, {columns.replace('account_id', 'attachments.account_id')} FROM attachments,"
        " (SELECT id FROM messages WHERE conversation_id = $2 AND id <> $1) other WHERE message_id = $1",
        message.id,
        message.conversation_id,
    )
    await owner.execute("ANALYZE")


@contextmanager
def sent_statements(sessions: Sessions) -> Iterator[list[tuple[str, Sequence[Any]]]]:
    """All that is sent to the database meanwhile, with the parameters of one execution."""
    engine: Engine = sessions.kw["bind"].sync_engine
    sent: list[tuple[str, Sequence[Any]]] = []

    def keep(
        _connection: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool
    ) -> None:
        sent.append((statement, parameters[0] if many else parameters))

    event.listen(engine, "before_cursor_execute", keep)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", keep)


async def read_through(
    owner: "asyncpg.Connection[asyncpg.Record]", sent: Sequence[tuple[str, Sequence[Any]]]
) -> list[str]:
    """The plans that read a large table through, with the statements."""
    filled = [
        row[0]
        for row in await owner.fetch(
            "SELECT relname FROM pg_class WHERE reltuples >= $1"
            " AND (relname LIKE 'messages%' OR relname LIKE 'accepted_mail%' OR relname LIKE 'attachments%') AND relkind = 'r'",
            float(ROWS),
        )
    ]
    assert len(filled) == len(LARGE)
    found = []
    for statement, parameters in sent:
        if statement.split(" ", 1)[0] not in {"SELECT", "WITH", "UPDATE", "DELETE", "INSERT"}:
            continue
        plan = "\n".join(row[0] for row in await owner.fetch(f"EXPLAIN {statement}", *parameters))
        found += [f"{statement}\n{plan}" for name in filled if f"Seq Scan on {name} " in plan]
    return found


async def test_no_statement_reads_a_large_table_through(
    delivery: Delivery, accept: Accept, database: Database
):
    filler, outdated = await deliver(delivery, accept, with_files(b"a lamp"), buyers_mail(order=ORDER))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await fill(owner, filler)
    await owner.execute(
        "UPDATE messages SET parser_version = 0, kind = 'other', thread_keys = '{x}', attachment_count = 7 WHERE id = $1",
        outdated.id,
    )
    reprocessing = Reprocessing(delivery.sessions, delivery.keyring, delivery.parser, delivery.blobs)
    shown: list[tuple[int, int]] = []

    def progress(report: Report) -> None:
        shown.append((report.passed, report.estimated_total))

    with sent_statements(delivery.sessions) as sent:
        report = await reprocess(reprocessing, dry_run=False, progress=progress)
        held = await retry_held(delivery.sessions, dry_run=False, progress=lambda _passed, _held: None)

    assert (report.seen, report.changed, report.passed, held) == (1, 1, ROWS + 2, 0)
    assert shown[-1] == (ROWS + 2, ROWS + 2)
    assert len(sent) > 10
    assert await read_through(owner, sent) == []
    await owner.close()


def test_a_batch_is_bounded_in_number_and_bytes():
    def at(size: int) -> MessageAt:
        return MessageAt(uuid4(), 0, size)

    small = [at(1) for _ in range(service.MAX_BATCH + 1)]
    large = [at(service.MAX_BATCH_BYTES), at(1), at(service.MAX_BATCH_BYTES * 2), at(1)]

    def sizes(messages: list[MessageAt]) -> list[int]:
        return [len(batch) for batch in service._batches(messages)]

    assert sizes(small) == [service.MAX_BATCH, 1]
    assert sizes(large) == [1, 1, 1, 1]
    assert [each for batch in service._batches(small) for each in batch] == [message.id for message in small]
    assert sizes([]) == []
    assert isinstance(small[0].id, UUID)
