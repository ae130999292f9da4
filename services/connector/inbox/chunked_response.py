"""Large answers on their way out."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

log = structlog.get_logger()

CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """What a reader has to take: in every so many seconds, so many bytes."""

    seconds: float
    least_bytes: int


# Nobody who reads 2 KB a second is cut off. What they take is seen only when the sockets' buffers between us have room again, and that
# comes in steps of up to 190 KB (with SEND_BUFFER_BYTES): so half of that rate is asked for, over minutes.
PACE: Final = Pace(seconds=240.0, least_bytes=240 * 1024)


class PaceWatch:
    """Until when a reader has time to take more, by what they have taken and when."""

    def __init__(self, pace: Pace, started: float) -> None:
        self._pace = pace
        self._recent = 0
        # When something was taken, and how much; of the oldest, all that follows it is less than is asked for.
        self._taken = deque([(started, 0)])

    def took(self, size: int, at: float) -> None:
        self._taken.append((at, size))
        self._recent += size
        while self._recent - self._taken[0][1] >= self._pace.least_bytes:
            self._recent -= self._taken.popleft()[1]

    @property
    def deadline(self) -> float:
        """The end of the first period in which too little will have been taken if nothing more is."""
        return self._taken[0][0] + self._pace.seconds


class ChunkedResponse(Response):
    """A response that waits with each chunk until the one before has been taken.

    The web server copies whatever it is given into its buffer at once: given the complete answer, it would
    hold all of it for a reader who reads nothing.
    """

    def __init__(
        self,
        content: str | bytes,
        *,
        headers: Mapping[str, str],
        media_type: str | None = None,
        pace: Pace = PACE,
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._pace = pace

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        now = asyncio.get_running_loop().time
        watch = PaceWatch(self._pace, now())
        try:
            for begin in range(0, max(len(self.body), 1), CHUNK_BYTES):
                chunk = bytes(self.body[begin : begin + CHUNK_BYTES])
                async with asyncio.timeout_at(watch.deadline):
                    await send(
                        {
                            "type": "http.response.body",
                            "body": chunk,
                            "more_body": begin + CHUNK_BYTES < len(self.body),
                        }
                    )
                watch.took(len(chunk), now())
        except TimeoutError:
            # The answer stays incomplete, so the server ends the connection.
            log.info("download_stalled")
