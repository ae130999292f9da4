"""All four roles as processes of one installation, as they run in production: each with its own rights, ports and log."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, RELAY
from tests.conftest import Database, Keys
from tests.processes import NO_RATES, command, free_ports, whole_lines
from tests.signing import amazon_dns

ROLES: Final = ("connector", "connector-worker", "relay", "mail-worker")
_COMMANDS: Final = {
    "connector": ("services.connector", "serve"),
    "connector-worker": ("services.connector", "worker"),
    "relay": ("services.mailrelay", "serve"),
    "mail-worker": ("services.mailrelay", "worker"),
}
_START_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.05


@dataclass(slots=True)
class Replica:
    """One process of a role, always on the same ports; `port` is what the role serves, 0 for a worker."""

    role: str
    log: Path
    port: int
    side_port: int
    environment: Mapping[str, str]
    # Where the code lies that it runs; None: here.
    code: Path | None = None
    process: asyncio.subprocess.Process | None = field(default=None)

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command(*_COMMANDS[self.role]),
                cwd=self.code,
                env=self.environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def readiness(self) -> tuple[int, str]:
        """What `/readyz` says now; (0, "") if nobody answers. By a request of our own: a client of HTTP for each took more than all the rest."""
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.side_port)
                try:
                    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    head, _, text = (await reader.read()).decode().partition("\r\n\r\n")
                finally:
                    writer.close()
        except OSError:
            return 0, ""
        return (int(head.split()[1]) if head else 0), text

    async def ready(self) -> None:
        """Wait until it is."""
        async with asyncio.timeout(_START_SECONDS):
            while (await self.readiness())[0] != HTTPStatus.OK:
                assert self.process is not None
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(_LOOK_SECONDS)

    async def ended(self) -> int:
        """Its exit code, when it has ended."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), _START_SECONDS)

    async def kill(self) -> None:
        if self.process is not None:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in whole_lines(self.log).splitlines() if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == event]

    async def says(self, event: str, times: int = 1) -> None:
        """Wait until it has logged this so often."""
        async with asyncio.timeout(_START_SECONDS):
            while len(self.said(event)) < times:  # noqa: ASYNC110 - there is no event to await across processes
                await asyncio.sleep(_LOOK_SECONDS)


def replica(
    database: Database, keys: Keys, folder: Path, role: str, number: int = 0, **settings: str
) -> Replica:
    """One that is not started yet."""
    port, side_port = free_ports(2)
    is_connector, is_server = role.startswith("connector"), role in {"connector", "relay"}
    environment = {
        "PATH": os.defpath,
        # As in production: nothing here is unsafe but the relay without a certificate, and a stand-in for Amazon that does not answer.
        "REPLYCO_DEVELOPMENT": "true",
        "REPLYCO_BLOB_URL": keys.blob_url,
        "REPLYCO_SIDE_PORT" if is_server else "REPLYCO_WORKER_PORT": str(side_port),
    }
    if is_connector:
        environment |= {
            "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
            "REPLYCO_KEY_FILE": str(keys.key_file),
            "REPLYCO_PORT": str(port),
            "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.test",
            "REPLYCO_AMAZON_CLIENT_ID": "client",
            "REPLYCO_AMAZON_CLIENT_SECRET": "secret",
            "REPLYCO_AMAZON_BASE_URL": "http://127.0.0.1:9",
            "REPLYCO_REQUESTS_PER_MINUTE": "1000000",
        }
    elif is_server:
        environment |= {
            "REPLYCO_DATABASE_URL": database.url(RELAY),
            "REPLYCO_MAIL_PUBLIC_KEY_FILE": str(keys.mail_public_key_file),
            "REPLYCO_SMTP_PORT": str(port),
            "REPLYCO_TLS_REQUIRED": "false",
            "REPLYCO_TRUSTED_NETWORKS": "127.0.0.0/8",
            **{f"REPLYCO_{name.upper()}": value for name, value in NO_RATES.items()},
        }
    else:
        environment |= {
            "REPLYCO_DATABASE_URL": database.url(MAIL_WORKER),
            "REPLYCO_KEY_FILE": str(keys.key_file),
            "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
            "REPLYCO_NAMESERVERS": amazon_dns().setting,
        }
    environment |= {f"REPLYCO_{name.upper()}": value for name, value in settings.items()}
    return Replica(role, folder / f"{role}-{number}.log", port if is_server else 0, side_port, environment)


@contextlib.asynccontextmanager
async def running(*replicas: Replica) -> AsyncIterator[None]:
    """These, all ready; at the end killed, if they still run."""
    try:
        for each in replicas:
            await each.start()
        await asyncio.gather(*(each.ready() for each in replicas))
        yield
    finally:
        for each in replicas:
            await each.kill()
