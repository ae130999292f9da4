"""What connecting a store has to be, requirement by requirement (R1 to R21): one walk through the pages in German, and the words in English.

Mail that arrives and orders that Amazon sends are played by the owner's hand in the database; in tests/browser/product
they come by themselves.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from playwright.async_api import Browser, Locator, Page, Route, expect
from sqlalchemy import update

from services.connector.integrations.service import recompute_lock
from services.connector.web.texts import page_texts
from shared.events import EventKind, announce
from shared.tables import Integration, SetupStep, User
from tests.browser.running import PATIENCE_MS
from tests.browser.steps import LAMPENLADEN, PASSWORD, Site, agree
from tests.factories import (
    make_conversation,
    make_conversation_order,
    make_grant,
    make_integration,
    make_message,
    make_order,
)

# A walk visits every page of connecting.
_LOCALES = {"de": "de-DE", "en": "en-GB"}
_COUNTRIES = {
    "de": {"DE": "Deutschland", "US": "Vereinigte Staaten", "AU": "Australien", "GB": "Vereinigtes Königreich"},
    "en": {"DE": "Germany", "US": "United States", "AU": "Australia", "GB": "United Kingdom"},
}  # fmt: skip
_COVERED = {
    "de": {
        "US": ["Kanada", "Mexiko", "Brasilien"],
        "AU": ["Japan", "Singapur"],
        "DE": ["Frankreich", "Vereinigtes Königreich", "Türkei", "Vereinigte Arabische Emirate", "Saudi-Arabien", "Ägypten", "Südafrika", "Indien"],
    },
    "en": {
        "US": ["Canada", "Mexico", "Brazil"],
        "AU": ["Japan", "Singapore"],
        "DE": ["France", "United Kingdom", "Türkiye", "United Arab Emirates", "Saudi Arabia", "Egypt", "South Africa", "India"],
    },
}  # fmt: skip
# The names that sellers know from Seller Central and from the help article.
_GUIDE = {
    "de": {
        "order_report_columns": ["Aufträge → Auftragsberichte → Spalten für Auftragsberichte hinzufügen oder entfernen", "alle optionalen Spalten"],
        "seller_profile": ["Verkäuferprofil", "Bearbeiten", "Kundenservice-E-Mail", "E-Mail-Adresse für die Kundenservice-Antwort", "Senden"],
        "notification_preferences": ["Einstellungen → Benachrichtigungseinstellungen", "Messaging-Präferenzen aktualisieren", "Käufernachrichten", "Hinzufügen", "Speichern"],
    },
    "en": {
        "order_report_columns": ["Orders → Order Reports → Add or remove order report columns", "all optional columns"],
        "seller_profile": ["Seller Profile", "Edit", "Customer Service E-mail", "Customer Service Reply-to E-mail", "Submit"],
        "notification_preferences": ["Settings → Notification Preferences", "Messaging", "Buyer Messages", "Add another", "Save"],
    },
}  # fmt: skip
_COLUMNS = {
    "de": ["Quelle", "Synchronisationsstatus", "Konto", "Name", "Datum der letzten synchronisierten Nachrichten", "Zuletzt synchronisierte Bestellungen"],
    "en": ["Source", "Sync status", "Account", "Name", "Date of last synced messages", "Last synced orders"],
}  # fmt: skip
_AUTHORIZE = {"de": "Autorisieren", "en": "Authorize"}
_ADD = {"de": "+ Integration hinzufügen", "en": "+ Add integration"}
_HELPFUL = {"de": "War dieser Hilfeartikel hilfreich?", "en": "Was this help article helpful?"}
_SMTP = {
    "de": "[Erweitert] Benutzerdefinierte SMTP-Konfiguration",
    "en": "[Advanced] Custom SMTP configuration",
}


@dataclass(frozen=True)
class Walker:
    """A browser in one language, and the words of its pages by key."""

    page: Page
    site: Site
    language: str
    texts: dict[str, str]

    def says(self, key: str, **values: str) -> str:
        return self.texts[key].format(**values)

    def button(self, key: str) -> Locator:
        return self.page.get_by_role("button", name=self.texts[key], exact=True)

    def heading(self, key: str, **values: str) -> Locator:
        return self.page.get_by_role("heading", name=self.says(key, **values), exact=True)

    def country(self, code: str) -> Locator:
        return self.page.get_by_role("radio", name=_COUNTRIES[self.language][code], exact=True)

    def summary(self, text: str) -> Locator:
        return self.page.locator("summary").filter(has_text=text)

    async def signs_in(self, path: str, email: str) -> None:
        await self.page.goto(path)
        await self.page.get_by_label(self.texts["sign_in.email"]).fill(email)
        await self.page.get_by_label(self.texts["sign_in.password"]).fill(PASSWORD)
        await self.page.keyboard.press("Enter")
        await expect(self.button("header.sign_out")).to_be_visible()

    async def signs_out(self) -> None:
        await self.button("header.sign_out").click()
        await expect(self.page.get_by_label(self.texts["sign_in.password"])).to_be_visible()

    async def authorizes(self) -> Page:
        async with self.page.context.expect_page() as opened:
            await self.page.get_by_role("button", name=_AUTHORIZE[self.language], exact=True).click()
        return await opened.value


@asynccontextmanager
async def walking(browser: Browser, site: Site, language: str) -> AsyncIterator[Walker]:
    """A browser in this language, in which no script fails; so are all people of the account."""
    async with site.sessions.begin() as session:
        await session.execute(update(User).values(language=language))
    context = await browser.new_context(
        base_url=site.url, locale=_LOCALES[language], timezone_id="Europe/London"
    )
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Walker(page, site, language, page_texts(language))
    await context.close()
    assert errors == []


async def test_a_store_is_connected_as_the_requirements_say(browser: Browser, site: Site):
    """In German; `make soak` walks all of it in English, too."""
    async with walking(browser, site, "de") as walker:
        await connects_a_store(walker)


async def test_the_words_that_the_requirements_name_are_there_in_english(browser: Browser, site: Site):
    """On each page whose words are written in this module; what Amazon's window leads to is the owner's work here."""
    async with site.sessions.begin() as session:
        store = await make_integration(session, site.account.id, name=None)
        await make_grant(session, site.keyring, store)
    async with walking(browser, site, "en") as walker:
        page = walker.page
        await nobody_without_the_permission_sees_integrations(walker)
        await walker.signs_in("/integrations", "admin@seller.example")
        await the_list_has_the_six_columns(walker)
        await one_adds_amazon_at_the_top_right_and_sees_what_a_country_covers(walker)
        await page.goto(f"/integrations/new?integration={store.id}")
        await expect(walker.summary(_SMTP["en"])).to_be_visible()
        await page.get_by_label(walker.texts["wizard.name.label"]).fill("Lampen Europa")
        await page.get_by_role("button", name=_AUTHORIZE["en"], exact=True).click()
        await the_guide_names_seller_centrals_own_words_for_each_country(walker)
        await the_guide_asks_whether_it_was_helpful_and_says_if_the_answer_is_lost(walker)


async def connects_a_store(walker: Walker) -> None:
    """The whole walk."""
    await nobody_without_the_permission_sees_integrations(walker)
    await walker.signs_in("/integrations", "admin@seller.example")
    await one_adds_amazon_at_the_top_right_and_sees_what_a_country_covers(walker)
    await amazon_opens_beside_and_the_first_window_goes_on_by_itself(walker)
    integration_id = await a_name_makes_the_address(walker)
    await the_guide_names_seller_centrals_own_words_for_each_country(walker)
    await the_guide_asks_whether_it_was_helpful_and_says_if_the_answer_is_lost(walker)
    await the_guide_ticks_itself_and_the_lock_says_the_same_by_word_and_shape(walker, integration_id)
    await the_address_is_at_the_end_of_a_pop_up_and_is_copied(walker, integration_id)
    await the_list_has_the_six_columns(walker)
    await the_store_is_renamed_in_the_list(walker)
    await the_same_store_again_makes_no_second_one(walker)
    await a_message_is_read_with_its_order(walker, integration_id)
    await who_may_only_view_changes_nothing(walker, integration_id)


async def nobody_without_the_permission_sees_integrations(walker: Walker) -> None:
    """R1: no entry in the menu; the API refuses with the name of what is missing."""
    page = walker.page
    await walker.signs_in("/integrations", "agent@seller.example")
    title = {"de": "Dafür fehlt eine Berechtigung", "en": "You do not have permission for this"}[
        walker.language
    ]
    await expect(page.get_by_role("heading", level=1)).to_have_text(title)
    missing = {"de": "Allgemein → Admin (anzeigen)", "en": "General → Admin (view)"}[walker.language]
    await expect(page.get_by_text(missing)).to_be_visible()
    await expect(page.get_by_role("link", name=walker.texts["header.integrations"])).to_have_count(0)
    await expect(page.get_by_role("link", name=_ADD[walker.language])).to_have_count(0)
    # The other page of connecting says it by the same heading.
    await page.goto("/integrations/new")
    await expect(page.get_by_role("heading", name=title)).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_text(title)
    await walker.signs_out()


async def one_adds_amazon_at_the_top_right_and_sees_what_a_country_covers(walker: Walker) -> None:
    """R2, R4, R6, R7: the two sides as steps, the sources, the countries."""
    page = walker.page
    add = page.get_by_role("link", name=_ADD[walker.language])
    place, window = await add.bounding_box(), page.viewport_size
    assert place is not None
    assert window is not None
    assert place["y"] < 120
    assert place["x"] > window["width"] / 2
    await add.click()
    await expect(page.locator(".source")).to_have_count(1)
    await page.get_by_role("link", name="Amazon").click()
    steps = page.get_by_label(walker.texts["wizard.steps"]).get_by_role("listitem")
    sides = {
        "de": ["in Replyco", "bei Amazon", "in Replyco", "in Seller Central"],
        "en": ["in Replyco", "at Amazon", "in Replyco", "in Seller Central"],
    }
    for number, side in enumerate(sides[walker.language]):
        await expect(steps.nth(number)).to_contain_text(side)
    await expect(steps.nth(0)).to_contain_text(walker.texts["wizard.done"])
    await expect(steps.nth(1)).to_have_attribute("aria-current", "step")
    # The likely ones are first: those of the browser's language and clock, then the three main stores.
    first = page.locator(".country-grid-main").get_by_role("radio")
    await expect(first.first).to_have_accessible_name(
        _COUNTRIES[walker.language]["DE" if walker.language == "de" else "GB"]
    )

    authorize = page.get_by_role("button", name=_AUTHORIZE[walker.language], exact=True)
    await authorize.click()
    ask = page.get_by_role("alert").filter(has_text=walker.texts["wizard.choose_first"])
    await expect(ask).to_be_visible()
    covered = page.locator(".covers")
    for code in ("US", "AU", "DE"):
        await walker.country(code).check()
        await expect(ask).to_have_count(0)
        for name in _COVERED[walker.language][code]:
            await expect(covered).to_contain_text(name)
    below = await authorize.bounding_box()
    await walker.country("US").check()
    assert await authorize.bounding_box() == below
    await walker.country("DE").check()


async def amazon_opens_beside_and_the_first_window_goes_on_by_itself(walker: Walker) -> None:
    """R2, R3, R7, R8: a window of its own for Amazon, and a reload or the way over the list lose nothing."""
    page = walker.page
    amazon = await walker.authorizes()
    await expect(walker.heading("wizard.waiting.title")).to_be_visible()
    waiting = page.url
    await page.reload()
    await expect(walker.heading("wizard.waiting.title")).to_be_visible()
    await page.get_by_role("link", name=walker.texts["wizard.to_list"]).click()
    await (
        page.get_by_test_id("waiting-attempt")
        .get_by_role("link", name=walker.texts["integrations.waiting.go_on"])
        .click()
    )
    await expect(walker.heading("wizard.waiting.title")).to_be_visible()

    await agree(amazon, LAMPENLADEN)

    await expect(amazon.get_by_text(walker.texts["connect.close_window"])).to_be_visible()
    await amazon.close()
    await expect(page.get_by_label(walker.texts["wizard.name.label"])).to_be_focused()
    # The address is still the one at which it waited, so another tab goes on here, too.
    assert page.url == waiting


async def a_name_makes_the_address(walker: Walker) -> UUID:
    """R9, R10: a name of 1 to 60 characters; the advanced settings are closed, and warn; a second tab is told of the name."""
    page = walker.page
    other = await page.context.new_page()
    await other.goto(page.url)
    await expect(other.get_by_label(walker.texts["wizard.name.label"])).to_be_visible()
    name = page.get_by_label(walker.texts["wizard.name.label"])
    authorize = page.get_by_role("button", name=_AUTHORIZE[walker.language], exact=True)
    for wrong, words in {
        "  ": walker.texts["wizard.name.empty"],
        "L" * 61: walker.says("wizard.name.too_long", longest="60"),
    }.items():
        await name.fill(wrong)
        await authorize.click()
        await expect(page.get_by_text(words)).to_be_visible()
    host = page.get_by_label(walker.texts["smtp.host"], exact=True)
    await expect(host).to_be_hidden()
    await walker.summary(_SMTP[walker.language]).click()
    await expect(page.get_by_text(walker.texts["smtp.warning"])).to_be_visible()
    for key in ("host", "port", "username", "password", "sender_address"):
        await expect(page.get_by_label(walker.texts[f"smtp.{key}"], exact=True)).to_be_visible()
    await expect(page.get_by_label(walker.texts["smtp.tls"]).get_by_role("option")).to_have_count(2)
    await expect(walker.button("smtp.test")).to_be_visible()

    # What was typed there is not lost with the page: half of it is no configuration, and says so.
    await host.fill("smtp.seller.example")
    await name.fill("Lampen Europa")
    await authorize.click()
    await expect(page.get_by_label(walker.texts["smtp.username"])).to_have_attribute("aria-invalid", "true")
    await host.fill("")
    await authorize.click()

    address = page.locator("#relay-address")
    await expect(address).to_have_text(re.compile(r"^[a-z]{9}@replyco\.email$"))
    await other.get_by_label(walker.texts["wizard.name.label"]).fill("LAMPEN EUROPA")
    await other.keyboard.press("Enter")
    await expect(
        other.get_by_role("heading", name=walker.says("wizard.named_meanwhile", name="Lampen Europa"))
    ).to_be_visible()
    await other.close()
    return UUID(page.url.rpartition("=")[2])


async def the_guide_names_seller_centrals_own_words_for_each_country(walker: Walker) -> None:
    """R5, R12 to R15: one step at a time, exactly the countries in which the store sells, the address wherever it is pasted."""
    page = walker.page
    address = await page.locator("#relay-address").inner_text()
    for step, words in _GUIDE[walker.language].items():
        item = page.get_by_test_id(f"setup-{step}")
        for word in words:
            await expect(item.get_by_role("list").first).to_contain_text(word)
        await expect(item.get_by_role("img")).to_be_visible()
        if step != "order_report_columns":
            await expect(item.locator("[data-country]")).to_have_count(3)
            await expect(item.get_by_text(address)).to_be_visible()
            hosts = await item.get_by_role("link").evaluate_all("links => links.map((link) => link.href)")
            assert all("sellercentral" in host for host in hosts)
            assert [host.rpartition("country=")[2] for host in hosts] == ["DE", "FR", "IT"]
        await item.get_by_role("checkbox").first.check()
        await item.get_by_role("button", name=walker.texts["guide.next"]).click()
    progress = page.get_by_test_id("setup-progress")
    await expect(progress).to_have_text(walker.says("guide.progress", done="3", total="10"))
    await page.reload()
    await expect(progress).to_have_text(walker.says("guide.progress", done="3", total="10"))

    # What cannot be saved goes back, and says so beside the box.
    box = page.get_by_test_id("setup-order_report_columns").get_by_role("checkbox")
    await walker.summary(walker.texts["guide.order_report_columns.title"]).click()
    await expect(box).to_be_checked()
    await page.context.set_offline(True)
    # Also where the box is the last thing that is seen.
    await box.evaluate("box => scrollBy(0, box.getBoundingClientRect().bottom - innerHeight)")
    await box.click()
    await expect(page.get_by_test_id("setup-order_report_columns").get_by_role("alert")).to_be_in_viewport()
    await expect(box).to_be_checked()
    await page.context.set_offline(False)


async def the_guide_asks_whether_it_was_helpful_and_says_if_the_answer_is_lost(walker: Walker) -> None:
    """R21: the question is the end of the guide; what did not arrive is said, and can be sent again."""
    page = walker.page
    question = page.get_by_role("group", name=_HELPFUL[walker.language], exact=True)
    await expect(question).to_have_count(1)
    assert await page.locator(".wizard-guide > :last-child").get_attribute("data-testid") == "helpful"

    async def fail(route: Route) -> None:
        await route.abort()

    await page.route("**/api/v1/page-feedback", fail)
    yes = question.get_by_role("button", name=walker.texts["helpful.yes"], exact=True)
    await yes.click()
    await expect(question.get_by_role("alert")).to_contain_text(walker.texts["helpful.again"])
    await page.unroute("**/api/v1/page-feedback")
    async with page.expect_response("**/api/v1/page-feedback") as answered:
        await yes.click()
    answer = await answered.value
    assert answer.ok
    assert answer.request.post_data_json == {"page": "guide", "language": walker.language, "helpful": True}
    await expect(question.get_by_role("status")).to_have_text(walker.texts["helpful.thanks"])
    await expect(question.get_by_role("alert")).to_have_count(0)
    await expect(question.get_by_role("button")).to_have_count(0)


async def the_guide_ticks_itself_and_the_lock_says_the_same_by_word_and_shape(
    walker: Walker, integration_id: UUID
) -> None:
    """R15, R18: as when the first mail of every country has come."""
    page, site, now = walker.page, walker.site, datetime.now(UTC)
    lock = page.get_by_test_id("lock")
    await expect(lock).to_have_text(walker.texts["lock.pending"])
    shape = await lock.locator("svg").inner_html()
    async with site.sessions.begin() as session:
        store = await session.get_one(Integration, integration_id)
        store.first_authentic_mail_at = store.last_message_at = now
        for step in ("seller_profile", "notification_preferences", "approved_sender"):
            for country in ("DE", "FR", "IT"):
                await session.merge(
                    SetupStep(
                        integration_id=store.id,
                        step=step,
                        country=country,
                        account_id=site.account.id,
                        done_by=None,
                    )
                )
        await session.flush()
        await recompute_lock(session, site.account.id, store.id, now)
        await announce(session, site.account.id, EventKind.MESSAGE_RECEIVED, integration_id=store.id)
    await expect(page.get_by_test_id("setup-progress")).to_have_text(
        walker.says("guide.progress.all", done="10", total="10")
    )
    await walker.summary(walker.texts["guide.approved_sender.title"]).click()
    seen = walker.texts["guide.seen_at"].partition("{")[0]
    await expect(page.get_by_test_id("setup-approved_sender").get_by_text(seen)).to_have_count(3)
    await expect(lock).to_have_text(walker.texts["lock.green"])
    await expect(lock.locator("svg")).to_have_attribute("aria-hidden", "true")
    assert await lock.locator("svg").inner_html() != shape


async def the_address_is_at_the_end_of_a_pop_up_and_is_copied(walker: Walker, integration_id: UUID) -> None:
    """R11: its own URL, Escape closes it, the copy button works without the clipboard, too."""
    page = walker.page
    await page.get_by_role("link", name=walker.texts["header.integrations"]).click()
    await page.get_by_role("link", name="Lampen Europa").click()
    dialog = page.get_by_role("dialog", name="Lampen Europa")
    await expect(page).to_have_url(re.compile(f"/integrations/{integration_id}$"))
    address = dialog.locator("#relay-address")
    await expect(address).to_have_text(re.compile("@replyco.email$"))
    assert await dialog.locator(".dialog-body > :last-child").locator("#relay-address").count() == 1
    await page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })"
    )
    await dialog.get_by_role("button", name=walker.texts["copy.address"]).click()
    # Where a browser has no clipboard for us, the text is selected instead.
    await expect(dialog.get_by_text(walker.texts["copy.selected"]).first).to_be_visible()
    assert await page.evaluate("getSelection().toString()") == await address.inner_text()
    await page.evaluate("delete navigator.clipboard")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await dialog.get_by_role("button", name=walker.texts["copy.address"]).click()
    await expect(dialog.get_by_text(walker.texts["copy.done"], exact=True).first).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == await address.inner_text()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page).to_have_url(re.compile("/integrations$"))


async def the_list_has_the_six_columns(walker: Walker) -> None:
    """R17."""
    heads = walker.page.get_by_role("columnheader")
    await expect(heads.first).to_be_visible()
    assert (await heads.all_inner_texts())[:6] == _COLUMNS[walker.language]


async def the_store_is_renamed_in_the_list(walker: Walker) -> None:
    """R19."""
    page = walker.page
    row = page.get_by_test_id("integration-row")
    await expect(row.get_by_test_id("lock")).to_have_text(walker.texts["lock.green"])
    for words in ("Amazon", "Lampenladen", "Lampen Europa"):
        await expect(row).to_contain_text(words)
    # Anywhere in a row opens it.
    await row.get_by_role("cell", name="Amazon", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_text(walker.texts["integration.manage"], exact=True).click()
    await dialog.get_by_label(walker.texts["integration.name"]).fill("Lampen & Licht")
    await walker.button("integration.rename").click()
    await expect(dialog.get_by_role("heading", name="Lampen & Licht")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(row).to_contain_text("Lampen & Licht")


async def the_same_store_again_makes_no_second_one(walker: Walker) -> None:
    """R16: the hint comes first; the store is authorized again, and keeps its name."""
    page = walker.page
    await page.get_by_role("link", name=_ADD[walker.language]).click()
    await page.get_by_role("link", name="Amazon").click()
    await expect(page.get_by_text(walker.texts["wizard.sign_out_first.text"])).to_be_visible()
    await walker.country("DE").check()
    amazon = await walker.authorizes()
    await agree(amazon, LAMPENLADEN)
    await expect(walker.heading("wizard.reauthorized.title", name="Lampen & Licht")).to_be_visible()
    await amazon.close()
    await page.get_by_role("link", name=walker.texts["wizard.to_list"]).click()
    await expect(page.get_by_test_id("integration-row")).to_have_count(1)


async def a_message_is_read_with_its_order(walker: Walker, integration_id: UUID) -> None:
    """R20."""
    page, site = walker.page, walker.site
    async with site.sessions.begin() as session:
        store = await session.get_one(Integration, integration_id)
        order = await make_order(session, site.keyring, store)
        conversation = await make_conversation(session, site.keyring, store, order_id=order.order_id)
        await make_message(session, site.keyring, conversation, text="Wann kommt meine Lampe?")
        await make_conversation_order(session, conversation, order.order_id)
    await page.goto(f"/inbox/{conversation.id}")
    await expect(page.get_by_role("article")).to_contain_text("Wann kommt meine Lampe?")
    await expect(page.get_by_text(order.order_id).first).to_be_visible()


async def who_may_only_view_changes_nothing(walker: Walker, integration_id: UUID) -> None:
    """R1: with *view* one sees integrations, and nothing that changes them."""
    page, site = walker.page, walker.site
    async with site.sessions.begin() as session:
        await session.execute(
            update(User).where(User.email == "agent@seller.example").values(general_admin="view")
        )
    await walker.signs_out()
    await walker.signs_in(f"/integrations/{integration_id}", "agent@seller.example")
    dialog = page.get_by_role("dialog", name="Lampen & Licht")
    await expect(dialog.locator("#relay-address")).to_be_visible()
    await expect(dialog.get_by_text(walker.texts["integration.manage"], exact=True)).to_have_count(0)
    await walker.summary(walker.texts["guide.seller_profile.title"]).click()
    await expect(dialog.get_by_role("checkbox").first).to_be_disabled()
    await expect(page.get_by_role("link", name=_ADD[walker.language])).to_have_count(0)
