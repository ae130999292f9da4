"""`privacy purge` over a million orders, while lists are read: how long it takes, whom it holds up, and that no word of a buyer is left."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any, Final
from uuid import UUID

import asyncpg

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.crypto.envelope import AccountKeys, Place
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.orders import item_row_id, order_row_id
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.bench.served import Client, bench_key, free_port, running, settings_of
from tests.conftest import Database, Keys
from tests.factories import make_account, make_grant, make_integration, make_user
from tests.integration.connector.privacy.scanning import found_anywhere
from tests.processes import command

ORDERS: Final = 1_000_000
STORES: Final = 20
REQUESTS: Final = 300
CANARY: Final = "canary"
_DAYS: Final = 730
_BATCH: Final = 20_000
_LOOK_SECONDS: Final = 0.02
_ORDER: Final = (
    "id", "account_id", "integration_id", "order_id", "status", "fulfilled_by", "country", "purchased_at", "last_updated_at", "delivered_at",
    "currency", "buyer", "buyer_key", "recipient", "personal_ends_at", "changed_at", "fetched_at",
)  # fmt: skip
_ITEM: Final = ("id", "account_id", "order_row_id", "item_id", "position", "title", "sku", "quantity", "gift")
_PACKAGES: Final = """
    INSERT INTO order_packages (id, account_id, order_row_id, reference, position, carrier, tracking_number)
    SELECT gen_random_uuid(), account_id, id, '1', 0, 'DHL', '00340434161094000000' FROM orders
"""
# What the purge does right now, and who waits for a lock of whomever.
_LOOK: Final = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE application_name LIKE '%connector-privacy'), 0) AS purging,
        coalesce(max(extract(epoch FROM clock_timestamp() - query_start)) FILTER (
            WHERE wait_event_type = 'Lock' AND application_name NOT LIKE '%connector-privacy'), 0) AS waiting
    FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid()
"""


def measure(orders: int = ORDERS) -> list[Figure]:
    """About ten minutes, half of them for making the orders and for looking through all of them, and some four gigabytes."""
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys, orders))


async def _measure(database: Database, keys: Keys, orders: int) -> list[Figure]:
    keyring = Keyring(KeyFile.load(keys.key_file))
    engine = create_engine(database.url(OWNER), application_name="bench")
    sessions = create_sessions(engine)
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        api_key, row = bench_key(account.id, (await make_user(session, account.id)).id)
        session.add(row)
        stores = [
            await make_integration(session, account.id, name=f"Store {number}") for number in range(STORES)
        ]
        for store in stores:
            await make_grant(session, keyring, store)
    account_keys = await keyring.of(sessions, account.id)
    await engine.dispose()
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    began = time.monotonic()
    await _load(owner, account_keys, [store.id for store in stores], orders)
    _say(f"{orders:,} orders are made", began)
    began = time.monotonic()
    before = await found_anywhere(database, account_keys, keys.mail_private_key, CANARY)
    _say(f"the look before: {before}", began)

    port = free_port()
    settings = settings_of(database.url(CONNECTOR), keys, port)
    with running(command("services.connector", "serve"), settings):
        quiet = await _times(port, api_key, None)
        purging = await _start(settings)
        looks = asyncio.create_task(_look(owner, purging))
        busy = await _times(port, api_key, purging)
        seconds, longest, waited = await looks
    again = await _start(settings)
    seconds_again, _, _ = await _look(owner, again)
    began = time.monotonic()
    after = await found_anywhere(database, account_keys, keys.mail_private_key, CANARY)
    _say(f"the look after: {after}", began)
    left = await owner.fetchval("SELECT count(*) FROM orders", timeout=None)
    await owner.close()
    _say(f"{left:,} orders are left, {len(busy)} lists were read meanwhile", began)
    return [
        Figure("purge_s", "s", [seconds]),
        Figure("purge_rate", "orders/s", [orders / seconds]),
        Figure("purge_again_s", "s", [seconds_again]),
        Figure("purge_longest_transaction", "ms", [longest * 1e3]),
        Figure("purge_longest_wait", "ms", [waited * 1e3]),
        Figure("purge_list_p50", "ms", [median(busy) * 1e3], "before it", [median(quiet) * 1e3]),
        Figure("purge_list_p99", "ms", [_p99(busy) * 1e3], "before it", [_p99(quiet) * 1e3]),
        Figure("purge_words_left", "rows", [sum(after.values())], "before it", [sum(before.values())]),
    ]


