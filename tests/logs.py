"""What a process would write to its log, for tests that look through it."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typing_extensions import override

from shared.logging import configure_logging, flush_log


class WrittenLog(io.StringIO):
    """All lines up to the moment in which it is read."""

    @override
    def getvalue(self) -> str:
        flush_log()
        return super().getvalue()


@contextmanager
def log_written(monkeypatch: pytest.MonkeyPatch, *, level: str = "INFO") -> Iterator[WrittenLog]:
    """Everything that is logged meanwhile, in the form of a real process."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    # So that setting up the log closes none of pytest's handlers.
    root.handlers.clear()
    written = WrittenLog()
    monkeypatch.setattr("sys.stdout", written)
    configure_logging("tester", level=level)
    yield written
    root.handlers[:] = handlers
    root.setLevel(before)
