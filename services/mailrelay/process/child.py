"""The program of one child: it accepts mail on sockets that it was given, for as long as its supervisor lives."""

import asyncio
import gc
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from services.mailrelay.process.control_channel import serve_control_channel
from services.mailrelay.process.listeners import Listeners
from services.mailrelay.process.privileges import harden
from services.mailrelay.process.relay import accept_mail
from services.mailrelay.settings import RelaySettings
from shared.process import run_role
from shared.side_port import Answering
from shared.tracing import exporting

# Objects more than were freed; the default is 700. A session and its mail leave next to nothing that only the garbage collector would
# free (tests hold that), and looking for it took a twentieth of the time.
_GARBAGE_AFTER: Final = 20_000


def run_child(number: int, channel: int, listeners: Sequence[int]) -> None:
    """Accept mail; `channel` and `listeners` are the file descriptors that the child was started with."""
    harden()
    structlog.contextvars.bind_contextvars(process=number)
    run_role(
        "mailrelay",
        RelaySettings,
        partial(
            _accept_mail_until_orphaned,
            channel=socket.socket(fileno=channel),
            listeners=[socket.socket(fileno=listener) for listener in listeners],
        ),
        is_ended_by_its_supervisor=True,
    )


async def _accept_mail_until_orphaned(
    settings: RelaySettings, stop: asyncio.Event, *, channel: socket.socket, listeners: Listeners
) -> None:
    reader, writer = await asyncio.open_connection(sock=channel)
    serving: list[asyncio.Task[None]] = []

    def begin_to_answer(answering: Answering) -> None:
        task = asyncio.create_task(serve_control_channel(reader, writer, answering))
        # Without a supervisor nobody would ever stop or replace this process.
        task.add_done_callback(lambda _ended: stop.set())
        serving.append(task)
        # The code and what was set up stay for good: the garbage collector need not go through them again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_AFTER)

    try:
        async with exporting("mailrelay", settings):
            await accept_mail(settings, listeners, stop, on_ready=begin_to_answer)
    finally:
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        writer.close()
