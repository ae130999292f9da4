"""A test that is killed leaves nothing running."""

import asyncio
import sys

_STARTER = """
import subprocess, time
from tests.processes import command

subprocess.Popen(command("http.server", "0", "--bind", "127.0.0.1"), stdin=subprocess.PIPE)
time.sleep(600)
"""


async def test_a_process_ends_with_the_test_that_started_it():
    starter = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        "-c",
        _STARTER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert starter.stdout is not None
    try:
        assert b"Serving" in await asyncio.wait_for(starter.stdout.readline(), 20)
    finally:
        starter.kill()
        await starter.wait()

    # The pipe ends when nobody holds it any more.
    await asyncio.wait_for(starter.stdout.read(), 10)
