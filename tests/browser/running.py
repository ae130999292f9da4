"""A real browser, and the connector with its pages and the sandbox, for tests, benchmarks and pictures."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.accounts.passwords import Passwords
from services.connector.app import create_app
from services.connector.http.server import Server
from services.connector.settings import ConnectorSettings
from services.sandbox.app import create_app as create_sandbox
from services.sandbox.settings import SandboxSettings
from shared.database import Sessions, create_engine, create_sessions
from shared.keyring import Keyring
from tests.browser.steps import PASSWORD, Site
from tests.conftest import Database, Keys
from tests.factories import make_account, make_user
from tests.integration.connector.conftest import CHEAP_HASHER
from tests.processes import free_ports

# The headless shell is the same browser without windows, which tests do not look at: it costs a quarter less of the processor.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM: Final = next(filter(None, map(shutil.which, _NAMES)), None)
# How long a page may take to show something: two loaded cores need seconds, and this is no measurement.
PATIENCE_MS: Final = 30_000
# The address bar's two pages, which Chromium loads for each window though nobody sees them, took a second of the processor each time.
# The list counts instead of Playwright's own, so what that switches off is named again.
_SWITCHED_OFF = [
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    "AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints",
    "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning",
]  # fmt: skip
# No sandbox of its own when run as root, and no traffic of its own to the internet.
_ARGUMENTS = [
    "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic",
    f"--disable-features={','.join(_SWITCHED_OFF)}",
]  # fmt: skip


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The Chromium of this machine."""
    assert CHROMIUM is not None
    async with async_playwright() as playwright:
        arguments = [*_ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else _ARGUMENTS
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        await launched.close()


@asynccontextmanager
async def german_page(browser: Browser, url: str) -> AsyncIterator[Page]:
    """An empty German browser; a script error or a refused resource fails whoever has it."""
    context = await browser.new_context(base_url=url, locale="de-DE", timezone_id="Europe/Berlin")
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


@asynccontextmanager
async def _running(*servers: uvicorn.Server) -> AsyncIterator[None]:
    serving = [asyncio.create_task(server.serve()) for server in servers]
    while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        # To end takes each a fifth of a second, in which nothing happens: all at once.
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)


def _config(app: FastAPI, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app, port=port, log_level="warning", server_header=False, timeout_graceful_shutdown=2, ws="none"
    )


@asynccontextmanager
async def running_site(
    database: Database, keys: Keys, keyring: Keyring, *, development: bool = False
) -> AsyncIterator[Site]:
    """Connector, pages and sandbox, with an admin and an agent."""
    owner_engine = create_engine(database.url(OWNER), application_name="tests")
    # As patient as whoever looks at the pages: on a busy machine a connection took its five seconds, and the page said so.
    engine = create_engine(
        database.url(CONNECTOR), application_name="connector", connect_seconds=PATIENCE_MS / 1000, pool_seconds=PATIENCE_MS / 1000
    )  # fmt: skip
    sessions = create_sessions(owner_engine)
    async with site_over(
        engine, sessions, database.url(CONNECTOR), keys, keyring, development=development
    ) as site:
        yield site
    await engine.dispose()
    await owner_engine.dispose()


@asynccontextmanager
async def site_over(
    engine: AsyncEngine,
    sessions: Sessions,
    database_url: str,
    keys: Keys,
    keyring: Keyring,
    *,
    development: bool = False,
) -> AsyncIterator[Site]:
    """The same over connections that are there; `sessions` are the owner's."""
    port, sandbox_port, relay_port = free_ports(3)
    amazon = SandboxSettings(
        port=sandbox_port,
        relay_port=relay_port,
        redirect_uris=(f"http://localhost:{port}/amazon/callback",),
        login_uri=f"http://localhost:{port}/amazon/login",
    )
    settings = ConnectorSettings(
        database_url=SecretStr(database_url),
        port=port,
        public_url=f"http://localhost:{port}",
        key_file=keys.key_file,
        development=development,
        # Taken back however slow the machine is.
        reply_undo_seconds=60,
        amazon_application_id=amazon.application_id,
        amazon_client_id=amazon.client_id,
        amazon_client_secret=amazon.client_secret,
        amazon_base_url=f"http://localhost:{sandbox_port}",
    )
    password_hash = CHEAP_HASHER.hash(PASSWORD)
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_user(session, account.id, email="admin@seller.example", password_hash=password_hash)
        await make_user(
            session,
            account.id,
            email="agent@seller.example",
            password_hash=password_hash,
            general_admin="none",
        )
    app = create_app(settings, Passwords(CHEAP_HASHER), engine=engine)
    connector = Server(_config(app, port), end_streams=app.state.connector.hub.end_streams)
    sandbox = uvicorn.Server(_config(create_sandbox(amazon), sandbox_port))
    async with _running(connector, sandbox):
        yield Site(f"http://localhost:{port}", f"http://localhost:{sandbox_port}", sessions, keyring, account)
