"""Large answers on their way out."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

log = structlog.get_logger()

CHUNK_BYTES: Final = 64 * 1024
# Who takes no chunk for so long is gone: that is 2 KB a second.
_SEND_TIMEOUT_SECONDS: Final = 30.0


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
        send_timeout_seconds: float = _SEND_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._send_timeout_seconds = send_timeout_seconds

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            for begin in range(0, max(len(self.body), 1), CHUNK_BYTES):
                end = begin + CHUNK_BYTES
                async with asyncio.timeout(self._send_timeout_seconds):
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
