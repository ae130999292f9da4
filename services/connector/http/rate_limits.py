"""How many requests a caller, or an address without one, may make: token buckets in the memory of each process.

Generous: they stop a loop that has gone wild, not a program that works. Every answer tells what is left, in the form of
draft-ietf-httpapi-ratelimit-headers.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.connector.http.middleware import AsgiApp, Message, Receive, Scope, Send
from shared.errors import Expected

# The key under which the caller check stores the remaining quota for the middleware.
RATE_LIMIT_STATE: Final = "replyco.rate_limit"
# Buckets of the least recent callers are forgotten, about 200 bytes each.
_KEPT_BUCKETS: Final = 20_000
_WINDOW_SECONDS: Final = 60


class RateLimited(Expected):
    """Too many requests within a minute."""

    code = "rate_limited"


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """What a bucket holds after a request."""

    policy: str
    quota: int
    tokens: float

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`RateLimit-Policy` and `RateLimit`: quota a window, what remains, seconds until the quota is full again."""
        until_full = math.ceil((self.quota - self.tokens) * _WINDOW_SECONDS / self.quota)
        left = max(0, math.floor(self.tokens))
        return [
            (b"ratelimit-policy", f'"{self.policy}";q={self.quota};w={_WINDOW_SECONDS}'.encode()),
            (b"ratelimit", f'"{self.policy}";r={left};t={until_full}'.encode()),
        ]


class RateLimits:
    """The buckets of one kind of caller. A bucket holds one minute's quota."""

    def __init__(
        self,
        policy: str,
        per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        kept: int = _KEPT_BUCKETS,
    ) -> None:
        self._policy = policy
        self._quota = per_minute
        self._clock = clock
        self._kept = kept
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, scope: Scope) -> None:
        """Count one request, whose answer will tell what is left. Raises RateLimited."""
        now = self._clock()
        tokens, since = self._buckets.pop(key, (float(self._quota), now))
        per_second = self._quota / _WINDOW_SECONDS
        tokens = min(self._quota, tokens + (now - since) * per_second)
        allowed = tokens >= 1
        if allowed:
            tokens -= 1
        self._buckets[key] = (tokens, now)
        if len(self._buckets) > self._kept:
            self._buckets.popitem(last=False)
        scope[RATE_LIMIT_STATE] = RateLimitState(self._policy, self._quota, tokens)
        if not allowed:
            raise RateLimited(retry_after_seconds=math.ceil((1 - tokens) / per_second))


class RateLimitHeaders:
    """Adds the headers of the caller's remaining quota to an answer."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                state: RateLimitState | None = scope.get(RATE_LIMIT_STATE)
                if state is not None:
                    message["headers"] = [*message["headers"], *state.headers()]
            await send(message)

        await self._app(scope, receive, telling)
