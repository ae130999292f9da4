"""Replicas as processes that are told the time: started, set to work, killed."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from deploy.demo.postgres import CONNECTOR
from services.sandbox.state.memory import Sandbox
from tests.conftest import Database, Keys
from tests.processes import command

_LONGEST_SECONDS = 120


@dataclass(slots=True)
class Replica:
    """One that runs, and the way to it."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def work(self, now: datetime) -> None:
        """Have it do what is due at this time."""
        self.writer.write(f"{now.isoformat()}\n".encode())

    async def done(self) -> int:
        """How many pages it has asked for, once nothing is due any more."""
        async with asyncio.timeout(_LONGEST_SECONDS):
            return int(await self.reader.readline())

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@dataclass(slots=True)
class Hire:
    """Starts one replica at each call."""

    database: Database
    keys: Keys
    address: str
    sandbox: Sandbox
    connected: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    port: str
    at_once: int
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def __call__(self) -> Replica:
        settings = self.sandbox.settings
        process = await asyncio.create_subprocess_exec(
            *command("tests.faults.connector.order_replica", self.port, str(self.at_once)),
            stdin=asyncio.subprocess.PIPE,
            env={
                "PATH": os.defpath,
                "REPLYCO_DATABASE_URL": self.database.url(CONNECTOR),
                "REPLYCO_KEY_FILE": str(self.keys.key_file),
                "REPLYCO_DEVELOPMENT": "true",
                "REPLYCO_AMAZON_BASE_URL": self.address,
                "REPLYCO_AMAZON_APPLICATION_ID": settings.application_id,
                "REPLYCO_AMAZON_CLIENT_ID": settings.client_id,
                "REPLYCO_AMAZON_CLIENT_SECRET": settings.client_secret.get_secret_value(),
            },
        )
        self.processes.append(process)
        async with asyncio.timeout(60):
            reader, writer = await self.connected.get()
        self.writers.append(writer)
        return Replica(process, reader, writer)


@asynccontextmanager
async def hiring(
    database: Database, keys: Keys, address: str, sandbox: Sandbox, *, at_once: int
) -> AsyncIterator[Hire]:
    """Starts replicas that ask about so many stores at one time, and ends them all at the end."""
    connected: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: connected.put_nowait((r, w)), "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    hire = Hire(database, keys, address, sandbox, connected, port, at_once)
    try:
        yield hire
    finally:
        for process in hire.processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        for writer in hire.writers:
            writer.close()
        server.close()
