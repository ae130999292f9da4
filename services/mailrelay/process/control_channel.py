"""What the supervisor and one of its children say to each other, over a pair of sockets.

The supervisor asks for a path of the side port, the child answers. The first answer says that the child accepts mail; the
end of the channel says that the other side has ended, however that went.
"""

import asyncio
import contextlib
import itertools

from shared.side_port import Answer, Answering


class ChannelClosed(Exception):
    """The other side has ended, or did not answer in time."""


class ControlChannel:
    """The supervisor's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._request_numbers = itertools.count()
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        self._reading = asyncio.create_task(self._read_answers())

    async def request(self, path: str, *, timeout_seconds: float) -> Answer:
        """The child's answer for a path of the side port. Raises ChannelClosed."""
        number = next(self._request_numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            if self._reading.done():
                raise ChannelClosed
            self._writer.write(f"{number} {path}\n".encode())
            async with asyncio.timeout(timeout_seconds):
                return await answer
        except (TimeoutError, OSError) as error:
            raise ChannelClosed from error
        finally:
            self._pending.pop(number, None)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read_answers(self) -> None:
        try:
            while head := await self._reader.readline():
                number, status, size, content_type = head.decode().rstrip("\n").split(" ", 3)
                body = await self._reader.readexactly(int(size))
                answer = self._pending.get(int(number))
                # A request that took too long is not pending any more.
                if answer is not None and not answer.done():
                    answer.set_result(Answer(int(status), content_type, body))
        except (OSError, EOFError):
            pass
        finally:
            for answer in self._pending.values():
                if not answer.done():
                    answer.set_exception(ChannelClosed())


async def serve_control_channel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: Answering
) -> None:
    """The child's end: answers until the supervisor has ended. A request that takes long holds up no other."""
    answers: set[asyncio.Task[None]] = set()
    try:
        # The side port bounds how many requests come at a time.
        while request := await reader.readline():
            answer = asyncio.create_task(_answer(request, writer, answering))
            answers.add(answer)
            answer.add_done_callback(answers.discard)
    except OSError:
        pass
    finally:
        for answer in list(answers):
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)


async def _answer(request: bytes, writer: asyncio.StreamWriter, answering: Answering) -> None:
    number, _, path = request.decode().rstrip("\n").partition(" ")
    status, content_type, body = await answering(path)
    writer.write(f"{number} {status} {len(body)} {content_type}\n".encode() + body)
