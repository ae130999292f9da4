"""What one of the processes does: it accepts mail on sockets that it was given, for as long as its supervisor lives."""

import asyncio
import socket
from collections.abc import Sequence
from functools import partial

import structlog

from services.mailrelay.process.control_channel import answer_the_line
from services.mailrelay.process.listeners import Listeners
from services.mailrelay.process.privileges import harden
from services.mailrelay.process.relay import accept_mail
from services.mailrelay.settings import RelaySettings
from shared.process import run_role
from shared.side_port import Answering


def run_accepting_process(number: int, line: int, listeners: Sequence[int]) -> None:
    """`line` and `listeners` are the file descriptors that it was started with."""
    harden()
    structlog.contextvars.bind_contextvars(process=number)
    run_role(
        "mailrelay",
        RelaySettings,
        partial(
            _accept_with_line,
            line=socket.socket(fileno=line),
            listeners=[socket.socket(fileno=listener) for listener in listeners],
        ),
    )


async def _accept_with_line(
    settings: RelaySettings, stop: asyncio.Event, *, line: socket.socket, listeners: Listeners
) -> None:
    reader, writer = await asyncio.open_connection(sock=line)
    conversations: list[asyncio.Task[None]] = []

    def begin_to_answer(answering: Answering) -> None:
        conversation = asyncio.create_task(answer_the_line(reader, writer, answering))
        # Without a supervisor nobody would ever stop or replace this process.
        conversation.add_done_callback(lambda _ended: stop.set())
        conversations.append(conversation)

    try:
        await accept_mail(settings, listeners, stop, on_ready=begin_to_answer)
    finally:
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        writer.close()
