"""What a process depends on and does not reach: a warning once when it goes away, a line once when it is back, and nothing in between.

Whoever meets the failure says so here, however many do; an error in the log stays what somebody has to mend.
"""

import asyncio
import time
from typing import Final

import structlog

log = structlog.get_logger()

# What comes and goes within so short a time is still away: a server that stops or starts answers some and not others.
_SETTLED_SECONDS: Final = 1.0


class Dependency:
    """One that this process needs, by the name that stands before `_unavailable` and `_back` in the log."""

    def __init__(self, name: str, *, settled_seconds: float = _SETTLED_SECONDS) -> None:
        self._lost, self._found = f"{name}_unavailable", f"{name}_back"
        self._settled_seconds = settled_seconds
        self._away_since: float | None = None
        self._failures = 0
        self._coming_back: asyncio.TimerHandle | None = None

    def is_away(self, error: BaseException | None = None, **fields: object) -> None:
        """It was not reached just now. Told if it was until then; `fields` say more."""
        self._stay_away()
        self._failures += 1
        if self._away_since is None:
            self._away_since = time.monotonic()
            what = fields if error is None else {**fields, "exc_info": error}
            log.warning(self._lost, **what)

    def answers(self) -> None:
        """It was reached just now. Told if it was away, and goes on answering."""
        if self._away_since is None or self._coming_back is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # in a thread
            self._is_back()
        else:
            self._coming_back = loop.call_later(self._settled_seconds, self._is_back)

    def _stay_away(self) -> None:
        if self._coming_back is not None:
            self._coming_back.cancel()
            self._coming_back = None

    def _is_back(self) -> None:
        self._coming_back = None
        if self._away_since is None:
            return
        seconds = round(time.monotonic() - self._away_since, 1)
        self._away_since, failures, self._failures = None, self._failures, 0
        log.info(self._found, seconds=seconds, failures=failures)


# There is one for a process, whatever in it asks.
DATABASE: Final = Dependency("database")
