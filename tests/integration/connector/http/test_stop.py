"""`serve` is told to stop: what probes, clients and operators meet until it has ended."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx2

from deploy.demo.postgres import CONNECTOR
from shared.side_port import STOPPING
from tests.conftest import Database, Keys
from tests.processes import command, free_ports


@dataclass(frozen=True, slots=True)
class Connector:
    process: asyncio.subprocess.Process
    url: str
    side_url: str

    async def said(self, event: str) -> dict[str, object]:
        """Wait for this line of its log."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while line := await self.process.stdout.readline():
                told: dict[str, object] = json.loads(line)
                if told["event"] == event:
                    return told
        raise AssertionError(event)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def serving(database: Database, keys: Keys, *, drain_seconds: int) -> AsyncIterator[Connector]:
    """`python -m services.connector serve`, when it is ready."""
    port, side_port = free_ports(2)
    process = await asyncio.create_subprocess_exec(
        *command("services.connector", "serve"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            "PATH": os.defpath,
            "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
            "REPLYCO_KEY_FILE": str(keys.key_file),
            "REPLYCO_PORT": str(port),
            "REPLYCO_SIDE_PORT": str(side_port),
            "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.test",
            "REPLYCO_AMAZON_CLIENT_ID": "client",
            "REPLYCO_AMAZON_CLIENT_SECRET": "secret",
            "REPLYCO_DRAIN_SECONDS": str(drain_seconds),
        },
    )
    connector = Connector(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{side_port}")
    try:
        async with asyncio.timeout(60), httpx2.AsyncClient() as client:
            while not await _is_ready(client, f"{connector.url}/readyz"):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield connector
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx2.codes.OK
    except httpx2.ConnectError:
        return False


async def test_it_drains_first_and_a_second_signal_ends_it_at_once(database: Database, keys: Keys):
    async with serving(database, keys, drain_seconds=600) as connector, httpx2.AsyncClient() as kept:
        connector.process.send_signal(signal.SIGHUP)
        await connector.said("hangup_ignored")
        before = await kept.get(f"{connector.url}/livez")
        connector.process.send_signal(signal.SIGTERM)
        begun = await connector.said("draining")
        async with httpx2.AsyncClient() as newcomer:
            told = [await newcomer.get(f"{url}/readyz") for url in (connector.url, connector.side_url)]
            alive = await newcomer.get(f"{connector.side_url}/livez")
        async with asyncio.timeout(60):
            while (await kept.get(f"{connector.url}/livez")).headers.get("connection") != "close":
                pass
        async with httpx2.AsyncClient() as newcomer:
            during = await newcomer.get(f"{connector.url}/api/v1/openapi.json")
        said = asyncio.create_task(connector.said("ended_at_once"))
        # One that comes right behind the first is taken for the same.
        while not said.done():
            with suppress(ProcessLookupError):
                connector.process.send_signal(signal.SIGINT)
            await asyncio.wait([said], timeout=1)
        ended = await said

        assert await connector.ended() == 128 + signal.SIGINT
    assert begun["seconds"] == 600
    assert "connection" not in before.headers
    assert [(answer.status_code, answer.text) for answer in told] == [(503, f"{STOPPING}\n")] * 2
    assert alive.status_code == during.status_code == 200
    assert ended["signal"] == "SIGINT"


async def test_after_it_a_request_under_way_is_answered_and_nobody_comes_in(database: Database, keys: Keys):
    async with serving(database, keys, drain_seconds=0) as connector:
        port = httpx2.URL(connector.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /api/v1/password-resets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            b"Connection: close\r\nExpect: 100-continue\r\n\r\n"
        )
        # It waits for the body.
        assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")
        connector.process.send_signal(signal.SIGTERM)
        await _refused(port)
        writer.write(b"{}")
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()

        assert await connector.ended() == 0
    assert b"HTTP/1.1 422 " in answer


async def _refused(port: int | None) -> None:
    """Wait until nobody listens any more; whoever is still let in sends nothing."""
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
