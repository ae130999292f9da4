"""Processes of their own that parse: a mail that takes for ever, or needs too much memory, ends the process that parses it and nothing else.

Each lane of mail has a pool of its own, so that what is slow in one is waited for in no other. For speed one process would do: it
parses some 2,000 ordinary mails a second.
"""

import asyncio
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Final, NamedTuple

from services.mailrelay.parsing.mail import ParsedMail
from shared.errors import Expected

# For one mail. The largest that tests know take a second or two, an ordinary one takes half a millisecond.
PARSING_SECONDS: Final = 10.0
# The worst of 40 MB that tests know needs 310 MB. What needs more, where larger mail is let in, is shown by its header.
PARSING_MEMORY_BYTES: Final = 512 * 1024 * 1024

# What of our environment a parser gets: how Python, C and the system behave. Never settings, which hold passwords.
_ENVIRONMENT: Final = re.compile(r"PATH|LANG|TZ|(PYTHON|LC_|LD_|MALLOC_).*")


class ParsingTookTooLong(Expected):
    """A mail was not parsed within the limit of time, and the process was ended."""

    code = "parsing_took_too_long"


class ParserDied(Expected):
    """The process ended while it parsed: killed for its memory, for one."""

    code = "parser_died"


class ParsedTurn(NamedTuple):
    """The first mails of a batch, parsed, and what was the matter with the one behind them; None if the time for a turn was over.

    `costs`: the processor time of each, in seconds, which a busy machine makes no longer.
    """

    mails: list[ParsedMail]
    costs: list[float]
    failure: Expected | None


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    connection: Connection

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


class ParserPool:
    """A pool of processes that parse. A process is started when it is needed, and anew after it was ended.

    `niceness`: how far they stand back where processors are scarce (nice(2)).
    """

    def __init__(
        self,
        *,
        seconds: float = PARSING_SECONDS,
        memory_bytes: int = PARSING_MEMORY_BYTES,
        processes: int = 1,
        niceness: int = 0,
    ) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._niceness = niceness
        self._free = asyncio.Semaphore(processes)
        self._all: set[_Running] = set()
        self._idle: list[_Running] = []

    async def parse(self, mails: Sequence[bytes]) -> list[ParsedMail]:
        """All of them, however long it takes. Raises ParsingTookTooLong or ParserDied for the first that cannot be parsed."""
        turn = await self.parse_for(mails, turn_seconds=math.inf)
        if turn.failure is not None:
            raise turn.failure
        return turn.mails

    async def parse_for(self, mails: Sequence[bytes], *, turn_seconds: float) -> ParsedTurn:
        """As many as come within that time and one mail more, and none behind one that cannot be parsed."""
        if not mails:
            return ParsedTurn([], [], None)
        async with self._free:
            running = self._idle.pop() if self._idle else await asyncio.to_thread(self._start)
            try:
                turn = await asyncio.to_thread(self._ask, running, mails, turn_seconds)
            except (
                BaseException
            ):  # whatever it is doing now, nobody waits for it; the waiting thread hears of its end
                self._all.discard(running)
                running.process.kill()
                raise
            if turn.failure is None:
                self._idle.append(running)
            else:
                self._all.discard(running)
            return turn

    def close(self) -> None:
        """End all processes of the pool."""
        self._idle.clear()
        while self._all:
            self._all.pop().end()

    def _start(self) -> _Running:
        running = _start(self._memory_bytes, self._niceness)
        self._all.add(running)
        return running

    def _ask(self, running: _Running, mails: Sequence[bytes], turn_seconds: float) -> ParsedTurn:
        parsed: list[ParsedMail] = []
        costs: list[float] = []
        try:
            # All at once: the process goes on to the next mail whether or not this one has had time to hear of the last.
            running.connection.send((list(mails), turn_seconds))
            while True:
                if not running.connection.poll(self._seconds):
                    running.end()
                    return ParsedTurn(parsed, costs, ParsingTookTooLong())
                mail_parsed, cost, is_last = running.connection.recv()
                parsed.append(mail_parsed)
                costs.append(cost)
                if is_last:
                    return ParsedTurn(parsed, costs, None)
        except (EOFError, ConnectionError):
            running.end()
            return ParsedTurn(parsed, costs, ParserDied())


def _start(memory_bytes: int, niceness: int) -> _Running:
    ours, theirs = Pipe()
    arguments = (theirs.fileno(), memory_bytes, niceness)
    try:
        # A new program: a forked copy would hold our keys, our database connections, and locks of threads that it does not have.
        process = subprocess.Popen(  # noqa: S603 - nothing of it is anybody's input
            [sys.executable, "-m", "services.mailrelay.delivery.parser_process", *map(str, arguments)],
            env=_environment(),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    running = _Running(process, ours)
    try:
        ours.recv()  # the time that its imports take is not the first mail's
    except (EOFError, ConnectionError) as error:
        running.end()
        raise ParserDied from error
    return running


def _environment() -> dict[str, str]:
    variables = os.environ  # noqa: TID251  # the system's; of settings none is passed on
    return {name: value for name, value in variables.items() if _ENVIRONMENT.fullmatch(name)}
