"""How often Amazon lets us call: its published rates, and buckets that hold for all processes together.

Amazon keeps one bucket for each operation and seller of an application, in each region. Ours leave that much and no more, so
that a 429 is rare; where Amazon tells another rate, that one counts.
"""

import asyncio
import math
from collections import OrderedDict
from typing import Final, Protocol

from services.connector.amazon.errors import QuotaUsed
from shared.marketplaces import Region

# Calls a second, and how many at once: Amazon's models of November 2026.
PUBLISHED: Final = {
    "getMarketplaceParticipations": (0.016, 15),
    "rotateApplicationClientSecret": (0.0167, 1),
    "createRestrictedDataToken": (1.0, 10),
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "createReport": (0.0167, 15),
    "getReports": (0.0222, 10),
    "getReport": (2.0, 15),
    "getReportDocument": (0.0167, 15),
    "createDestination": (1.0, 5),
    "getDestinations": (1.0, 5),
    "createSubscription": (1.0, 5),
    "getSubscription": (1.0, 5),
    "deleteSubscriptionById": (1.0, 5),
}
# A call waits at most this long for a token; otherwise it raises QuotaUsed.
_PATIENCE_SECONDS: Final = 2.0
_KNOWN_RATES: Final = 10_000
_SANE_RATES: Final = (0.0001, 1000.0)


class Buckets(Protocol):
    """Token buckets by key."""

    async def take(self, key: str, *, rate: float, burst: float) -> float:
        """Take one token: 0, or the seconds until there will be one."""
        ...

    async def empty(self, key: str) -> None:
        """There are no tokens left, whatever we thought."""
        ...


class Throttle:
    """One a process. Installations with other client ids may share the database: each has buckets of its own."""

    def __init__(self, client_id: str, buckets: Buckets | None) -> None:
        self._client_id = client_id
        self._buckets = buckets
        self._told: OrderedDict[str, float] = OrderedDict()

    async def turn(self, region: Region, quota_of: str, operation: str) -> None:
        """Wait for a moment until this may be called. Raises QuotaUsed, which says how long to wait, if a moment is not enough."""
        if self._buckets is None:
            return
        key, (_, burst) = self._key(region, quota_of, operation), PUBLISHED[operation]
        rate = self._rate(key, operation)
        seconds = await self._buckets.take(key, rate=rate, burst=burst)
        if 0 < seconds <= _PATIENCE_SECONDS:
            await asyncio.sleep(seconds)
            seconds = await self._buckets.take(key, rate=rate, burst=burst)
        if seconds:
            raise QuotaUsed(operation=operation, reason="own_bucket", retry_after_seconds=math.ceil(seconds))

    def learn(self, region: Region, quota_of: str, operation: str, told: str | None) -> None:
        """Use the rate of Amazon's header for this seller or application, if it has one that makes sense."""
        try:
            rate = float(told or "")
        except ValueError:
            return
        lowest, highest = _SANE_RATES
        if lowest <= rate <= highest:
            key = self._key(region, quota_of, operation)
            self._told[key] = rate
            self._told.move_to_end(key)
            if len(self._told) > _KNOWN_RATES:
                self._told.popitem(last=False)

    async def refused(self, region: Region, quota_of: str, operation: str) -> int:
        """Amazon's own bucket is empty, so ours is, too. The seconds until there is a call in it: Amazon does not tell them."""
        key = self._key(region, quota_of, operation)
        if self._buckets is not None:
            await self._buckets.empty(key)
        return math.ceil(1 / self._rate(key, operation))

    def _rate(self, key: str, operation: str) -> float:
        return self._told.get(key, PUBLISHED[operation][0])

    def _key(self, region: Region, quota_of: str, operation: str) -> str:
        return f"sp-api:{self._client_id}:{region.value}:{quota_of}:{operation}"
