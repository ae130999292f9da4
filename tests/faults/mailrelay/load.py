"""Clients that deliver distinct mails to a relay as fast as they can, whatever happens to it, and keep count."""

import asyncio
import contextlib
import hashlib
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from deploy.demo.postgres import OWNER, RELAY
from shared.crypto.key_provider import KeyFile
from shared.database import asyncpg_dsn, create_engine, create_sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, opened
from tests.processes import command

ADDRESS = f"mabtekrud@{DOMAIN}"
_PAUSE_SECONDS = 0.02


class Load:
    """`accepted` holds the hash of every mail that was answered 250; `codes` counts the replies of each kind."""

    def __init__(self, port: int, *, clients: int) -> None:
        self._port = port
        self._clients = clients
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Condition()
        self.accepted: dict[str, str] = {}
        self.codes: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self._clients)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def more(self, code: str, count: int) -> None:
        """Wait until that many more replies of this code have come."""
        target = self.codes[code] + count
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.codes[code] >= target)

    async def _client(self, number: int) -> None:
        sent = 0
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await self._heard(reader)
                    await self._say(reader, writer, "EHLO load.example")
                    while True:
                        sent += 1
                        await self._deliver(reader, writer, f"{number}-{sent}")
                finally:
                    writer.close()
            except (OSError, EOFError):
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _deliver(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail_id: str
    ) -> None:
        await self._say(reader, writer, "RSET")
        await self._say(reader, writer, "MAIL FROM:<buyer@marketplace.amazon.de>")
        if await self._say(reader, writer, f"RCPT TO:<{ADDRESS}>") != "250":
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        await self._say(reader, writer, "DATA")
        mail = f"Message-ID: <{mail_id}@load.example>\r\n\r\n{os.urandom(1500).hex()}\r\n".encode()
        writer.write(mail + b".\r\n")
        code = await self._heard(reader)
        if code == "250":
            self.accepted[mail_id] = hashlib.sha256(mail).hexdigest()
        async with self._changed:
            self.codes[f"data {code}"] += 1
            self._changed.notify_all()

    async def _say(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str) -> str:
        writer.write(line.encode() + b"\r\n")
        code = await self._heard(reader)
        async with self._changed:
            self.codes[f"{line[:4]} {code}"] += 1
            self._changed.notify_all()
        return code

    @staticmethod
    async def _heard(reader: asyncio.StreamReader) -> str:
        while True:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise EOFError
            if line[3:4] != b"-":
                return line[:3].decode()


class RelayProcess:
    """`python -m services.mailrelay serve`, always on the same port."""

    def __init__(self, database: Database, keys: Keys, log: Path, **settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._log = log
        self._environment = {
            "PATH": os.defpath,
            "REPLYCO_DATABASE_URL": database.url(RELAY),
            "REPLYCO_MAIL_PUBLIC_KEY_FILE": str(keys.mail_public_key_file),
            "REPLYCO_SMTP_PORT": str(self.port),
            "REPLYCO_SIDE_PORT": "0",
            "REPLYCO_BLOB_URL": keys.blob_url,
            "REPLYCO_COMMIT_TIMEOUT_SECONDS": "3",
            **{f"REPLYCO_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command("services.mailrelay", "serve"),
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        await self._process.wait()

    async def ended(self) -> int:
        """Its exit code, when it ends by itself."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), 20)


@contextlib.asynccontextmanager
async def running(database: Database, keys: Keys, log: Path, **settings: str) -> AsyncIterator[RelayProcess]:
    """A relay process on a database with one relay address."""
    engine = create_engine(database.url(OWNER), application_name="tests")
    keyring = Keyring(KeyFile.load(keys.key_file))
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    await engine.dispose()
    relay = RelayProcess(database, keys, log, **settings)
    try:
        await relay.start()
        yield relay
    finally:
        await relay.end(signal.SIGKILL)


async def reachable(relay: RelayProcess) -> None:
    """Wait until it takes connections."""
    async with asyncio.timeout(20):
        while True:
            try:
                _reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            except OSError:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                writer.close()
                return


async def stored(database: Database, keys: Keys) -> Counter[tuple[str, str]]:
    """How often each mail lies in the database, by its id and hash."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        rows = await connection.fetch("SELECT id, account_id, content_key, raw, blob_key FROM accepted_mail")
    finally:
        await connection.close()
    counted: Counter[tuple[str, str]] = Counter()
    for row in rows:
        mail = opened(row, keys, "raw")
        mail_id = mail.partition(b"<")[2].partition(b"@")[0].decode()
        counted[mail_id, hashlib.sha256(mail).hexdigest()] += 1
    return counted
