"""Tasks that a role runs beside its main work. One that ends before the role does is logged, restarted, and seen by readiness."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import structlog
from prometheus_client import CollectorRegistry, Counter

from shared.availability import DATABASE
from shared.database import Sessions, database_problem, is_unavailable
from shared.side_port import STOPPING

log = structlog.get_logger()

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0

_LOOK_SECONDS: Final = 1.0

Run = Callable[[], Coroutine[Any, Any, None]]


async def wait_for_tables(sessions: Sessions, stop: asyncio.Event) -> None:
    """Wait until this code can work on the database, or until `stop`. In an upgrade it may be there before its tables: whatever it took in hand
    would fail, and wait, though the version before it can do it.
    """
    told = None
    while not stop.is_set():
        problem = await database_problem(sessions)
        if problem is None:
            return
        if problem != told:
            log.warning("waits_for_database", problem=problem)
        told = problem
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await stop.wait()


class BackgroundTasks:
    """The background tasks of one role, for an `async with` block, at whose end they end.

    A task that returns, raises or is cancelled before `stop` is set is restarted after a pause, which doubles while the task does
    not run for as long as it paused. From its end until it has run for so long, `problem` names it.
    """

    def __init__(
        self,
        stop: asyncio.Event,
        registry: CollectorRegistry,
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        self._stop = stop
        self._first_pause = first_pause_seconds
        self._longest_pause = longest_pause_seconds
        self._restarts = Counter(
            "replyco_background_restarts",
            "Background tasks that ended unexpectedly and were restarted",
            ["task"],
            registry=registry,
        )
        self._failing: set[str] = set()
        self._until_cancelled: list[asyncio.Task[None]] = []
        self._until_stop: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Run, *, ends_at_stop: bool = False) -> None:
        """Keep `run()` running. What ends by itself once `stop` is set is waited for; anything else is cancelled."""
        self._restarts.labels(name)
        keeping = asyncio.create_task(self._keep_running(name, run))
        (self._until_stop if ends_at_stop else self._until_cancelled).append(keeping)

    def problem(self) -> str | None:
        """Why the role is not ready: it is being stopped, or tasks have ended and are not running steadily again. None if all run."""
        if self._stop.is_set():
            return STOPPING
        if not self._failing:
            return None
        return f"background tasks have ended and are restarted: {', '.join(sorted(self._failing))}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # A block that is left by an exception leaves `stop` unset.
        cancelled = self._until_cancelled + ([] if self._stop.is_set() else self._until_stop)
        for keeping in cancelled:
            keeping.cancel()
        await asyncio.gather(*self._until_cancelled, *self._until_stop, return_exceptions=True)

    async def _keep_running(self, name: str, run: Run) -> None:
        loop = asyncio.get_running_loop()
        pause = 0.0
        while not self._stop.is_set():
            began = loop.time()
            recovery = loop.call_later(pause, self._failing.discard, name)
            try:
                await self._run_once(name, run)
            finally:
                recovery.cancel()
            if self._stop.is_set():
                return
            self._failing.add(name)
            self._restarts.labels(name).inc()
            has_run_steadily = loop.time() - began > pause
            pause = self._first_pause if has_run_steadily else min(pause * 2, self._longest_pause)
            await self._wait_for_stop(pause)

    async def _run_once(self, name: str, run: Run) -> None:
        # A task of its own: what cancels itself must not end the loop that restarts it.
        task = asyncio.create_task(run(), name=f"background: {name}")
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        error = None if task.cancelled() else task.exception()
        if error is not None and is_unavailable(error):
            DATABASE.is_away(error)
        elif error is not None or not self._stop.is_set():
            log.error("background_task_ended", task=name, exc_info=error)

    async def _wait_for_stop(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass
