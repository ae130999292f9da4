"""Keeps the processes that accept mail: starts them, starts them again, replaces them one by one, and stops them.

It opens the ports, gives up root's rights, and never reads a byte that a client sent. The sockets stay open in it, so
that a connection which comes while a process is away waits for the next one (docs/adr/0007).
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Final

import structlog

from services.mailrelay.process.aggregated_status import Whole
from services.mailrelay.process.child_handle import AcceptingProcess, NotStarted
from services.mailrelay.process.listeners import Listeners, open_listeners
from services.mailrelay.process.privileges import drop_to, require_files
from services.mailrelay.settings import RelaySettings
from shared.process import CANNOT_START
from shared.side_port import answering_on, open_listener

log = structlog.get_logger()

# A process that dies sooner after its start is likely to die again: the next one waits, longer each time.
_STEADY_SECONDS: Final = 5.0
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 10.0


async def supervise(settings: RelaySettings, stop: asyncio.Event) -> None:
    """Run the processes until `stop`. Raises PortTaken, RightsNotDropped and NotAllowed before any is started, and
    SystemExit if one says that an operator has to help before it can start."""
    places = [
        Place(number, listeners, settings.shutdown_seconds)
        for number, listeners in enumerate(open_listeners(settings, settings.processes))
    ]
    side = open_listener(settings.side_host, settings.side_port, setting="REPLYCO_SIDE_PORT")
    ports = {"smtp_port": places[0].port, "side_port": int(side.getsockname()[1])}
    if settings.run_as is not None:
        drop_to(settings.run_as)
        require_files(settings, settings.run_as)
    async with answering_on(side, Whole(places).answer):
        working = asyncio.create_task(_work(places, ports))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (working, stopping):
            task.cancel()
        failure, _ = await asyncio.gather(working, stopping, return_exceptions=True)
        await asyncio.gather(*(place.close() for place in places))
    if isinstance(failure, NotStarted):
        # Its own words are on standard error already.
        raise SystemExit(CANNOT_START)
    if isinstance(failure, Exception):
        raise failure
    log.info("relay_stopped")


async def _work(places: "Sequence[Place]", ports: dict[str, int]) -> None:
    restart = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, restart.set)
    # One after the other: what keeps the first from starting is said once.
    for place in places:
        await place.start_first()
    log.info("relay_ready", processes=len(places), **ports)
    if os.geteuid() == 0:
        log.warning("runs_as_root", cure="set REPLYCO_RUN_AS")
    async with asyncio.TaskGroup() as group:
        for place in places:
            group.create_task(place.keep())
        while True:
            await restart.wait()
            restart.clear()
            await _replace_all(places)


async def _replace_all(places: "Sequence[Place]") -> None:
    """The rolling restart: never more than one process is on its way out."""
    log.info("restart_begun")
    for place in places:
        try:
            await place.replace()
        except NotStarted as error:
            log.warning("restart_given_up", process=place.number, exit_code=error.exit_code)
            return
    log.info("restart_done")


class Place:
    """One of the places for a process: its sockets, which stay, and the process that accepts on them at the moment."""

    def __init__(self, number: int, listeners: Listeners, shutdown_seconds: float) -> None:
        self.number = number
        self.port = int(listeners[0].getsockname()[1])
        self.process: AcceptingProcess | None = None
        self.deaths = 0
        self._listeners = listeners
        self._shutdown_seconds = shutdown_seconds
        # All that have been started and have not ended: one that starts, the one that accepts, one that finishes.
        self._alive: set[AcceptingProcess] = set()
        self._starting = asyncio.Lock()
        self._started_at = 0.0
        self._quick_deaths = 0

    async def start_first(self) -> None:
        """Raises NotStarted if an operator has to help."""
        async with self._starting:
            await self._start_patiently(gives_up=True)

    async def keep(self) -> None:
        """Whenever the process dies, start another one; for ever."""
        while True:
            process = self.process
            assert process is not None
            exit_code = await process.ended()
            async with self._starting:
                if process is not self.process:
                    continue  # It was replaced.
                log.warning("process_died", process=self.number, pid=process.pid, exit_code=exit_code)
                self.deaths += 1
                self.process = None
                await self._end(process)
                await self._pause_after_a_quick_death()
                await self._start_patiently(gives_up=False)

    async def replace(self) -> None:
        """Let a successor take over the sockets. Raises NotStarted; then nothing has changed."""
        async with self._starting:
            predecessor = self.process
            await self._start()
        if predecessor is not None:
            await self._end(predecessor)

    async def close(self) -> None:
        """No new connections, and the end of every process."""
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*(self._end(process) for process in list(self._alive)))

    async def _start_patiently(self, *, gives_up: bool) -> None:
        while True:
            try:
                return await self._start()
            except NotStarted as error:
                if gives_up and error.exit_code == CANNOT_START:
                    raise
                log.warning("process_not_started", process=self.number, exit_code=error.exit_code)
                await self._pause_after_a_quick_death()

    async def _start(self) -> None:
        self._started_at = asyncio.get_running_loop().time()
        process = await AcceptingProcess.spawn(self.number, self._listeners)
        self._alive.add(process)
        try:
            await process.ready()
        except NotStarted:
            self._alive.discard(process)
            raise
        self.process = process

    async def _end(self, process: AcceptingProcess) -> None:
        await process.end(within_seconds=self._shutdown_seconds)
        self._alive.discard(process)

    async def _pause_after_a_quick_death(self) -> None:
        """None after the first one."""
        if asyncio.get_running_loop().time() - self._started_at > _STEADY_SECONDS:
            self._quick_deaths = 0
            return
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(self._quick_deaths - 1, 10))
        self._quick_deaths += 1
        if self._quick_deaths > 1:
            await asyncio.sleep(pause)
