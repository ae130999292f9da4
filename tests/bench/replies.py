"""How many replies a second go out, and from an agent's click to the server's `250`: connector and mail worker as they are deployed.

Beside it the same mails are sent by a bare aiosmtplib loop, to the same server, over one connection: no database, no key, no promise.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import aiosmtplib
import asyncpg
import httpx2

from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, OWNER
from services.connector.http.paths import API_PREFIX
from services.mailrelay.outbound.reply import Reply
from services.mailrelay.outbound.signing import signed_mail
from shared.channels import REPLY_CHANNEL
from shared.crypto.dkim_keys import DkimKeyFile
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.tables import ApiKey, User
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.bench.served import bench_key, free_port, running, settings_of
from tests.bench.visible import percentile, say
from tests.conftest import Database, Keys
from tests.factories import make_user
from tests.integration.mailrelay.outbound.conftest import ORDER, Shop, make_shop
from tests.processes import command

REPLIES: Final = 1_500
ROUNDS: Final = 3
RATE: Final = 20
CLICKS: Final = 300
_UNSTORED: Final = "SELECT EXISTS (SELECT FROM outbound_messages WHERE state <> 'handed_over')"
PEER_NAME: Final = "a bare aiosmtplib loop"
TEXT: Final = (
    "Guten Tag,\n\nvielen Dank für Ihre Nachricht. Ihre Lampe hat unser Lager heute verlassen und ist übermorgen bei Ihnen. "
    "Die Sendungsnummer finden Sie in Ihrem Konto unter Ihren Bestellungen.\n\nMit freundlichen Grüßen\nIhr Lampenladen\n"
)


@dataclass
class Sink:
    """The server that takes the replies, and when it took each."""

    port: int
    taken: dict[str, float] = field(default_factory=dict)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(300), self.arrived:
            await self.arrived.wait_for(lambda: len(self.taken) >= count)


def measure() -> list[Figure]:
    """About three minutes."""
    with installation() as (database, keys):
        return asyncio.run(measure_on(database, keys))


async def measure_on(database: Database, keys: Keys) -> list[Figure]:
    """The same on an installation that is there already."""
    DkimKeyFile.create(keys.key_file.parent / "dkim.json", datetime.now(UTC))
    engine = create_engine(database.url(OWNER), application_name="bench")
    sessions, keyring = create_sessions(engine), Keyring(KeyFile.load(keys.key_file))
    shop = await make_shop(sessions, keyring, keys)
    api_key, port = await _writer(shop), free_port()
    rates, peer_rates, p50, p99 = [], [], [], []
    async with _sink() as sink:
        serve = settings_of(database.url(CONNECTOR), keys, port) | {"REPLYCO_REPLY_UNDO_SECONDS": "0"}
        with (
            running(command("services.connector", "serve"), serve),
            running(command("services.mailrelay", "worker"), _worker_settings(database, keys, sink)),
        ):
            await _reply_rate(shop, database, sink, 100)  # not measured: everything starts with its first
            for turn in range(ROUNDS):
                rates.append(await _reply_rate(shop, database, sink, REPLIES))
                peer_rates.append(await _peer_rate(shop, keys, sink, REPLIES))
                say(f"turn {turn}: {rates[-1]:.0f} replies/s, peer {peer_rates[-1]:.0f}/s")
                seconds = await _clicks(shop, sink, port, api_key)
                p50.append(percentile(seconds, 0.5) * 1000)
                p99.append(percentile(seconds, 0.99) * 1000)
                say(
                    f"turn {turn}: click to 250 at {RATE}/s"
                    f" p50 {p50[-1]:.0f} ms, p99 {p99[-1]:.0f} ms; load average {os.getloadavg()[0]:.1f}"
                )
    await engine.dispose()
    return [
        Figure("reply_rate", "messages/s", rates, PEER_NAME, peer_rates),
        Figure("reply_p50_ms", "ms", p50),
        Figure("reply_p99_ms", "ms", p99),
    ]


def _worker_settings(database: Database, keys: Keys, sink: Sink) -> dict[str, str]:
    return {
        "REPLYCO_DATABASE_URL": database.url(MAIL_WORKER),
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
        "REPLYCO_DKIM_KEY_FILE": str(keys.key_file.parent / "dkim.json"),
        "REPLYCO_BLOB_URL": keys.blob_url,
        "REPLYCO_WORKER_PORT": str(free_port()),
        "REPLYCO_LOG_LEVEL": "WARNING",
        "REPLYCO_SMARTHOST_HOST": "127.0.0.1",
        "REPLYCO_SMARTHOST_PORT": str(sink.port),
        "REPLYCO_SMARTHOST_TLS": "none",
        "REPLYCO_SMARTHOST_CONNECTIONS": "1",
        "REPLYCO_SMARTHOST_MAILS_PER_SECOND": "1000",
    }


async def _writer(shop: Shop) -> str:
    async with shop.sessions.begin() as session:
        user: User = await make_user(session, shop.integration.account_id)
        key, row = bench_key(shop.integration.account_id, user.id)
        row.inbox_replies = "edit"
        session.add(row)
    assert isinstance(row, ApiKey)
    return key


@asynccontextmanager
async def _sink() -> AsyncIterator[Sink]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *command("tests.bench.smtp_sink", f"--port={port}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath},
    )
    sink = Sink(port)

    async def listen() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            name, moment = line.decode().split()
            sink.taken[name] = float(moment)
            async with sink.arrived:
                sink.arrived.notify_all()

    listening = asyncio.create_task(listen())
    try:
        yield sink
    finally:
        listening.cancel()
        process.kill()
        await process.wait()


async def _reply_rate(shop: Shop, database: Database, sink: Sink, count: int) -> float:
    """Replies a second, from the moment when all of them are due until the last one is stored as handed over."""
    later = datetime.now(UTC) + timedelta(days=1)
    for _ in range(count):
        await shop.reply(await shop.question(), text=TEXT, due_at=later)
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await connection.execute("CHECKPOINT")
    before, began = len(sink.taken), time.monotonic()
    await connection.execute("UPDATE outbound_messages SET due_at = now() WHERE state = 'queued'")
    await connection.execute(f"NOTIFY {REPLY_CHANNEL}")
    await sink.until(before + count)
    while await connection.fetchval(_UNSTORED):  # noqa: ASYNC110 - its last steps make no event that is heard here
        await asyncio.sleep(0.005)
    seconds = time.monotonic() - began
    await connection.close()
    return count / seconds


async def _peer_rate(shop: Shop, keys: Keys, sink: Sink, count: int) -> float:
    """The same number of the same mails, made before."""
    dkim = DkimKeyFile.load(keys.key_file.parent / "dkim.json")
    mails = []
    for number in range(count):
        reply = Reply(
            UUID(int=number + (len(sink.taken) << 64)), shop.sender_address, "k3x9example0abc+A2TAG@marketplace.amazon.de",
            "Frage zur Lampe", ORDER, TEXT, datetime.now(UTC), in_reply_to="<question@eu-west-1.amazonses.com>",
            references=("<first@eu-west-1.amazonses.com>",),
        )  # fmt: skip
        mails.append(
            (reply, await signed_mail(reply, mail_domain="replyco.email", keys=dkim, eight_bit=True))
        )
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port, start_tls=False)
    await client.connect()
    began = time.monotonic()
    for reply, mail in mails:
        await client.sendmail(reply.from_address, [reply.to_address], mail)
    seconds = time.monotonic() - began
    await client.quit()
    return count / seconds


async def _clicks(shop: Shop, sink: Sink, port: int, api_key: str) -> list[float]:
    """From the request of each reply to the server's `250`, at a fixed rate."""
    questions = [await shop.question() for _ in range(CLICKS)]
    clicked: dict[str, float] = {}
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}{API_PREFIX}",
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=60,
    ) as client:
        etags = {}
        for question in questions:
            path = f"/conversations/{question.conversation_id}"
            etags[path] = (await client.get(path)).raise_for_status().headers["ETag"]

        async def click(path: str) -> None:
            at = time.monotonic()
            answer = await client.post(
                f"{path}/replies",
                json={
                    "text": TEXT,
                    "file_ids": [],
                    "send_at": None,
                    "close": False,
                    "confirmed_warnings": [],
                },
                headers={"If-Match": etags[path], "Idempotency-Key": path},
            )
            answer.raise_for_status()
            clicked[UUID(answer.json()["id"]).hex] = at

        clicks, began = [], time.monotonic()
        for number, path in enumerate(etags):
            await asyncio.sleep(began + number / RATE - time.monotonic())
            clicks.append(asyncio.create_task(click(path)))
        await asyncio.gather(*clicks)
    async with asyncio.timeout(30), sink.arrived:
        await sink.arrived.wait_for(lambda: clicked.keys() <= sink.taken.keys())
    return [sink.taken[name] - at for name, at in clicked.items()]
