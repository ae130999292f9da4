"""The pages one by one, in a real browser, over the real REST API and the sandbox's Amazon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.accounts.passwords import Passwords
from services.connector.app import create_app
from services.connector.server import Server
from services.connector.settings import ConnectorSettings
from services.sandbox.app import create_app as create_sandbox
from services.sandbox.settings import SandboxSettings
from shared.database import Sessions, create_engine, create_sessions
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.tables import Account
from tests.browser.conftest import free_ports
from tests.conftest import Database, Keys
from tests.factories import (
    make_account,
    make_conversation,
    make_integration,
    make_message,
    make_relay_address,
    make_user,
)

PASSWORD = "correct horse battery"
SELLER = "A1LAMPENLADEN7"
AMERICAN_SELLER = "A3BRIGHTPORCH9"


@dataclass(frozen=True)
class Site:
    url: str
    sessions: Sessions
    keyring: Keyring
    account: Account


@asynccontextmanager
async def _running(server: uvicorn.Server) -> AsyncIterator[None]:
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _config(app: FastAPI, port: int) -> uvicorn.Config:
    return uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=2, ws="none")


@pytest.fixture
async def site(database: Database, keys: Keys, keyring: Keyring) -> AsyncIterator[Site]:
    """Connector, pages and sandbox, with an admin and an agent."""
    port, sandbox_port, relay_port = free_ports(3)
    amazon = SandboxSettings(
        port=sandbox_port,
        relay_port=relay_port,
        redirect_uris=(f"http://localhost:{port}/amazon/callback",),
        login_uri=f"http://localhost:{port}/amazon/login",
    )
    settings = ConnectorSettings(
        database_url=SecretStr(database.url(CONNECTOR)),
        port=port,
        public_url=f"http://localhost:{port}",
        key_file=keys.key_file,
        amazon_application_id=amazon.application_id,
        amazon_client_id=amazon.client_id,
        amazon_client_secret=amazon.client_secret,
        amazon_base_url=f"http://localhost:{sandbox_port}",
    )
    engine = create_engine(database.url(OWNER), application_name="tests")
    sessions = create_sessions(engine)
    passwords = Passwords()
    password_hash = await passwords.hash(PASSWORD)
    passwords.close()
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
    app = create_app(settings)
    sandbox = uvicorn.Server(_config(create_sandbox(amazon), sandbox_port))
    async with _running(Server(_config(app, port), app)), _running(sandbox):
        yield Site(f"http://localhost:{port}", sessions, keyring, account)
    await engine.dispose()


@pytest.fixture
async def page(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """An empty German browser; a script error or a refused resource fails the test."""
    context = await browser.new_context(base_url=site.url, locale="de-DE", timezone_id="Europe/Berlin")
    context.set_default_timeout(10_000)
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


async def _sign_in(page: Page, path: str = "/integrations", email: str = "admin@seller.example") -> None:
    await page.goto(path)
    await page.get_by_label("E-Mail-Adresse").fill(email)
    await page.get_by_label("Passwort").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Abmelden")).to_be_visible()


async def _open_amazon(page: Page, country: str) -> Page:
    await page.goto("/integrations/new?source=amazon")
    await page.get_by_role("radio", name=country, exact=True).check()
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Autorisieren").click()
    return await opened.value


async def _consent(amazon: Page, seller_id: str) -> None:
    await expect(amazon.locator("#sign-in, #consent").first).to_be_visible()
    if await amazon.locator("#other-account").count():
        await amazon.locator("#other-account").click()
    await amazon.locator(f"#seller-{seller_id}").check()
    await amazon.locator("#sign-in").click()
    await amazon.locator("#consent").check()
    await amazon.locator("#confirm").click()
    await expect(amazon.get_by_text("Sie können dieses Fenster jetzt schließen")).to_be_visible()
    await amazon.close()


async def test_sign_in_tells_what_is_wrong_and_leads_to_where_one_wanted_to_go(page: Page):
    await page.goto("/integrations/new?source=amazon&country=DE")
    await page.get_by_label("E-Mail-Adresse").fill("admin@seller.example")
    await page.get_by_label("Passwort").fill("not the password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("E-Mail-Adresse oder Passwort ist falsch")

    await page.get_by_label("Passwort").fill(PASSWORD)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("radio", name="Deutschland")).to_be_checked()
    await expect(page.get_by_role("status").filter(has_text="Südafrika")).to_be_visible()


async def test_a_blocked_popup_leaves_a_link(page: Page):
    await page.add_init_script("window.open = () => null")
    await _sign_in(page, "/integrations/new?source=amazon&country=DE")

    await page.get_by_role("button", name="Autorisieren").click()

    await expect(page.get_by_text("Ihr Browser hat das Fenster nicht geöffnet")).to_be_visible()
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Amazon-Fenster öffnen").click()
    await expect((await opened.value).locator("#sign-in")).to_be_visible()


async def test_a_reload_and_another_tab_go_on_where_the_consent_has_led(page: Page):
    await _sign_in(page)
    amazon = await _open_amazon(page, "Deutschland")
    await expect(page.get_by_role("heading", name="Bitte stimmen Sie bei Amazon zu")).to_be_visible()
    address = page.url
    await page.reload()

    await _consent(amazon, SELLER)

    name = page.get_by_label("Name der Integration")
    await expect(name).to_be_focused()
    other_tab = await page.context.new_page()
    await other_tab.goto(address)
    await expect(other_tab.get_by_label("Name der Integration")).to_be_visible()


async def test_the_same_store_again_is_said_to_be_authorized_again(page: Page):
    await _sign_in(page)
    await _consent(await _open_amazon(page, "Deutschland"), SELLER)
    await page.get_by_label("Name der Integration").fill("Lampen Europa")
    await page.get_by_role("button", name="Speichern und Adresse anzeigen").click()
    await expect(page.locator("#relay-address")).to_be_visible()

    await _consent(await _open_amazon(page, "Frankreich"), SELLER)

    await expect(page.get_by_role("heading", name="„Lampen Europa“ war schon verbunden")).to_be_visible()
    await page.get_by_role("link", name="Zur Liste").click()
    await expect(page.get_by_test_id("integration-row")).to_have_count(1)


async def test_a_store_of_another_region_is_offered_its_countries(page: Page):
    await _sign_in(page)

    await _consent(await _open_amazon(page, "Deutschland"), AMERICAN_SELLER)

    await page.get_by_role("link", name="Vereinigte Staaten wählen").click()
    await expect(page.get_by_role("radio", name="Vereinigte Staaten")).to_be_checked()


async def test_ticking_off_the_guide_turns_the_lock_green_and_is_remembered(page: Page):
    await _sign_in(page)
    await _consent(await _open_amazon(page, "Deutschland"), SELLER)
    await page.get_by_label("Name der Integration").fill("Lampen Europa")
    await page.keyboard.press("Enter")
    boxes = page.get_by_role("checkbox")
    await expect(boxes).to_have_count(7)
    lock = page.get_by_role("dialog").get_by_test_id("lock")
    await expect(lock).to_have_attribute("data-lock", "pending")

    for box in await boxes.all():
        await box.check()

    await expect(page.get_by_test_id("setup-progress")).to_have_text("Alles erledigt (7 von 7)")
    await expect(lock).to_have_attribute("data-lock", "green")
    await page.reload()
    await expect(boxes.first).to_be_checked()


async def test_the_dialog_has_an_address_and_closes_with_escape_to_the_link_that_opened_it(
    page: Page, site: Site
):
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Lampen Europa")
        await make_relay_address(session, integration)
    await _sign_in(page)
    link = page.get_by_role("link", name="Lampen Europa")
    await link.click()
    await expect(page.get_by_role("dialog", name="Lampen Europa")).to_be_visible()
    assert page.url.endswith(str(integration.id))

    await page.keyboard.press("Escape")

    await expect(page).to_have_url(f"{site.url}/integrations")
    await expect(link).to_be_focused()


async def test_a_buyers_text_stays_text_and_new_messages_come_by_themselves(page: Page, site: Site):
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id)
        conversation = await make_conversation(session, site.keyring, integration)
        await make_message(
            session, site.keyring, conversation, text="<img src=x onerror=alert(1)> <b>Hallo</b>"
        )
    await _sign_in(page, f"/inbox/{conversation.id}")
    await expect(page.get_by_role("article")).to_contain_text("<img src=x onerror=alert(1)> <b>Hallo</b>")

    async with site.sessions.begin() as session:
        message = await make_message(session, site.keyring, conversation, text="Noch eine Frage")
        await announce(
            session,
            site.account.id,
            EventKind.MESSAGE_RECEIVED,
            integration_id=integration.id,
            conversation_id=conversation.id,
            message_id=message.id,
        )

    await expect(page.get_by_role("article").first).to_contain_text("Noch eine Frage")
    await expect(page.get_by_role("article")).to_have_count(2)


async def test_an_agent_is_not_shown_the_integrations(page: Page, site: Site):
    await _sign_in(page, "/", email="agent@seller.example")
    await expect(page.get_by_role("heading", name="Posteingang")).to_be_visible()
    await expect(page.get_by_role("link", name="Integrationen")).to_have_count(0)

    await page.goto("/integrations")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Dazu fehlt Ihnen die Berechtigung")


async def test_the_language_is_remembered_with_the_user(page: Page):
    await _sign_in(page)
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Integrations")

    await page.reload()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Integrations")
    await expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("path", ["/integrations", "/integrations/new?source=amazon&country=DE", "/inbox"])
async def test_nothing_is_wider_than_a_small_phone(page: Page, site: Site, path: str):
    await page.set_viewport_size({"width": 360, "height": 740})
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Donaudampfschifffahrt" * 2)
        conversation = await make_conversation(session, site.keyring, integration)
        await make_message(session, site.keyring, conversation)
    await _sign_in(page, path)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()

    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_the_network_banner_comes_and_goes_by_itself(page: Page):
    await _sign_in(page)
    banner = page.get_by_text("Replyco ist gerade nicht erreichbar. Wir versuchen es von selbst weiter")
    await page.context.set_offline(True)
    await page.get_by_role("link", name="Posteingang").click()
    await expect(banner).to_be_visible()

    await page.context.set_offline(False)

    await expect(banner).to_be_hidden()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Posteingang")
