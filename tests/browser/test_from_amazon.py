"""A store that comes from Amazon's Appstore: through our sign-in and a question to a connected store, without a detour."""

from playwright.async_api import Page, expect

from tests.browser.steps import LAMPENLADEN, PASSWORD, Site

EUROPE = "sellercentral-europe.amazon.com"


async def test_a_seller_authorizes_in_the_appstore_signs_in_here_says_yes_and_is_connected(
    page: Page, site: Site
):
    await page.goto(f"{site.amazon_url}/{EUROPE}/apps/store")
    await page.locator(f"#seller-{LAMPENLADEN}").check()
    await page.locator("#sign-in").click()
    await page.locator("#authorize").click()

    await page.get_by_label("E-Mail-Adresse").fill("admin@seller.example")
    await page.get_by_label("Passwort").fill(PASSWORD)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", name="Diesen Store verbinden?")).to_be_visible()
    await expect(page.get_by_text(LAMPENLADEN)).to_be_visible()
    await expect(page.get_by_text("admin@seller.example")).to_be_visible()
    await page.get_by_label("Land des Stores").select_option("Deutschland")
    await page.get_by_role("button", name="Weiter zu Amazon").click()

    await expect(page.get_by_role("heading", name="Dein Store ist verbunden")).to_be_visible()
