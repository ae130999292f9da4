"""How many costly requests of one kind a process answers at once, and how many of them for one account."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.errors import Expected

_WAIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    account_id: UUID
    turn: asyncio.Future[None]


class ConcurrencyLimit:
    """The limit of one kind of request in a process; a request that waits too long raises `busy`.

    An account takes a slot only while more are free than it holds. So one alone gets half of them, a second one half of what is left:
    who holds none finds one free, although others ask for all of them.
    """

    def __init__(self, most: int, busy: type[Expected], wait_seconds: float = _WAIT_SECONDS) -> None:
        self.free = most
        self._busy = busy
        self._wait_seconds = wait_seconds
        self._held: Counter[UUID] = Counter()
        # The one that has waited longest first; none of them may have a slot as things are.
        self._waiting: list[_Waiting] = []

    @asynccontextmanager
    async def slot(self, account_id: UUID) -> AsyncIterator[None]:
        """Waits until the account may have a slot, and keeps it until the block ends. Raises `busy`."""
        if self._may_have_slot(account_id):
            self._take(account_id)
        else:
            await self._wait(account_id)
        try:
            yield
        finally:
            self._give_back(account_id)

    def _may_have_slot(self, account_id: UUID) -> bool:
        return self.free > self._held[account_id]

    def _take(self, account_id: UUID) -> None:
        self.free -= 1
        self._held[account_id] += 1

    async def _wait(self, account_id: UUID) -> None:
        waiting = _Waiting(account_id, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await waiting.turn
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:  # its turn came in the moment in which it gave up
                self._give_back(account_id)
            if isinstance(error, TimeoutError):
                raise self._busy from error
            raise

    def _give_back(self, account_id: UUID) -> None:
        self.free += 1
        self._held[account_id] -= 1
        if not self._held[account_id]:
            del self._held[account_id]
        # Those that hold fewest come first; among them, those that have waited longest.
        for waiting in sorted(self._waiting, key=lambda each: self._held[each.account_id]):
            if self._may_have_slot(waiting.account_id):
                self._take(waiting.account_id)
                self._waiting.remove(waiting)
                waiting.turn.set_result(None)
