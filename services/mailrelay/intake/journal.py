"""The durable accept: a mail is ours when its rows are committed, and not a moment earlier (docs/architecture.md, "A mail arrives").

Group commit: while one transaction is in flight, everything that arrives joins the next one, and so does what has come until the
event loop has gone round a few times after it; a lone mail waits for nobody.
The one writer owns the one connection. Whatever goes wrong before PostgreSQL has confirmed the COMMIT (or when we cannot
know) reaches the session as an exception, which answers 451: the sender keeps the mail and comes again. A second
copy is harmless, a lost mail is not.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from services.mailrelay.metrics import RelayMetrics
from shared.availability import DATABASE
from shared.channels import MAIL_CHANNEL
from shared.crypto.raw_mail import ContentKey, MailPublicKey, seal_together
from shared.database_cures import DURABLE_COMMITS, version_problem
from shared.driver import DRIVER_UNAVAILABLE, asyncpg_dsn, connect_driver
from shared.errors import CannotStart, Expected
from shared.lanes import Lane

log = structlog.get_logger()

# One transaction takes at most this much, so that the first mail in it does not wait for a whole queue.
_BATCH_MAILS: Final = 500
_BATCH_BYTES: Final = 4_194_304
_QUEUE_MAILS: Final = 10_000
# The event loop takes so many steps from bytes that have come to a mail that waits: it reads them, and the session goes on twice.
_STEPS_TO_JOIN: Final = 4
# After a failed attempt to connect the next one waits this long: quick enough to be back at once, slow enough to harm nobody.
_RECONNECT_SECONDS: Final = 0.2
# The fault of a row, not of the server: class 22 (data), class 23 (constraints), and values that asyncpg cannot encode.
_ROW_ERRORS: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError, OverflowError)


class JournalUnavailable(Expected):
    """PostgreSQL did not confirm the commit in time."""

    code = "journal_unavailable"


class JournalFull(Expected):
    """More mail is waiting for its commit than may."""

    code = "journal_full"


class MailNotStorable(Expected):
    """PostgreSQL refuses this mail's row, such as when its address has gone."""

    code = "mail_not_storable"


class DatabaseUnfit(CannotStart):
    """The server is too old, or would confirm commits that a power cut undoes."""


class AcceptedRow(NamedTuple):
    """The columns of accepted_mail that the relay's role may write, but those of the content key, which the journal seals."""

    id: UUID
    account_id: UUID
    relay_address_id: UUID
    session_id: str
    peer_address: IPv4Address | IPv6Address
    tls_version: str | None
    size: int
    envelope: bytes
    raw: bytes | None
    blob_key: str | None = None
    blob_digest: bytes | None = None
    lane: str = Lane.QUICK.value


_COLUMNS: Final = (*AcceptedRow._fields, "mail_key_id", "content_key")


@dataclass(eq=False, slots=True)
class _Entry:
    rows: Sequence[tuple[ContentKey, AcceptedRow]]
    stored_bytes: int
    done: asyncio.Future[None] = field(repr=False)
    queued_at: float = field(default_factory=time.monotonic)


