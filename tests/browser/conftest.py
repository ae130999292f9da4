"""The whole product on ports of its own, and a real browser."""

import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from deploy.demo.settings import DemoSettings
from deploy.demo.stack import Stack

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# No sandbox of its own when run as root, and no traffic of its own to the internet.
_ARGUMENTS = [
    "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic",
]  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    for held in sockets:
        held.bind(("127.0.0.1", 0))
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """What `make demo` starts."""
    ports = free_ports(6)
    with tempfile.TemporaryDirectory(prefix="replyco-", ignore_cleanup_errors=True) as folder:
        settings = DemoSettings(
            port=ports[0],
            worker_port=ports[1],
            smtp_port=ports[2],
            side_port=ports[3],
            mail_worker_port=ports[4],
            sandbox_port=ports[5],
            data_folder=Path(folder) / "data",
        )
        async with Stack(settings) as running:
            yield running


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        arguments = [*_ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else _ARGUMENTS
        launched = await playwright.chromium.launch(executable_path=_CHROMIUM, args=arguments)
        yield launched
        await launched.close()


@pytest.fixture
async def german(browser: Browser, stack: Stack) -> AsyncIterator[BrowserContext]:
    """A German seller's browser, nothing stored in it."""
    context = await browser.new_context(
        base_url=stack.url,
        locale="de-DE",
        timezone_id="Europe/Berlin",
        viewport={"width": 1280, "height": 800},
    )
    context.set_default_timeout(15_000)
    yield context
    await context.close()
