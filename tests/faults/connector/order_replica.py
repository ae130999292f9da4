"""One replica of the connector's worker, as far as stores' orders go. Whoever has started it tells it the time, and is told how many pages it asked for."""

import asyncio
import sys
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from services.connector.amazon.access import create_amazon
from services.connector.integrations.service import recompute_lock
from services.connector.orders.fetch_service import OrderFetcher
from services.connector.orders.hint_service import HintedOrders
from services.connector.orders.sync_service import OrderSynchronizer
from services.connector.settings import ConnectorSettings
from services.connector.tokens.service import Vault
from shared.crypto.key_source import KeySource
from shared.database import create_engine, create_sessions, is_unavailable
from shared.keyring import Keyring
from shared.logging import configure_logging
from shared.process import settings_or_exit
from tests.simulated_buckets import SimulatedBuckets


class ToldClock:
    """The time as it was told last."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


async def run(port: int, at_once: int) -> None:
    """Until it is killed."""
    settings = settings_or_exit(ConnectorSettings)
    clock = ToldClock()
    sessions = create_sessions(
        create_engine(settings.database_url.get_secret_value(), application_name="order-replica")
    )
    amazon = create_amazon(
        settings.amazon_client_id,
        settings.amazon_client_secret,
        amazon_base_url=settings.amazon_base_url,
        buckets=SimulatedBuckets(sessions, clock),
    )
    keyring = Keyring(KeySource.open(settings))
    registry = CollectorRegistry()
    vault = Vault(sessions, keyring, amazon, recompute_lock, registry)
    synchronizer = OrderSynchronizer(sessions, keyring, vault, clock, registry)
    hinted = HintedOrders(sessions, OrderFetcher(sessions, keyring, vault))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while told := await reader.readline():
        clock.now = datetime.fromisoformat(told.decode().strip())
        try:
            pages = await synchronizer.run_due(at_once=at_once)
            await hinted.fetch_due(clock.now)
        except Exception as error:
            if not is_unavailable(error):
                raise
            pages = 0
        writer.write(f"{pages}\n".encode())


if __name__ == "__main__":
    configure_logging("order-replica", level="ERROR")
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))
