"""From `250` to a message that REST shows, and how many a second go all the way: relay, worker and connector as they are deployed.

Beside it runs the simplest program that could do the same (pipeline_peer), with the same mails, sessions and PostgreSQL. Latencies are
measured at a fixed rate, and at a quarter of the rate that this machine sustained just before: so they mean the same on any machine.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Final

import asyncpg

from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, OWNER
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.bench.accept import running_relay
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.bench.served import Client, bench_key, free_port, running, settings_of
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address, make_user
from tests.processes import command
from tests.signing import amazon_dns, signed

RATE: Final = 100
SECONDS: Final = 20
MAILS: Final = 6_000
ROUNDS: Final = 3
STORES: Final = 20
SESSIONS: Final = 20
READERS: Final = 8
# Not measured: the worker's parser starts with its first mail.
WARM_UP: Final = 200
PEER_NAME: Final = "aiosmtpd, email, one INSERT a mail"
PEER_DATABASE: Final = "peer"
_SEED: Final = (Path(__file__).parents[1] / "mails" / "buyer-question.eml").read_bytes()
_NUMBER: Final = re.compile(rb"Frage (\d+) zur")


def measure() -> list[Figure]:
    """About three minutes."""
    with installation() as (database, keys):
        return asyncio.run(measure_on(database, keys))


async def measure_on(database: Database, keys: Keys) -> list[Figure]:
    """The same on an installation that is there already."""
    api_key = await prepare_stores(database, keys)
    port = free_port()
    worker = worker_settings(database, keys)
    peer_port = free_port()
    await database.postgres.create_database(PEER_DATABASE)
    peer_dsn = asyncpg_dsn(database.postgres.url(OWNER, PEER_DATABASE))
    p50, p99, quarter_p99, rates, peer_rates = [], [], [], [], []
    with (
        running_relay(database.postgres, keys.key_file.parent, processes="1") as relay,
        running(command("services.mailrelay", "worker"), worker),
        running(command("services.connector", "serve"), settings_of(database.url(CONNECTOR), keys, port)),
        running(
            [*command("tests.bench.pipeline_peer"), f"--port={peer_port}", f"--dsn={peer_dsn}"],
            {},
        ),
    ):
        numbers = iter(range(10**9))
        (await Client.connect(port, api_key)).close()  # when it is up
        async with open_sessions(relay.port) as sessions, open_sessions(peer_port) as peer_sessions:
            await send_all(sessions, signed_before(numbers, WARM_UP))
            await all_visible(database)
            await send_all(peer_sessions, signed_before(numbers, WARM_UP))
            for turn in range(ROUNDS):
                rates.append(await _pipeline_rate(sessions, numbers, database))
                peer_rates.append(await _peer_rate(peer_sessions, numbers, peer_dsn))
                seconds = await visible_after(sessions, numbers, port, api_key, rate=RATE)
                p50.append(percentile(seconds, 0.5) * 1000)
                p99.append(percentile(seconds, 0.99) * 1000)
                seconds = await visible_after(sessions, numbers, port, api_key, rate=rates[-1] / 4)
                quarter_p99.append(percentile(seconds, 0.99) * 1000)
                say(
                    f"turn {turn}: pipeline {rates[-1]:.0f}/s, peer {peer_rates[-1]:.0f}/s; visible at {RATE}/s p50 {p50[-1]:.0f} ms,"
                    f" p99 {p99[-1]:.0f} ms, at {rates[-1] / 4:.0f}/s p99 {quarter_p99[-1]:.0f} ms;"
                    f" load average {os.getloadavg()[0]:.1f}"
                )
    return [
        Figure("visible_p50_ms", "ms", p50),
        Figure("visible_p99_ms", "ms", p99),
        Figure("visible_p99_quarter_ms", "ms", quarter_p99),
        Figure("pipeline_rate", "messages/s", rates, PEER_NAME, peer_rates),
    ]


def worker_settings(database: Database, keys: Keys) -> dict[str, str]:
    """Of the mail worker, for its environment."""
    return {
        "REPLYCO_DATABASE_URL": database.url(MAIL_WORKER),
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
        "REPLYCO_BLOB_URL": keys.blob_url,
        "REPLYCO_WORKER_PORT": str(free_port()),
        "REPLYCO_LOG_LEVEL": "WARNING",
        "REPLYCO_NAMESERVERS": amazon_dns().setting,
    }


async def _pipeline_rate(sessions: list["Smtp"], numbers: Iterable[int], database: Database) -> float:
    """Mails a second, from the first DATA until the last message is visible."""
    todo = signed_before(numbers, MAILS)
    began = time.perf_counter()
    await send_all(sessions, todo)
    await all_visible(database)
    return MAILS / (time.perf_counter() - began)


async def _peer_rate(sessions: list["Smtp"], numbers: Iterable[int], dsn: str) -> float:
    """The same of the peer: what it has answered 250 is visible. Each must be a row; then its table is emptied."""
    todo = signed_before(numbers, MAILS)
    connection = await asyncpg.connect(dsn)
    await connection.execute("TRUNCATE mails")
    began = time.perf_counter()
    await send_all(sessions, todo)
    seconds = time.perf_counter() - began
    stored = await connection.fetchval("SELECT count(*) FROM mails")
    await connection.execute("TRUNCATE mails")
    await connection.execute("CHECKPOINT")
    await connection.close()
    if stored != MAILS:
        raise RuntimeError(f"the peer answered {MAILS} mails 250, and has {stored}")
    return MAILS / seconds


def percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[int(len(seconds) * share)]


async def prepare_stores(database: Database, keys: Keys) -> str:
    keyring = Keyring(KeyFile.load(keys.key_file))
    engine = create_engine(database.url(OWNER), application_name="bench")
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, keyring)
        creator = await make_user(session, account.id)
        for number in range(STORES):
            integration = await make_integration(session, account.id, name=f"Store {number}")
            await make_relay_address(session, integration, local_part=f"bench{number:03d}")
        api_key, row = bench_key(account.id, creator.id)
        session.add(row)
    await engine.dispose()
    return api_key


def mail(number: int) -> bytes:
    """A buyer's question, signed by Amazon; every second one goes on in the conversation of the one before."""
    about = number // 2
    return signed(
        _SEED.replace(b"Frage_zur", b"Frage_%d_zur" % number)
        .replace(b"mabtekrud@replyco.email", _recipient(number))
        .replace(b"k3j4h5g6f7d8s9a", b"b%014d" % about)
        .replace(b"302-7654321-1234567", b"302-%07d-1234567" % (about % 10**7))
        .replace(b"11111111-2222-4333-8444-555555555555", b"11111111-2222-4333-8444-%012d" % about)
    )


