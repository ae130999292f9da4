"""The connector's commands without a process of their own, whose imports take up to two seconds each time."""

import asyncio
import os
from collections.abc import Mapping

from typer.testing import CliRunner

from services.connector.__main__ import cli
from tests.kept_database import forget_outages
from tests.processes import command


async def run_here(
    environment: Mapping[str, str], *arguments: str, typed: str | None = None
) -> tuple[int, str]:
    """The exit code of a command, and what it prints. `typed`: what it reads. For commands that set up no log and end by themselves."""
    # A command has an event loop of its own, and as a process knows nothing of what others here have met.
    forget_outages()
    result = await asyncio.to_thread(CliRunner(env=environment).invoke, cli, arguments, input=typed)
    return result.exit_code, result.output


async def run_process(environment: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """In a process of its own, which sets up its log."""
    process = await asyncio.create_subprocess_exec(
        *command("services.connector", *arguments),
        env={"PATH": os.defpath, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    output = await process.stdout.read()
    return await process.wait(), output.decode()
