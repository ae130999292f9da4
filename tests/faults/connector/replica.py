"""One replica of the connector, as far as tokens go: renews what is due, and asks for every store's token as calls do."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from prometheus_client import CollectorRegistry
from sqlalchemy import select

from services.connector.amazon.access import create_amazon
from services.connector.integrations.service import recompute_lock
from services.connector.settings import ConnectorSettings
from services.connector.tokens.service import RenewalBusy, Vault
from shared.crypto.key_source import KeySource
from shared.database import Sessions, create_engine, create_sessions, is_unavailable
from shared.keyring import Keyring
from shared.logging import configure_logging
from shared.process import settings_or_exit
from shared.tables import Grant

# With the worker's five, about as many as there are connections: more would only wait for each other.
_CALLERS = 8


async def run() -> None:
    """Until it is killed."""
    settings = settings_or_exit(ConnectorSettings)
    sessions = create_sessions(
        create_engine(settings.database_url.get_secret_value(), application_name="replica")
    )
    amazon = create_amazon(
        settings.amazon_client_id, settings.amazon_client_secret, amazon_base_url=settings.amazon_base_url
    )
    keyring = Keyring(KeySource.open(settings))
    vault = Vault(sessions, keyring, amazon, recompute_lock, CollectorRegistry())
    print("ready", flush=True)  # noqa: T201
    async with asyncio.TaskGroup() as group:
        group.create_task(_as_worker(vault))
        group.create_task(_as_callers(sessions, vault))


async def _as_worker(vault: Vault) -> None:
    while True:
        with _tried_again_later():
            await vault.renew_due()
        await asyncio.sleep(0.05)


async def _as_callers(sessions: Sessions, vault: Vault) -> None:
    turn = asyncio.Semaphore(_CALLERS)
    while True:
        with _tried_again_later():
            async with sessions.begin() as session:
                rows = (await session.execute(select(Grant.account_id, Grant.integration_id))).all()
            await asyncio.gather(*(_ask(vault, turn, row.account_id, row.integration_id) for row in rows))
        await asyncio.sleep(0.05)


async def _ask(vault: Vault, turn: asyncio.Semaphore, account_id: UUID, integration_id: UUID) -> None:
    async with turn:
        with suppress(RenewalBusy), _tried_again_later():
            await vault.access_token(account_id, integration_id)


@contextmanager
def _tried_again_later() -> Iterator[None]:
    """A busy machine may let somebody wait too long for a connection: a route answers 503, a job comes again."""
    try:
        yield
    except Exception as error:
        if not is_unavailable(error):
            raise


if __name__ == "__main__":
    configure_logging("replica", level="ERROR")
    asyncio.run(run())
