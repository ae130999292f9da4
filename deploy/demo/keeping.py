"""Keeps a process of the demo running: one that ends by itself is started again, unless that helps nothing."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn


class NotKept(Exception):
    """A process has ended again and again, each time soon after its start; the text says so."""


@dataclass(frozen=True, slots=True)
class Patience:
    """When a process is given up: after `most_quick_deaths` in a row, each within `quick_seconds` of its start. From the second on the next
    start waits for `first_pause_seconds`, and each time twice as long, up to `longest_pause_seconds`.
    """

    quick_seconds: float = 20.0
    most_quick_deaths: int = 5
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 5.0


_PATIENCE = Patience()


async def keep_running(
    name: str,
    *,
    ended: Callable[[], Awaitable[int | None]],
    start: Callable[[], Awaitable[None]],
    say: Callable[[str], None],
    patience: Patience = _PATIENCE,
) -> NoReturn:
    """`ended` waits for the process that runs and gives its exit code, if that is known; `start` starts another one. Raises NotKept."""
    loop = asyncio.get_running_loop()
    quick_deaths = 0
    while True:
        began = loop.time()
        how = _ending(await ended())
        quick_deaths = quick_deaths + 1 if loop.time() - began < patience.quick_seconds else 0
        if quick_deaths >= patience.most_quick_deaths:
            raise NotKept(f"{name} has stopped {quick_deaths} times, each time soon after its start{how}")
        if quick_deaths > 1:
            pause = patience.first_pause_seconds * 2.0 ** (quick_deaths - 2)
            await asyncio.sleep(min(pause, patience.longest_pause_seconds))
        say(f"{name} has stopped{how} and is started again")
        await start()


def _ending(exit_code: int | None) -> str:
    if exit_code is None:
        return ""
    if exit_code < 0:
        return f" ({signal.Signals(-exit_code).name})"
    return f" (exit code {exit_code})"
