"""What a million orders of an account cost whoever reads orders over REST, beside a thousand; and how long the slowest cards take."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median, quantiles
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.http.paging import encode_cursor
from services.connector.orders import personal
from services.connector.orders.model import Address
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.tables import Integration
from tests.bench.figures import Figure
from tests.bench.installation import installation, migrate
from tests.bench.served import Client, bench_key, free_port, running, settings_of
from tests.conftest import Database, Keys
from tests.factories import (
    keys_within,
    make_account,
    make_conversation,
    make_conversation_order,
    make_grant,
    make_integration,
    make_order,
    make_order_item,
    make_order_package,
    make_user,
)
from tests.processes import command

LARGE: Final = 1_000_000
SMALL: Final = 1_000
STORES: Final = 20
ROUNDS: Final = 5
REQUESTS: Final = 100
CARDS: Final = 400
# Of the last two years, the newest first; a tenth is still to be shipped, and each buyer has twelve in a store. Two items and a package each.
_ORDERS: Final = """
    INSERT INTO orders (id, account_id, integration_id, order_id, marketplace_id, country, status, fulfilled_by, programs, purchased_at,
        last_updated_at, ship_by, currency, total, item_count, quantity, buyer_key, changed_at, fetched_at)
    SELECT gen_random_uuid(), $1, ($2::uuid[])[1 + n % $3], lpad((n % 1000)::text, 3, '0') || '-' || lpad(n::text, 7, '0') || '-0000000',
        'A1PA6795UKMFR9', 'DE', CASE WHEN n % 10 = 0 THEN 'UNSHIPPED' ELSE 'SHIPPED' END, 'MERCHANT', '{PRIME}', now() - n * step, now() - n * step,
        now() + interval '2 days' - n * step, 'EUR', 49.9, 2, 3, sha256(convert_to(n / 240 || '-' || n % $3, 'UTF8')), now() - n * step, now()
    FROM generate_series(1, $4::int) n, (SELECT interval '730 days' / $4::int AS step) s
"""
_ITEMS: Final = """
    INSERT INTO order_items (id, account_id, order_row_id, item_id, position, title, sku, asin, quantity, currency, total)
    SELECT gen_random_uuid(), account_id, id, position::text, position, 'Schreibtischlampe', 'LAMP-01', 'B0EXAMPLE1', 1, 'EUR', 24.95
    FROM orders, generate_series(0, 1) position
"""
_PACKAGES: Final = """
    INSERT INTO order_packages (id, account_id, order_row_id, reference, position, carrier, tracking_number)
    SELECT gen_random_uuid(), account_id, id, '1', 0, 'DHL', '00340434161094000000' FROM orders
"""

_BUYER_OF_STORE: Final = text(
    "SELECT buyer_key FROM orders WHERE account_id = :account_id AND integration_id = :integration_id ORDER BY order_id LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One of the two databases, and what is asked of it."""

    database: Database
    api_key: str
    paths: dict[str, str]
    card: str


def measure() -> list[Figure]:
    """Some minutes, most of which the rows take, and about four gigabytes meanwhile."""
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys))


async def _measure(large: Database, keys: Keys) -> list[Figure]:
    small = Database(large.postgres, "small")
    await migrate(small)
    loaded = [await _load(small, keys, SMALL), await _load(large, keys, LARGE)]
    runs: dict[str, list[list[float]]] = {}
    with _serving(loaded[0], keys) as of_small, _serving(loaded[1], keys) as of_large:
        for _ in range(ROUNDS):
            for turn, port in enumerate((of_small, of_large)):
                for name, value in (await _round(loaded[turn], port)).items():
                    runs.setdefault(name, [[], []])[turn].append(value)
    return [
        Figure(name, "µs", large_times, f"{SMALL:,} orders", small_times)
        for name, (small_times, large_times) in runs.items()
    ]


async def _round(loaded: Loaded, port: int) -> dict[str, float]:
    """Every figure once, over a connection that is used again."""
    client = await Client.connect(port, loaded.api_key)
    found = {name: median(await _times(client, path, REQUESTS)) for name, path in loaded.paths.items()}
    cards = await _times(client, loaded.card, CARDS)
    client.close()
    return found | {"orders_card": median(cards), "orders_card_p99": quantiles(cards, n=100)[98]}


