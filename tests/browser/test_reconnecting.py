"""A red lock is cured in one click; the wrong store is refused, and said to be the wrong one."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from playwright.async_api import Page, Route, expect
from sqlalchemy import update

from services.connector.integrations.service import recompute_lock
from shared.tables import AuthorizationAttempt, Grant
from tests.browser.late import late
from tests.browser.steps import (
    CASA_VERDE,
    LAMPENLADEN,
    Site,
    agree,
    consent,
    enter,
    open_amazon,
    open_signed_in,
)
from tests.factories import make_grant, make_integration, make_relay_address


async def connected(site: Site) -> UUID:
    """A store of the sandbox's that is connected and named, without the walk there, which other tests are about."""
    async with site.sessions.begin() as session:
        store = await make_integration(session, site.account.id, name="Lampen Europa", seller_id=LAMPENLADEN)
        await make_grant(session, site.keyring, store)
        await make_relay_address(session, store)
        await session.flush()
        await recompute_lock(session, site.account.id, store.id, datetime.now(UTC))
    return store.id


async def _open_store(page: Page, site: Site) -> UUID:
    """In its pop-up."""
    integration_id = await connected(site)
    await open_signed_in(page, f"/integrations/{integration_id}")
    await expect(page.get_by_role("dialog", name="Lampen Europa")).to_be_visible()
    return integration_id


async def _withdraw(site: Site, integration_id: UUID) -> None:
    """What the vault writes when Amazon has refused the refresh token twice."""
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        await session.execute(
            update(Grant)
            .where(Grant.integration_id == integration_id)
            .values(refused_at=now - timedelta(minutes=2), revoked_at=now)
        )
        await recompute_lock(session, site.account.id, integration_id, now)


async def test_a_withdrawn_authorization_turns_the_lock_red_and_one_click_cures_it(page: Page, site: Site):
    integration_id = await _open_store(page, site)
    await _withdraw(site, integration_id)
    check = page.get_by_test_id("check").filter(has_text="Autorisierung widerrufen")
    await expect(check).to_be_visible()
    await expect(page.locator("dialog [data-lock]")).to_have_attribute("data-lock", "red")

    async with page.context.expect_page() as opened:
        await check.get_by_role("button", name="Neu autorisieren").click()
    amazon = await opened.value
    await amazon.locator("#consent, #sign-in").first.wait_for()
    await consent(amazon, LAMPENLADEN)

    await page.get_by_role("link", name="Integration öffnen").click()
    await expect(page.locator("dialog [data-lock]")).not_to_have_attribute("data-lock", "red")
    await expect(page.get_by_test_id("check").filter(has_text="Autorisierung widerrufen")).to_have_count(0)


async def test_another_store_cures_nothing_and_is_named_as_the_wrong_one(page: Page, site: Site):
    integration_id = await _open_store(page, site)
    await _withdraw(site, integration_id)

    async with page.context.expect_page() as opened:
        await page.get_by_test_id("check").get_by_role("button", name="Neu autorisieren").click()
    amazon = await opened.value
    await agree(amazon, CASA_VERDE)

    await expect(page.get_by_text("Das war ein anderer Store")).to_be_visible()
    await expect(page.get_by_text("privates Fenster").first).to_be_visible()
    await page.get_by_role("link", name="Zurück zur Integration").click()
    await expect(page.locator("dialog [data-lock]")).to_have_attribute("data-lock", "red")


