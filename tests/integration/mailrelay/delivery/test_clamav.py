"""Attachments are shown to clamd. The peer is a stand-in that speaks its protocol and knows the EICAR test file."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from deploy.demo.postgres import OWNER
from services.mailrelay.delivery.clamav import Scanner, rescan
from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.tables import Attachment, Scan
from tests.conftest import Database
from tests.integration.mailrelay.delivery.conftest import Accept

# Harmless, and every scanner's test (eicar.org); in two parts, so that none takes this file for it.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    command = await reader.readuntil(b"\0")
    if command == b"zPING\0":
        writer.write(b"PONG\0")
        await writer.drain()
        writer.close()
        return
    assert command == b"zINSTREAM\0"
    content = b""
    while length := struct.unpack(">L", await reader.readexactly(4))[0]:
        content += await reader.readexactly(length)
    if b"too large" in content:
        writer.write(b"INSTREAM size limit exceeded. ERROR\0")
    else:
        writer.write(b"stream: Eicar-Test-Signature FOUND\0" if EICAR in content else b"stream: OK\0")
    await writer.drain()
    writer.close()


@asynccontextmanager
async def clamd_on_tcp() -> AsyncIterator[Scanner]:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    async with server:
        yield Scanner(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")


@pytest.fixture
async def clamd() -> AsyncIterator[Scanner]:
    async with clamd_on_tcp() as scanner:
        yield scanner


def with_files(*contents: bytes) -> bytes:
    parts = b"".join(
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=f%d.bin\r\n\r\n%s\r\n"
        % (number, content)
        for number, content in enumerate(contents)
    )
    return (
        b"From: Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: Dateien\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nAnbei\r\n"
        + parts
        + b"--b--\r\n"
    )


async def scans(sessions: Sessions) -> list[str | None]:
    async with sessions() as session:
        return list(await session.scalars(select(Attachment.scan).order_by(Attachment.position)))


async def test_what_the_scanner_says_is_stored_with_each_file(
    delivery: Delivery, accept: Accept, clamd: Scanner
):
    await accept(with_files(b"a lamp", EICAR, b"too large", b"x" * 1_000_000))

    await deliver_due(replace(delivery, scanner=clamd))

    assert await scans(delivery.sessions) == ["clean", "infected", "failed", "clean"]


async def test_without_a_scanner_nothing_is_said(delivery: Delivery, accept: Accept):
    await accept(with_files(EICAR))

    await deliver_due(delivery)

    assert await scans(delivery.sessions) == [None]


async def test_a_scanner_that_is_away_holds_up_no_mail_and_looks_later(
    delivery: Delivery, accept: Accept, clamd: Scanner
):
    await accept(with_files(b"a lamp", EICAR))
    away = Scanner("/nowhere/clamd.sock")

    await deliver_due(replace(delivery, scanner=away))
    assert await scans(delivery.sessions) == ["failed", "failed"]

    last = await rescan(clamd, delivery.sessions, delivery.keyring, delivery.blobs, after=UUID(int=0))
    assert await scans(delivery.sessions) == ["clean", "infected"]
    assert await rescan(clamd, delivery.sessions, delivery.keyring, delivery.blobs, after=last) == UUID(int=0)


async def test_a_file_that_does_not_open_keeps_no_other_from_the_scanner(
    delivery: Delivery, accept: Accept, clamd: Scanner, database: Database
):
    await accept(with_files(b"a lamp", EICAR))
    await deliver_due(replace(delivery, scanner=Scanner("/nowhere/clamd.sock")))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute("UPDATE attachments SET content = filename WHERE position = 0")
    await owner.close()

    with capture_logs() as logged:
        last = await rescan(clamd, delivery.sessions, delivery.keyring, delivery.blobs, after=UUID(int=0))

    assert await scans(delivery.sessions) == ["failed", "infected"]
    assert await rescan(clamd, delivery.sessions, delivery.keyring, delivery.blobs, after=last) == UUID(int=0)
    [told] = [line for line in logged if line["event"] == "attachment_not_scanned"]
    assert told["code"] == "seal_broken"


async def test_a_scanner_that_hangs_is_asked_for_the_first_files_alone(delivery: Delivery, accept: Accept):
    asked: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: asked.append(writer), "127.0.0.1", 0)
    await accept(with_files(*(b"a lamp",) * 20))

    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await deliver_due(replace(delivery, scanner=Scanner(address, seconds=0.3, batch_seconds=0.3)))
    for writer in asked:
        writer.close()
    server.close()

    assert await scans(delivery.sessions) == ["failed"] * 20
    assert len(asked) <= 4


async def test_a_socket_in_the_file_system_will_do(scratch: Path):
    path = scratch / "clamd.sock"
    server = await asyncio.start_unix_server(_answer, path)
    async with server:
        assert await Scanner(str(path)).scan(EICAR) is Scan.INFECTED
        assert await Scanner(str(path)).scan(b"") is Scan.CLEAN
