"""The web server of `serve`: uvicorn, which drains before it stops, and ends answers without an end before it waits for its connections."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from typing_extensions import override


class Server(uvicorn.Server):
    """`end_streams` is called when the server stops: otherwise the stop would wait for every open page."""

    def __init__(self, config: uvicorn.Config, *, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Whoever runs the server handles signals.
        yield

    def drain(self) -> None:
        """Go on serving, and let each connection end with its next answer: whoever has it open looks for another server."""
        self.config.encoded_headers.append((b"connection", b"close"))

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)
