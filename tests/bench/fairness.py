"""How long buyers' mail of other accounts takes to be visible while one address is flooded with mail that is made to be slow.

From `250` to the answer of REST, at a steady rate; without the flood as the peer. The rates by address and network are off, so that
what is measured is the order of the work alone.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Final

import asyncpg

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.bench.accept import running_relay
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.bench.served import Client, running, settings_of
from tests.bench.visible import (
    WARM_UP,
    Smtp,
    all_visible,
    open_sessions,
    percentile,
    prepare_stores,
    say,
    send_all,
    signed_before,
    visible_after,
    worker_settings,
)
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.processes import command, free_port

RATE: Final = 10
ROUNDS: Final = 3
MAILS_OF_A_KIND: Final = 150
_BYTES: Final = 49_000
_FLOODED: Final = "flooded"


def _html(piece: bytes, size: int = _BYTES) -> bytes:
    return b"Content-Type: text/html\r\n\r\n" + piece * (size // len(piece))


def _levels() -> bytes:
    parts = b"".join(
        b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (n, n + 1) for n in range(900)
    )
    return b"Content-Type: multipart/mixed; boundary=0\r\n\r\n" + parts


# What is slow in one parser or another, each of some 49 KB; the last is large, and lies in the blob store.
HOSTILE: Final[dict[str, Callable[[], bytes]]] = {
    "nested": lambda: _html(b"<div>"),
    "unclosed": lambda: _html(b"<b><i><table><tr><td>"),
    "attributes": lambda: _html(b'<a href=x title="&lt;&amp;" '),
    "brackets": lambda: _html(b"<"),
    "comments": lambda: _html(b"<!--"),
    "quotes": lambda: (
        b"Content-Type: text/plain\r\n\r\n" + b"> On Mon, 1 Jan 2024 at 10:00, x <x@x> wrote:\r\n" * 1000
    ),
    "levels": _levels,
    "delimiters": lambda: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 9800,
    "words": lambda: (
        b"Subject: " + b"=?utf-8?q?=41?=\r\n " * 400 + b"\r\n\r\n" + b"302-7654321-1234567 " * 2400
    ),
    "large": lambda: _html(b"<div>", 400_000),
}


def measure() -> list[Figure]:
    """About three minutes."""
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys))


async def _measure(database: Database, keys: Keys) -> list[Figure]:
    api_key = await prepare_stores(database, keys)
    await _make_flooded_address(database, keys)
    port = free_port()
    alone: list[float] = []
    beside: list[float] = []
    with (
        running_relay(database.postgres, keys.key_file.parent, processes="1") as relay,
        running(command("services.mailrelay", "worker"), worker_settings(database, keys)),
        running(command("services.connector", "serve"), settings_of(database.url(CONNECTOR), keys, port)),
    ):
        numbers = iter(range(10**9))
        (await Client.connect(port, api_key)).close()  # when it is up
        async with open_sessions(relay.port) as sessions:
            await send_all(sessions, signed_before(numbers, WARM_UP))
            await all_visible(database)
            for turn in range(ROUNDS):
                seconds = await visible_after(sessions, numbers, port, api_key, rate=RATE)
                alone.append(percentile(seconds, 0.99) * 1000)
                # In a process of its own, so that it takes no time from what measures and from the name server.
                with running(command("tests.bench.fairness", str(relay.port), str(turn)), {}):
                    seconds = await visible_after(sessions, numbers, port, api_key, rate=RATE)
                beside.append(percentile(seconds, 0.99) * 1000)
                say(
                    f"turn {turn}: p99 {alone[-1]:.0f} ms alone, {beside[-1]:.0f} ms beside the flood;"
                    f" {await _flooded_mails(database)}; load average {os.getloadavg()[0]:.1f}"
                )
    return [Figure("fairness_p99_ms", "ms", beside, "without the flood", alone)]


async def _make_flooded_address(database: Database, keys: Keys) -> None:
    engine = create_engine(database.url(OWNER), application_name="bench")
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, Keyring(KeyFile.load(keys.key_file)))
        integration = await make_integration(session, account.id, name="Flooded")
        await make_relay_address(session, integration, local_part=_FLOODED)
    await engine.dispose()


async def _flooded_mails(database: Database) -> str:
    """What has become of the hostile mails so far."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    rows = await connection.fetch(
        "SELECT state, lane, count(*) FROM accepted_mail JOIN relay_addresses ON relay_addresses.id = relay_address_id"
        " WHERE local_part = $1 GROUP BY 1, 2 ORDER BY 1, 2",
        _FLOODED,
    )
    await connection.close()
    return ", ".join(f"{row['count']} {row['state']} in {row['lane']}" for row in rows)


async def flood(port: int, turn: int) -> None:
    """A session for each trick and each sender sends as fast as it is answered."""

    async def send(kind: str, sender: bytes) -> None:
        session = await Smtp.connect(port)
        content = (
            b"From: Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nX-Kind: "
            + kind.encode()
            + sender
            + b"\r\n"
            + HOSTILE[kind]()
        )
        for number in range(MAILS_OF_A_KIND):
            mail = b"X-Number: %d of %d\r\n" % (number, turn) + content
            await session.send(_FLOODED.encode() + b"@replyco.email", mail, sender=sender)
        session.close()

    await asyncio.gather(
        *(send(kind, sender) for kind in HOSTILE for sender in (b"bounce@amazon.de", b"someone@mail.example"))
    )


if __name__ == "__main__":
    asyncio.run(flood(int(sys.argv[1]), int(sys.argv[2])))
