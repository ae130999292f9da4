"""The whole product, on ports of its own: for the few tests that walk through all of it, and for no other.

The folder is a package so that the product lives for it alone, and comes first by its name: one worker begins with it, and none
takes a test of it from that one and starts a second product.
"""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext

from deploy.demo.settings import DemoSettings
from deploy.demo.stack import Stack
from tests.browser.running import PATIENCE_MS
from tests.processes import free_ports


@pytest.fixture(scope="package")
async def stack() -> AsyncIterator[Stack]:
    """What `make demo` starts. Its six processes take a second of the processor a minute also when idle, so it ends with this folder."""
    ports = free_ports(9)
    with tempfile.TemporaryDirectory(prefix="replyco-", ignore_cleanup_errors=True) as folder:
        settings = DemoSettings(
            port=ports[0],
            worker_port=ports[1],
            smtp_port=ports[2],
            side_port=ports[3],
            mail_worker_port=ports[4],
            sandbox_port=ports[5],
            sandbox_smtp_port=ports[6],
            sandbox_dns_port=ports[7],
            connector_side_port=ports[8],
            data_folder=Path(folder) / "data",
        )
        async with Stack(settings) as running:
            yield running


@pytest.fixture
async def german(browser: Browser, stack: Stack) -> AsyncIterator[BrowserContext]:
    """A German seller's browser, nothing stored in it."""
    context = await browser.new_context(
        base_url=stack.url,
        locale="de-DE",
        timezone_id="Europe/Berlin",
        viewport={"width": 1280, "height": 800},
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context
    await context.close()
