"""How many costly requests of one kind a process answers at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from shared.errors import Expected

_WAIT_SECONDS: Final = 10.0


class ConcurrencyLimit:
    """The limit of one kind of request in a process; a request that waits too long raises `busy`."""

    def __init__(self, most: int, busy: type[Expected], wait_seconds: float = _WAIT_SECONDS) -> None:
        self._slots = asyncio.Semaphore(most)
        self._busy = busy
        self._wait_seconds = wait_seconds
        self.free = most

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Waits for a free slot, and keeps it until the block ends. Raises `busy`."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise self._busy from error
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1
            self._slots.release()
