"""Processes of their own that parse: a mail that takes for ever, or needs too much memory, ends the process that parses it and nothing else.

There are two, as a worker has two batches at a time: one of large mails must not hold up one of small ones. For speed one
would do: it parses some 2,000 ordinary mails a second.
"""

import asyncio
import multiprocessing
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

from services.mailrelay.parsing.mail import ParsedMail, parse_mail
from shared.errors import Expected

# The largest mails that tests know take a second or two; a batch of ordinary ones takes 50 ms.
PARSING_SECONDS: Final = 10.0
# The worst of 40 MB that tests know needs 310 MB. What needs more, where larger mail is let in, is shown by its header.
PARSING_MEMORY_BYTES: Final = 512 * 1024 * 1024
PROCESSES: Final = 2

# `spawn`: a forked copy would hold our database connections, and locks of threads that it does not have.
_CONTEXT = multiprocessing.get_context("spawn")


class ParsingTookTooLong(Expected):
    """The batch was not parsed within the limit of time, and the process was ended."""

    code = "parsing_took_too_long"


class ParserDied(Expected):
    """The process ended while it parsed: killed for its memory, for one."""

    code = "parser_died"


@dataclass(frozen=True, slots=True)
class _Running:
    process: BaseProcess
    connection: Connection

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class ParserPool:
    """A pool of processes that parse batches. A process is started when it is needed, and anew after it was ended."""

    def __init__(
        self,
        *,
        seconds: float = PARSING_SECONDS,
        memory_bytes: int = PARSING_MEMORY_BYTES,
        processes: int = PROCESSES,
    ) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._free = asyncio.Semaphore(processes)
        self._all: set[_Running] = set()
        self._idle: list[_Running] = []

    async def parse(self, mails: list[bytes]) -> list[ParsedMail]:
        """Raises ParsingTookTooLong or ParserDied: then none of the batch is parsed, and the next call starts afresh."""
        async with self._free:
            running = self._idle.pop() if self._idle else await asyncio.to_thread(self._start)
            try:
                parsed = await asyncio.to_thread(self._ask, running, mails)
            except (
                BaseException
            ):  # whatever it is doing now, nobody waits for it; the waiting thread hears of its end
                self._all.discard(running)
                running.process.kill()
                raise
            self._idle.append(running)
            return parsed

    def close(self) -> None:
        """End all processes of the pool."""
        self._idle.clear()
        while self._all:
            self._all.pop().end()

    def _start(self) -> _Running:
        running = _start(self._memory_bytes)
        self._all.add(running)
        return running

    def _ask(self, running: _Running, mails: list[bytes]) -> list[ParsedMail]:
        try:
            running.connection.send(mails)
            if not running.connection.poll(self._seconds):
                running.end()
                raise ParsingTookTooLong
            parsed: list[ParsedMail] = running.connection.recv()
        except (EOFError, ConnectionError) as error:
            running.end()
            raise ParserDied from error
        return parsed


def _start(memory_bytes: int) -> _Running:
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_serve, args=(theirs, memory_bytes), name="mail-parser", daemon=True)
    process.start()
    theirs.close()
    try:
        ours.recv()  # the time that its imports take is not the first mail's
    except EOFError as error:
        process.join()
        ours.close()
        raise ParserDied from error
    return _Running(process, ours)


def _serve(connection: Connection, memory_bytes: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # these are for the worker, which ends us
    # What is asked for beyond is refused: Python raises MemoryError, and only the mail's header is read; a library may abort.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with suppress(EOFError, ConnectionError):  # the worker is gone, however it went
        connection.send("ready")
        while True:
            mails: list[bytes] = connection.recv()
            connection.send([parse_mail(mail) for mail in mails])
