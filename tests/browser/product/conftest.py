"""The whole product, on ports of its own: for the few tests that walk through all of it, and for no other.

The folder is a package so that the product lives for it alone, and comes first by its name: one worker begins with it, and none
takes a test of it from that one and starts a second product.
"""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext

from deploy.demo.stack import Stack
from tests.browser.product.started import started_product
from tests.browser.running import PATIENCE_MS


@pytest.fixture(scope="package")
async def stack() -> AsyncIterator[Stack]:
    """What `make demo` starts. Its six processes take a second of the processor a minute also when idle, so it ends with this folder."""
    async with started_product() as running:
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
