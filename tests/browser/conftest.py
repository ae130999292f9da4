"""The whole product, or the connector with the sandbox, on ports of its own; and a real browser."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from deploy.demo.settings import DemoSettings
from deploy.demo.stack import Stack
from shared.keyring import Keyring
from tests.browser.running import CHROMIUM, PATIENCE_MS, chromium, running_site
from tests.browser.steps import Site
from tests.conftest import Database, Keys
from tests.processes import free_ports

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """What `make demo` starts."""
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


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    async with chromium() as launched:
        yield launched


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


@pytest.fixture
async def site(database: Database, keys: Keys, keyring: Keyring) -> AsyncIterator[Site]:
    """Connector, pages and sandbox, with an admin and an agent."""
    async with running_site(database, keys, keyring) as running:
        yield running


@pytest.fixture
async def page(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """An empty German browser; a script error or a refused resource fails the test."""
    context = await browser.new_context(base_url=site.url, locale="de-DE", timezone_id="Europe/Berlin")
    context.set_default_timeout(PATIENCE_MS)
    opened = await context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda line: (
            complaints.append(line.text)
            if line.type == "error" and "Failed to load resource" not in line.text
            else None
        ),
    )
    yield opened
    await context.close()
    assert complaints == []