async def _times(client: Client, path: str, requests: int) -> list[float]:
    times = []
    for _ in range(requests):
        began = time.perf_counter()
        await client.get(path)
        times.append((time.perf_counter() - began) * 1e6)
    return times


@contextmanager
def _serving(loaded: Loaded, keys: Keys) -> Iterator[int]:
    port = free_port()
    settings = settings_of(loaded.database.url(CONNECTOR), keys, port)
    with running(command("services.connector", "serve"), settings):
        yield port


async def _load(database: Database, keys: Keys, count: int) -> Loaded:
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
        await make_grant(session, keyring, stores[0])
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    began = time.monotonic()
    await _load_orders(owner, account.id, [store.id for store in stores], count)
    print(f"{count:,} orders: {time.monotonic() - began:.0f} s")  # noqa: T201
    async with sessions.begin() as session:
        conversation_id, order_row_id = await _make_card(session, keyring, stores[0])
    deep = await owner.fetchrow(
        "SELECT last_updated_at, changed_at, id FROM orders WHERE account_id = $1 ORDER BY last_updated_at, id OFFSET $2 LIMIT 1",
        account.id,
        count // 4,
    )
    assert deep is not None
    await owner.close()
    await engine.dispose()
    orders = "/api/v1/orders"
    return Loaded(
        database,
        api_key,
        {
            "orders_list": orders,
            "orders_list_deep": f"{orders}?cursor={encode_cursor(deep['last_updated_at'], deep['id'])}",
            "orders_list_of_store": f"{orders}?integration_id={stores[1].id}",
            "orders_list_ship_by": f"{orders}?sort=ship_by",
            "orders_changes": f"{orders}/changes?cursor={encode_cursor(deep['changed_at'], deep['id'])}",
            "orders_one": f"{orders}/{order_row_id}",
        },
        f"/api/v1/conversations/{conversation_id}/orders",
    )


async def _load_orders(
    owner: "asyncpg.Connection[asyncpg.Record]", account_id: UUID, stores: list[UUID], count: int
) -> None:
    """Foreign keys are not checked meanwhile: they hold as it is made."""
    await owner.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    await owner.execute(_ORDERS, account_id, stores, len(stores), count, timeout=None)
    await owner.execute(_ITEMS, timeout=None)
    await owner.execute(_PACKAGES, timeout=None)
    await owner.execute("RESET session_replication_role")
    for table in ("orders", "order_items", "order_packages"):
        await owner.execute(f"VACUUM (ANALYZE) {table}", timeout=None)
    await owner.execute("CHECKPOINT")


async def _make_card(session: AsyncSession, keyring: Keyring, store: Integration) -> tuple[UUID, UUID]:
    """A conversation of a buyer with two orders of three items, everything sealed, and with others in the store; and one of its orders."""
    keys = await keys_within(session, keyring, store.account_id)
    # Of one of the many, who has others in this store.
    buyer_key = await session.scalar(
        _BUYER_OF_STORE, {"account_id": store.account_id, "integration_id": store.id}
    )
    conversation = await make_conversation(session, keyring, store, buyer_key=buyer_key)
    order = None
    for _ in range(2):
        # Fresh for as long as is measured: whoever asks for an old one writes a job besides.
        order = await make_order(
            session,
            keyring,
            store,
            buyer_key=buyer_key,
            total=Decimal("49.90"),
            fetched_at=datetime.now(UTC) + timedelta(hours=1),
        )
        address = Address(name="Erika Beispiel", lines=("Musterweg 1",), city="Beispielstadt")
        order.recipient = personal.seal_recipient(keys, order.id, address)
        for position in range(3):
            await make_order_item(session, keyring, order, position=position, gift_message="Alles Gute!")
        await make_order_package(session, order)
        await make_conversation_order(session, conversation, order.order_id)
    assert order is not None
    return conversation.id, order.id
