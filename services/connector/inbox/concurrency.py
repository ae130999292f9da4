"""How many costly requests are answered at once: files on their way out, each in memory as a whole until its last byte has left,
and searches, each of which may keep a connection to the database for seconds.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from shared.errors import Expected

# The largest mail has 40 MB, and lies in memory sealed and opened.
MAX_DOWNLOADS: Final = 8
# Of the ten connections that a process has, the others stay for what is quick.
MAX_SEARCHES: Final = 4
WAIT_SECONDS: Final = 10.0


class DownloadsBusy(Expected):
    """No place for a download became free in time."""

    code = "downloads_busy"


class SearchesBusy(Expected):
    """No place for a search became free in time."""

    code = "searches_busy"


class Places:
    """One a process for each kind of request; `busy` is raised by whoever waits in vain."""

    def __init__(self, most: int, busy: type[Expected]) -> None:
        self._places = asyncio.Semaphore(most)
        self._busy = busy
        self.free = most

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Waits for a place, and keeps it meanwhile. Raises `busy`."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError as error:
            raise self._busy from error
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1
            self._places.release()
