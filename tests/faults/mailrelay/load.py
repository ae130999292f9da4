"""Clients that deliver distinct mails to a relay as fast as they can, whatever happens to it, and keep count."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import asyncpg
import psutil

from deploy.demo.postgres import OWNER, RELAY
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, opened
from tests.processes import NO_RATES, command, free_port

ADDRESS = f"mabtekrud@{DOMAIN}"
# Of a client that nobody answers, or who is told to come later: what takes time meanwhile takes it from the same processors.
_PAUSE_SECONDS = 0.1
# Within which a slow machine starts or ends a process; only a relay that hangs takes longer.
SAFETY_SECONDS = 90


class Mail(NamedTuple):
    """`id` is in its header, so that it is known again."""

    id: str
    raw: bytes

    @classmethod
    def new(cls, mail_id: str, *, body_bytes: int = 3000) -> Self:
        head = f"Message-ID: <{mail_id}@load.example>\r\n\r\n"
        return cls(mail_id, f"{head}{os.urandom(body_bytes // 2).hex()}\r\n".encode())

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


class Load:
    """As senders do, each repeats a mail until it is answered 250.

    `offered` holds the hash of every mail, `accepted` of those that were answered 250; `codes` counts the replies of each kind,
    `refused` the connections that ended before a greeting.
    """

    def __init__(
        self,
        port: int,
        *,
        clients: int,
        name: str = "",
        source: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        pause_seconds: float = 0,
        body_bytes: int = 3000,
    ) -> None:
        self._port = port
        self._name = name
        self._source = source
        self._clients = clients
        self._tls = tls
        self._pause_seconds = pause_seconds
        self._body_bytes = body_bytes
        self.offered: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Condition()
        self.accepted: dict[str, str] = {}
        self.codes: Counter[str] = Counter()
        self.refused = 0

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
        async with asyncio.timeout(SAFETY_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.codes[code] >= target)

    async def _client(self, number: int) -> None:
        mails = (
            Mail.new(f"{self._name}{number}-{count}", body_bytes=self._body_bytes)
            for count in itertools.count(1)
        )
        mail = next(mails)
        while True:
            is_greeted = False
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, local_addr=(self._source, 0)
                )
                try:
                    await self._heard(reader)
                    is_greeted = True
                    await self._greet(reader, writer)
                    while True:
                        await self._deliver(reader, writer, mail)
                        if mail.id in self.accepted:
                            mail = next(mails)
                            await asyncio.sleep(self._pause_seconds)
                        else:
                            await asyncio.sleep(_PAUSE_SECONDS)
                finally:
                    writer.close()
            except (OSError, EOFError):
                self.refused += not is_greeted
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(reader, writer, "EHLO load.example")
        if self._tls is not None:
            await self._say(reader, writer, "STARTTLS")
            await writer.start_tls(self._tls, server_hostname="127.0.0.1")
            await self._say(reader, writer, "EHLO load.example")

    async def _deliver(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail: Mail) -> None:
        await self._say(reader, writer, "RSET")
        await self._say(reader, writer, "MAIL FROM:<buyer@marketplace.amazon.de>")
        if await self._say(reader, writer, f"RCPT TO:<{ADDRESS}>") != "250":
            return
        await self._say(reader, writer, "DATA")
        self.offered[mail.id] = mail.digest
        writer.write(mail.raw + b".\r\n")
        code = await self._heard(reader)
        if code == "250":
            self.accepted[mail.id] = mail.digest
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

    def __init__(
        self,
        database: Database,
        keys: Keys,
        log: Path,
        environment: Mapping[str, str] | None = None,
        /,
        **settings: str,
    ) -> None:
        self.port = free_port()
        self._log = log
        self._environment = {
            "PATH": os.defpath,
            "REPLYCO_DATABASE_URL": database.url(RELAY),
            "REPLYCO_MAIL_PUBLIC_KEY_FILE": str(keys.mail_public_key_file),
            "REPLYCO_SMTP_PORT": str(self.port),
            "REPLYCO_SIDE_PORT": "0",
            "REPLYCO_DEVELOPMENT": "true",
            "REPLYCO_TLS_REQUIRED": "false",
            "REPLYCO_BLOB_URL": keys.blob_url,
            "REPLYCO_COMMIT_TIMEOUT_SECONDS": "3",
            **{f"REPLYCO_{name.upper()}": value for name, value in (NO_RATES | settings).items()},
            **(environment or {}),
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

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    @property
    def processes(self) -> list[psutil.Process]:
        """The one that was started, and those that it has started."""
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    @property
    def accepting(self) -> psutil.Process:
        """The one that speaks with clients."""
        [process] = psutil.Process(self.pid).children()
        return process

    async def kill(self) -> None:
        """SIGKILL to all of its processes at once. After one to the first alone, the others would end in peace."""
        if self._process is None or self.has_ended:
            return
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await self._process.wait()

    async def end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        await self._process.wait()

    async def ended(self) -> int:
        """Its exit code, when it ends by itself."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), SAFETY_SECONDS)


@contextlib.asynccontextmanager
async def running(
    database: Database,
    keys: Keys,
    log: Path,
    environment: Mapping[str, str] | None = None,
    /,
    **settings: str,
) -> AsyncIterator[RelayProcess]:
    """A relay process on a database with one relay address."""
    await make_address(database, keys)
    async with started(RelayProcess(database, keys, log, environment, **settings)) as relay:
        yield relay


@contextlib.asynccontextmanager
async def started(relay: RelayProcess) -> AsyncIterator[RelayProcess]:
    """Until the block ends."""
    try:
        await relay.start()
        yield relay
    finally:
        await relay.kill()


async def make_address(database: Database, keys: Keys) -> None:
    """Where the mails of a load go."""
    engine = create_engine(database.url(OWNER), application_name="tests")
    keyring = Keyring(KeyFile.load(keys.key_file))
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    await engine.dispose()


async def reachable(relay: RelayProcess) -> None:
    """Wait until it takes connections."""
    async with asyncio.timeout(SAFETY_SECONDS):
        while True:
            try:
                _reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            except OSError:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                writer.close()
                return


async def stored(database: Database, keys: Keys, *, order_by: str = "id") -> Counter[tuple[str, str]]:
    """How often each mail lies in the database, by its id and hash."""
    return await _mails(
        database,
        keys,
        f"SELECT id, account_id, content_key, raw, blob_key FROM accepted_mail ORDER BY {order_by}",
    )


async def visible(database: Database, keys: Keys) -> Counter[tuple[str, str]]:
    """How often each mail is shown as a message, by its id and hash."""
    return await _mails(
        database,
        keys,
        "SELECT accepted_mail.* FROM messages JOIN accepted_mail ON accepted_mail.id = messages.accepted_mail_id",
    )


async def _mails(database: Database, keys: Keys, statement: str) -> Counter[tuple[str, str]]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        rows = await connection.fetch(statement)
    finally:
        await connection.close()
    counted: Counter[tuple[str, str]] = Counter()
    private_key = keys.mail_private_key
    for row in rows:
        mail = opened(row, keys, "raw", private_key)
        mail_id = mail.partition(b"<")[2].partition(b"@")[0].decode()
        counted[mail_id, hashlib.sha256(mail).hexdigest()] += 1
    return counted