async def test_a_disconnected_store_rests_and_is_restored_from_the_list(page: Page, site: Site):
    store = f"**/api/v1/integrations/{await _open_store(page, site)}"
    await page.get_by_text("Verwalten", exact=True).click()
    is_read = asyncio.Event()

    async def hold(route: Route):
        if route.request.method == "GET":
            await is_read.wait()
        await route.continue_()

    await page.route(store, hold)
    await page.get_by_role("button", name="Pausieren").click()
    in_panel = page.locator(".manage").get_by_role("button", name="Fortsetzen")
    await in_panel.click()
    # It is pressed again before the store has been read again.
    await page.locator(".manage").get_by_role("button", name="Pausieren").click()
    await expect(in_panel).to_be_focused()
    is_read.set()
    await expect(page.get_by_test_id("check").filter(has_text="Pausiert")).to_be_visible()
    # The panel stays open, and the focus stays where one was.
    await expect(in_panel).to_be_focused()
    await in_panel.click()
    await expect(page.get_by_test_id("check").filter(has_text="Pausiert")).to_have_count(0)
    await expect(page.get_by_role("button", name="Pausieren")).to_be_focused()
    # The note that says so has the button, too.
    await page.keyboard.press("Enter")
    await page.get_by_test_id("check").get_by_role("button", name="Fortsetzen").click()
    await expect(page.get_by_test_id("check").filter(has_text="Pausiert")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Lampen Europa")).to_be_focused()

    await page.get_by_role("button", name="Verbindung trennen").click()
    await expect(page.get_by_label("Behalten, sie bleiben im Posteingang lesbar")).to_be_checked()
    await page.get_by_role("button", name="Verbindung trennen").last.click()
    await expect(page.get_by_role("link", name="Zu „Apps verwalten“ in Seller Central")).to_be_visible()
    await page.get_by_role("button", name="Schließen").click()

    in_grace_period = page.get_by_test_id("grace-period")
    await expect(in_grace_period).to_contain_text("Lampen Europa")
    await in_grace_period.get_by_role("button", name="Lampen Europa wiederherstellen").click()

    await expect(page.get_by_role("heading", name="Lampen Europa")).to_be_visible()
    await expect(page.get_by_test_id("check").filter(has_text="Nicht autorisiert")).to_be_visible()
    await expect(page.get_by_test_id("grace-period")).to_have_count(0)


async def _enter_smtp_server(page: Page, site: Site) -> None:
    await _open_store(page, site)
    await page.get_by_text("Verwalten", exact=True).click()
    await page.get_by_text("Benutzerdefinierte SMTP-Konfiguration").click()
    await page.get_by_label("Server", exact=True).fill("smtp.seller.example")
    await page.get_by_label("Benutzername").fill("shop")
    await page.get_by_label("Passwort").fill("canary password")
    await page.get_by_label("Absenderadresse").fill("shop@seller.example")


async def test_an_smtp_server_that_nobody_may_reach_is_named_as_such(page: Page, site: Site):
    await _enter_smtp_server(page, site)

    # What a test has shown is not said of what is typed since.
    tested = await late(page, "**/smtp-configuration/test", method="POST")
    await page.get_by_role("button", name="Testen").click()
    await tested.answered()
    await page.get_by_label("Port").fill("465")
    await tested.comes()
    await expect(page.locator(".smtp .notice-bad")).to_have_count(0)

    await page.get_by_role("button", name="Testen").click()
    await expect(page.locator(".smtp .notice-bad")).to_be_visible()
    await page.get_by_role("button", name="Speichern").click()
    saved = await late(page, "**/smtp-configuration", method="PUT")
    await page.get_by_role("dialog").get_by_role("button", name="Trotzdem speichern").click()
    await saved.answered()
    await page.get_by_label("Benutzername").fill("lager")
    await saved.comes()
    await expect(page.get_by_label("Benutzername")).to_have_value("lager")
    await expect(page.get_by_label("Benutzername")).to_be_focused()
    await expect(page.locator("#done").get_by_text("Die SMTP-Angaben sind gespeichert.")).to_be_visible()

    await expect(page.get_by_label("Server", exact=True)).to_have_value("smtp.seller.example")
    await expect(page.get_by_label("Passwort")).to_have_value("")
    await page.get_by_label("Absenderadresse").fill("no address")
    await page.get_by_role("button", name="Speichern").click()
    await expect(page.get_by_label("Absenderadresse")).to_have_attribute("aria-invalid", "true")


async def test_what_amazons_error_codes_mean_is_told_where_one_waits_in_vain(page: Page, site: Site):
    await enter(page)
    await open_amazon(page, "Deutschland")
    await expect(page.get_by_role("heading", name="Bitte stimm bei Amazon zu")).to_be_visible()
    async with site.sessions.begin() as session:
        await session.execute(
            update(AuthorizationAttempt).values(expires_at=datetime.now(UTC) - timedelta(minutes=1))
        )

    await page.reload()
    await page.get_by_text("Amazon zeigt einen Fehlercode?").click()

    await expect(page.get_by_text("CONSENT_LIMIT_REACHED")).to_be_visible()
    await expect(page.get_by_text("SPDC8143")).to_be_visible()


async def test_smtp_settings_are_removed_only_after_a_question_that_the_keyboard_answers(
    page: Page, site: Site
):
    await _enter_smtp_server(page, site)
    await page.get_by_role("button", name="Speichern").click()
    await page.get_by_role("button", name="Entfernen").focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="SMTP-Angaben entfernen?")
    await expect(dialog).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_label("Server", exact=True)).to_have_value("smtp.seller.example")

    await page.get_by_role("button", name="Entfernen").focus()
    await page.keyboard.press("Enter")
    await dialog.get_by_role("button", name="Entfernen").press("Enter")

    await expect(page.get_by_label("Server", exact=True)).to_have_value("")
    await expect(page.get_by_label("Server", exact=True)).to_be_focused()
    await expect(page.get_by_role("button", name="Entfernen")).to_have_count(0)
