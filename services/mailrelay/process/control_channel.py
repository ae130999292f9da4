"""What the supervisor and one of its processes say to each other, over a pair of sockets.

The supervisor asks for a path of the side port, the process answers. The first answer says that the process accepts
mail, and the end of the line that the other side has ended, however that went.
"""

import asyncio
import contextlib
import itertools

from shared.side_port import Answer, Answering


class LineBroken(Exception):
    """The other side has ended, or did not answer in time."""


class Line:
    """The supervisor's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._awaited: dict[int, asyncio.Future[Answer]] = {}
        self._reading = asyncio.create_task(self._read())

    async def ask(self, path: str, *, timeout_seconds: float) -> Answer:
        """Raises LineBroken."""
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._awaited[number] = answer
        try:
            if self._reading.done():
                raise LineBroken
            self._writer.write(f"{number} {path}\n".encode())
            async with asyncio.timeout(timeout_seconds):
                return await answer
        except (TimeoutError, OSError) as error:
            raise LineBroken from error
        finally:
            self._awaited.pop(number, None)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        try:
            while head := await self._reader.readline():
                number, status, size, content_type = head.decode().rstrip("\n").split(" ", 3)
                body = await self._reader.readexactly(int(size))
                answer = self._awaited.get(int(number))
                # Not awaited any more: it took too long.
                if answer is not None and not answer.done():
                    answer.set_result(Answer(int(status), content_type, body))
        except (OSError, EOFError):
            pass
        finally:
            for answer in self._awaited.values():
                if not answer.done():
                    answer.set_exception(LineBroken())


async def answer_the_line(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: Answering
) -> None:
    """The process's end: answers until the supervisor has ended. A question that takes long holds up no other."""
    answers: set[asyncio.Task[None]] = set()
    try:
        # So many at a time as the side port takes requests.
        while question := await reader.readline():
            answer = asyncio.create_task(_answer(question, writer, answering))
            answers.add(answer)
            answer.add_done_callback(answers.discard)
    except OSError:
        pass
    finally:
        for answer in list(answers):
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)


async def _answer(question: bytes, writer: asyncio.StreamWriter, answering: Answering) -> None:
    number, _, path = question.decode().rstrip("\n").partition(" ")
    status, content_type, body = await answering(path)
    writer.write(f"{number} {status} {len(body)} {content_type}\n".encode() + body)
