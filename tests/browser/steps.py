"""What a seller does in the browser, step by step; the pages speak German."""

from dataclasses import dataclass

from playwright.async_api import Page, expect

from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import Account

PASSWORD = "correct horse battery"
ADMIN = "admin@seller.example"
LAMPENLADEN = "A1LAMPENLADEN7"
CASA_VERDE = "A2CASAVERDE34K"
BRIGHT_PORCH = "A3BRIGHTPORCH9"


@dataclass(frozen=True)
class Site:
    """Where the pages are, and the owner's hand in the database behind them."""

    url: str
    amazon_url: str
    sessions: Sessions
    keyring: Keyring
    account: Account


async def enter(page: Page, email: str = ADMIN, password: str = PASSWORD) -> None:
    """Signed in over REST, no page opened yet: the form costs a page, and has tests of its own."""
    answer = await page.request.post("/api/v1/sessions", data={"email": email, "password": password})
    assert answer.ok, await answer.text()


async def open_signed_in(
    page: Page, path: str = "/integrations", email: str = ADMIN, password: str = PASSWORD
) -> None:
    await enter(page, email, password)
    await page.goto(path)
    await expect(page.get_by_role("button", name="Abmelden")).to_be_visible()


async def sign_in(
    page: Page, path: str = "/integrations", email: str = ADMIN, password: str = PASSWORD
) -> None:
    """By the form, as whoever is not signed in is led to it."""
    await page.goto(path)
    await page.get_by_label("E-Mail-Adresse").fill(email)
    await page.get_by_label("Passwort").fill(password)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Abmelden")).to_be_visible()


async def command(page: Page, name: str) -> None:
    """Of the open conversation's menu."""
    await page.get_by_role("button", name="Weitere Aktionen").click()
    await page.get_by_role("menuitem", name=name).first.click()


async def open_amazon(page: Page, country: str) -> Page:
    await page.goto("/integrations/new?source=amazon")
    return await authorize(page, country)


async def authorize(page: Page, country: str) -> Page:
    """From the choice of countries until Amazon's window is open; ours stays."""
    if country not in {"Deutschland", "Vereinigte Staaten", "Australien"}:
        await page.get_by_text("Anderes Land", exact=True).click()
    await page.get_by_role("radio", name=country, exact=True).check()
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Autorisieren").click()
    return await opened.value


async def consent(amazon: Page, seller_id: str) -> None:
    """Until the store is connected and Amazon's window is closed."""
    await agree(amazon, seller_id)
    await expect(amazon.get_by_text("Du kannst dieses Fenster jetzt schließen")).to_be_visible()
    await amazon.close()


async def agree(amazon: Page, seller_id: str) -> None:
    """Sign in at Amazon, tick the box, confirm."""
    await choose_account(amazon, seller_id)
    await amazon.locator("#consent").check()
    await amazon.locator("#confirm").click()


async def choose_account(amazon: Page, seller_id: str) -> None:
    """Sign in at Amazon, and out before where somebody is signed in."""
    await expect(amazon.locator("#sign-in, #consent").first).to_be_visible()
    if await amazon.locator("#other-account").count():
        await amazon.locator("#other-account").click()
    await amazon.locator(f"#seller-{seller_id}").check()
    await amazon.locator("#sign-in").click()
    await expect(amazon.locator("#consent")).to_be_visible()
