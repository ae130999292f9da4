"""How many files may be on their way out at once: each is in memory as a whole until its last byte has left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from shared.errors import Expected

# The largest mail has 40 MB, and lies in memory sealed and opened.
MAX_AT_A_TIME: Final = 8
WAIT_SECONDS: Final = 10.0


class DownloadsBusy(Expected):
    """No place became free in time."""

    code = "downloads_busy"


class Downloads:
    """One a process."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MAX_AT_A_TIME)
        self.free = MAX_AT_A_TIME

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Waits for a place, and keeps it meanwhile. Raises DownloadsBusy."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError as error:
            raise DownloadsBusy from error
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1
            self._places.release()
