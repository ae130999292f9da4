"""Amazon's rate limits: a token bucket for each operation and caller, and a log of the calls that came."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

MAX_CALLS: Final = 100_000
MAX_BUCKETS: Final = 100_000


class Outcome(StrEnum):
    """What became of a call, before the operation itself looked at it."""

    LET_THROUGH = "let_through"
    THROTTLED = "throttled"
    SCENARIO = "scenario"


@dataclass(frozen=True, slots=True)
class Call:
    """One call with a valid token. `caller` is a seller's id, or `application`."""

    at: datetime
    operation: str
    caller: str
    outcome: Outcome


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: datetime


class Calls:
    """The buckets and the log of one sandbox. Rates hold while `throttling` is true."""

    def __init__(self) -> None:
        self.throttling = True
        self.log: deque[Call] = deque(maxlen=MAX_CALLS)
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take(self, operation: str, caller: str, rate: float, burst: int, now: datetime) -> bool:
        """Whether the caller may make a call now; one that they may is taken out of their bucket."""
        if not self.throttling:
            return True
        bucket = self._buckets.setdefault((operation, caller), _Bucket(burst, now))
        while len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.filled_at).total_seconds() * rate)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
