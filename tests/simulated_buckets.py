"""Token buckets as the production's, in the same table, by a clock that a test moves: `DatabaseBuckets` goes by PostgreSQL's."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from shared.database import Sessions
from shared.tables import ThrottleBucket


class SimulatedBuckets:
    """`Buckets` that processes share which are told the same time."""

    def __init__(self, sessions: Sessions, clock: Callable[[], datetime]) -> None:
        self._sessions = sessions
        self._clock = clock

    async def take(self, key: str, *, rate: float, burst: float) -> float:
        now = self._clock()
        async with self._sessions.begin() as session:
            await session.execute(
                insert(ThrottleBucket)
                .values(key=key, tokens=burst, rate=rate, burst=burst, updated_at=now)
                .on_conflict_do_nothing()
            )
            bucket = await session.scalar(
                select(ThrottleBucket).where(ThrottleBucket.key == key).with_for_update()
            )
            assert bucket is not None
            grown = max(0.0, (now - bucket.updated_at).total_seconds()) * rate
            tokens = min(burst, bucket.tokens + grown)
            if tokens < 1:
                return (1 - tokens) / rate
            bucket.tokens, bucket.updated_at = tokens - 1, max(now, bucket.updated_at)
        return 0.0

    async def empty(self, key: str) -> None:
        async with self._sessions.begin() as session:
            await session.execute(
                update(ThrottleBucket)
                .where(ThrottleBucket.key == key)
                .values(tokens=0, updated_at=self._clock())
            )
