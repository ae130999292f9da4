"""One process that reads an order report from a file as if it came over the network, and stores it if told to; prints what it took."""

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import select

from services.connector.order_reports.document_service import Storing
from services.connector.order_reports.queries import Store
from services.connector.order_reports.reading_thread import reading
from services.connector.settings import ConnectorSettings
from shared.crypto.key_source import KeySource
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from shared.process import settings_or_exit
from shared.tables import OrderReport
from tests.faults.mailrelay.crowd import peak_mb

_CHUNK: Final = 64 * 1024
_EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_TICK_SECONDS: Final = 0.005


@dataclass
class Loop:
    """How late the event loop was at the worst."""

    worst: float = 0.0

    async def watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            self.worst = max(self.worst, time.perf_counter() - began - _TICK_SECONDS)


async def chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            await asyncio.sleep(0)


async def read(path: Path) -> int:
    lines = 0
    async with reading(
        chunks(path), content_type="text/plain; charset=UTF-8", country="DE", earliest=_EARLIEST
    ) as opened:
        async for batch in opened.batches():
            lines = batch.lines
    return lines


async def store(path: Path, integration_id: UUID) -> int:
    """Into the database of the settings, as the one report that is ready there."""
    settings = settings_or_exit(ConnectorSettings)
    engine = create_engine(settings.database_url.get_secret_value(), application_name="bench")
    sessions = create_sessions(engine)
    async with sessions.begin() as session:
        report = (await session.scalars(select(OrderReport).where(OrderReport.state == "ready"))).one()
    known = Store(report.account_id, integration_id, "DE", ())
    keys = await Keyring(KeySource.open(settings)).of(sessions, known.account_id)
    storing = Storing(sessions, keys, known, report, 0, set())
    async with reading(
        chunks(path), content_type="text/plain; charset=UTF-8", country="DE", earliest=_EARLIEST
    ) as opened:
        await storing.store_all(opened)
    await engine.dispose()
    return storing.lines


async def main(path: Path, integration_id: UUID | None) -> None:
    loop = Loop()
    watching = asyncio.create_task(loop.watch())
    wall, processor = time.perf_counter(), time.process_time()
    lines = await read(path) if integration_id is None else await store(path, integration_id)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    watching.cancel()
    result = {
        "rows": lines,
        "seconds": wall,
        "processor_seconds": processor,
        "peak_mb": peak_mb(os.getpid()),
        "loop_ms": loop.worst * 1000,
    }
    print(json.dumps(result), flush=True)  # noqa: T201


if __name__ == "__main__":
    # As our commands do once their code is loaded.
    gc.freeze()
    asyncio.run(main(Path(sys.argv[1]), UUID(sys.argv[2]) if len(sys.argv) > 2 else None))
