"""Durable accept: our relay against Postfix, in one run, on one disk, interleaved, with the same load.

Rates depend on the machine and on what else it does; processor time a mail hardly does. It is that of all processes of each
server (ours: the relay and PostgreSQL), from the first connection of a run to its last reply.
"""

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
from shared.crypto.mail_key_files import create_mail_key_pair
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.bench.figures import Figure
from tests.bench.installation import DATABASE, migrate
from tests.bench.postfix import master_pid, running_postfix, why_not
from tests.bench.processor_time import processor_seconds
from tests.conftest import Database
from tests.factories import make_account, make_integration, make_relay_address
from tests.processes import NO_RATES, command

SESSIONS = 50
# As the operators' page advises; Postfix starts as many as it likes.
PROCESSES = os.cpu_count() or 1
ROUNDS = 3
SECONDS = 3.0
# Of these the processor time is a figure, too; at 1 MB it is that of copying bytes.
CPU_SETTINGS = ("4k_one", "4k_many", "50k_one")
SIZES = {"4k": 4_096, "50k": 51_200, "1m": 1_048_576}
# `#` is the session's number.
_RECIPIENT = "bench#@replyco.email"


def measure() -> list[Figure]:
    """About three minutes."""
    return _measure(PROCESSES, prefix="")


def measure_on_one_core() -> list[Figure]:
    """Each server has the first core for all its processes; the load has the others, if there are any."""
    all_cores = os.sched_getaffinity(0)
    first = min(all_cores)
    # What is started from here on stays there.
    os.sched_setaffinity(0, {first})
    try:
        return _measure(1, prefix="one_core_", load_cores=all_cores - {first} or {first})
    finally:
        os.sched_setaffinity(0, all_cores)


class Target(NamedTuple):
    port: int
    # The first processes of the server: every other one of it descends from them.
    roots: tuple[int, ...]


def _measure(processes: int, *, prefix: str, load_cores: set[int] | None = None) -> list[Figure]:
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
        relay = stack.enter_context(running_relay(postgres, folder, processes=str(processes)))
        postmaster = postgres.server.get_pid()
        assert postmaster is not None
        targets = {"ours": Target(relay.port, (relay.supervisor_pid, postmaster))}
        if reason is None:
            port = stack.enter_context(running_postfix(folder / "postfix"))
            targets["Postfix"] = Target(port, (master_pid(folder / "postfix"),))
        return _measure_all(targets, postgres, folder, prefix, load_cores)


def _measure_all(
    targets: dict[str, Target],
    postgres: EmbeddedPostgres,
    folder: Path,
    prefix: str,
    load_cores: set[int] | None,
) -> list[Figure]:
    figures: list[Figure] = []
    p99: dict[str, list[float]] = {target: [] for target in targets}
    for size_name, mode in [(size_name, mode) for size_name in SIZES for mode in ("one", "many")]:
        setting = f"{size_name}_{mode}"
        rates: dict[str, list[float]] = {target: [] for target in targets}
        cpu_ms: dict[str, list[float]] = {target: [] for target in targets}
        for _ in range(ROUNDS):
            for name, target in targets.items():
                began = processor_seconds(target.roots)
                result = _load(target.port, SIZES[size_name], is_reused=mode == "many", cores=load_cores)
                cpu_ms[name].append((processor_seconds(target.roots) - began) * 1000 / result["accepted"])
                rates[name].append(result["rate"])
                if setting == "4k_many":
                    p99[name].append(result["p99_ms"])
                if name == "ours":
                    asyncio.run(_check_and_empty(postgres, int(result["accepted"])))
                    _empty_blobs(folder / "blobs")
                say(
                    f"{prefix}accept_{setting:<12}{name:<9}{result['rate']:>9,.1f}/s  p99 {result['p99_ms']:,.1f} ms"
                    f"  processor {cpu_ms[name][-1]:.2f} ms a mail"
                )
        figures.append(_figure(f"{prefix}accept_{setting}", "messages/s", rates))
        if setting in CPU_SETTINGS:
            figures.append(_figure(f"{prefix}accept_cpu_{setting}", "ms a mail", cpu_ms))
    return [*figures, _figure(f"{prefix}accept_p99", "ms", p99)]


def _figure(name: str, unit: str, runs: dict[str, list[float]]) -> Figure:
    return Figure(name, unit, runs["ours"], "Postfix", runs.get("Postfix", []))


def _load(port: int, size: int, *, is_reused: bool, cores: set[int] | None) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "tests.bench.smtp_load",
        f"--port={port}",
        f"--sessions={SESSIONS}",
        f"--size={size}",
    ]
    command += [f"--seconds={SECONDS}", f"--recipient={_RECIPIENT}", *(["--reuse"] if is_reused else [])]
    if cores is not None:
        command = ["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), *command]
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
    supervisor_pid: int


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
        "REPLYCO_DEVELOPMENT": "true",
        "REPLYCO_TLS_REQUIRED": "false",
        **{f"REPLYCO_{name.upper()}": value for name, value in (NO_RATES | settings).items()},
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
        yield Relay(port, accepting.pid, relay.pid)
    finally:
        relay.terminate()
        try:
            relay.wait(timeout=30)
        finally:
            relay.kill()


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
