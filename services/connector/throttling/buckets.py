"""Token buckets in the database: limits that hold across all processes.

For what is rare and costly (`limits.py`), and for Amazon's limits; the general limit of requests is each process's own
(`http/rate_limits.py`).
"""

from typing import Final

from sqlalchemy import text

from shared.database import Sessions

# The row's own lock makes this atomic. The clock is read before the lock is waited for, so time may seem to run backwards.
_TAKE: Final = text("""
    INSERT INTO throttle_buckets AS b (key, tokens, rate, burst, updated_at)
    VALUES (:key, CAST(:burst AS double precision) - 1, :rate, :burst, clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET
        tokens = least(excluded.burst, b.tokens + excluded.rate
            * greatest(0, extract(epoch FROM excluded.updated_at - b.updated_at))) - 1,
        rate = excluded.rate,
        burst = excluded.burst,
        updated_at = greatest(b.updated_at, excluded.updated_at)
    WHERE b.tokens + excluded.rate * greatest(0, extract(epoch FROM excluded.updated_at - b.updated_at)) >= 1
    RETURNING b.tokens
""")
_MISSING: Final = text("""
    SELECT (1 - tokens) / :rate - extract(epoch FROM clock_timestamp() - updated_at) FROM throttle_buckets WHERE key = :key
""")
_EMPTY: Final = text("""
    UPDATE throttle_buckets SET tokens = 0, updated_at = clock_timestamp() WHERE key = :key
""")
_SHORTEST_WAIT: Final = 0.001


async def take(sessions: Sessions, key: str, *, rate: float, burst: float) -> float:
    """Take one token: 0, or if there is none, the seconds until there will be one. `rate` is tokens a second."""
    async with sessions.begin() as session:
        taken = await session.scalar(_TAKE, {"key": key, "rate": rate, "burst": burst})
        if taken is not None:
            return 0.0
        missing = await session.scalar(_MISSING, {"key": key, "rate": rate})
    return max(_SHORTEST_WAIT, float(missing or 0))


class DatabaseBuckets:
    """The same buckets, for callers that have no database sessions."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def take(self, key: str, *, rate: float, burst: float) -> float:
        return await take(self._sessions, key, rate=rate, burst=burst)

    async def empty(self, key: str) -> None:
        """Set a bucket to no tokens, because Amazon has refused a call."""
        async with self._sessions.begin() as session:
            await session.execute(_EMPTY, {"key": key})