class Journal:
    """One a process. `run` writes until `close`; sessions call `append`."""

    def __init__(
        self,
        database_url: str,
        *,
        mail_key: Callable[[], MailPublicKey],
        commit_timeout_seconds: float,
        queue_bytes: int,
        metrics: RelayMetrics,
    ) -> None:
        self._dsn = asyncpg_dsn(database_url)
        self._mail_key = mail_key
        self._commit_timeout_seconds = commit_timeout_seconds
        self._queue_limit_bytes = queue_bytes
        self._metrics = metrics
        self._waiting: deque[_Entry] = deque()
        self._unfinished_bytes = 0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._warned_connection: object = None
        self._next_connect_at = 0.0
        metrics.queue_age_seconds.set_function(self._queue_age_seconds)
        metrics.queued_bytes.set_function(lambda: self._unfinished_bytes)

    async def append(self, rows: Sequence[tuple[ContentKey, AcceptedRow]]) -> None:
        """Wait until the rows are committed, all of them, each with its mail's content key. Raises JournalFull, JournalUnavailable, MailNotStorable.

        The time for it includes the wait in the queue: behind a server that says nothing, every batch would wait in turn.
        """
        stored_bytes = sum(len(row.raw or b"") for _, row in rows)
        is_over = self._unfinished_bytes + stored_bytes > self._queue_limit_bytes
        # A mail that waits alone is always accepted: its size was checked, and it would be refused on every try.
        if len(self._waiting) >= _QUEUE_MAILS or (is_over and self._unfinished_bytes > 0):
            raise JournalFull
        loop = asyncio.get_running_loop()
        entry = _Entry(rows, stored_bytes, loop.create_future())
        self._waiting.append(entry)
        self._unfinished_bytes += stored_bytes
        self._wake.set()
        # A timer of our own: `asyncio.timeout` costs ten times as much, for every mail.
        expiry = loop.call_later(self._commit_timeout_seconds, _expire, entry.done)
        try:
            await entry.done
        finally:
            expiry.cancel()
            # A failure's traceback leads here, and from the entry to the failure: mails would wait for the garbage collector.
            del entry

    async def run(self) -> None:
        """Write whatever arrives, until `close` and nothing waits any more."""
        try:
            while not (self._is_closing and not self._waiting):
                await self._wake.wait()
                self._wake.clear()
                while batch := self._take_batch():
                    await self._write(batch)
                    if len(batch) > 1:
                        await _let_others_join()
        finally:
            self._drop_connection()
            self._fail(list(self._waiting), JournalUnavailable)

    def close(self) -> None:
        self._is_closing = True
        self._wake.set()

    async def connect(self) -> None:
        """Connect before the first mail comes. Raises DatabaseUnfit; a server that is away is tried again with the first mail."""
        try:
            async with asyncio.timeout(self._commit_timeout_seconds):
                await self._connected()
        except DatabaseUnfit:
            raise
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            DATABASE.is_away(error)

    def _take_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        batch_bytes = 0
        while self._waiting and len(batch) < _BATCH_MAILS:
            entry = self._waiting[0]
            if batch and batch_bytes + entry.stored_bytes > _BATCH_BYTES:
                break
            self._waiting.popleft()
            if entry.done.done():
                # Nobody waits for it any more: its client was answered 451 or has gone, and will send it again.
                self._unfinished_bytes -= entry.stored_bytes
                continue
            batch.append(entry)
            batch_bytes += entry.stored_bytes
        return batch

    async def _write(self, batch: list[_Entry]) -> None:
        try:
            await self._commit(batch)
        except MailNotStorable:
            if len(batch) > 1:
                # One row is to blame. Each mail alone, so that it harms no other.
                for entry in batch:
                    await self._write([entry])
                return
            log.exception("mail_not_storable")
            self._metrics.journal_failures.labels("row").inc()
            self._fail(batch, MailNotStorable)
        except Exception as error:  # whatever it was: not committed as far as we know, and a new connection
            if isinstance(error, DRIVER_UNAVAILABLE):
                DATABASE.is_away(error)
            else:
                log.exception("journal_unavailable", mails=len(batch))
            self._metrics.journal_failures.labels("unavailable").inc()
            self._drop_connection()
            self._fail(batch, JournalUnavailable)
        except asyncio.CancelledError:
            self._fail(batch, JournalUnavailable)
            raise
        else:
            for entry in batch:
                self._unfinished_bytes -= entry.stored_bytes
                if not entry.done.done():
                    entry.done.set_result(None)

    async def _commit(self, batch: list[_Entry]) -> None:
        began = time.monotonic()
        async with asyncio.timeout(self._commit_timeout_seconds):
            connection = await self._connected()
            await connection.execute("BEGIN")
            try:
                await connection.copy_records_to_table(
                    "accepted_mail", records=self._records(batch), columns=_COLUMNS
                )
            except _ROW_ERRORS as error:
                await connection.execute("ROLLBACK")
                raise MailNotStorable from error
            # In one round trip. The answer's tag is the last command's: a transaction that could not commit says ROLLBACK.
            tag = await connection.execute(f"SELECT pg_notify('{MAIL_CHANNEL}', ''); COMMIT")
            if tag != "COMMIT":
                raise asyncpg.InterfaceError("the transaction was not committed")
            if self._warned_connection is connection:
                raise asyncpg.InterfaceError("the transaction was committed with a warning")
        self._metrics.commit_seconds.observe(time.monotonic() - began)
        self._metrics.batch_mails.observe(len(batch))

    def _records(self, batch: list[_Entry]) -> list[tuple[object, ...]]:
        rows = [row for entry in batch for row in entry.rows]
        mail_key = self._mail_key()
        content_keys = seal_together([key for key, _ in rows], mail_key)
        return [
            (*row, mail_key.key_id, content_key)
            for (_, row), content_key in zip(rows, content_keys, strict=True)
        ]

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        self._drop_connection()
        await asyncio.sleep(max(0, self._next_connect_at - time.monotonic()))
        self._next_connect_at = time.monotonic() + _RECONNECT_SECONDS
        timeout_ms = str(int(self._commit_timeout_seconds * 1000))
        connection = await connect_driver(
            self._dsn,
            timeout=5,
            server_settings={
                "application_name": "mailrelay journal",
                # When we have given up, the server must not go on.
                "statement_timeout": timeout_ms,
                "idle_in_transaction_session_timeout": timeout_ms,
            },
        )
        connection.add_log_listener(self._note_warning)
        try:
            await _require_fitness(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        return connection

    def _note_warning(self, connection: object, message: asyncpg.PostgresLogMessage) -> None:
        """A COMMIT that stops waiting for a synchronous standby, as it was cancelled or took too long, succeeds with a warning: one machine has
        the mail. There is no other sign of it, and nothing else that a journal does is warned of.
        """
        if message.severity_en == "WARNING":
            self._warned_connection = connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _fail(self, batch: list[_Entry], reason: type[Expected]) -> None:
        for entry in batch:
            self._unfinished_bytes -= entry.stored_bytes
            if not entry.done.done():
                entry.done.set_exception(reason())

    def _queue_age_seconds(self) -> float:
        return time.monotonic() - self._waiting[0].queued_at if self._waiting else 0


async def _let_others_join() -> None:
    """Let what has arrived meanwhile become mails that wait: fewer transactions, and no time in which nothing is done."""
    for _ in range(_STEPS_TO_JOIN):
        await asyncio.sleep(0)


def overlook_lost_copies() -> None:
    """Let the running event loop say nothing of a COPY that asyncpg has forgotten: if the connection breaks while it begins, the journal is told by
    an exception, and a future for which nobody waits gets another one, which would be an error in the log that nobody can mend.
    """
    loop = asyncio.get_running_loop()
    others = loop.get_exception_handler() or asyncio.AbstractEventLoop.default_exception_handler

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        is_of_asyncpg = isinstance(context.get("exception"), asyncpg.ConnectionDoesNotExistError)
        if not is_of_asyncpg or isinstance(context.get("future"), asyncio.Task):
            others(loop, context)

    loop.set_exception_handler(handle)


def _expire(done: asyncio.Future[None]) -> None:
    """The time for the commit is over; it may have come all the same."""
    if not done.done():
        done.set_exception(JournalUnavailable())


async def _require_fitness(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """COMMIT must mean "on the disk". Raises DatabaseUnfit."""
    if problem := version_problem(connection.get_server_version().major):
        raise DatabaseUnfit(problem)
    for setting in ("fsync", "full_page_writes"):
        if await connection.fetchval("SELECT current_setting($1)", setting) != "on":
            raise DatabaseUnfit(
                f"PostgreSQL runs with {setting} = off: set it to on. A mail that is answered 250 would not survive a power cut."
            )
    if await connection.fetchval("SHOW synchronous_commit") not in DURABLE_COMMITS:
        await connection.execute("SET synchronous_commit = on")
