"""Keeps the processes that accept mail: starts them, starts them again, replaces those that hang, replaces all one by one, and stops them.

It opens the ports, gives up root's rights, and never reads a byte that a client sent. The sockets stay open in it, so
that a connection which comes while a process is away waits for the next one (docs/adr/0007).
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Final

import structlog

from services.mailrelay.process.aggregated_status import ProcessAggregator
from services.mailrelay.process.child_handle import ChildNotStarted
from services.mailrelay.process.listeners import open_listeners
from services.mailrelay.process.privileges import drop_privileges_to, require_files
from services.mailrelay.process.process_slot import Heartbeat, ProcessSlot
from services.mailrelay.settings import RelaySettings
from shared.process import CANNOT_START
from shared.side_port import answering_on, open_listener

log = structlog.get_logger()

_HEARTBEAT: Final = Heartbeat()


async def supervise(
    settings: RelaySettings, stop: asyncio.Event, *, heartbeat: Heartbeat = _HEARTBEAT
) -> None:
    """Run the processes until `stop`, and as long after it as `settings` let balancers take to notice. Raises PortTaken, PrivilegesNotDropped and FileNotAccessible before any is started, and
    SystemExit if one says that an operator has to help before it can start."""
    slots = [
        ProcessSlot(number, listeners, settings.shutdown_seconds, heartbeat)
        for number, listeners in enumerate(open_listeners(settings, settings.processes))
    ]
    side = open_listener(settings.side_host, settings.side_port, setting="REPLYCO_SIDE_PORT")
    ports = {"smtp_port": slots[0].port, "side_port": int(side.getsockname()[1])}
    if settings.run_as is not None:
        drop_privileges_to(settings.run_as)
        require_files(settings, settings.run_as)
    async with answering_on(side, ProcessAggregator(slots, stop).answer):
        working = asyncio.create_task(_keep_running(slots, ports))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            log.info("draining", seconds=settings.seconds_to_drain)
            await asyncio.wait([working], timeout=settings.seconds_to_drain)
        for task in (working, stopping):
            task.cancel()
        failure, _ = await asyncio.gather(working, stopping, return_exceptions=True)
        await asyncio.gather(*(slot.close() for slot in slots))
    if isinstance(failure, ChildNotStarted):
        # Why, it has written to standard error already.
        raise SystemExit(CANNOT_START)
    if isinstance(failure, Exception):
        raise failure
    log.info("relay_stopped")


async def _keep_running(slots: Sequence[ProcessSlot], ports: dict[str, int]) -> None:
    restart = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, restart.set)
    # One after the other: what keeps the first from starting is said once.
    for slot in slots:
        await slot.start_first()
    log.info("relay_ready", processes=len(slots), **ports)
    if os.geteuid() == 0:
        log.warning("runs_as_root", cure="set REPLYCO_RUN_AS")
    async with asyncio.TaskGroup() as group:
        for slot in slots:
            group.create_task(slot.keep_running())
        while True:
            await restart.wait()
            restart.clear()
            await _replace_all(slots)


async def _replace_all(slots: Sequence[ProcessSlot]) -> None:
    """The rolling restart: never more than one process is on its way out."""
    log.info("restart_begun")
    for slot in slots:
        try:
            await slot.replace()
        except ChildNotStarted as error:
            log.warning("restart_given_up", process=slot.number, exit_code=error.exit_code)
            return
    log.info("restart_done")
