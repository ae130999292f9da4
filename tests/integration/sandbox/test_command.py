"""`python -m services.sandbox` as a process: how it ends, and what it says when it cannot start."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx2

from tests.no_tls import NO_AUTHORITIES
from tests.processes import free_port

_ANY_PORTS = {f"REPLYCO_SANDBOX_{name}": "0" for name in ("PORT", "SMTP_PORT", "DNS_PORT")}
_WITH_EACH = """
import contextlib, io, json, os, sys
import typer
from services.sandbox.__main__ import main

before = dict(os.environ)
for environment in json.loads(sys.argv.pop()):
    os.environ.clear()
    os.environ.update(before | environment)
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            typer.run(main)
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code, errors.getvalue()]))
"""


async def spawn(port: int, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.sandbox",
        env=os.environ | _ANY_PORTS | {"REPLYCO_SANDBOX_PORT": str(port)} | environment,  # noqa: TID251
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def refused(*environments: Mapping[str, str]) -> list[tuple[int, str]]:
    """The exit code of the command with each, and what it says, in one process: to load it takes longer than to be told what is wrong."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WITH_EACH, json.dumps(environments)),
        env=os.environ | _ANY_PORTS,  # noqa: TID251
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    told = [json.loads(line) for line in output.splitlines()]
    assert len(told) == len(environments)
    return [(code, errors) for code, errors in told]


async def answers(port: int) -> None:
    """Ask until it does; there is no event to await across processes."""
    async with asyncio.timeout(30), httpx2.AsyncClient(verify=NO_AUTHORITIES, trust_env=False) as client:
        while True:
            try:
                await client.get(f"http://127.0.0.1:{port}/livez")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_an_interrupt_ends_it_in_order() -> None:
    port = free_port()
    process = await spawn(port)
    await answers(port)

    process.send_signal(signal.SIGINT)

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


async def test_whatever_keeps_it_from_starting_is_named_with_its_setting(tmp_path: Path) -> None:
    broken = tmp_path / "sandbox.json"
    broken.write_text("{")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        port, smtp_port, dns_port, foreign, wrong, file = await refused(
            {"REPLYCO_SANDBOX_PORT": taken},
            {"REPLYCO_SANDBOX_SMTP_PORT": taken},
            {"REPLYCO_SANDBOX_DNS_PORT": taken},
            {"REPLYCO_SANDBOX_HOST": "192.0.2.1"},
            {
                "REPLYCO_SANDBOX_PORT": "70000",
                "REPLYCO_SANDBOX_RELAY_PORT": "canary",
                "REPLYCO_SANDBOX_REDIRECT_URIS": "[canary",
            },
            {"REPLYCO_SANDBOX_STATE_FILE": str(broken)},
        )

    assert port == (1, f"Port {taken} is taken. Set REPLYCO_SANDBOX_PORT to a free one.\n")
    assert smtp_port == (1, f"Port {taken} is taken. Set REPLYCO_SANDBOX_SMTP_PORT to a free one.\n")
    assert dns_port == (1, f"Port {taken} is taken. Set REPLYCO_SANDBOX_DNS_PORT to a free one.\n")
    code, errors = foreign
    assert code == 1
    assert "Set REPLYCO_SANDBOX_HOST" in errors
    code, errors = wrong
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
    code, errors = file
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

    async with httpx2.AsyncClient(verify=NO_AUTHORITIES, trust_env=False) as client:
        entered = await client.post(f"{path}/A1LAMPENLADEN7/notification-addresses", json=entry)
    process.kill()
    await ended(process)
    process = await spawn(port, REPLYCO_SANDBOX_STATE_FILE=file)
    await answers(port)
    async with httpx2.AsyncClient(verify=NO_AUTHORITIES, trust_env=False) as client:
        sellers = (await client.get(path)).json()
    process.terminate()

    assert await ended(process) == (0, "")
    assert sellers[0] == entered.json()
