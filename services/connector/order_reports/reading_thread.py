"""A report that comes over the network, read in a thread: the event loop only passes the bytes on and is never held up.

The thread asks the loop for the next bytes when it wants some, and the loop asks the thread for the next orders, so that nothing is
gathered that nobody has asked for.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from services.connector.order_reports.charsets import charsets_of, without_mark
from services.connector.order_reports.lines import lines_of
from services.connector.order_reports.records import BATCH_ROWS, Batch, Report, open_report
from services.connector.order_reports.rows import Header
from services.connector.order_reports.unpacking import MOST_BYTES, unpacked

_END: Final = b""


class ReportInThread:
    """An opened report. `header` has its columns."""

    def __init__(self, report: Report, executor: ThreadPoolExecutor) -> None:
        self._batches = report.batches
        self._executor = executor
        self._coming: asyncio.Future[Batch | None] | None = None
        self.header: Header = report.header

    async def batches(self) -> AsyncIterator[Batch]:
        """Its orders, some at a time; the next ones are read while the caller deals with these. Raises what reading raises."""
        self._coming = self._begin_next()
        while (batch := await self._coming) is not None:
            self._coming = self._begin_next()
            yield batch

    def _begin_next(self) -> "asyncio.Future[Batch | None]":
        return asyncio.get_running_loop().run_in_executor(self._executor, next, self._batches, None)

    def stop(self) -> None:
        """Nobody waits for the next batch any more."""
        if self._coming is not None:
            self._coming.cancel()


@asynccontextmanager
async def reading(
    chunks: AsyncIterator[bytes],
    *,
    content_type: str | None,
    country: str,
    earliest: datetime,
    skip: int = 0,
    batch_rows: int = BATCH_ROWS,
    most_bytes: int = MOST_BYTES,
) -> AsyncIterator[ReportInThread]:
    """Open a report whose bytes come as `chunks`; see `open_report`. Raises ReportEmpty, NoOrderReport, and what `chunks` raises."""
    loop = asyncio.get_running_loop()
    source = _Source(chunks, loop)

    def open_it() -> Report:
        pieces = without_mark(unpacked(source.chunks(), most_bytes=most_bytes))
        return open_report(
            lines_of(pieces, charsets_of(content_type, country)),
            country=country,
            earliest=earliest,
            skip=skip,
            batch_rows=batch_rows,
        )

    executor = ThreadPoolExecutor(1, thread_name_prefix="order-report")
    report: ReportInThread | None = None
    try:
        report = ReportInThread(await loop.run_in_executor(executor, open_it), executor)
        yield report
    finally:
        # What the thread waits for does not come any more; what it is at takes it a moment.
        source.stop()
        if report is not None:
            report.stop()
        executor.shutdown(wait=False, cancel_futures=True)


class _Source:
    """The loop's chunks as the thread sees them."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._coming = chunks
        self._loop = loop
        self._waiting: Future[bytes] | None = None
        self._stopped = threading.Event()

    def chunks(self) -> Iterator[bytes]:
        while not self._stopped.is_set():
            self._waiting = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            if self._stopped.is_set():
                self._waiting.cancel()
            chunk = self._waiting.result()
            if not chunk:
                return
            yield chunk

    async def _next(self) -> bytes:
        async for chunk in self._coming:
            if chunk:
                return chunk
        return _END

    def stop(self) -> None:
        self._stopped.set()
        if self._waiting is not None:
            self._waiting.cancel()
