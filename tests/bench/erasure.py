"""Erasing a small account beside others' rows: how long it takes, and how many rows the database looks through for it."""

import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.account_closing import service
from services.connector.account_closing.erasure import erase_closed
from shared.blobs import FolderBlobs
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.conftest import Database, Keys
from tests.factories import make_account
from tests.integration.connector.account_closing.filling import fill, looked_through, multiply

MANY: Final = 200_000
_FEW: Final = 2_000
# What an account has most of; of everything else a few thousand rows.
_MOST: Final = ("conversations", "messages", "orders", "order_items")


def measure(many: int = MANY) -> list[Figure]:
    """Some minutes, nearly all of them for making the rows."""
    few_seconds, few_rows = _erased_beside(min(_FEW, many))
    seconds, rows = _erased_beside(many)
    return [
        Figure("erasure_s", "s", [seconds], "beside few", [few_seconds]),
        Figure("erasure_rows_looked_through", "rows", [float(rows)], "beside few", [float(few_rows)]),
    ]


def _erased_beside(rows: int) -> tuple[float, int]:
    with installation() as (database, keys), tempfile.TemporaryDirectory(prefix="replyco-") as folder:
        return asyncio.run(_erase(database, keys, Path(folder), rows))


async def _erase(database: Database, keys: Keys, folder: Path, rows: int) -> tuple[float, int]:
    blobs, now = FolderBlobs(folder), datetime.now(UTC)
    of_owner = create_engine(database.url(OWNER), application_name="bench")
    sessions = create_sessions(of_owner)
    ids = []
    for name in ("Lampenladen GmbH", "Uhren KG"):
        async with sessions.begin() as session:
            account = await make_account(session, Keyring(KeyFile.load(keys.key_file)), name=name)
            await fill(session, account.id, blobs)
            ids.append(account.id)
    await of_owner.dispose()
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await multiply(owner, ids[1], min(_FEW, rows), **dict.fromkeys(_MOST, rows))
    await owner.execute("CHECKPOINT", timeout=None)
    engine = create_engine(database.url(CONNECTOR), application_name="bench")
    sessions = create_sessions(engine)
    await service.close_for_operator(sessions, ids[0], now)
    over = now + timedelta(days=30, seconds=1)
    await erase_closed(sessions, blobs, over)
    await engine.dispose()
    before = await looked_through(owner, application_name="bench")
    began = time.monotonic()
    await erase_closed(sessions, blobs, over + timedelta(hours=1))
    seconds = time.monotonic() - began
    await engine.dispose()
    after = await looked_through(owner, application_name="bench")
    await owner.close()
    return seconds, sum(after.values()) - sum(before.values())
