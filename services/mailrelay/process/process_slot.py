"""A slot for one child: its sockets, which stay, and the child that accepts on them at the moment."""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from services.mailrelay.process.child_handle import ChildHandle, ChildNotStarted
from services.mailrelay.process.listeners import Listeners
from shared.process import CANNOT_START

log = structlog.get_logger()

# A child that dies sooner after its start is likely to die again: the next one waits, longer each time.
_STEADY_SECONDS: Final = 5.0
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When a child that runs is taken to hang: it left so many questions in a row unanswered, each for so long.

    More than one, because a machine that stood still has stopped supervisor and child alike: the first question is late for both.
    """

    seconds: float = 3.0
    misses: int = 3


class ProcessSlot:
    def __init__(
        self, number: int, listeners: Listeners, shutdown_seconds: float, heartbeat: Heartbeat
    ) -> None:
        self.number = number
        self.port = int(listeners[0].getsockname()[1])
        self.child: ChildHandle | None = None
        self.deaths = 0
        self.hangs = 0
        self._heartbeat = heartbeat
        self._listeners = listeners
        self._shutdown_seconds = shutdown_seconds
        # Every child that runs: one that starts, the one that accepts, one that finishes.
        self._alive: set[ChildHandle] = set()
        self._starting = asyncio.Lock()
        self._started_at = 0.0
        self._quick_deaths = 0

    async def start_first(self) -> None:
        """Start the slot's first child, and try again as long as trying helps. Raises ChildNotStarted if an operator has to."""
        async with self._starting:
            await self._start_with_retries(gives_up=True)

    async def keep_running(self) -> None:
        """Whenever the child dies, start another one; for ever."""
        while True:
            child = self.child
            assert child is not None
            watching = asyncio.create_task(self._kill_if_it_hangs(child))
            try:
                exit_code = await child.wait()
            finally:
                watching.cancel()
            async with self._starting:
                if child is not self.child:
                    continue  # It was replaced.
                log.warning("process_died", process=self.number, pid=child.pid, exit_code=exit_code)
                self.deaths += 1
                self.child = None
                await self._end(child)
                await self._pause_after_a_quick_death()
                await self._start_with_retries(gives_up=False)

    async def replace(self) -> None:
        """Let a successor take over the sockets. Raises ChildNotStarted; then nothing has changed."""
        async with self._starting:
            predecessor = self.child
            await self._start()
        if predecessor is not None:
            await self._end(predecessor)

    async def close(self) -> None:
        """No new connections, and the end of every child."""
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*(self._end(child) for child in list(self._alive)))

    async def _kill_if_it_hangs(self, child: ChildHandle) -> None:
        """A child that hangs still gets its share of the connections, and answers none of them."""
        missed = 0
        while missed < self._heartbeat.misses:
            if await child.answers(within_seconds=self._heartbeat.seconds):
                missed = 0
                await asyncio.sleep(self._heartbeat.seconds)
            else:
                missed += 1
        log.error("process_hangs", process=self.number, pid=child.pid)
        self.hangs += 1
        child.kill()

    async def _start_with_retries(self, *, gives_up: bool) -> None:
        while True:
            try:
                return await self._start()
            except ChildNotStarted as error:
                if gives_up and error.exit_code == CANNOT_START:
                    raise
                log.warning("process_not_started", process=self.number, exit_code=error.exit_code)
                await self._pause_after_a_quick_death()

    async def _start(self) -> None:
        self._started_at = asyncio.get_running_loop().time()
        child = await ChildHandle.spawn(self.number, self._listeners)
        self._alive.add(child)
        try:
            await child.wait_until_ready()
        except ChildNotStarted:
            self._alive.discard(child)
            raise
        self.child = child

    async def _end(self, child: ChildHandle) -> None:
        await child.stop(within_seconds=self._shutdown_seconds)
        self._alive.discard(child)

    async def _pause_after_a_quick_death(self) -> None:
        """The first quick death is forgiven: its successor starts at once."""
        if asyncio.get_running_loop().time() - self._started_at > _STEADY_SECONDS:
            self._quick_deaths = 0
            return
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(self._quick_deaths - 1, 10))
        self._quick_deaths += 1
        if self._quick_deaths > 1:
            await asyncio.sleep(pause)
