"""Background entry points: the orders of a conversation, asked for as soon as they are named and when somebody looks; and every store's
orders, page by page.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from services.connector.job_queue.runner import JobRunner, TryAgain
from services.connector.job_queue.schedules import Every
from services.connector.orders.fetch_service import OrderFetcher
from services.connector.orders.hint_service import HintedOrders
from services.connector.orders.sync_service import OrderSynchronizer
from shared.database import Sessions
from shared.jobs import Job

_HOURLY: Final = Every(timedelta(hours=1))
_EACH_TEN_SECONDS: Final = Every(timedelta(seconds=10))


def register(
    runner: JobRunner,
    sessions: Sessions,
    fetcher: OrderFetcher,
    synchronizer: OrderSynchronizer,
    hinted: HintedOrders,
) -> None:
    """Make this room's work known to a worker."""

    async def fetch_orders_of_conversation(conversation_id: UUID, _attempts: int) -> None:
        wait = await fetcher.fetch_of_conversation(conversation_id, await sessions.now())
        if wait is not None:
            raise TryAgain(wait)

    async def synchronize_orders() -> None:
        await synchronizer.run_due()

    async def fetch_hinted_orders() -> None:
        await hinted.fetch_due(await sessions.now())

    async def prove_orders_of_mails() -> None:
        await fetcher.prove_orders(await sessions.now())

    runner.add(Job.FETCH_ORDERS_OF_CONVERSATION, fetch_orders_of_conversation, at_once=10)
    runner.add_recurring("synchronize_orders", _EACH_TEN_SECONDS, synchronize_orders)
    runner.add_recurring("fetch_hinted_orders", _EACH_TEN_SECONDS, fetch_hinted_orders)
    runner.add_recurring("prove_orders_of_mails", _HOURLY, prove_orders_of_mails)
