"""The pages one by one, in a real browser, over the real REST API and the sandbox's Amazon."""

import asyncio

from playwright.async_api import Page, Route, expect
from sqlalchemy import select, update

from shared.events import EventKind, announce
from shared.tables import User
from tests.browser.steps import (
    BRIGHT_PORCH,
    PASSWORD,
    Site,
    consent,
    enter,
    open_amazon,
    open_signed_in,
)
from tests.factories import (
    make_conversation,
    make_grant,
    make_integration,
    make_message,
    make_relay_address,
)


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
    await open_signed_in(page, "/integrations/new?source=amazon&country=DE")

    await page.get_by_role("button", name="Autorisieren").click()

    await expect(page.get_by_text("Dein Browser hat das Fenster nicht geöffnet")).to_be_visible()
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Amazon-Fenster öffnen").click()
    await expect((await opened.value).locator("#sign-in")).to_be_visible()


async def test_a_store_of_another_region_is_offered_its_countries(page: Page):
    await enter(page)

    await consent(await open_amazon(page, "Deutschland"), BRIGHT_PORCH)

    await page.get_by_role("link", name="Vereinigte Staaten wählen").click()
    await expect(page.get_by_role("radio", name="Vereinigte Staaten")).to_be_checked()


async def test_ticking_off_the_guide_is_remembered_and_said_to_be_no_message_yet(page: Page, site: Site):
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Lampen Europa")
        await make_grant(session, site.keyring, integration)
        await make_relay_address(session, integration)
    await open_signed_in(page, f"/integrations/new?integration={integration.id}")
    boxes = page.get_by_role("checkbox")
    lock = page.get_by_test_id("lock")
    await expect(lock).to_have_attribute("data-lock", "pending")

    # One step at a time: the columns once, the others for each of the three countries.
    for number in (1, 3, 3, 3):
        await expect(boxes).to_have_count(number)
        for box in await boxes.all():
            await box.check()
        if await page.get_by_role("button", name="Nächster Schritt").is_visible():
            await page.get_by_role("button", name="Nächster Schritt").click()

    await expect(page.get_by_test_id("setup-progress")).to_have_text("Alles erledigt (10 von 10)")
    await expect(page.get_by_test_id("summary")).to_have_text("Eingerichtet, noch keine Nachricht.")
    await expect(lock).to_have_attribute("data-lock", "pending")
    await page.reload()
    await expect(page.get_by_test_id("setup-progress")).to_have_text("Alles erledigt (10 von 10)")
    await page.get_by_role("link", name="Zur Integration").click()
    await expect(page.get_by_role("dialog", name="Lampen Europa")).to_be_visible()


async def test_the_dialog_has_an_address_and_closes_with_escape_to_the_link_that_opened_it(
    page: Page, site: Site
):
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Lampen Europa")
        await make_relay_address(session, integration)
    await open_signed_in(page)
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
    await open_signed_in(page, f"/inbox/{conversation.id}")
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


async def test_a_message_that_does_not_open_says_so_in_a_sentence_and_spoils_no_other(page: Page, site: Site):
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id)
        conversation = await make_conversation(session, site.keyring, integration)
        broken = await make_message(session, site.keyring, conversation)
        whole = await make_message(session, site.keyring, conversation, text="Wann kommt meine Lampe?")
        # Moved from another row: the seal says so.
        broken.body_text = whole.body_text

    await open_signed_in(page, f"/inbox/{conversation.id}")

    articles = page.get_by_role("article")
    await expect(articles.first).to_contain_text("Wann kommt meine Lampe?")
    await expect(articles.last).to_contain_text(
        "Der Inhalt dieser Nachricht lässt sich gerade nicht vollständig öffnen; unser Betrieb weiß davon."
    )
    await expect(articles.last).not_to_contain_text("enthält keinen Text")


async def test_an_agent_is_not_shown_the_integrations(page: Page, site: Site):
    await open_signed_in(page, "/", email="agent@seller.example")
    await expect(page.get_by_role("heading", name="Posteingang")).to_be_visible()
    await expect(page.get_by_role("link", name="Integrationen")).to_have_count(0)

    await page.goto("/integrations")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Dafür fehlt eine Berechtigung")


