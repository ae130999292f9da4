"""Consents that end oddly: what a seller sees then, and that it leads on. In German; a second store also in English."""

import asyncio
import re
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from playwright.async_api import Browser, Locator, Page, Route, expect
from sqlalchemy import update

from shared.tables import AuthorizationAttempt
from tests.browser.steps import (
    CASA_VERDE,
    LAMPENLADEN,
    PASSWORD,
    Site,
    agree,
    authorize,
    choose_account,
    consent,
    enter,
    open_amazon,
    open_signed_in,
)
from tests.factories import make_grant, make_integration, make_relay_address


async def test_after_cancel_the_page_waits_on_calmly_and_one_begins_with_the_country_or_opens_the_window_again(
    page: Page,
):
    await page.clock.install()
    await enter(page)
    amazon = await open_amazon(page, "Frankreich")
    await choose_account(amazon, LAMPENLADEN)

    await amazon.locator("#cancel").click()
    await expect(amazon.locator("#consent")).to_be_visible()
    await expect(heading(page, "Bitte stimm bei Amazon zu")).to_be_visible()
    await amazon.close()
    await page.clock.fast_forward(61_000)

    await expect(heading(page, "Von Amazon kam noch nichts")).to_be_visible()
    await expect(page.get_by_text("Das ist kein Fehler")).to_be_visible()
    await page.get_by_role("link", name="Noch einmal versuchen").click()
    await expect(page.get_by_role("radio", name="Frankreich", exact=True)).to_be_checked()
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Autorisieren").click()
    await (await opened.value).close()
    await expect(heading(page, "Bitte stimm bei Amazon zu")).to_be_visible()
    await page.clock.fast_forward(61_000)

    await expect(heading(page, "Von Amazon kam noch nichts")).to_be_visible()
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Amazon-Fenster öffnen").click()
    await consent(await opened.value, LAMPENLADEN)
    await expect(page.get_by_label("Name der Integration")).to_be_focused()


