"""What is stored together, and who learns of it when it cannot be."""

import asyncio
from collections.abc import Sequence

import pytest
import sqlalchemy.exc

from services.mailrelay.outbound.group_commit import GroupCommit


async def test_what_comes_meanwhile_is_stored_together():
    groups: list[list[int]] = []

    async def write(items: Sequence[int]) -> Sequence[int]:
        groups.append(list(items))
        await asyncio.sleep(0)
        return [item * 2 for item in items]

    commit = GroupCommit(write)

    assert await asyncio.gather(*map(commit.store, range(5))) == [0, 2, 4, 6, 8]
    assert len(groups) < 5


@pytest.mark.parametrize(
    ("error", "most_writes"),
    [(sqlalchemy.exc.TimeoutError, 1), (ValueError, 6)],
    ids=["a database that is away is asked once for all", "one to blame is found, each for itself"],
)
async def test_all_learn_of_an_error(error: type[Exception], most_writes: int):
    writes = 0

    async def write(items: Sequence[int]) -> Sequence[int]:
        nonlocal writes
        writes += 1
        await asyncio.sleep(0)
        raise error

    commit = GroupCommit(write)
    told = await asyncio.gather(*map(commit.store, range(5)), return_exceptions=True)

    assert [type(each) for each in told] == [error] * 5
    assert writes <= most_writes
