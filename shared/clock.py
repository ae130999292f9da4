"""The clock that decides: PostgreSQL's, which all processes share. A machine whose own clock is wrong ends nothing before its time.

A process asks for it at times (`Sessions.now`) and counts on with its monotonic clock, which nobody sets. A statement that decides
by itself says now(). What cannot be made undone is done only while both clocks agree (`Sessions.agreed_now`): then neither has jumped.
"""

import math
import time
from datetime import datetime, timedelta
from typing import Final

import structlog

log = structlog.get_logger()

# Whoever asks first after so long asks for all in the process.
_ASK_AGAIN_SECONDS: Final = 10.0
# What was found out longer ago is not told any more.
_TOLD_SECONDS: Final = 300.0
# Clocks that are set by NTP differ by milliseconds.
TOLERANCE: Final = timedelta(minutes=1)


class ClocksDiffer(Exception):
    """The machine's clock and PostgreSQL's are more than TOLERANCE apart: one of them is wrong, and nobody knows which."""


class ClockUnknown(Exception):
    """Nobody in this process has asked for the time yet: a mistake of ours."""


class Clock:
    """What a process knows of PostgreSQL's clock."""

    def __init__(self) -> None:
        self._theirs: datetime | None = None
        self._read_at = -math.inf
        self._ask_at = -math.inf
        self._ahead = timedelta()

    def is_to_be_asked(self) -> bool:
        """Whether the caller has to ask PostgreSQL now. Meanwhile others count on, unless nothing is known yet."""
        if self._theirs is not None and time.monotonic() < self._ask_at:
            return False
        self._ask_at = time.monotonic() + _ASK_AGAIN_SECONDS
        return True

    def learn(self, theirs: datetime, *, asked_at: datetime, answered_at: datetime) -> None:
        """`theirs`: what PostgreSQL has answered just now; the others: this machine's own clock before and after."""
        # Counted from the answer's arrival, so that it is never ahead, however long the answer took.
        self._theirs, self._read_at = theirs, time.monotonic()
        self._ask_at = self._read_at + _ASK_AGAIN_SECONDS
        self._ahead = max(asked_at - theirs, timedelta()) or min(answered_at - theirs, timedelta())

    def now(self) -> datetime:
        """PostgreSQL's time. For whoever cannot wait; `Sessions.now` asks if need be. Raises ClockUnknown."""
        if self._theirs is None:
            raise ClockUnknown
        return self._theirs + timedelta(seconds=time.monotonic() - self._read_at)

    def require_agreement(self) -> None:
        """Raises ClocksDiffer, and tells the operators."""
        if abs(self._ahead) > TOLERANCE:
            log.error("clocks_differ", ahead_seconds=round(self._ahead.total_seconds()))
            raise ClocksDiffer

    def seconds_ahead(self) -> float:
        """How far this machine's clock is ahead of PostgreSQL's; NaN while that is not known."""
        known_for = time.monotonic() - self._read_at
        return self._ahead.total_seconds() if known_for < _TOLD_SECONDS else math.nan
