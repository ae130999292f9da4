"""Settings → the account: how people are addressed, and its end, in a real browser."""

from datetime import UTC, datetime

from playwright.async_api import Page, expect

from services.connector.account_closing import service
from tests.browser.steps import PASSWORD, Site, open_signed_in, sign_in


async def test_an_account_addresses_its_people_and_is_closed(page: Page, site: Site):
    await open_signed_in(page, "/settings/account")
    main, dialog = page.get_by_role("main"), page.get_by_role("dialog")
    await expect(main).to_contain_text("auch du nicht")

    await page.get_by_label("Anrede in deutschen Texten").select_option("Sie")
    await page.get_by_role("button", name="Speichern").press("Enter")
    await expect(main).to_contain_text("auch Sie nicht")
    await page.goto("/profile")
    await expect(page.get_by_label("Anrede in deutschen Texten")).to_have_value("")
    await page.get_by_label("Anrede in deutschen Texten").select_option("Du")
    await page.get_by_role("button", name="Speichern").first.press("Enter")
    await expect(page.locator("#done").get_by_text("Gespeichert.")).to_be_visible()
    await expect(page.get_by_label("Anrede in deutschen Texten")).to_have_value("du")
    await page.goto("/settings/account")
    await expect(main).to_contain_text("auch du nicht")

    await page.get_by_role("button", name="Konto schließen …").press("Enter")
    await expect(dialog.get_by_label("Zur Sicherheit")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(dialog).to_contain_text("Bitte gib den Namen des Kontos ein.")
    await page.keyboard.type("Lampen")
    await page.keyboard.press("Enter")
    await expect(dialog).to_contain_text("Das ist nicht der Name des Kontos.")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Verwerfen").press("Enter")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("button", name="Konto schließen …")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.type(site.account.name)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", name="ist geschlossen")).to_be_visible()
    await expect(page.get_by_role("button", name="Abmelden")).to_have_count(0)
    await page.reload()
    await page.get_by_label("E-Mail-Adresse").fill("admin@seller.example")
    await page.get_by_label("Passwort").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(main).to_contain_text("Dieses Konto ist geschlossen")

    await service.reopen(site.sessions, site.account.id, datetime.now(UTC))
    await sign_in(page, "/integrations")