async def _load(
    owner: "asyncpg.Connection[asyncpg.Record]", keys: AccountKeys, stores: list[UUID], count: int
) -> None:
    """Orders of two years, the youngest two months old: what is personal is over in each, and a quarter of them are over themselves."""
    await owner.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for begin in range(0, count, _BATCH):
        orders, items = [], []
        for order, item in _rows(keys, stores, range(begin, min(begin + _BATCH, count)), count):
            orders.append(order)
            items.append(item)
        await owner.copy_records_to_table("orders", records=orders, columns=_ORDER, timeout=None)
        await owner.copy_records_to_table("order_items", records=items, columns=_ITEM, timeout=None)
    await owner.execute(_PACKAGES, timeout=None)
    await owner.execute("RESET session_replication_role")
    for table in ("orders", "order_items", "order_packages"):
        await owner.execute(f"VACUUM (ANALYZE) {table}", timeout=None)
    await owner.execute("CHECKPOINT")


def _rows(
    keys: AccountKeys, stores: list[UUID], numbers: range, count: int
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    now = datetime.now(UTC)
    account_id = keys.account_id
    for number in numbers:
        store = stores[number % len(stores)]
        order_id = f"303-{number // 10**7:07}-{number % 10**7:07}"
        row_id, at = order_row_id(store, order_id), now - timedelta(days=61 + (_DAYS - 61) * number / count)
        buyer = json.dumps({"name": f"{CANARY} {number}", "email": f"{CANARY}{number}@marketplace.amazon.de"})
        where = json.dumps({"name": f"{CANARY} {number}", "lines": [f"{CANARY} street"], "phone": CANARY})
        order = (
            row_id, account_id, store, order_id, "SHIPPED", "MERCHANT", "DE", at, at, at + timedelta(days=3), "EUR",
            keys.seal_text(Place("orders", "buyer", row_id), buyer).ciphertext, keys.lookup_hash("buyer", buyer),
            keys.seal_text(Place("orders", "recipient", row_id), where).ciphertext, at + timedelta(days=33), at, now,
        )  # fmt: skip
        item_id = item_row_id(row_id, "1")
        gift = keys.seal_text(Place("order_items", "gift", item_id), f"{CANARY} gift").ciphertext
        yield order, (item_id, account_id, row_id, "1", 0, "Schreibtischlampe", "LAMP-01", 1, gift)


async def _start(settings: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command("services.connector", "privacy", "purge"),
        env={"PATH": os.defpath, **settings},
        # It ends with whoever holds the other end.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


async def _look(
    owner: "asyncpg.Connection[asyncpg.Record]", purging: asyncio.subprocess.Process
) -> tuple[float, float, float]:
    """How long it runs, its longest transaction, and how long anybody else waited for a lock."""
    began, longest, waited = time.monotonic(), 0.0, 0.0
    while purging.returncode is None:
        row = await owner.fetchrow(_LOOK)
        assert row is not None
        longest, waited = max(longest, float(row["purging"])), max(waited, float(row["waiting"]))
        await asyncio.sleep(_LOOK_SECONDS)
    if purging.returncode:
        raise RuntimeError(f"privacy purge ended with {purging.returncode}")
    return time.monotonic() - began, longest, waited


async def _times(port: int, api_key: str, until: asyncio.subprocess.Process | None) -> list[float]:
    """Of lists of orders and of conversations in turn, as long as the process runs, or a number of them."""
    client = await Client.connect(port, api_key)
    waiting = None if until is None else asyncio.create_task(until.wait())
    times: list[float] = []
    while not waiting.done() if waiting is not None else len(times) < REQUESTS:
        for path in ("/api/v1/orders", "/api/v1/conversations"):
            began = time.perf_counter()
            await client.get(path)
            times.append(time.perf_counter() - began)
    client.close()
    return times


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


def _say(what: str, began: float) -> None:
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