async def test_the_return_page_tells_the_same_after_a_lost_question_and_a_reload_and_a_second_yes_leads_to_the_same_store(
    page: Page,
):
    await enter(page)
    amazon = await open_amazon(page, "Deutschland")
    asked = 0

    async def leave_the_first(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await route.continue_()

    await amazon.route("**/api/v1/authorizations/*", leave_the_first)
    await agree(amazon, LAMPENLADEN)
    await expect(title(amazon, "Dein Store ist verbunden")).to_be_visible()
    assert asked > 1
    await amazon.unroute_all()

    await amazon.reload()

    await expect(title(amazon, "Dein Store ist verbunden")).to_be_visible()
    await expect(amazon.get_by_text("Du kannst dieses Fenster jetzt schließen")).to_be_visible()
    await expect(amazon.get_by_role("link", name="Hier weitermachen")).to_be_visible()

    await amazon.go_back()
    await expect(amazon.locator("#consent")).to_be_visible()
    await agree(amazon, LAMPENLADEN)

    await expect(title(amazon, "Dein Store ist verbunden")).to_be_visible()
    await goes_on_with_the_name(amazon)
    await page.goto("/integrations")
    await expect(page.get_by_test_id("integration-row")).to_have_count(1)


async def test_after_ten_minutes_all_windows_say_so_and_offer_to_start_again_with_the_country(
    page: Page, site: Site
):
    await enter(page)
    amazon = await open_amazon(page, "Spanien")
    await choose_account(amazon, LAMPENLADEN)
    await expect(heading(page, "Bitte stimm bei Amazon zu")).to_be_visible()
    attempt_id = parse_qs(urlsplit(page.url).query)["attempt"][0]

    await ten_minutes_pass(site)

    # By itself, at its next look.
    await expect(heading(page, "Diese Autorisierung ist abgelaufen")).to_be_visible()
    # The page to which Amazon would lead back, before it has and by its answer.
    early = await page.context.new_page()
    await early.goto(f"{site.url}/connect/{attempt_id}")
    await amazon.locator("#consent").check()
    await amazon.locator("#confirm").click()
    for window in (early, amazon):
        await expect(title(window, "Diese Autorisierung ist abgelaufen")).to_be_visible()
        await window.get_by_role("link", name="Neu anfangen").click()
        await expect(window.get_by_role("radio", name="Spanien", exact=True)).to_be_checked()
        await window.close()
    await page.get_by_role("link", name="Noch einmal versuchen").click()
    await expect(page.get_by_role("radio", name="Spanien", exact=True)).to_be_checked()
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Autorisieren").click()
    await consent(await opened.value, LAMPENLADEN)
    await expect(page.get_by_label("Name der Integration")).to_be_focused()


async def test_amazons_answer_does_no_harm_changed_or_elsewhere_and_connects_the_store_once_however_often_it_is_opened(
    page: Page, browser: Browser, site: Site
):
    await enter(page)
    amazon = await open_amazon(page, "Deutschland")
    address = await answer_held_back(amazon)

    # With a state that nobody gave out.
    await amazon.goto(with_query(address, state="x" * 43))
    await expect(title(amazon, "Diese Autorisierung kennen wir nicht")).to_be_visible()
    await expect(heading(page, "Bitte stimm bei Amazon zu")).to_be_visible()
    await amazon.get_by_role("link", name="Zu den Integrationen").click()
    await expect(title(amazon, "Integrationen")).to_be_visible()

    # In another browser, which sends back to this one.
    context = await browser.new_context(base_url=site.url, locale="de-DE")
    elsewhere = await context.new_page()
    await elsewhere.goto(address)
    await expect(title(elsewhere, "Bitte mach im anderen Browser weiter")).to_be_visible()
    await elsewhere.get_by_role("link", name="Hier neu anfangen").click()
    await elsewhere.get_by_label("E-Mail-Adresse").fill("admin@seller.example")
    await elsewhere.get_by_label("Passwort").fill(PASSWORD)
    await elsewhere.keyboard.press("Enter")
    # To whoever was not signed in nothing is told of the attempt; the list offers both, a store and a store again.
    await expect(title(elsewhere, "Integrationen")).to_be_visible()
    await elsewhere.goto(address)
    await elsewhere.get_by_role("link", name="Hier neu anfangen").click()
    await expect(elsewhere.get_by_role("radio", name="Deutschland", exact=True)).to_be_checked()
    await elsewhere.goto("/connect/problem/other_browser?by=link")
    await expect(elsewhere.get_by_text("Oder öffne den Link, den du bekommen hast")).to_be_visible()
    await expect(elsewhere.get_by_role("link", name="Zu den Integrationen")).to_be_visible()
    await context.close()

    # Where it belongs, and once more.
    await amazon.goto(address)
    await expect(title(amazon, "Dein Store ist verbunden")).to_be_visible()
    await expect(page.get_by_label("Name der Integration")).to_be_visible()
    again = await page.context.new_page()
    await again.goto(address)
    await expect(title(again, "Dein Store ist verbunden")).to_be_visible()
    await goes_on_with_the_name(again)
    await page.goto("/integrations")
    await expect(page.get_by_test_id("integration-row")).to_have_count(1)


async def test_an_address_that_somebody_made_up_puts_no_words_on_our_page(page: Page):
    await page.goto("/connect/problem/Rufen-Sie-030-123456-an")

    await expect(title(page, "Das hat nicht geklappt")).to_be_visible()
    await expect(page.get_by_text("Rufen")).to_have_count(0)
    await page.get_by_role("link", name="Zu den Integrationen").click()
    await expect(page.get_by_label("E-Mail-Adresse")).to_be_visible()


async def test_an_answer_without_a_code_says_that_no_consent_came_and_how_to_try_again(page: Page):
    await enter(page)
    amazon = await open_amazon(page, "Deutschland")
    address = await answer_held_back(amazon)

    await amazon.goto(with_query(address, spapi_oauth_code=None))

    await expect(title(amazon, "Die Verbindung kam nicht zustande")).to_be_visible()
    await expect(amazon.get_by_text("Amazon hat keine Zustimmung geschickt")).to_be_visible()
    await amazon.get_by_role("link", name="Hier ansehen, was hilft").click()
    await expect(heading(amazon, "Die Verbindung kam nicht zustande")).to_be_visible()
    await expect(heading(page, "Die Verbindung kam nicht zustande")).to_be_visible()
    await amazon.close()
    await page.get_by_role("link", name="Noch einmal versuchen").click()
    await expect(page.get_by_role("radio", name="Deutschland", exact=True)).to_be_checked()


async def test_an_answer_with_nothing_in_it_leads_to_a_new_start(page: Page):
    await enter(page)

    await page.goto("/amazon/callback")

    await expect(title(page, "Von Amazon kam keine Zustimmung")).to_be_visible()
    await page.get_by_role("link", name="Neu anfangen").click()
    await expect(heading(page, "In welchem Land ist dein Amazon-Store?")).to_be_visible()


async def test_who_is_signed_out_meanwhile_signs_in_and_is_where_stores_are_authorized(page: Page):
    await enter(page)
    amazon = await open_amazon(page, "Deutschland")
    await choose_account(amazon, LAMPENLADEN)
    await page.get_by_role("button", name="Abmelden").click()
    await expect(page.get_by_label("E-Mail-Adresse")).to_be_visible()

    await amazon.locator("#consent").check()
    await amazon.locator("#confirm").click()

    await expect(title(amazon, "Bitte melde dich noch einmal an")).to_be_visible()
    await amazon.get_by_role("link", name="Anmelden").click()
    await amazon.get_by_label("E-Mail-Adresse").fill("admin@seller.example")
    await amazon.get_by_label("Passwort").fill(PASSWORD)
    await amazon.keyboard.press("Enter")
    # Whatever was to be authorized, a new store or one of the list: both begin here.
    await expect(title(amazon, "Integrationen")).to_be_visible()
    await amazon.get_by_role("link", name="Amazon-Store verbinden").click()
    await amazon.get_by_role("link", name="Amazon", exact=False).click()
    await expect(heading(amazon, "In welchem Land ist dein Amazon-Store?")).to_be_visible()
    await consent(await authorize(amazon, "Deutschland"), LAMPENLADEN)
    await expect(amazon.get_by_label("Name der Integration")).to_be_focused()


async def test_who_forgets_to_sign_out_at_amazon_is_told_and_then_connects_the_second_store(page: Page):
    await enter(page)
    await consent(await open_amazon(page, "Deutschland"), LAMPENLADEN)
    await name_it(page, "Lampen")
    amazon = await open_amazon(page, "Spanien")
    await amazon.locator("#consent").check()
    await amazon.locator("#confirm").click()
    await expect(title(amazon, "Dein Store ist neu autorisiert")).to_be_visible()
    await amazon.close()
    await expect(heading(page, "„Lampen“ war schon verbunden")).to_be_visible()

    await page.get_by_role("link", name="Anderen Store verbinden").click()
    await expect(page.get_by_text("Melde dich zuerst bei Amazon vom bisherigen Store ab")).to_be_visible()
    await consent(await authorize(page, "Spanien"), CASA_VERDE)
    await name_it(page, "Casa Verde")

    await page.goto("/integrations")
    await expect(page.get_by_test_id("integration-row")).to_have_count(2)


async def test_a_second_store_in_english(page: Page, site: Site):
    async with site.sessions.begin() as session:
        first = await make_integration(session, site.account.id, name="Lampen", seller_id=LAMPENLADEN)
        await make_grant(session, site.keyring, first)
        await make_relay_address(session, first)
    await open_signed_in(page)
    await page.get_by_role("button", name="English").click()

    await page.get_by_role("link", name="+ Add integration").click()
    await page.get_by_role("link", name="Amazon").click()
    await expect(page.get_by_text("Sign out of the previous store at Amazon first")).to_be_visible()
    await page.get_by_text("Another country", exact=True).click()
    await page.get_by_role("radio", name="Spain", exact=True).check()
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Authorize").click()
    amazon = await opened.value
    await agree(amazon, CASA_VERDE)
    await expect(title(amazon, "Your store is connected")).to_be_visible()
    await amazon.close()
    await page.get_by_label("Name of the integration").fill("Casa Verde")
    await page.keyboard.press("Enter")
    await expect(page.locator("#relay-address")).to_be_visible()

    await page.goto("/integrations")
    await expect(page.get_by_test_id("integration-row")).to_have_count(2)
    await expect(page.get_by_role("link", name="Lampen")).to_be_visible()
    await expect(page.get_by_role("link", name="Casa Verde")).to_be_visible()


def title(page: Page, text: str) -> Locator:
    return page.get_by_role("heading", level=1, name=text)


def heading(page: Page, text: str) -> Locator:
    return page.get_by_role("heading", level=2, name=text)


async def goes_on_with_the_name(amazon: Page) -> None:
    await amazon.get_by_role("link", name="Hier weitermachen").click()
    await expect(amazon.get_by_label("Name der Integration")).to_be_focused()


async def name_it(page: Page, name: str) -> None:
    await page.get_by_label("Name der Integration").fill(name)
    await page.keyboard.press("Enter")
    await expect(page.locator("#relay-address")).to_be_visible()


async def answer_held_back(amazon: Page) -> str:
    """Consent, and the address that Amazon then sends the browser to, which it does not reach."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def hold(route: Route) -> None:
        if route.request.method != "POST":
            return await route.continue_()
        answer = await route.fetch(max_redirects=0)
        address.set_result(answer.headers["location"])
        return await route.fulfill(status=204)

    await choose_account(amazon, LAMPENLADEN)
    await amazon.route(re.compile("/apps/authorize/consent"), hold)
    await amazon.locator("#consent").check()
    await amazon.locator("#confirm").click(no_wait_after=True)
    return await address


def with_query(address: str, **changes: str | None) -> str:
    parts = urlsplit(address)
    query = {**dict(parse_qsl(parts.query)), **changes}
    return urlunsplit(parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})))


async def ten_minutes_pass(site: Site) -> None:
    """Moves every attempt into the past."""
    time = timedelta(minutes=10)
    async with site.sessions.begin() as session:
        await session.execute(
            update(AuthorizationAttempt).values(
                created_at=AuthorizationAttempt.created_at - time,
                expires_at=AuthorizationAttempt.expires_at - time,
            )
        )
