"""The web server of `serve`: uvicorn, which ends the event streams before it waits for its connections."""

import socket

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from services.connector.events.hub import Hub


class Server(uvicorn.Server):
    """Without this a stop would wait for every open page."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._hub: Hub = app.state.parts.hub

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.end_streams()
        await super().shutdown(sockets)
