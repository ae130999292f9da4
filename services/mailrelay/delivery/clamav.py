"""Attachments are shown to a malware scanner, if there is one: clamd, by its INSTREAM command over TCP or a Unix socket.

A scanner that is away holds up no mail: what could not be scanned is stored as `failed`, and scanned later, for a day.
"""

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Final
from uuid import UUID

import structlog

from services.mailrelay.delivery import queries
from services.mailrelay.delivery.message_rows import NewMessage
from shared.availability import DATABASE, Dependency
from shared.blobs import BlobDamaged, BlobMissing, BlobStore, BlobsUnavailable, fetch_sealed
from shared.crypto.envelope import Place, SealBroken
from shared.database import Sessions, is_unavailable
from shared.keyring import Keyring
from shared.tables import Scan

log = structlog.get_logger()

# clamd reads a stream in pieces; a file of 40 MB takes it some seconds.
_CHUNK_BYTES: Final = 262_144
_SECONDS: Final = 20.0
# A scan that hangs, or a batch of many files, is given up after this time; the rest is scanned later.
_BATCH_SECONDS: Final = 20.0
_CONCURRENT_SCANS: Final = 4
_RESCAN_SECONDS: Final = 60.0
_RESCAN_BATCH: Final = 20
_RESCAN_AGE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scanner:
    """A client of clamd, which listens at `host:port` or at the path of a socket."""

    address: str
    seconds: float = _SECONDS
    batch_seconds: float = _BATCH_SECONDS
    reached: Dependency = field(default_factory=lambda: Dependency("scanner"), compare=False)

    async def scan(self, content: bytes) -> Scan:
        """Scan a file. Never raises: if the scanner is away, slow or refuses the file, the result is `failed`."""
        try:
            async with asyncio.timeout(self.seconds):
                reply = await self._ask(content)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self.reached.is_away(error)
            return Scan.FAILED
        self.reached.answers()
        if reply.endswith(b" FOUND"):
            return Scan.INFECTED
        return Scan.CLEAN if reply == b"stream: OK" else Scan.FAILED

    async def is_there(self) -> bool:
        """Whether clamd answers, without a file. Never raises."""
        try:
            async with asyncio.timeout(self.seconds):
                reader, writer = await self._connected()
                try:
                    writer.write(b"zPING\0")
                    return await reader.readuntil(b"\0") == b"PONG\0"
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, colon, port = self.address.rpartition(":")
        if colon and port.isdigit():
            return await asyncio.open_connection(host, int(port))
        return await asyncio.open_unix_connection(self.address)

    async def _ask(self, content: bytes) -> bytes:
        reader, writer = await self._connected()
        try:
            writer.write(b"zINSTREAM\0")
            for begin in range(0, len(content), _CHUNK_BYTES):
                chunk = content[begin : begin + _CHUNK_BYTES]
                writer.write(struct.pack(">L", len(chunk)) + chunk)
                await writer.drain()
            writer.write(struct.pack(">L", 0))
            return (await reader.readuntil(b"\0"))[:-1]
        finally:
            writer.close()


async def scan_attachments(scanner: Scanner | None, messages: Sequence[NewMessage]) -> None:
    """Note with each file of these mails what the scanner says of it; without one, nothing.

    Waits for at most the scanner's `batch_seconds` and one file's `seconds`, however many files there are.
    """
    if scanner is None:
        return
    files = [
        (row, attachment.content)
        for item in messages
        for row, attachment in zip(item.attachments, item.parsed.attachments, strict=True)
    ]
    for row, _ in files:
        row["scan"] = Scan.FAILED.value
    loop = asyncio.get_running_loop()
    until = loop.time() + scanner.batch_seconds
    remaining = iter(files)
    while loop.time() < until and (some := list(islice(remaining, _CONCURRENT_SCANS))):
        results = await asyncio.gather(*(scanner.scan(content) for _, content in some))
        for (row, _), result in zip(some, results, strict=True):
            row["scan"] = result.value


async def rescan_forever(scanner: Scanner, sessions: Sessions, keyring: Keyring, blobs: BlobStore) -> None:
    """Every minute, scan some of the attachments that could not be scanned when they came."""
    after = UUID(int=0)
    while True:
        await asyncio.sleep(_RESCAN_SECONDS)
        try:
            after = await rescan(scanner, sessions, keyring, blobs, after=after)
        except Exception as error:  # files stay unscanned a while longer; delivering goes on
            if is_unavailable(error):
                DATABASE.is_away(error)
            else:
                log.exception("rescan_failed")


async def rescan(
    scanner: Scanner, sessions: Sessions, keyring: Keyring, blobs: BlobStore, *, after: UUID
) -> UUID:
    """Scan some unscanned files with larger ids; the answer is the id of the last, or the smallest of all ids if none is left."""
    # Ids begin with their time in milliseconds (RFC 9562 §5.7).
    oldest = UUID(int=round((await sessions.now() - _RESCAN_AGE).timestamp() * 1000) << 80)
    async with sessions.begin() as session:
        unscanned = await queries.unscanned_attachments(
            session, after=max(after, oldest), limit=_RESCAN_BATCH
        )
    for attachment in unscanned:
        try:
            await _rescan_one(scanner, sessions, keyring, blobs, attachment)
        except (
            SealBroken,
            BlobMissing,
            BlobDamaged,
            BlobsUnavailable,
        ) as broken:  # nobody can read it here; the files behind it are scanned all the same
            if isinstance(broken, BlobsUnavailable):
                continue
            log.exception("attachment_not_scanned", attachment_id=str(attachment.id), code=broken.code)
    return unscanned[-1].id if unscanned else UUID(int=0)


async def _rescan_one(
    scanner: Scanner,
    sessions: Sessions,
    keyring: Keyring,
    blobs: BlobStore,
    attachment: queries.UnscannedAttachment,
) -> None:
    keys = await keyring.of(sessions, attachment.account_id)
    async with sessions.begin() as session:
        stored = await queries.attachment_content(session, attachment.message_id, attachment.id)
    if stored is None:
        return
    sealed = await fetch_sealed(blobs, stored)
    content = keys.open(Place("attachments", "content", attachment.id), sealed)
    result = await scanner.scan(content)
    async with sessions.begin() as session:
        await queries.store_scan_result(session, attachment.message_id, attachment.id, result)
