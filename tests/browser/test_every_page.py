"""What holds on every page, whatever it shows."""

from playwright.async_api import Page, Route, expect

from tests.browser.steps import Site, open_signed_in
from tests.factories import make_integration, make_relay_address


async def test_the_skip_link_leads_into_the_page_and_what_vanishes_leaves_the_focus_beside_it(
    page: Page, site: Site
):
    await open_signed_in(page, "/settings/audit-log")
    await expect(page.get_by_test_id("audit-entry").first).to_be_visible()
    address = page.url

    await page.locator("#skip-link").focus()
    await page.keyboard.press("Enter")

    await expect(page.locator("#main")).to_be_focused()
    assert page.url == address

    await page.evaluate(
        """() => {
            const [box, button] = [document.createElement("section"), document.createElement("button")];
            box.id = "left";
            box.append(button);
            document.querySelector("#main .page").append(box);
            button.focus();
            button.remove();
        }"""
    )
    await expect(page.locator("#left")).to_be_focused()


async def test_a_tab_of_the_release_before_loads_the_new_one_once_by_itself(page: Page, site: Site):
    await open_signed_in(page, "/settings/audit-log")
    await expect(page.get_by_test_id("audit-entry").first).to_be_visible()
    loads: list[str] = []
    page.on("load", lambda _: loads.append(page.url))

    # The server has another release: the scripts of this one are gone, and its document names others.
    async def gone(route: Route) -> None:
        await route.fulfill(status=404)

    async def newer(route: Route) -> None:
        await route.fulfill(status=200, body='<script src="/static/0123456789abcdef/app.js"></script>')

    await page.route("**/static/*/pages/orders.js", gone)
    await page.route("**/sign-in", newer)
    await page.get_by_role("link", name="Bestellungen").click()

    await expect(page.get_by_role("button", name="Noch einmal versuchen")).to_be_visible()
    await page.wait_for_load_state()
    assert loads == [f"{site.url}/orders"]

    await page.unroute_all()
    await page.get_by_role("button", name="Noch einmal versuchen").click()
    await expect(page.get_by_role("heading", level=1, name="Bestellungen")).to_be_visible()


async def test_dates_are_written_as_in_the_browsers_region(page: Page, site: Site):
    await page.goto("/sign-in")

    written = await page.evaluate(
        """async (languages) => {
            const core = document.querySelector("script[type=module]").src.replace("app.js", "core/");
            const { useLanguage } = await import(`${core}i18n.js`);
            const { shortDate } = await import(`${core}format.js`);
            const found = [];
            for (const [language, preferred] of languages) {
                Object.defineProperty(navigator, "languages", { value: preferred, configurable: true });
                await useLanguage(language);
                found.push(shortDate("2026-11-23T12:00:00Z"));
            }
            return found;
        }""",
        [["en", ["en-GB"]], ["en", ["en-US", "en"]], ["de", ["de-DE", "en-US"]], ["de", ["de", "en-US"]]],
    )

    assert written == ["23/11/2026", "11/23/26", "23.11.26", "23.11.26"]


async def test_what_is_typed_outlives_another_language_and_what_is_done_is_said_in_one_place(
    page: Page, site: Site
):
    await open_signed_in(page, "/profile")
    name, zone = page.get_by_label("Name", exact=True), page.get_by_label("Zeitzone")
    await name.fill("Erika Beispiel")
    await zone.focus()
    await zone.select_option("Europe/Vienna")

    await page.get_by_role("button", name="English").click()

    await expect(page.get_by_role("button", name="Deutsch")).to_be_focused()
    name, zone = page.get_by_label("Name", exact=True), page.get_by_label("Time zone")
    await expect(name).to_have_value("Erika Beispiel")
    await expect(zone).to_have_value("Europe/Vienna")
    await page.get_by_role("button", name="Save").first.click()
    await expect(page.locator("#done")).to_have_text("Saved.")
    await expect(page.locator("#done")).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("link", name="Erika Beispiel")).to_be_visible()


async def test_escape_asks_before_it_discards_what_is_typed_in_a_dialog(page: Page, site: Site):
    async with site.sessions.begin() as session:
        store = await make_integration(session, site.account.id, name="Lampen Europa")
        await make_relay_address(session, store)
    await open_signed_in(page, f"/integrations/{store.id}")
    dialog, question = (
        page.get_by_role("dialog", name="Lampen Europa"),
        page.get_by_role("dialog", name="Eingaben verwerfen?"),
    )
    await dialog.get_by_text("Verwalten").click()
    name = dialog.get_by_label("Name")
    await name.fill("Lampen Welt")

    await page.keyboard.press("Escape")
    await question.get_by_role("button", name="Abbrechen").click()
    await expect(name).to_be_focused()
    await expect(name).to_have_value("Lampen Welt")

    # Saved, it is no loss, and the dialog closes at once; the announcement is made where it is heard.
    await page.keyboard.press("Enter")
    await expect(page.locator("#done")).to_be_in_viewport(ratio=1)
    await expect(
        page.get_by_role("dialog").get_by_role("status").filter(has_text="Der Name ist gespeichert.")
    ).to_be_attached()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)

    await page.goto(f"/integrations/{store.id}")
    dialog = page.get_by_role("dialog", name="Lampen Welt")
    await dialog.get_by_text("Verwalten").click()
    await dialog.get_by_label("Name").fill("Lampen")
    await dialog.get_by_role("button", name="Schließen").click()
    await question.get_by_role("button", name="Verwerfen").click()
    await expect(page).to_have_url(f"{site.url}/integrations")
    await expect(page.get_by_test_id("integration-row")).to_contain_text("Lampen Welt")
