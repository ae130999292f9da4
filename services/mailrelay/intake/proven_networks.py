"""The networks from which mail has come that was proven to be Amazon's, as the mail workers have written them down.

Kept in memory and read again every minute; while the database is away, what was known stays known. What nobody has renewed for a month
is forgotten.
"""

import asyncio
from typing import Final

import asyncpg
import structlog

from shared.availability import DATABASE
from shared.driver import DRIVER_UNAVAILABLE
from shared.networks import Network

log = structlog.get_logger()

_READ_SECONDS: Final = 60.0
# Amazon's mail services have some ten thousand addresses.
_MOST: Final = 50_000
_READ: Final = "SELECT network FROM proven_networks WHERE proven_at > now() - interval '30 days' ORDER BY proven_at DESC LIMIT $1"


class ProvenNetworks:
    """What a process that accepts mail knows of them; `run` keeps it fresh."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, read_seconds: float = _READ_SECONDS) -> None:
        self._pool = pool
        self._read_seconds = read_seconds
        self._networks: frozenset[Network] = frozenset()

    @property
    def networks(self) -> frozenset[Network]:
        return self._networks

    async def run(self) -> None:
        """Read them for ever."""
        while True:
            try:
                rows = await self._pool.fetch(_READ, _MOST)
                self._networks = frozenset(row["network"] for row in rows)
            except DRIVER_UNAVAILABLE as error:
                DATABASE.is_away(error)
            except asyncpg.PostgresError as error:  # tables of an earlier version
                log.warning("proven_networks_unread", exc_info=error)
            await asyncio.sleep(self._read_seconds)
