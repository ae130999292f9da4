"""Who has to wait for whom when few are served at once."""

import asyncio

import pytest

from services.connector.accounts.turns import FairTurns, LineFull


class _Line:
    """Requests that arrive while the only place is taken; `served` in the order in which they had it."""

    def __init__(self, most_waiting: int) -> None:
        self._turns = FairTurns(at_once=1, most_waiting=most_waiting)
        self._go_on = asyncio.Event()
        self.served: list[str] = []
        self.refused: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def arrive(self, *names: str, is_known: bool = False) -> None:
        """`lane:name`, one after the other."""
        for name in names:
            self.tasks.append(asyncio.create_task(self._ask(name, is_known=is_known)))
            await asyncio.sleep(0)

    async def end(self) -> None:
        self._go_on.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _ask(self, name: str, *, is_known: bool) -> None:
        try:
            async with self._turns.turn(name.partition(":")[0], is_known=is_known):
                self.served.append(name)
                await self._go_on.wait()
        except LineFull:
            self.refused.append(name)


async def test_lanes_are_served_in_turn_however_long_one_of_them_is():
    line = _Line(most_waiting=100)
    await line.arrive("first", *(f"a:{number}" for number in range(4)), "b:0", "c:0")

    await line.end()

    assert line.served == ["first", "a:0", "b:0", "c:0", "a:1", "a:2", "a:3"]


async def test_the_known_have_every_second_turn_and_starve_nobody():
    line = _Line(most_waiting=100)
    await line.arrive("first", "a:0", "b:0", "c:0")
    await line.arrive("k:0", "k:1", "l:0", is_known=True)

    await line.end()

    assert line.served == ["first", "k:0", "a:0", "l:0", "b:0", "k:1", "c:0"]


async def test_a_full_line_loses_the_last_of_its_longest_lane():
    line = _Line(most_waiting=4)
    await line.arrive("first", "a:0", "a:1", "a:2", "b:0")

    await line.arrive("c:0", "d:0", "e:0", "a:3")
    await line.end()

    assert sorted(line.refused) == ["a:1", "a:2", "a:3", "e:0"]
    assert line.served == ["first", "a:0", "b:0", "c:0", "d:0"]


async def test_strangers_make_room_for_the_known():
    line = _Line(most_waiting=2)
    await line.arrive("first", "a:0", "b:0")

    await line.arrive("k:0", "l:0", "m:0", is_known=True)
    await line.arrive("c:0")
    await line.end()

    assert line.served == ["first", "k:0", "l:0"]
    assert sorted(line.refused) == ["a:0", "b:0", "c:0", "m:0"]


@pytest.mark.parametrize("is_its_turn", [False, True])
async def test_whoever_gives_up_takes_no_place_along(is_its_turn: bool):
    turns = FairTurns(at_once=1, most_waiting=10)

    async def ask() -> str:
        async with turns.turn("a", is_known=False):
            return "served"

    async with turns.turn("first", is_known=False):
        one, other = asyncio.create_task(ask()), asyncio.create_task(ask())
        await asyncio.sleep(0)
        if not is_its_turn:
            one.cancel()
    # Here the place was given to it, if it still waited, and it does not know yet.
    one.cancel()

    assert await other == "served"
    assert await ask() == "served"
    assert one.cancelled()
