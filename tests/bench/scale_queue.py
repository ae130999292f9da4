"""The delivery queue after years: mails of two years that were delivered, and a few that are due.

What a worker asks again and again must not depend on how many mails there ever were, nor on how many days.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Final

import asyncpg

from deploy.demo.postgres import MAIL_WORKER
from services.mailrelay.delivery.queue import queue_age_seconds
from services.mailrelay.delivery.queue_start import QueueStart
from services.mailrelay.delivery.turns import Turns, claim_due
from shared.database import Sessions, create_engine, create_sessions
from shared.lanes import Lane
from tests.conftest import Database

MONTHS: Final = 24
DUE: Final = 50
CLAIMS: Final = 50
_MAILS: Final = """
    INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id, content_key, envelope,
        raw, state, accepted_at)
    SELECT uuidv7(-age), account_id, address.id, 'a session', '192.0.2.1', 4096, 'key', sealed, sealed, sealed, '{state}', now() - age
    FROM (SELECT id, account_id FROM relay_addresses LIMIT 1) address,
        (SELECT convert_to(repeat('x', 60), 'UTF8') AS sealed) constant,
        generate_series(1, {mails}) n,
        LATERAL (SELECT interval '{days} days' * (1 - n / {most}::float8) AS age) ages
"""


async def load_mails(
    owner: "asyncpg.Connection[asyncpg.Record]", delivered: int, *, months: int, due: int = DUE
) -> None:
    """Delivered mails, evenly over so many months, and some of this minute that are due."""
    for month in range(months):
        await owner.execute("SELECT ensure_partitions(now() - $1 * interval '1 month')", month)
    await owner.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for state, mails, days in (("delivered", delivered, 30 * (months - 1)), ("accepted", due, 0)):
        await owner.execute(
            _MAILS.format(state=state, mails=mails, most=max(mails, 1), days=days), timeout=None
        )
    await owner.execute("RESET session_replication_role")
    await owner.execute("VACUUM (ANALYZE) accepted_mail", timeout=None)


@asynccontextmanager
async def queue_subjects(database: Database) -> AsyncIterator[dict[str, Callable[[], Awaitable[float]]]]:
    """What a mail worker asks for a batch, when nothing is due, and for its metrics."""
    engine = create_engine(database.url(MAIL_WORKER), application_name="bench")
    sessions = create_sessions(engine)
    yield {
        "scale_queue": lambda: _claim(sessions, Lane.QUICK, expected=DUE),
        "scale_queue_idle": lambda: _claim(sessions, Lane.LARGE, expected=0),
        "scale_queue_age": lambda: _age(sessions),
    }
    await engine.dispose()


async def _claim(sessions: Sessions, lane: Lane, *, expected: int) -> float:
    turns = Turns()
    times = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        async with claim_due(sessions, turns, lane=lane, limit=DUE, max_bytes=8 * 1024 * 1024) as mails:
            found = len(mails)
        times.append(time.perf_counter() - began)
        if found != expected:
            raise RuntimeError(f"{found} mails were claimed")
    return median(times) * 1e6


async def _age(sessions: Sessions) -> float:
    queue_start = QueueStart()
    times = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        async with sessions.begin() as session:
            await queue_age_seconds(session, queue_start)
        times.append(time.perf_counter() - began)
    return median(times) * 1e6
