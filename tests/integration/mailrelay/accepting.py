"""A relay on free ports, and a client that speaks bytes."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from pydantic import SecretStr

from deploy.demo.postgres import OWNER, RELAY
from services.mailrelay.process.listeners import open_listeners
from services.mailrelay.process.relay import accept_mail
from services.mailrelay.settings import RelaySettings
from shared.blobs import blob_id_of
from shared.crypto.envelope import Sealed
from shared.crypto.raw_mail import ContentKey, MailPrivateKey
from shared.driver import asyncpg_dsn
from shared.side_port import Answering, answering_on, open_listener
from tests.conftest import Database, Keys

DOMAIN = "replyco.email"

# What other servers have taken for the end of a mail. Only CRLF . CRLF is.
NO_END_OF_DATA = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n..\r\n",
]


@dataclass(frozen=True)
class Relay:
    smtp_port: int
    side_port: int
    stop: asyncio.Event

    async def metrics(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.side_port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        return text

    async def counts(self, line: str) -> None:
        """Wait until the metrics have this line."""
        async with asyncio.timeout(60):
            # Nothing tells. It answers in this process, and would do nothing else.
            while f"\n{line}\n" not in await self.metrics():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator["Client"]:
        """A client that has read the greeting."""
        client = await connect(self.smtp_port)
        try:
            yield client
        finally:
            client.writer.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()


@contextlib.asynccontextmanager
async def running_relay(database: Database, keys: Keys, **settings: Any) -> AsyncIterator[Relay]:
    """A relay in this process, with the relay's own rights in the database."""
    stop = asyncio.Event()
    ready: asyncio.Future[Answering] = asyncio.get_running_loop().create_future()
    values = {
        "database_url": SecretStr(database.url(RELAY)),
        "smtp_port": 0,
        "side_port": 0,
        "mail_public_key_file": keys.mail_public_key_file,
        "smtp_hostname": "mx.test.example",
        "tls_required": False,
        "blob_url": keys.blob_url,
        "shutdown_seconds": 2,
        **settings,
    }
    relay_settings = RelaySettings(**values)
    [listeners] = open_listeners(relay_settings, 1)
    smtp_port = int(listeners[0].getsockname()[1])
    serving = asyncio.create_task(accept_mail(relay_settings, listeners, stop, on_ready=ready.set_result))
    waiting: list[asyncio.Future[Any]] = [serving, ready]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    try:
        if serving.done():
            serving.result()
        side = open_listener("127.0.0.1", 0, setting="REPLYCO_SIDE_PORT")
        side_port = int(side.getsockname()[1])
        async with answering_on(side, ready.result()):
            yield Relay(smtp_port, side_port, stop)
            stop.set()
            await serving
    finally:
        stop.set()
        for listener in listeners:
            listener.close()
        await asyncio.gather(serving, return_exceptions=True)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        # As the greeting has it.
        self.session_id = ""

    async def reply(self) -> str:
        """The next reply, all its lines, without the session's id that each has to have. Empty when the server has closed."""
        lines = []
        async with asyncio.timeout(90):
            while True:
                line = (await self.reader.readline()).decode("ascii")
                lines.append(line.rstrip("\r\n"))
                if line[3:4] != "-":
                    break
        if not lines[0]:
            return ""
        text, _, session_id = lines[0].rpartition(" ")
        self.session_id = self.session_id or session_id
        assert re.fullmatch(r"\([0-9a-f]{16}\)", session_id), lines[0]
        assert session_id == self.session_id
        return "\n".join([text, *lines[1:]])

    async def say(self, line: str | bytes) -> str:
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def begin(self, *recipients: str, sender: str = "buyer@marketplace.amazon.de") -> None:
        """To the moment where the text of the mail is awaited."""
        assert (await self.say("EHLO sender.example")).startswith("250")
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250 2.1.0")
        for recipient in recipients:
            assert (await self.say(f"RCPT TO:<{recipient}>")).startswith("250 2.1.5")
        assert (await self.say("DATA")).startswith("354")

    async def deliver(self, recipient: str, mail: bytes) -> str:
        """One mail with all that belongs to it; the reply to its end."""
        await self.begin(recipient)
        self.send(mail + b"\r\n.\r\n")
        return await self.reply()

    async def try_to_smuggle(self, recipient: str, sequence: bytes) -> None:
        """A second mail within the first: it must stay within, and the session go on."""
        smuggled = f"MAIL FROM:<forged@amazon.de>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nforged".encode()
        await self.begin(recipient)
        for part in (b"real" + sequence, smuggled, b"\r\n.", b"\r\n"):
            self.send(part)
            await self.writer.drain()
            await asyncio.sleep(0.01)
        assert (await self.reply()).startswith("250 ")
        assert (await self.say("NOOP")).startswith("250 2.0.0 OK")

    async def encrypt(self, context: ssl.SSLContext) -> ssl.SSLObject:
        """STARTTLS and the handshake."""
        assert (await self.say("STARTTLS")).startswith("220 ")
        return await self.shake_hands(context)

    async def shake_hands(self, context: ssl.SSLContext) -> ssl.SSLObject:
        async with asyncio.timeout(90):
            await self.writer.start_tls(context, server_hostname="mx.test.example")
        secured = self.writer.get_extra_info("ssl_object")
        assert isinstance(secured, ssl.SSLObject)
        return secured


async def connect(port: int) -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    assert (await client.reply()).startswith("220 ")
    return client


async def stored_mails(database: Database, keys: Keys) -> list[bytes]:
    """Every accepted mail, opened, in order of acceptance."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        rows = await connection.fetch("SELECT * FROM accepted_mail ORDER BY id")
    finally:
        await connection.close()
    private_key = keys.mail_private_key
    return [opened(row, keys, "raw", private_key) for row in rows]


def opened(row: asyncpg.Record, keys: Keys, column: str, private_key: MailPrivateKey | None = None) -> bytes:
    """A column of an accepted mail; whoever opens many gives the key, which else is read for each."""
    with_key = private_key or keys.mail_private_key
    key = ContentKey.open_with(with_key, row["account_id"], row["id"], row["content_key"])
    if column == "raw" and row["raw"] is None:
        sealed = (keys.blob_folder / row["blob_key"]).read_bytes()
        return key.open_mail(Sealed(sealed), blob_id_of(row["blob_key"]))
    return key.open(column, Sealed(row[column]))
