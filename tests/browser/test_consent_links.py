"""Whoever may not consent at Amazon sends a link to whoever may: what it says to the right person, the wrong one, and too late."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from playwright.async_api import Page, expect

from services.connector.authorization.links import Wish, link_of
from shared.driver import new_id
from tests.browser.steps import (
    CASA_VERDE,
    LAMPENLADEN,
    PASSWORD,
    Site,
    agree,
    consent,
    open_signed_in,
    sign_in,
)
from tests.browser.test_reconnecting import connected


async def _open_at_amazon(page: Page, button: str) -> Page:
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name=button, exact=True).click()
    return await opened.value


async def _made_link(page: Page) -> str:
    await page.get_by_text("Du darfst bei Amazon nicht selbst zustimmen?").click()
    await page.get_by_role("button", name="Link erzeugen").click()
    return urlsplit(await page.get_by_test_id("consent-link").inner_text()).path


async def test_a_link_says_who_asks_for_what_and_is_done_once_the_store_is_authorized(page: Page, site: Site):
    title = page.get_by_role("heading", level=1)
    await open_signed_in(page, "/integrations/new?source=amazon&country=DE")
    link = await _made_link(page)
    await page.get_by_role("button", name="Abmelden").click()
    await expect(page.get_by_label("Passwort")).to_be_visible()

    # Somebody without the permission is told so, and lets the right person sign in.
    await sign_in(page, link, email="agent@seller.example")
    await expect(title).to_have_text("Dafür fehlt eine Berechtigung")
    await expect(page.get_by_text("Angemeldet als agent@seller.example.")).to_be_visible()
    await page.get_by_role("button", name="Mit einem anderen Zugang anmelden").click()
    await page.get_by_label("E-Mail-Adresse").fill("admin@seller.example")
    await page.get_by_label("Passwort").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(
        page.get_by_text("Test User bittet um eine Autorisierung: einen Store in Deutschland verbinden")
    ).to_be_visible()
    await expect(page.get_by_text("Der Link gilt bis")).to_be_visible()
    await consent(await _open_at_amazon(page, "Autorisieren"), LAMPENLADEN)
    await page.get_by_label("Name der Integration").fill("Lampen Europa")
    await page.keyboard.press("Enter")
    await expect(page.locator("#relay-address")).to_be_visible()

    await page.goto(link)
    await expect(title).to_have_text("Das ist schon erledigt")
    await expect(page.get_by_text("Mit diesem Link wurde „Lampen Europa“ am")).to_be_visible()
    await expect(page.get_by_role("button", name="utorisieren")).to_have_count(0)

    # One for another store of the region says what was authorized since, so that nobody consents twice.
    other = Wish(new_id(), "FR", None, datetime.now(UTC) + timedelta(days=6))
    await page.goto(f"/connect/link/{link_of(await site.keyring.of(site.sessions, site.account.id), other)}")
    await expect(page.get_by_text("Seit dieser Bitte wurde schon autorisiert: Lampen Europa")).to_be_visible()
    await expect(page.get_by_role("button", name="Trotzdem autorisieren")).to_be_visible()


async def test_a_link_for_a_store_takes_that_store_alone_and_ends(page: Page, site: Site):
    title = page.get_by_role("heading", level=1)
    integration_id = await connected(site)
    await open_signed_in(page)
    made = await page.evaluate(
        """async ([id]) => {
            const { post } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/api.js"));
            return (await post("/authorization-links", { integration_id: id })).url;
        }""",
        [str(integration_id)],
    )
    link = urlsplit(made).path

    await page.goto(link)
    await expect(page.get_by_text("„Lampen Europa“ neu autorisieren")).to_be_visible()
    await agree(await _open_at_amazon(page, "Autorisieren"), CASA_VERDE)
    await expect(page.get_by_text("Das war ein anderer Store")).to_be_visible()
    await page.goto(link)
    await consent(await _open_at_amazon(page, "Autorisieren"), LAMPENLADEN)
    await expect(page.get_by_role("heading", name="„Lampen Europa“ ist neu autorisiert")).to_be_visible()
    await page.goto(link)
    await expect(title).to_have_text("Das ist schon erledigt")

    account_keys = await site.keyring.of(site.sessions, site.account.id)
    now = datetime.now(UTC)
    old = link_of(account_keys, Wish(new_id(), "DE", None, now - timedelta(minutes=1)))
    removed = link_of(account_keys, Wish(new_id(), None, new_id(), now + timedelta(days=1)))
    for path, words in {
        old: "Dieser Link ist abgelaufen",
        removed: "Diesen Store gibt es hier nicht mehr",
        "bm8gbGluaw": "Dieser Link gehört zu keiner Bitte in diesem Konto",
    }.items():
        await page.goto(f"/connect/link/{path}")
        await expect(title).to_have_text(words)
    await expect(page.get_by_text("Angemeldet als admin@seller.example.")).to_be_visible()