async def test_the_language_is_remembered_with_the_user(page: Page):
    await open_signed_in(page)
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Integrations")

    await page.reload()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Integrations")
    await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_nothing_is_wider_than_a_small_phone(page: Page, site: Site):
    await page.set_viewport_size({"width": 360, "height": 740})
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Donaudampfschifffahrt" * 2)
        conversation = await make_conversation(session, site.keyring, integration)
        await make_message(session, site.keyring, conversation)
    await enter(page)
    widths = {}
    for path, ready in {
        "/integrations": "[data-testid=integration-row]",
        "/integrations/new?source=amazon&country=DE": "input[type=radio]:checked",
        "/inbox": "[data-testid=conversation]",
    }.items():
        await page.goto(path)
        await expect(page.locator(ready)).to_be_visible()
        widths[path] = await page.evaluate("document.documentElement.scrollWidth")

    assert max(widths.values()) <= 360, widths


async def list_is_read(page: Page) -> None:
    """All that the page consists of is here."""
    await expect(page.get_by_role("heading", name="Noch kein Store verbunden")).to_be_visible()


async def test_the_network_banner_comes_and_goes_by_itself(page: Page):
    await open_signed_in(page)
    await list_is_read(page)
    banner = page.get_by_text("Replyco ist gerade nicht erreichbar. Wir versuchen es von selbst weiter")
    await page.context.set_offline(True)
    await page.get_by_role("link", name="Posteingang").click()
    await expect(banner).to_be_visible()

    await page.context.set_offline(False)

    await expect(banner).to_be_hidden()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Posteingang")


async def test_an_answer_that_comes_late_does_not_say_that_the_network_is_back(page: Page):
    await open_signed_in(page)
    # Else what this page asks is taken for a question of the next one.
    await page.wait_for_load_state("networkidle")
    asked, answer = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await answer.wait()
        await route.fulfill(json={"failed": 0})

    await page.route("**/api/v1/replies/counts*", hold)
    await page.reload()
    await asked.wait()
    await list_is_read(page)
    banner = page.get_by_text("Replyco ist gerade nicht erreichbar. Wir versuchen es von selbst weiter")
    await page.context.set_offline(True)
    await page.get_by_role("link", name="Posteingang").click()
    await expect(banner).to_be_visible()
    loaded: list[str] = []
    page.on("domcontentloaded", lambda loaded_page: loaded.append(loaded_page.url))

    async with page.expect_response("**/api/v1/replies/counts*"):
        answer.set()
    await page.get_by_role("button", name="Noch einmal versuchen").click()

    await expect(banner).to_be_visible()
    assert loaded == []
    await page.context.set_offline(False)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Posteingang")


async def test_who_may_not_read_messages_is_told_whom_to_ask_for_amazons_code(page: Page, site: Site):
    async with site.sessions.begin() as session:
        admin = await session.scalar(select(User).where(User.email == "admin@seller.example"))
        assert admin is not None
        admin.inbox_messages = "none"
        integration = await make_integration(session, site.account.id)
        await make_relay_address(session, integration)
    await open_signed_in(page, f"/integrations/{integration.id}")

    await expect(page.get_by_test_id("verification-mails")).to_have_text(
        "Was in diesen E-Mails steht, siehst du nicht: Dir fehlt die Berechtigung, Nachrichten zu lesen."
        " Frag jemanden, der sie hat, nach dem Code."
    )


async def test_the_header_is_one_row_on_a_desk_and_two_on_a_phone_whatever_somebody_is_called(
    page: Page, site: Site
):
    async with site.sessions.begin() as session:
        await session.execute(update(User).values(name="Katharina Mustermann-Beispiel"))
    await open_signed_in(page, "/settings/users")
    here = page.get_by_role("navigation").first.locator("[aria-current=page]")
    await expect(here).to_have_text("Einstellungen")

    german = await _header_heights(page)
    await page.get_by_role("button", name="English").click()
    await expect(here).to_have_text("Settings")
    english = await _header_heights(page)

    for heights in (german, english):
        one_row = heights[1920]
        assert {width for width, height in heights.items() if height > one_row} == {320, 390, 768, 1023}
        assert max(heights.values()) < 2 * one_row
    # What does not fit on a phone lies beside it: the page that one is at is seen.
    await page.set_viewport_size({"width": 320, "height": 700})
    await page.reload()
    await expect(here).to_be_in_viewport(ratio=1)


async def _header_heights(page: Page) -> dict[int, float]:
    heights = {}
    for width in (320, 390, 768, 1023, 1024, 1280, 1366, 1441, 1920):
        await page.set_viewport_size({"width": width, "height": 700})
        heights[width] = await page.locator("#header").evaluate("each => each.getBoundingClientRect().height")
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    return heights