class Smtp:
    """One connection that is kept open; MAIL, RCPT and DATA in one packet (RFC 2920)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Smtp":
        session = cls(*await _connection_to(port))
        await session._reply(b"220")
        await session.say(b"EHLO bench.example", b"250")
        return session

    async def send(self, recipient: bytes, content: bytes, *, sender: bytes = b"bounce@amazon.de") -> float:
        """When the 250 came."""
        self._writer.write(b"MAIL FROM:<" + sender + b">\r\nRCPT TO:<" + recipient + b">\r\nDATA\r\n")
        for code in (b"250", b"250", b"354"):
            await self._reply(code)
        await self.say(content + b"\r\n.", b"250")
        return time.perf_counter()

    def close(self) -> None:
        self._writer.close()

    async def say(self, line: bytes, code: bytes) -> None:
        self._writer.write(line + b"\r\n")
        await self._reply(code)

    async def _reply(self, code: bytes) -> None:
        while (line := await self._reader.readline())[3:4] == b"-":
            pass
        if not line.startswith(code):
            raise RuntimeError(line)


async def _connection_to(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Waits until the server is up."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def open_sessions(port: int) -> AsyncIterator[list[Smtp]]:
    sessions = [await Smtp.connect(port) for _ in range(SESSIONS)]
    yield sessions
    for session in sessions:
        session.close()


def _recipient(number: int) -> bytes:
    return b"bench%03d@replyco.email" % (number // 2 % STORES)


async def send_all(sessions: list[Smtp], todo: list[tuple[int, bytes]]) -> None:
    """As fast as the sessions go."""

    async def keep_on(session: Smtp) -> None:
        while todo:
            number, content = todo.pop()
            await session.send(_recipient(number), content)

    await asyncio.gather(*(keep_on(session) for session in sessions))


def signed_before(numbers: Iterable[int], count: int) -> list[tuple[int, bytes]]:
    """Signing is Amazon's work, and not measured."""
    return [(number, mail(number)) for number in islice(numbers, count)]


async def all_visible(database: Database) -> None:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    while await connection.fetchval("SELECT EXISTS (SELECT FROM accepted_mail WHERE state = 'accepted')"):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await connection.close()


async def visible_after(
    sessions: list[Smtp], numbers: Iterable[int], port: int, api_key: str, *, rate: float
) -> list[float]:
    """Seconds, at so many mails a second, from each 250 to the answer of REST that shows the message: a client that hears events and reads."""
    accepted: dict[int, float] = {}
    shown: dict[int, float] = {}
    message_ids: asyncio.Queue[str] = asyncio.Queue()
    todo = signed_before(numbers, max(100, round(rate * SECONDS)))
    is_ready = asyncio.Event()
    listening = asyncio.create_task(_listen(port, api_key, message_ids, is_ready))
    reading = [asyncio.create_task(_read(port, api_key, message_ids, shown)) for _ in range(READERS)]
    free: asyncio.Queue[Smtp] = asyncio.Queue()
    for session in sessions:
        free.put_nowait(session)

    async def send(number: int, content: bytes) -> None:
        session = await free.get()
        accepted[number] = await session.send(_recipient(number), content)
        free.put_nowait(session)

    await is_ready.wait()
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for turn, (number, content) in enumerate(todo):
            await asyncio.sleep(max(0.0, begin + turn / rate - time.perf_counter()))
            group.create_task(send(number, content))
    async with asyncio.timeout(120):
        while len(shown) < len(accepted):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    for task in (listening, *reading):
        task.cancel()
    await asyncio.wait([listening, *reading])
    return [shown[number] - at for number, at in accepted.items()]


async def _listen(port: int, api_key: str, message_ids: asyncio.Queue[str], is_ready: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api_key}\r\n\r\n".encode()
    )
    while line := await reader.readline():
        if line.startswith(b"event: ready"):
            is_ready.set()
        if line.startswith(b"data:") and b"message_id" in line:
            message_ids.put_nowait(json.loads(line[5:])["ids"]["message_id"])


async def _read(port: int, api_key: str, message_ids: asyncio.Queue[str], shown: dict[int, float]) -> None:
    client = await Client.connect(port, api_key)
    while True:
        message_id = await message_ids.get()
        body = await client.get(f"/api/v1/messages/{message_id}")
        number = _NUMBER.search(body)
        if number is not None:
            shown[int(number[1])] = time.perf_counter()


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
