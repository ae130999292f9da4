"""Large answers on their way out."""

import asyncio
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

log = structlog.get_logger()

PIECE_BYTES: Final = 64 * 1024
# Who takes no piece for so long is gone: that is 2 KB a second.
SEND_TIMEOUT_SECONDS: Final = 30.0


class InPieces(Response):
    """Waits with each piece until the one before is taken.

    The web server copies whatever it is given into its buffer at once: given the whole, the answer would seem to have left while
    all of it lay there for a reader who takes nothing.
    """

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            for begin in range(0, max(len(self.body), 1), PIECE_BYTES):
                end = begin + PIECE_BYTES
                async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                    await send(
                        {
                            "type": "http.response.body",
                            "body": bytes(self.body[begin:end]),
                            "more_body": end < len(self.body),
                        }
                    )
        except TimeoutError:
            # The answer stays incomplete, so the server ends the connection.
            log.info("download_stalled")
