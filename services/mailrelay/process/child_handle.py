"""The supervisor's handle on a child: started as a program of its own, asked, and ended."""

import asyncio
import contextlib
import socket
import sys
from typing import Final

import structlog

from services.mailrelay.process.control_channel import ChannelClosed, ControlChannel
from services.mailrelay.process.listeners import Listeners

log = structlog.get_logger()

# Loading the code takes a second or two on a busy machine; the database is not waited for.
_START_SECONDS: Final = 60.0
_LIVE_PATH: Final = "/livez"
# For closing the database's connections and the interpreter's own end, after the last session.
_EXIT_SECONDS: Final = 10.0


class ChildNotStarted(Exception):
    """The child ended before it accepted mail, or took too long; why, it has written to standard error."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class ChildHandle:
    def __init__(self, process: asyncio.subprocess.Process, channel: ControlChannel) -> None:
        self._process = process
        self._exit = asyncio.create_task(process.wait())
        self.channel = channel
        self.pid = process.pid

    @classmethod
    async def spawn(cls, number: int, listeners: Listeners) -> "ChildHandle":
        """Start a child as a new program, so that new code and key files come into use. Raises ChildNotStarted."""
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
                raise ChildNotStarted(None) from error
        return cls(process, ControlChannel(*await asyncio.open_connection(sock=ours)))

    async def wait_until_ready(self) -> None:
        """Wait until it accepts mail. Raises ChildNotStarted."""
        try:
            await self.channel.request(_LIVE_PATH, timeout_seconds=_START_SECONDS)
        except ChannelClosed as closed:
            # It may be on its way out, with an exit code that says why.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_SECONDS):
                    await self.wait()
            raise ChildNotStarted(await self.stop(within_seconds=0)) from closed

    async def answers(self, *, within_seconds: float) -> bool:
        """Whether it is alive and answers in time. If it has no channel any more, this too takes the whole time."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + within_seconds
        try:
            await self.channel.request(_LIVE_PATH, timeout_seconds=within_seconds)
        except ChannelClosed:
            await asyncio.sleep(ends_at - loop.time())
            return False
        return True

    def kill(self) -> None:
        """End it at once, whatever it does: also if it is frozen."""
        self._process.kill()

    async def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return await asyncio.shield(self._exit)

    async def stop(self, *, within_seconds: float) -> int:
        """Stop it cleanly if it does so in time, else by SIGKILL, and return its exit code."""
        try:
            # A child that closed its end of the channel may have ended by itself.
            if self._process.returncode is None:
                self._process.terminate()
            async with asyncio.timeout(within_seconds + _EXIT_SECONDS):
                return await self.wait()
        except TimeoutError:
            log.warning("process_killed", pid=self.pid)
            self._process.kill()
            return await self.wait()
        finally:
            await self.channel.close()
