"""`serve` is told to stop: what probes, clients and operators meet until it has ended."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import httpx2

from shared.side_port import STOPPING
from tests.conftest import Database, Keys
from tests.no_tls import NO_AUTHORITIES
from tests.roles import replica, running


async def test_it_drains_first_and_a_second_signal_ends_it_at_once(
    database: Database, keys: Keys, tmp_path: Path
):
    connector = replica(database, keys, tmp_path, "connector", drain_seconds="600")
    url, side_url = (f"http://127.0.0.1:{port}" for port in (connector.port, connector.side_port))
    async with running(connector), httpx2.AsyncClient(verify=NO_AUTHORITIES) as kept:
        connector.send(signal.SIGHUP)
        await connector.says("hangup_ignored")
        before = await kept.get(f"{url}/livez")
        connector.send(signal.SIGTERM)
        await connector.says("draining")
        async with httpx2.AsyncClient(verify=NO_AUTHORITIES) as newcomer:
            told = [await newcomer.get(f"{each}/readyz") for each in (url, side_url)]
            alive = await newcomer.get(f"{side_url}/livez")
        async with asyncio.timeout(60):
            while (await kept.get(f"{url}/livez")).headers.get("connection") != "close":
                pass
        async with httpx2.AsyncClient(verify=NO_AUTHORITIES) as newcomer:
            during = await newcomer.get(f"{url}/sign-in")
        ended = asyncio.create_task(connector.ended())
        # One that comes right behind the first is taken for the same.
        while not ended.done():
            with suppress(ProcessLookupError):
                connector.send(signal.SIGINT)
            await asyncio.wait([ended], timeout=1)

        assert await ended == 128 + signal.SIGINT
    assert [line["seconds"] for line in connector.said("draining")] == [600]
    assert "connection" not in before.headers
    assert [(answer.status_code, answer.text) for answer in told] == [(503, f"{STOPPING}\n")] * 2
    assert alive.status_code == during.status_code == 200
    assert [line["signal"] for line in connector.said("ended_at_once")] == ["SIGINT"]


async def test_metrics_are_on_the_side_port_alone_and_a_stop_answers_a_request_under_way_and_lets_nobody_in(
    database: Database, keys: Keys, tmp_path: Path
):
    connector = replica(database, keys, tmp_path, "connector", drain_seconds="0")
    url, side_url = (f"http://127.0.0.1:{port}" for port in (connector.port, connector.side_port))
    async with running(connector):
        async with httpx2.AsyncClient(verify=NO_AUTHORITIES) as client:
            ready = [(await client.get(f"{each}/readyz")).status_code for each in (url, side_url)]
            metrics = await client.get(f"{side_url}/metrics")
            elsewhere = [await client.get(f"{url}/metrics"), await client.get(f"{side_url}/api/v1/me")]
        reader, writer = await asyncio.open_connection("127.0.0.1", connector.port)
        writer.write(
            b"POST /api/v1/password-resets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            b"Connection: close\r\nExpect: 100-continue\r\n\r\n"
        )
        # It waits for the body.
        assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")
        connector.send(signal.SIGTERM)
        await _refused(connector.port)
        writer.write(b"{}")
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()

        assert await connector.ended() == 0
    assert b"HTTP/1.1 422 " in answer
    assert ready == [200, 200]
    assert 'replyco_http_requests_total{method="GET",route="/readyz",status="2xx"}' in metrics.text
    assert [each.status_code for each in elsewhere] == [404, 404]


async def _refused(port: int) -> None:
    """Wait until nobody listens any more; whoever is still let in sends nothing."""
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
