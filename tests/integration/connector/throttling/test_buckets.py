"""Token buckets in the database, shared by all processes."""

import asyncio

import pytest
from sqlalchemy import text

from services.connector.throttling.buckets import take
from services.connector.throttling.limits import Limit, TooOften
from shared.database import Sessions


async def _age(sessions: Sessions, key: str, seconds: float) -> None:
    async with sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE throttle_buckets SET updated_at = updated_at - make_interval(secs => :s) WHERE key = :k"
            ),
            {"s": seconds, "k": key},
        )


async def test_a_bucket_gives_its_burst_and_then_says_how_long_to_wait(sessions: Sessions):
    taken = [await take(sessions, "own:test:a", rate=0.01, burst=3) for _ in range(3)]
    wait = await take(sessions, "own:test:a", rate=0.01, burst=3)

    assert taken == [0.0, 0.0, 0.0]
    assert 90 < wait <= 100


async def test_a_bucket_fills_with_time_and_never_beyond_its_burst(sessions: Sessions):
    for _ in range(3):
        await take(sessions, "own:test:a", rate=0.1, burst=3)

    await _age(sessions, "own:test:a", 11)
    assert await take(sessions, "own:test:a", rate=0.1, burst=3) == 0.0
    assert await take(sessions, "own:test:a", rate=0.1, burst=3) > 0

    await _age(sessions, "own:test:a", 100_000)
    taken = [await take(sessions, "own:test:a", rate=0.1, burst=3) for _ in range(4)]
    assert [wait > 0 for wait in taken] == [False, False, False, True]


async def test_who_was_refused_is_not_set_back(sessions: Sessions):
    await take(sessions, "own:test:a", rate=0.1, burst=1)
    for _ in range(5):
        await take(sessions, "own:test:a", rate=0.1, burst=1)

    await _age(sessions, "own:test:a", 10.5)
    assert await take(sessions, "own:test:a", rate=0.1, burst=1) == 0.0


async def test_processes_that_come_at_once_get_no_more_than_there_is(sessions: Sessions):
    waits = await asyncio.gather(*(take(sessions, "own:test:a", rate=0.001, burst=5) for _ in range(20)))

    assert sum(1 for wait in waits if wait == 0) == 5


async def test_each_key_has_its_own_bucket_and_a_refusal_names_the_seconds(sessions: Sessions):
    limit = Limit("test", 1, seconds=10)
    await limit.require(sessions, "a")
    await limit.require(sessions, "b")

    with pytest.raises(TooOften) as refused:
        await limit.require(sessions, "a")
    assert refused.value.fields == {"retry_after_seconds": 10}
