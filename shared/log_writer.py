"""Writes log lines in a thread of its own, so that a full pipe or a slow disk holds up nobody.

A line is taken at once or, if too many wait already, lost and counted. Lines that wait when the process ends are written first, unless
that takes too long; those of a process that is killed are lost.
"""

import atexit
import io
import os
import select
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, TextIO

# A few megabytes. Whoever does not read that much will not read the rest in time either.
MOST_WAITING: Final = 10_000
# So much of a pipe is written in one piece: lines of several processes never mix (pipe(7)).
_PIECE: Final = select.PIPE_BUF
# Lines that come within this time are written together; to wake the thread costs more than to write a line, and whoever logs waits for
# the interpreter meanwhile.
_GATHER_SECONDS: Final = 0.05
# What a process that ends waits for whoever reads its lines.
_END_SECONDS: Final = 2.0


class LogWriter:
    """Takes lines for one output. Its name for them, `msg` and so on, is the one that structlog calls."""

    def __init__(self, output: TextIO, *, most_waiting: int = MOST_WAITING) -> None:
        self._write = _writing_to(output)
        self._most_waiting = most_waiting
        self._lines: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._is_hurried = threading.Event()
        self.lost = 0
        threading.Thread(target=self._run, name="log writer", daemon=True).start()
        atexit.register(self.flush)

    def msg(self, line: str) -> None:
        """Have a line written. Never waits."""
        if self._lines.qsize() >= self._most_waiting:
            self.lost += 1
        else:
            self._lines.put(line)

    debug = info = warning = error = critical = exception = msg

    def flush(self, seconds: float = _END_SECONDS) -> None:
        """Wait until everything that was taken so far is written or lost, but no longer than this."""
        written = threading.Event()
        self._lines.put(written)
        self._is_hurried.set()
        written.wait(seconds)

    def _run(self) -> None:
        while True:
            first = self._lines.get()
            if isinstance(first, str):
                self._is_hurried.wait(_GATHER_SECONDS)
            self._is_hurried.clear()
            self._write_waiting(first)

    def _write_waiting(self, first: str | threading.Event) -> None:
        """Everything that waits, in pieces of whole lines."""
        piece, size = list[str](), 0
        item: str | threading.Event | None = first
        while item is not None:
            if isinstance(item, threading.Event):
                self._write_piece(piece)
                item.set()
                piece, size = [], 0
            else:
                if size + len(item) >= _PIECE:
                    self._write_piece(piece)
                    piece, size = [], 0
                piece.append(item)
                size += len(item) + 1
            try:
                item = self._lines.get_nowait()
            except Empty:
                item = None
        self._write_piece(piece)

    def _write_piece(self, lines: list[str]) -> None:
        if not lines:
            return
        try:
            self._write("\n".join(lines) + "\n")
        except (OSError, ValueError):
            # A full disk, a pipe without reader: whatever the process is about to do matters more.
            self.lost += len(lines)


def _writing_to(output: TextIO) -> Callable[[str], object]:
    """Past the buffer, whose lock the interpreter would wait for in vain at its end if the thread had it."""
    try:
        descriptor = output.fileno()
    except (OSError, io.UnsupportedOperation):
        return output.write

    def write(text: str) -> None:
        left = text.encode(errors="backslashreplace")
        while left:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:  # somebody else who has this pipe wants it so
                select.select([], [descriptor], [])

    return write
