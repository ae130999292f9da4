"""When work that is done again and again is due next."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Protocol


class Schedule(Protocol):
    """Says when work is due."""

    def first_wait(self, now: datetime) -> timedelta:
        """From `now` until the first run that there ever is."""
        ...

    def wait(self, now: datetime) -> timedelta:
        """From `now` until the next run."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """So long after the end of a run."""

    interval: timedelta

    def first_wait(self, now: datetime) -> timedelta:
        return timedelta(0)

    def wait(self, now: datetime) -> timedelta:
        return self.interval


@dataclass(frozen=True, slots=True)
class DailyAt:
    """Once a day at this time (UTC)."""

    at: time

    def first_wait(self, now: datetime) -> timedelta:
        return self.wait(now)

    def wait(self, now: datetime) -> timedelta:
        due = datetime.combine(now.date(), self.at, tzinfo=now.tzinfo)
        return (due if due > now else due + timedelta(days=1)) - now
