"""The demo's processes are started again when they end by themselves, and given up when that helps nothing."""

import asyncio
import os
import re
import signal
import sys

import pytest

from deploy.demo.keeping import NotKept, Patience, keep_running

_PATIENT = Patience(first_pause_seconds=0.01, longest_pause_seconds=0.05)


class _Processes:
    """Real ones, of a program that waits for ever or ends with an exit code."""

    def __init__(self, exit_code: int | None = None) -> None:
        self._program = (
            "import signal; signal.pause()" if exit_code is None else f"raise SystemExit({exit_code})"
        )
        self.started = 0
        self.running: asyncio.subprocess.Process | None = None
        self.said: asyncio.Queue[str] = asyncio.Queue()

    async def start(self) -> None:
        self.started += 1
        self.running = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", self._program)

    async def ended(self) -> int:
        assert self.running is not None
        return await self.running.wait()

    async def keep(self, patience: Patience) -> None:
        await keep_running(
            "worker", ended=self.ended, start=self.start, say=self.said.put_nowait, patience=patience
        )


async def test_what_is_killed_is_started_again_and_said_so_in_a_line_each():
    processes = _Processes()
    await processes.start()
    # None of these deaths is a quick one.
    keeping = asyncio.create_task(processes.keep(Patience(quick_seconds=0)))
    said = []
    for number in (
        signal.SIGKILL,
        signal.SIGTERM,
        signal.SIGKILL,
        signal.SIGKILL,
        signal.SIGKILL,
        signal.SIGKILL,
    ):
        killed = processes.running
        assert killed is not None
        os.kill(killed.pid, number)
        said.append(await asyncio.wait_for(processes.said.get(), 20))
        while processes.running is killed:  # noqa: ASYNC110 - that it has started is no event
            await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert processes.running is not None
    processes.running.kill()
    await processes.running.wait()

    assert said[:2] == [
        "worker has stopped (SIGKILL) and is started again",
        "worker has stopped (SIGTERM) and is started again",
    ]
    assert processes.started == 7


async def test_what_ends_at_once_again_and_again_is_given_up():
    processes = _Processes(exit_code=3)
    await processes.start()

    given_up = re.escape("worker has stopped 5 times, each time soon after its start (exit code 3)")
    with pytest.raises(NotKept, match=given_up):
        await asyncio.wait_for(processes.keep(_PATIENT), 60)

    assert processes.started == _PATIENT.most_quick_deaths
