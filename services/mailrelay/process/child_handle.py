"""The supervisor's view of a process that accepts mail: started as a program of its own, asked, and ended."""

import asyncio
import contextlib
import socket
import sys
from typing import Final

import structlog

from services.mailrelay.process.control_channel import Line, LineBroken
from services.mailrelay.process.listeners import Listeners

log = structlog.get_logger()

# Loading the code takes a second or two on a busy machine; the database is not waited for.
_START_SECONDS: Final = 60.0
_START_QUESTION: Final = "/livez"
# For closing the database's connections and the interpreter's own end, after the last session.
_EXIT_SECONDS: Final = 10.0


class NotStarted(Exception):
    """It ended before it accepted mail, or took too long; its own words are on standard error."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class AcceptingProcess:
    def __init__(self, process: asyncio.subprocess.Process, line: Line) -> None:
        self._process = process
        self._ended = asyncio.create_task(process.wait())
        self.line = line
        self.pid = process.pid

    @classmethod
    async def spawn(cls, number: int, listeners: Listeners) -> "AcceptingProcess":
        """A new program, so that new code and new key files are taken into use. Raises NotStarted."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = [theirs.fileno(), *(listener.fileno() for listener in listeners)]
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "services.mailrelay", "accept"),
                    *(str(value) for value in (number, *descriptors)),
                    pass_fds=descriptors,
                    stdin=asyncio.subprocess.DEVNULL,
                    # Ctrl-C is the supervisor's to pass on.
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                log.warning("process_not_spawned", exc_info=error)
                raise NotStarted(None) from error
        return cls(process, Line(*await asyncio.open_connection(sock=ours)))

    async def ready(self) -> None:
        """Wait until it accepts mail. Raises NotStarted."""
        try:
            await self.line.ask(_START_QUESTION, timeout_seconds=_START_SECONDS)
        except LineBroken as broken:
            # It may be on its way out, with an exit code that says why.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_SECONDS):
                    await self.ended()
            raise NotStarted(await self.end(within_seconds=0)) from broken

    async def ended(self) -> int:
        """Its exit code, when it has ended."""
        return await asyncio.shield(self._ended)

    async def end(self, *, within_seconds: float) -> int:
        """A clean stop if it does that in time, else SIGKILL; its exit code."""
        try:
            # One that closed its end of the line is about to end by itself.
            if self._process.returncode is None:
                self._process.terminate()
            async with asyncio.timeout(within_seconds + _EXIT_SECONDS):
                return await self.ended()
        except TimeoutError:
            log.warning("process_killed", pid=self.pid)
            self._process.kill()
            return await self.ended()
        finally:
            await self.line.close()
