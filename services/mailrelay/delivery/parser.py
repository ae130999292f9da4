"""A process of its own that parses: a mail that takes for ever, or brings the process down, takes nothing else with it."""

import asyncio
import multiprocessing
import signal
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from services.mailrelay.parsing.mail import ParsedMail, parse_mail
from shared.errors import Expected

# The largest mails that tests know take a second; a batch of ordinary ones takes 50 ms.
PARSING_SECONDS = 10.0

# `spawn`: a forked copy would hold our database connections, and locks of threads that it does not have.
_CONTEXT = multiprocessing.get_context("spawn")


class ParsingTookTooLong(Expected):
    """The wall-time limit was reached; the process was ended."""

    code = "parsing_took_too_long"


class ParserDied(Expected):
    """The process ended while it parsed: killed for its memory, for one."""

    code = "parser_died"


class Parser:
    """Parses batches, one at a time. The process is started when it is needed, and again after it was ended."""

    def __init__(self, *, seconds: float = PARSING_SECONDS) -> None:
        self._seconds = seconds
        self._one_at_a_time = asyncio.Lock()
        self._running: tuple[BaseProcess, Connection] | None = None

    async def parse(self, mails: list[bytes]) -> list[ParsedMail]:
        """Raises ParsingTookTooLong or ParserDied: then none of the batch is parsed, and the next call starts afresh."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._ask, mails)

    def close(self) -> None:
        """End the process."""
        if self._running is not None:
            process, connection = self._running
            self._running = None
            process.kill()
            process.join()
            connection.close()

    def _ask(self, mails: list[bytes]) -> list[ParsedMail]:
        try:
            if self._running is None:
                self._running = _start()
            _, connection = self._running
            connection.send(mails)
            if not connection.poll(self._seconds):
                self.close()
                raise ParsingTookTooLong
            parsed: list[ParsedMail] = connection.recv()
        except (EOFError, ConnectionError) as error:
            self.close()
            raise ParserDied from error
        return parsed


def _start() -> tuple[BaseProcess, Connection]:
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_serve, args=(theirs,), name="mail-parser", daemon=True)
    process.start()
    theirs.close()
    ours.recv()  # the time that its imports take is not the first mail's
    return process, ours


def _serve(connection: Connection) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # these are for the worker, which ends us
    with suppress(EOFError, ConnectionError):  # the worker is gone, however it went
        connection.send("ready")
        while True:
            mails: list[bytes] = connection.recv()
            connection.send([parse_mail(mail) for mail in mails])
