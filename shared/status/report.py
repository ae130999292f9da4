"""Puts together what `/status` of a process answers: the process, and what waits and fails, as far as its database role may read it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import structlog

from shared.driver import DATABASE_AWAY, DatabaseUnavailable
from shared.logging import lost_lines, recent_errors
from shared.schema_revision import packaged_revisions
from shared.version import version

log = structlog.get_logger()

Facts = Mapping[str, object]
# Whoever asks within this time is told the same: however many ask, the database is asked once.
_FRESH_SECONDS: Final = 2.0
# All statements together; one that waits for a place among the connections counts, too.
_LOOK_SECONDS: Final = 5.0


class StatusReport:
    """Answers for one process. What is not known now, because the database does not answer, is None.

    `read`: what else is told. It and `database_problem` raise DatabaseUnavailable.
    """

    def __init__(
        self,
        role: str,
        *,
        database_problem: Callable[[], Awaitable[str | None]],
        problem: Callable[[], str | None] = lambda: None,
        read: Callable[[], Awaitable[Facts]] | None = None,
        fresh_seconds: float = _FRESH_SECONDS,
    ) -> None:
        self._role = role
        self._database_problem = database_problem
        self._problem = problem
        self._read = read
        self._started_at = datetime.now(UTC)
        self._fresh_seconds = fresh_seconds
        self._looking: asyncio.Future[Facts] | None = None
        self._looked_at = 0.0

    async def __call__(self) -> Facts:
        is_old = time.monotonic() - self._looked_at > self._fresh_seconds
        if self._looking is None or (self._looking.done() and is_old):
            self._looking = asyncio.create_task(self._look())
        # One who hangs up takes nobody else's answer away.
        return await asyncio.shield(self._looking)

    async def _look(self) -> Facts:
        problem, state = await self._ask_database()
        self._looked_at = time.monotonic()
        problem = problem or self._problem()
        return {
            "role": self._role,
            "version": version(),
            "started_at": self._started_at,
            "at": datetime.now(UTC),
            "is_ready": problem is None,
            "problem": problem,
            "tables_needed": packaged_revisions().head,
            **state,
            "log_lines_lost": lost_lines(),
            "last_errors": recent_errors(),
        }

    async def _ask_database(self) -> tuple[str | None, Facts]:
        """Why the database cannot be worked on, if it cannot, and what it says."""
        unknown: Facts = {} if self._read is None else {"tables": None, "queues": None, "troubles": None}
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                problem = await self._database_problem()
                if problem is not None or self._read is None:
                    return problem, unknown
                return None, await self._read()
        except TimeoutError:
            return f"the database took longer than {_LOOK_SECONDS:.0f} seconds", unknown
        except DatabaseUnavailable:
            return DATABASE_AWAY, unknown
        except Exception:  # the page is for whoever looks for what is wrong
            log.exception("status_not_read")
            return "what waits could not be read: the log has `status_not_read`", unknown
