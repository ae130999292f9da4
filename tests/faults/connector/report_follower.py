"""A worker, as far as order reports go: follows those of all stores until it is killed."""

import asyncio

from prometheus_client import CollectorRegistry

from services.connector.amazon.access import create_amazon
from services.connector.integrations.queries import active_ids
from services.connector.integrations.service import recompute_lock
from services.connector.order_reports.document_service import Bounds
from services.connector.order_reports.service import Follower
from services.connector.settings import ConnectorSettings
from services.connector.tokens.service import Vault
from shared.crypto.key_source import KeySource
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from shared.logging import configure_logging
from shared.process import settings_or_exit

_BATCH_ROWS = 500


async def run() -> None:
    settings = settings_or_exit(ConnectorSettings)
    sessions = create_sessions(
        create_engine(settings.database_url.get_secret_value(), application_name="report-follower")
    )
    amazon = create_amazon(
        settings.amazon_client_id, settings.amazon_client_secret, amazon_base_url=settings.amazon_base_url
    )
    keyring = Keyring(KeySource.open(settings))
    registry = CollectorRegistry()
    vault = Vault(sessions, keyring, amazon, recompute_lock, registry)
    follower = Follower.create(sessions, vault, keyring, registry, Bounds(batch_rows=_BATCH_ROWS))
    print("ready", flush=True)  # noqa: T201
    while True:
        async with sessions.begin() as session:
            stores = await active_ids(session, limit=100, after=None)
        for store in stores:
            await follower.follow(store)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    configure_logging("report-follower", level="ERROR")
    asyncio.run(run())
