"""Asks for the orders that Amazon has told of, slowly: half of what Amazon allows is left to those who look at an order or get a mail."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from services.connector.orders import hints
from services.connector.orders.fetch_service import OrderFetcher
from services.connector.orders.hints import Hint
from shared.database import Sessions

# Rounds are ten seconds apart, and Amazon gives an order every two seconds.
_OF_EACH_STORE: Final = 2
_AT_ONCE: Final = 5
_MOST: Final = 500


class HintedOrders:
    """There is one in a worker process."""

    def __init__(self, sessions: Sessions, fetcher: OrderFetcher) -> None:
        self._sessions = sessions
        self._fetcher = fetcher

    async def fetch_due(self, now: datetime) -> int:
        """Ask for a few orders of each store of which there are hints; how many were asked for. Raises AmazonPaused."""
        await self._fetcher.refuse_if_paused()
        async with self._sessions.begin() as session:
            found = await hints.due(session, of_each=_OF_EACH_STORE, limit=_MOST)
        by_store = groupby(
            sorted(found, key=lambda hint: hint.order.integration_id),
            key=lambda hint: hint.order.integration_id,
        )
        stores = [list(of_store) for _, of_store in by_store]
        turn = asyncio.Semaphore(_AT_ONCE)

        async def fetch(of_store: Sequence[Hint]) -> int:
            async with turn:
                return await self._fetch(of_store, now)

        return sum(await asyncio.gather(*(fetch(of_store) for of_store in stores)))

    async def _fetch(self, of_store: Sequence[Hint], now: datetime) -> int:
        """One store's, one after the other. What cannot be asked for now waits for the next round, and so do those behind it."""
        asked = 0
        for hint in of_store:
            if hint.is_active and not hint.is_known():
                asked += 1
                if await self._fetcher.fetch(hint.order, now) is not None:
                    return asked
            async with self._sessions.begin() as session:
                await hints.drop(session, hint)
        return asked
