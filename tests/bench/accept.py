"""Durable accept: our relay against Postfix, in one run, on one disk, interleaved, with the same load."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import psutil

from deploy.demo.postgres import OWNER, RELAY, EmbeddedPostgres
from shared.crypto.key_provider import KeyFile
from shared.crypto.raw_mail import create_mail_key_pair
from shared.database import asyncpg_dsn, create_engine, create_sessions
from shared.keyring import Keyring
from tests.bench.figures import Figure
from tests.bench.installation import DATABASE, migrate
from tests.bench.postfix import running_postfix, why_not
from tests.conftest import Database
from tests.factories import make_account, make_integration, make_relay_address
from tests.processes import command

SESSIONS = 50
# As the operators' page advises; Postfix starts as many as it likes.
PROCESSES = os.cpu_count() or 1
ROUNDS = 3
SECONDS = 3.0
SIZES = {"4k": 4_096, "50k": 51_200, "1m": 1_048_576}
# `#` is the session's number.
_RECIPIENT = "bench#@replyco.email"


def measure() -> list[Figure]:
    """About three minutes."""
    reason = why_not()
    if reason is not None:
        say(f"No comparison: {reason}.")
    with (
        tempfile.TemporaryDirectory(prefix="replyco-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        postgres = EmbeddedPostgres.start(folder / "pg")
        stack.callback(postgres.stop)
        asyncio.run(prepare(postgres, folder))
        relay = stack.enter_context(running_relay(postgres, folder, processes=str(PROCESSES)))
        targets = {"ours": relay.port}
        if reason is None:
            targets["Postfix"] = stack.enter_context(running_postfix(folder / "postfix"))
        return _measure_all(targets, postgres, folder)


def _measure_all(targets: dict[str, int], postgres: EmbeddedPostgres, folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    p99: dict[str, list[float]] = {target: [] for target in targets}
    for size_name, size in SIZES.items():
        for mode in ("one", "many"):
            figure_name = f"accept_{size_name}_{mode}"
            rates: dict[str, list[float]] = {target: [] for target in targets}
            for _ in range(ROUNDS):
                for target, port in targets.items():
                    result = _load(port, size, is_reused=mode == "many")
                    rates[target].append(result["rate"])
                    if (size_name, mode) == ("4k", "many"):
                        p99[target].append(result["p99_ms"])
                    if target == "ours":
                        asyncio.run(_check_and_empty(postgres, int(result["accepted"])))
                        _empty_blobs(folder / "blobs")
                    say(
                        f"{figure_name:<18}{target:<9}{result['rate']:>9,.1f}/s  p99 {result['p99_ms']:,.1f} ms"
                    )
            figures.append(
                Figure(figure_name, "messages/s", rates["ours"], "Postfix", rates.get("Postfix", []))
            )
    return [*figures, Figure("accept_p99", "ms", p99["ours"], "Postfix", p99.get("Postfix", []))]


def _load(port: int, size: int, *, is_reused: bool) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "tests.bench.smtp_load",
        f"--port={port}",
        f"--sessions={SESSIONS}",
        f"--size={size}",
    ]
    command += [f"--seconds={SECONDS}", f"--recipient={_RECIPIENT}", *(["--reuse"] if is_reused else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    result: dict[str, float] = json.loads(done.stdout)
    if result["refused"]:
        raise RuntimeError(f"{result['refused']} mails were refused")
    return result


async def prepare(postgres: EmbeddedPostgres, folder: Path) -> None:
    await migrate(Database(postgres, DATABASE))
    KeyFile.create(folder / "account-keys.json")
    create_mail_key_pair(folder / "mail-private.json", folder / "mail-public.json")
    keyring = Keyring(KeyFile.load(folder / "account-keys.json"))
    engine = create_engine(postgres.url(OWNER, DATABASE), application_name="bench")
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, keyring)
        for number in range(SESSIONS):
            integration = await make_integration(session, account.id, name=f"Store {number}")
            await make_relay_address(session, integration, local_part=f"bench{number:03d}")
    await engine.dispose()


async def _check_and_empty(postgres: EmbeddedPostgres, accepted: int) -> None:
    """Every 250 must be a row; then make room, so that each run begins alike."""
    connection = await asyncpg.connect(asyncpg_dsn(postgres.url(OWNER, DATABASE)))
    stored = await connection.fetchval("SELECT count(*) FROM accepted_mail")
    if stored != accepted:
        raise RuntimeError(f"{accepted} mails were answered 250, {stored} are in the database")
    await connection.execute("TRUNCATE accepted_mail")
    await connection.execute("CHECKPOINT")
    await connection.close()


def _empty_blobs(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


class Relay(NamedTuple):
    port: int
    # Of a process that accepts mail.
    pid: int


@contextlib.contextmanager
def running_relay(postgres: EmbeddedPostgres, folder: Path, **settings: str) -> Iterator[Relay]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    environment = {
        "PATH": os.defpath,
        "REPLYCO_DATABASE_URL": postgres.url(RELAY, DATABASE),
        "REPLYCO_MAIL_PUBLIC_KEY_FILE": str(folder / "mail-public.json"),
        "REPLYCO_BLOB_URL": (folder / "blobs").as_uri(),
        "REPLYCO_SMTP_PORT": str(port),
        "REPLYCO_SIDE_PORT": "0",
        **{f"REPLYCO_{name.upper()}": value for name, value in settings.items()},
    }
    with (folder / "relay.log").open("wb") as log:
        relay = subprocess.Popen(
            command("services.mailrelay", "serve"),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 20
        while b"relay_ready" not in (folder / "relay.log").read_bytes():
            if relay.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the relay did not start: " + (folder / "relay.log").read_text()[-500:])
            time.sleep(0.05)
        accepting = psutil.Process(relay.pid).children()[0]
        yield Relay(port, accepting.pid)
    finally:
        relay.terminate()
        try:
            relay.wait(timeout=30)
        finally:
            relay.kill()


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
