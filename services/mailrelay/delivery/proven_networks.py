"""The networks from which mail comes that is proven to be Amazon's, written down for the relay, which lets them do more."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Final

from sqlalchemy import text

from shared.database import Sessions
from shared.networks import Network

# A network is written anew so often as long as such mail comes from it; the relay knows it for a month after the last time.
_REFRESH_SECONDS: Final = 86_400.0
_KNOWN_NETWORKS: Final = 50_000

_NOTE: Final = text(
    "INSERT INTO proven_networks (network) SELECT unnest(CAST(:networks AS cidr[])) ORDER BY 1"
    " ON CONFLICT (network) DO UPDATE SET proven_at = now()"
)
_FORGET: Final = text("DELETE FROM proven_networks WHERE proven_at < now() - interval '30 days'")
_READ: Final = text(
    "SELECT CAST(network AS text) FROM proven_networks WHERE network = ANY(CAST(:networks AS cidr[]))"
)


class ProvenNetworks:
    """What this worker knows of them; one a process, the clock is given."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._noted_at: OrderedDict[Network, float] = OrderedDict()

    async def note(self, sessions: Sessions, networks: Iterable[Network]) -> None:
        """Write down those that this worker has not written down today."""
        now = self._clock()
        new = {
            network
            for network in networks
            if now - self._noted_at.get(network, -math.inf) >= _REFRESH_SECONDS
        }
        if not new:
            return
        async with sessions.begin() as session:
            await session.execute(_FORGET)
            await session.execute(_NOTE, {"networks": sorted(str(network) for network in new)})
        for network in new:
            self._noted_at[network] = now
            self._noted_at.move_to_end(network)
        while len(self._noted_at) > _KNOWN_NETWORKS:
            self._noted_at.popitem(last=False)

    async def among(self, sessions: Sessions, networks: Iterable[Network]) -> set[Network]:
        """Those of them that are proven, whichever worker has seen it."""
        async with sessions() as session:
            found = await session.scalars(_READ, {"networks": [str(network) for network in networks]})
            return {ip_network(network) for network in found}
