"""German pages say du until somebody chooses Sie."""

from playwright.async_api import Page, expect

from tests.browser.steps import Site, sign_in


async def test_whoever_chooses_sie_is_addressed_so_at_once_and_after_a_reload(page: Page, site: Site):
    await sign_in(page, "/sign-in?next=%2Fprofile")
    await expect(page.get_by_text("Hier bist du angemeldet.")).to_be_visible()

    await page.get_by_label("Anrede in deutschen Texten").select_option("sie")
    await page.get_by_role("button", name="Speichern").first.click()

    await expect(page.get_by_text("Hier sind Sie angemeldet.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("Hier sind Sie angemeldet.")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "de")
