"""Who gets a slot: by how many of them an account holds already."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.http.concurrency import ConcurrencyLimit
from shared.errors import Expected

A, B, C, D = (uuid4() for _ in range(4))


class _Busy(Expected):
    code = "busy"


def _limit(most: int = 8, wait_seconds: float = 0.0) -> ConcurrencyLimit:
    return ConcurrencyLimit(most, _Busy, wait_seconds=wait_seconds)


async def _hold(limit: ConcurrencyLimit, account_id: UUID, held: AsyncExitStack) -> int:
    """How many slots the account gets that asks for one after the other."""
    count = 0
    while True:
        try:
            await held.enter_async_context(limit.slot(account_id))
        except _Busy:
            return count
        count += 1


async def test_who_asks_for_all_gets_half_of_what_is_left():
    limit = _limit()
    async with AsyncExitStack() as held:
        assert [await _hold(limit, account_id, held) for account_id in (A, B, C, D)] == [4, 2, 1, 1]
    assert limit.free == 8


async def test_a_slot_that_becomes_free_goes_to_who_holds_none():
    """The account that holds more has waited for longer."""
    limit, turns = _limit(most=4, wait_seconds=30), asyncio.Queue[UUID]()

    async def take(account_id: UUID, until: asyncio.Event) -> None:
        async with limit.slot(account_id):
            turns.put_nowait(account_id)
            await until.wait()

    ends = [asyncio.Event() for _ in range(7)]
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        for account_id, end in zip((A, A, B, C, A, A, D), ends, strict=True):
            tasks.create_task(take(account_id, end))
        assert [await turns.get() for _ in range(4)] == [A, A, B, C]
        ends[2].set()
        assert await turns.get() == D
        for end in ends:
            end.set()
        assert [await turns.get() for _ in range(2)] == [A, A]
    assert limit.free == 4


async def test_who_gives_up_leaves_no_slot_behind():
    limit = _limit(most=1, wait_seconds=30)
    async with limit.slot(A):
        waiting = asyncio.create_task(limit.slot(B).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with limit.slot(C):
        assert limit.free == 0


async def test_who_gives_up_in_the_moment_of_their_turn_passes_it_on():
    limit = _limit(most=1, wait_seconds=30)
    first = limit.slot(A)
    await first.__aenter__()
    waiting = asyncio.create_task(limit.slot(B).__aenter__())
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert limit.free == 1


@given(
    most=st.integers(2, 12),
    steps=st.lists(st.tuples(st.sampled_from([A, B]), st.booleans()), max_size=60),
)
async def test_two_accounts_never_shut_each_other_out(most: int, steps: list[tuple[UUID, bool]]):
    """Whatever one takes and gives back, the other has a slot, or finds one free."""
    limit = _limit(most)
    held: dict[UUID, list[AsyncExitStack]] = {A: [], B: []}
    for account_id, takes in steps:
        if takes:
            stack = AsyncExitStack()
            try:
                await stack.enter_async_context(limit.slot(account_id))
            except _Busy:
                assert held[account_id]
            else:
                held[account_id].append(stack)
        elif held[account_id]:
            await held[account_id].pop().aclose()
        assert limit.free == most - len(held[A]) - len(held[B]) >= 0
