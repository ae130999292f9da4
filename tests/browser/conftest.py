"""A real browser, and the connector with the sandbox on ports of their own."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.keyring import Keyring
from tests.browser.running import CHROMIUM, PATIENCE_MS, chromium, german_page, site_over
from tests.browser.steps import Site
from tests.conftest import Database, Keys
from tests.kept_database import KeptDatabase

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    async with chromium() as launched:
        yield launched


@pytest.fixture
async def site(
    kept_database: KeptDatabase, database: Database, keys: Keys, keyring: Keyring
) -> AsyncIterator[Site]:
    """Connector, pages and sandbox, with an admin and an agent; their connections outlive the test."""
    engine, sessions = kept_database.application_engine(CONNECTOR), kept_database.sessions(OWNER)
    async with site_over(engine, sessions, database.url(CONNECTOR), keys, keyring) as running:
        yield running


@pytest.fixture
async def page(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """An empty German browser; a script error or a refused resource fails the test."""
    async with german_page(browser, site.url) as opened:
        yield opened
