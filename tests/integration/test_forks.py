"""A fork of a process that has loaded a program is what the program is when it is executed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

import psutil
import pytest

from tests import forks
from tests.processes import command

pytestmark = pytest.mark.skipif(not forks.are_possible(), reason="no process can start a sibling here")

PROGRAM = "tests.integration.forked"


async def started(end: str, *, executed: bool = False) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command(PROGRAM, end, executed=executed),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "REPLYCO_ONE": "1=2"},
    )


async def told_by(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(await process.stdout.readline())
    return told


def is_fork(process: asyncio.subprocess.Process) -> bool:
    return "tests.forks" in psutil.Process(process.pid).cmdline()


@pytest.fixture
async def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are forks, as in a run with several workers."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", os.environ.get("PYTEST_XDIST_WORKER", "gw0"))  # noqa: TID251
    was_fork = False
    async with asyncio.timeout(120):
        while not was_fork:
            process = await started("never")
            await told_by(process)
            was_fork = is_fork(process)
            process.kill()
            await process.wait()


@pytest.mark.usefixtures("forking")
async def test_a_fork_is_as_if_it_was_executed():
    forked, executed = await started("7"), await started("7", executed=True)

    told = await told_by(forked)
    assert told == await told_by(executed)
    assert (told["parent"], told["files"]) == (os.getpid(), [0, 1, 2])
    assert told["environment"].items() >= {"PATH": os.defpath, "REPLYCO_ONE": "1=2"}.items()
    for process in (forked, executed):
        assert process.stderr is not None
        assert await process.stderr.read() == b"error\n"
        assert await process.wait() == 7


@pytest.mark.usefixtures("forking")
async def test_signals_reach_a_fork_and_its_end_is_told():
    by_itself, by_us = await started("signal"), await started("never")
    await told_by(by_us)
    by_us.send_signal(signal.SIGINT)

    assert (await by_itself.wait(), await by_us.wait()) == (-signal.SIGTERM, -signal.SIGINT)


@pytest.mark.usefixtures("forking")
async def test_a_fork_ends_when_its_standard_input_does():
    process = await started("never")
    await told_by(process)
    assert process.stdin is not None
    process.stdin.close()

    assert await asyncio.wait_for(process.wait(), 20) == 1


@pytest.mark.usefixtures("forking")
@pytest.mark.parametrize(
    "unlike", [{"cwd": "/"}, {"env": {"PYTHONUNBUFFERED": "1"}}, {"start_new_session": True}, {"env": None}]
)
def test_what_a_fork_cannot_be_like_is_executed(unlike: dict[str, Any]):
    given: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": {}} | unlike
    with subprocess.Popen(command(PROGRAM, "never"), **given) as process:
        assert process.stdout is not None
        words = psutil.Process(process.pid).cmdline()
        process.kill()
    assert "tests.forks" not in words


_WORKER = """
import subprocess, time
from tests import forks
from tests.processes import command

is_fork = False
while not is_fork:
    process = subprocess.Popen(command("tests.integration.forked", "never"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
    process.stdout.readline()
    with open(f"/proc/{process.pid}/cmdline") as words:
        is_fork = "tests.forks" in words.read()
print("forked", flush=True)
time.sleep(600)
"""


async def test_nothing_is_left_of_a_worker_that_was_killed():
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WORKER),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "PYTEST_XDIST_WORKER": "gw0"},
    )
    assert worker.stdout is not None
    assert worker.stderr is not None
    assert await asyncio.wait_for(worker.stdout.readline(), 60) == b"forked\n"
    worker.kill()
    await worker.wait()

    # The server and what it has forked hold the pipe as well: it ends when nobody does any more.
    await asyncio.wait_for(worker.stderr.read(), 20)
