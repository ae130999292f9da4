"""The web server of `serve`: uvicorn, which ends answers without an end before it waits for its connections."""

import socket
from collections.abc import Callable

import uvicorn
from typing_extensions import override


class Server(uvicorn.Server):
    """`end_streams` is called when the server stops: otherwise the stop would wait for every open page."""

    def __init__(self, config: uvicorn.Config, *, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)
