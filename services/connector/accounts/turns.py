"""Who is served next when few can be served at once: by turns, so that nobody's many hold up another one's single request."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Lanes = OrderedDict[str, deque["asyncio.Future[None]"]]


class LineFull(Exception):
    """So many wait that this one would give up before its turn."""


class FairTurns:
    """Places for `at_once`, and a line of at most `most_waiting` for them.

    Whoever waits stands in a lane, and the lanes are served one after the other. Those that are known have every second turn. When
    the line is full, the longest lane loses its last one.
    """

    def __init__(self, *, at_once: int, most_waiting: int) -> None:
        self._free = at_once
        self._most_waiting = most_waiting
        self._waiting = 0
        self._known: Lanes = OrderedDict()
        self._others: Lanes = OrderedDict()
        self._is_turn_of_known = True

    @asynccontextmanager
    async def turn(self, lane: str, *, is_known: bool) -> AsyncIterator[None]:
        """Wait for a place, and keep it until the block ends. Raises LineFull."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(lane, is_known=is_known)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, lane: str, *, is_known: bool) -> None:
        lanes = self._known if is_known else self._others
        if self._waiting >= self._most_waiting:
            self._make_room(lanes, own=len(lanes.get(lane, ())))
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lanes.setdefault(lane, deque()).append(place)
        self._waiting += 1
        try:
            await place
        except asyncio.CancelledError:
            # If the place was given in the same moment, somebody else has to have it.
            if place.done() and not place.cancelled() and place.exception() is None:
                self._pass_on()
            raise

    def _make_room(self, lanes: Lanes, *, own: int) -> None:
        """Send away the last of the longest lane, of strangers first. Raises LineFull if that would be the newcomer."""
        losing = self._others or lanes
        longest = max(losing, key=lambda lane: len(losing[lane]), default=None)
        if longest is None or (losing is lanes and len(losing[longest]) <= own + 1):
            raise LineFull
        last = losing[longest].pop()
        if not losing[longest]:
            del losing[longest]
        self._waiting -= 1
        if not last.done():
            last.set_exception(LineFull())

    def _pass_on(self) -> None:
        while (place := self._next()) is not None:
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def _next(self) -> "asyncio.Future[None] | None":
        order = (self._known, self._others) if self._is_turn_of_known else (self._others, self._known)
        self._is_turn_of_known = not self._is_turn_of_known
        for lanes in order:
            if lanes:
                lane, places = lanes.popitem(last=False)
                place = places.popleft()
                if places:
                    lanes[lane] = places
                self._waiting -= 1
                return place
        return None
