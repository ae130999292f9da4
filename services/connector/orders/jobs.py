"""Background entry points: the orders of a conversation, asked for as soon as they are named and when somebody looks."""

from datetime import UTC, datetime
from uuid import UUID

from services.connector.job_queue.runner import JobRunner, TryAgain
from services.connector.orders.fetch_service import OrderFetcher
from shared.jobs import Job


def register(runner: JobRunner, fetcher: OrderFetcher) -> None:
    """Make this room's work known to a worker."""

    async def fetch_orders_of_conversation(conversation_id: UUID, _attempts: int) -> None:
        wait = await fetcher.fetch_of_conversation(conversation_id, datetime.now(UTC))
        if wait is not None:
            raise TryAgain(wait)

    runner.add(Job.FETCH_ORDERS_OF_CONVERSATION, fetch_orders_of_conversation, at_once=10)
