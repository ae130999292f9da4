"""An order report of a million rows: read by itself, read and stored, and the same once more, each by a fresh process."""

import asyncio
import json
import os
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update

from deploy.demo.postgres import CONNECTOR
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from shared.tables import Order, OrderItem, OrderReport
from tests.bench.accept import say
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration
from tests.order_reports import all_orders_chunks
from tests.processes import command

ROWS: Final = 1_000_000
ROUNDS: Final = 3
_GZIP: Final = 31


def measure() -> list[Figure]:
    """Some five minutes, most of them storing. `report_rows` is reading alone: gzip to typed orders."""
    with tempfile.TemporaryDirectory(prefix="replyco-", ignore_cleanup_errors=True) as name:
        path = Path(name) / "report.gz"
        _write(path)
        say(f"report of {ROWS:,} rows, {path.stat().st_size / 1e6:.0f} MB packed")
        reads = [_run(path) for _ in range(ROUNDS)]
        with installation() as (database, keys):
            stored, again = asyncio.run(_store(path, database, keys))
    return [
        Figure("report_rows", "rows/s read", [_rate(run) for run in reads]),
        Figure("report_mb", "MB, reading and storing", [stored["peak_mb"], again["peak_mb"]]),
        Figure("report_read_mb", "MB, reading alone", [run["peak_mb"] for run in reads]),
        Figure("report_stored_rows", "rows/s read and stored", [_rate(stored)]),
        Figure("report_again_rows", "rows/s read, nothing new", [_rate(again)]),
        Figure("report_loop_ms", "ms the event loop was late", [stored["loop_ms"], again["loop_ms"]]),
    ]


def _write(path: Path) -> None:
    packer = zlib.compressobj(wbits=_GZIP)
    with path.open("wb") as file:
        for chunk in all_orders_chunks(ROWS):
            file.write(packer.compress(chunk))
        file.write(packer.flush())


def _rate(run: dict[str, Any]) -> float:
    return float(run["rows"] / run["seconds"])


def _run(path: Path, *arguments: str, **settings: str) -> dict[str, Any]:
    with subprocess.Popen(
        command("tests.bench.report_reader", str(path), *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.defpath, **settings},
    ) as process:
        assert process.stdout is not None
        result: dict[str, Any] = json.loads(process.stdout.readline())
    if result["rows"] != ROWS:
        raise RuntimeError(f"{result['rows']} rows in place of {ROWS}")
    say(
        f"{_rate(result):10,.0f} rows/s, {result['processor_seconds'] / ROWS * 1e6:.0f} µs a row of the process,"
        f" peak {result['peak_mb']:.0f} MB, event loop at most {result['loop_ms']:.0f} ms late"
    )
    return result


async def _store(path: Path, database: Database, keys: Keys) -> tuple[dict[str, Any], dict[str, Any]]:
    engine = create_engine(database.url(CONNECTOR), application_name="bench")
    sessions = create_sessions(engine)
    async with sessions.begin() as session:
        account = await make_account(session, Keyring(KeyFile.load(keys.key_file)))
        integration = await make_integration(session, account.id)
        session.add(
            OrderReport(
                account_id=account.id,
                integration_id=integration.id,
                report_type="GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL",
                state="ready",
            )
        )
        integration_id: UUID = integration.id
    settings = {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_DEVELOPMENT": "true",
        "REPLYCO_AMAZON_APPLICATION_ID": "bench",
        "REPLYCO_AMAZON_CLIENT_ID": "bench",
        "REPLYCO_AMAZON_CLIENT_SECRET": "bench",
    }
    stored = await asyncio.to_thread(_run, path, str(integration_id), **settings)
    async with sessions.begin() as session:
        orders = await session.scalar(select(func.count()).select_from(Order))
        items = await session.scalar(select(func.count()).select_from(OrderItem))
        say(f"{orders:,} orders and {items:,} items are stored")
        if items != ROWS:
            raise RuntimeError("not all rows are stored")
        await session.execute(update(OrderReport).values(state="ready", rows_stored=0))
    again = await asyncio.to_thread(_run, path, str(integration_id), **settings)
    await engine.dispose()
    return stored, again
