"""What `serve` runs: the web server with the application, and beside it the port for operators."""

import asyncio
import gc
import socket
from typing import Final

import structlog
import uvicorn

from services.connector.app import create_app
from services.connector.dependencies import AppState
from services.connector.http.connections import SEND_BUFFER_BYTES, Connections
from services.connector.http.forwarded_addresses import ForwardedAddresses
from services.connector.http.server import Server
from services.connector.settings import ConnectorSettings
from shared.crypto.key_provider import KeyFileUnusable
from shared.database import require_version
from shared.errors import CannotStart
from shared.file_limits import raise_file_limit
from shared.process import give_up, key_file_cure, port_cure, stop_on_signals
from shared.side_port import STOPPING, PortTaken, answering_on, health, open_listener
from shared.status.of_sessions import status_of
from shared.status.queries import EVERYTHING
from shared.tracing import exporting

log = structlog.get_logger()

# What a stop waits for answers that are on their way.
_GRACE_SECONDS: Final = 10
# Objects more than were freed. A list of a hundred rows makes thousands; the default is 700.
_GARBAGE_AFTER: Final = 20_000


def run_server(settings: ConnectorSettings) -> None:
    """Serve the REST API and the pages until a signal. A start that fails says why, and the process ends."""
    settings = settings.model_copy(update={"connections": raise_file_limit(settings.connections)})
    try:
        app = create_app(settings)
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))
    state: AppState = app.state.connector
    connections = Connections(settings.connection_bounds, state.registry)
    # Everything that is loaded stays: looking through it for garbage took a quarter of the time of a long list.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_AFTER)
    config = uvicorn.Config(
        ForwardedAddresses(app, settings.proxies),
        # Named, so that what happens to be installed changes nothing (docs/adr/0014).
        loop="uvloop",
        http=connections.protocol(),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # A second wall: `connections` refuses before, and better.
        limit_concurrency=settings.connections + 1,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    try:
        listener = open_listener(settings.host, settings.port, setting="REPLYCO_PORT", backlog=1024)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        side_listener = open_listener(settings.side_host, settings.side_port, setting="REPLYCO_SIDE_PORT")
    except PortTaken as taken:
        give_up(port_cure(taken))
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(state, config, listener, side_listener))
    except CannotStart as reason:
        give_up(str(reason))


async def _serve(
    state: AppState, config: uvicorn.Config, listener: socket.socket, side_listener: socket.socket
) -> None:
    """Until a signal: then `/readyz` sends whoever asks it to other processes, and who still comes is served until they have looked."""
    await require_version(state.sessions)
    stop_on_signals(state.stop)
    status = status_of(
        "connector", state.sessions, EVERYTHING, lambda: STOPPING if state.stop.is_set() else None
    )
    async with (
        answering_on(side_listener, health(state.registry, state.problem, status=status)),
        exporting("connector", state.settings),
    ):
        server = Server(config, end_streams=state.hub.end_streams)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(state.stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        if state.stop.is_set():
            drain_seconds = state.settings.seconds_to_drain
            log.info("draining", seconds=drain_seconds)
            server.drain()
            await asyncio.wait([serving], timeout=drain_seconds)
        stopping.cancel()
        server.should_exit = True
        await serving
    log.info("connector_stopped")
