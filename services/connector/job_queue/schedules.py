"""When work that is done again and again is due next."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, Protocol

_FIRST_RETRY: Final = timedelta(minutes=1)
_LONGEST_RETRY: Final = timedelta(hours=1)


class Schedule(Protocol):
    """Says when work is due."""

    def first_wait(self, now: datetime) -> timedelta:
        """The time from `now` until the very first run."""
        ...

    def wait(self, now: datetime) -> timedelta:
        """The time from `now` until the next run."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Due an `interval` after the end of the last run."""

    interval: timedelta

    def first_wait(self, now: datetime) -> timedelta:
        return timedelta(0)

    def wait(self, now: datetime) -> timedelta:
        return self.interval


@dataclass(frozen=True, slots=True)
class DailyAt:
    """Due once a day at this time (UTC)."""

    at: time

    def first_wait(self, now: datetime) -> timedelta:
        return self.wait(now)

    def wait(self, now: datetime) -> timedelta:
        due = datetime.combine(now.date(), self.at, tzinfo=now.tzinfo)
        return (due if due > now else due + timedelta(days=1)) - now


def retry_wait(failures: int) -> timedelta:
    """How long work waits that has failed so many times in a row: a minute, then twice as long each time, an hour at the most."""
    doublings = min(failures - 1, 10)
    return min(_FIRST_RETRY * (1 << doublings), _LONGEST_RETRY)
