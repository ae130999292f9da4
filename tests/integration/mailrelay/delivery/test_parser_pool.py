"""The processes that parse: what a mail costs that takes too long or too much."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from services.mailrelay.delivery.parser_pool import ParserDied, ParserPool
from tests.integration.mailrelay.delivery.conftest import freeze, mail

QUESTION = mail("buyer-question")
# What the relay takes unless a setting says otherwise.
LARGEST_BYTES = 40 * 1024 * 1024


async def test_mail_that_eats_memory_costs_itself_alone():
    parser = ParserPool(memory_bytes=56 * 1024 * 1024)
    hungry = b"From: a@b.example\r\nSubject: Hungry\r\n\r\n" + "\N{GRINNING FACE}".encode() * 4 * 1024 * 1024

    # Either Python was refused the memory, or a library that is not Python ended the process.
    with suppress(ParserDied):
        (parsed,) = await parser.parse([hungry])
        assert (parsed.kind, parsed.subject) == ("unparseable", "Hungry")
    (parsed,) = await parser.parse([QUESTION])
    parser.close()
    assert parsed.kind == "buyer_message"


async def test_what_reads_strangers_mail_has_none_of_our_settings_and_files(monkeypatch: pytest.MonkeyPatch):
    """# S: a parser that is made to run a stranger's code finds no password, key or connection in itself"""
    monkeypatch.setenv("REPLYCO_DATABASE_URL", "canary")
    parser = ParserPool()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        await parser.parse([QUESTION])
        (running,) = parser._idle
        process = Path(f"/proc/{running.process.pid}")
        environment = (process / "environ").read_bytes()
        opened = [str(file.readlink()) for file in (process / "fd").iterdir() if int(file.name) > 2]
    parser.close()

    assert b"PATH=" in environment
    assert b"canary" not in environment
    assert len([name for name in opened if name.startswith("socket:")]) == 1


async def test_a_parser_ends_when_its_worker_is_gone():
    parser = ParserPool()
    await parser.parse([QUESTION])
    (running,) = parser._idle

    running.connection.close()  # as the system does for whoever is killed

    assert await asyncio.to_thread(running.process.wait, 60) == 0


async def test_batch_that_takes_long_holds_up_no_other():
    parser = ParserPool(seconds=60, processes=2)
    await parser.parse([QUESTION])  # started
    (running,) = parser._idle
    freeze(running)
    slow = asyncio.create_task(parser.parse([QUESTION]))
    await asyncio.sleep(0)  # it has taken the only process that there is

    (parsed,) = await parser.parse([QUESTION])

    assert parsed.kind == "buyer_message"
    assert not slow.done()
    os.kill(running.process.pid, signal.SIGCONT)
    await slow
    parser.close()


@pytest.mark.parametrize(
    ("encoding", "piece"),
    [("base64", b"QUFB\r\n"), ("base64", b"AAA!"), ("quoted-printable", b"=41b="), ("8bit", b"x")],
)
async def test_largest_mails_are_parsed_within_the_limits(encoding: str, piece: bytes):
    # Of the limits that of memory: a busy machine makes a second or two of the processor as long as it likes.
    parser = ParserPool(seconds=120)
    head = (
        f"From: a@b.example\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )

    (parsed,) = await parser.parse([head.encode() + piece * (LARGEST_BYTES // len(piece))])
    parser.close()

    assert [attachment.content_type for attachment in parsed.attachments] == ["application/pdf"]
