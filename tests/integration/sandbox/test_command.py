"""`python -m services.sandbox` as a process: how it ends, and what it says when it cannot start."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx2
import pytest

from tests.processes import free_port


async def spawn(port: int, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.sandbox",
        env=os.environ  # noqa: TID251
        | {"REPLYCO_SANDBOX_PORT": str(port), "REPLYCO_SANDBOX_SMTP_PORT": "0", "REPLYCO_SANDBOX_DNS_PORT": "0"}
        | environment,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def answers(port: int) -> None:
    """Ask until it does; there is no event to await across processes."""
    async with asyncio.timeout(30), httpx2.AsyncClient(trust_env=False) as client:
        while True:
            try:
                await client.get(f"http://127.0.0.1:{port}/livez")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_in_order(number: signal.Signals) -> None:
    port = free_port()
    process = await spawn(port)
    await answers(port)

    process.send_signal(number)

    assert await ended(process) == (0, "")


async def test_it_ends_in_order_while_somebody_delivers_a_mail() -> None:
    port, smtp_port = free_port(), free_port()
    process = await spawn(port, REPLYCO_SANDBOX_SMTP_PORT=str(smtp_port))
    await answers(port)
    reader, writer = await asyncio.open_connection("127.0.0.1", smtp_port)
    greeting = await reader.readline()

    process.send_signal(signal.SIGTERM)

    assert await ended(process) == (0, "")
    assert greeting.startswith(b"220 ")
    writer.close()


async def test_taken_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, errors = await ended(await spawn(port))

    assert (code, errors) == (1, f"Port {port} is taken. Set REPLYCO_SANDBOX_PORT to a free one.\n")


async def test_taken_smtp_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, errors = await ended(await spawn(0, REPLYCO_SANDBOX_SMTP_PORT=str(port)))

    assert (code, errors) == (1, f"Port {port} is taken. Set REPLYCO_SANDBOX_SMTP_PORT to a free one.\n")


async def test_taken_dns_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, errors = await ended(await spawn(0, REPLYCO_SANDBOX_DNS_PORT=str(port)))

    assert (code, errors) == (1, f"Port {port} is taken. Set REPLYCO_SANDBOX_DNS_PORT to a free one.\n")


async def test_foreign_address_is_named_with_its_setting() -> None:
    code, errors = await ended(await spawn(0, REPLYCO_SANDBOX_HOST="192.0.2.1"))

    assert code == 1
    assert "Set REPLYCO_SANDBOX_HOST" in errors


async def test_wrong_settings_are_all_named_with_their_cure() -> None:
    wrong = {"REPLYCO_SANDBOX_RELAY_PORT": "canary", "REPLYCO_SANDBOX_REDIRECT_URIS": "[canary"}

    code, errors = await ended(await spawn(70_000, **wrong))

    assert code == 2
    lines = errors.splitlines()
    assert lines[0] == "These settings are wrong:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "REPLYCO_SANDBOX_PORT",
        "REPLYCO_SANDBOX_RELAY_PORT",
        "REPLYCO_SANDBOX_REDIRECT_URIS",
    ]
    assert lines[1].endswith("Set it to the port to listen on, such as 8090.")
    assert lines[3].endswith("separated by commas, the default one first.")
    assert "canary" not in errors


async def test_broken_file_is_named_with_its_setting(tmp_path: Path) -> None:
    broken = tmp_path / "sandbox.json"
    broken.write_text("{")

    code, errors = await ended(await spawn(0, REPLYCO_SANDBOX_STATE_FILE=str(broken)))

    assert code == 2
    assert "REPLYCO_SANDBOX_STATE_FILE" in errors
    assert "Traceback" not in errors


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    port = free_port()
    file = str(tmp_path / "sandbox.json")
    path = f"http://127.0.0.1:{port}/control/sellers"
    entry = {"country": "DE", "address": "aaabbbccc@replyco.email"}
    process = await spawn(port, REPLYCO_SANDBOX_STATE_FILE=file)
    await answers(port)

    async with httpx2.AsyncClient(trust_env=False) as client:
        entered = await client.post(f"{path}/A1LAMPENLADEN7/notification-addresses", json=entry)
    process.kill()
    await ended(process)
    process = await spawn(port, REPLYCO_SANDBOX_STATE_FILE=file)
    await answers(port)
    async with httpx2.AsyncClient(trust_env=False) as client:
        sellers = (await client.get(path)).json()
    process.terminate()

    assert await ended(process) == (0, "")
    assert sellers[0] == entered.json()
