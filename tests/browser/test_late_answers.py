"""Answers that come when somebody has gone on: they draw nothing over what is shown, lead nowhere and take nobody's keyboard."""

import re

from playwright.async_api import Browser, Page, expect

from services.connector.accounts.audit import system_audit_entry
from shared.driver import new_id
from tests.browser.late import late
from tests.browser.steps import ADMIN, PASSWORD, Site, open_signed_in
from tests.browser.test_inbox_pages import make_store
from tests.factories import make_conversation, make_message, make_order, make_reply


async def test_a_list_that_is_read_anew_shows_neither_less_nor_what_was_asked_for_before(
    page: Page, site: Site
):
    async with site.sessions.begin() as session:
        session.add_all(system_audit_entry(site.account.id, "webhook_disabled", new_id()) for _ in range(55))
    await open_signed_in(page, "/settings/audit-log")
    entries, more = page.get_by_test_id("audit-entry"), page.get_by_role("button", name="Mehr laden")
    await expect(entries).to_have_count(50)

    # More is loaded while the list is read again.
    reading = await late(page, "**/api/v1/audit-log?*")
    await page.get_by_role("button", name="Aktualisieren").click()
    await reading.answered()
    await more.click()
    await expect(entries).to_have_count(56)
    await reading.comes()
    await expect(entries).to_have_count(56)

    # Something else is asked for while more is loaded.
    await page.reload()
    loading = await late(page, "**/api/v1/audit-log?*cursor=*")
    await more.click()
    await loading.answered()
    await page.get_by_label("Was", exact=True).select_option("Hat sich angemeldet.")
    await expect(entries).to_have_count(1)
    await loading.comes()
    await expect(entries).to_have_count(1)
    await expect(more).to_have_count(0)


async def test_a_late_answer_shows_no_older_people_and_leads_nobody_back(
    page: Page, browser: Browser, site: Site
):
    await open_signed_in(page, "/settings/users")
    agent, dialog = (
        page.get_by_test_id("user").filter(has_text="agent@seller.example"),
        page.get_by_role("dialog"),
    )
    await expect(agent).to_be_visible()
    reading = await late(page, "**/api/v1/users?*")
    await agent.get_by_role("button", name=re.compile("deaktivieren")).press("Enter")
    await dialog.get_by_role("button", name="Deaktivieren").press("Enter")
    await reading.answered()
    await agent.get_by_role("button", name="Berechtigungen").press("Enter")
    await dialog.get_by_label("Posteingang").select_option(label="lesen")
    await dialog.get_by_role("button", name="Speichern").press("Enter")
    await expect(agent).to_contain_text("Posteingang: lesen ·")
    await reading.comes()
    await expect(agent).to_contain_text("Posteingang: lesen ·")

    # What was asked on a page that has been left is no error.
    reading = await late(page, "**/api/v1/users?*")
    await agent.get_by_role("button", name=re.compile("wieder aktivieren")).press("Enter")
    await reading.answered()
    await page.get_by_role("link", name="Profil").click()
    await reading.comes()
    await page.evaluate(
        """async () => {
            const { get } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/api.js"));
            get("/me", AbortSignal.abort());
        }"""
    )

    # Whoever types elsewhere goes on typing.
    other = await browser.new_context(base_url=site.url)
    made = await other.request.post("/api/v1/sessions", data={"email": ADMIN, "password": PASSWORD})
    assert made.ok
    await other.close()
    await page.reload()
    await expect(page.get_by_text("Diese Sitzung")).to_be_visible()
    ending = await late(page, "**/api/v1/sessions", method="DELETE")
    await page.get_by_role("button", name="Alle anderen beenden").click()
    await ending.answered()
    field = page.get_by_label("Bisheriges Passwort")
    await field.click()
    await ending.comes()
    await expect(page.get_by_text("Diese Sitzung")).to_have_count(1)
    await page.keyboard.type("correct")
    await expect(field).to_have_value("correct")

    # What is saved when somebody is on another page does not bring them back.
    saving = await late(page, "**/api/v1/me", method="PATCH")
    await page.get_by_label("Name", exact=True).fill("Anna Beispiel")
    await page.get_by_role("button", name="Speichern").first.click()
    await saving.answered()
    await page.get_by_role("link", name="Einstellungen").click()
    await page.get_by_role("link", name="Konto", exact=True).click()
    await expect(page.get_by_label("Anrede in deutschen Texten")).to_be_visible()
    await saving.comes()
    await expect(page).to_have_url(f"{site.url}/settings/account")

    # A question that was asked on the page before is gone with it.
    await page.get_by_role("button", name="Konto schließen …").click()
    await expect(dialog).to_be_visible()
    await page.go_back()
    await expect(page.get_by_test_id("user")).to_have_count(2)
    await expect(dialog).to_have_count(0)
    await page.go_forward()

    # What was asked before somebody signed out signs nobody in.
    me = await late(page, "**/api/v1/me")
    await page.get_by_label("Anrede in deutschen Texten").select_option("Sie")
    await page.get_by_role("button", name="Speichern").click()
    await me.answered()
    await page.get_by_role("button", name="Abmelden").click()
    await expect(page.get_by_label("E-Mail-Adresse")).to_be_visible()
    await me.comes()
    await expect(page).to_have_url(f"{site.url}/sign-in")
    await expect(page.get_by_role("button", name="Abmelden")).to_have_count(0)


async def test_a_late_answer_of_a_step_or_a_view_that_was_left_is_not_shown(page: Page, site: Site):
    store = await make_store(site)
    async with site.sessions.begin() as session:
        order = await make_order(session, site.keyring, store)
        message = await make_message(
            session, site.keyring, await make_conversation(session, site.keyring, store)
        )
        await make_reply(
            session, site.keyring, message, state="failed", failure="unknown", server_words="550"
        )
    await open_signed_in(page, "/integrations/new")
    title = page.get_by_role("heading", level=2)
    amazon = page.get_by_role("link", name=re.compile("Nachrichten und Bestellungen"))

    # Where a step cannot be had, that is said, and can be tried again.
    await page.route("**/api/v1/marketplaces", lambda route: route.fulfill(status=503))
    await amazon.click()
    again = page.get_by_role("button", name="Noch einmal versuchen")
    await expect(again).to_be_visible()
    await page.unroute("**/api/v1/marketplaces")
    await again.click()
    await expect(title).to_have_text("In welchem Land ist dein Amazon-Store?")
    await page.go_back()
    await expect(amazon).to_be_visible()

    countries = await late(page, "**/api/v1/marketplaces")
    await amazon.click()
    await countries.answered()
    await page.go_back()
    await countries.comes()
    await expect(amazon).to_be_visible()

    # A link for one country is none for another.
    await amazon.click()
    await page.get_by_role("radio", name="Deutschland", exact=True).check()
    await page.get_by_text("Du darfst bei Amazon nicht selbst zustimmen?").click()
    making = await late(page, "**/api/v1/authorization-links", method="POST")
    await page.get_by_role("button", name="Link erzeugen").click()
    await making.answered()
    await page.get_by_role("radio", name="Vereinigte Staaten", exact=True).check()
    await making.comes()
    await expect(page.get_by_test_id("consent-link")).to_have_count(0)
    await page.get_by_role("button", name="Link erzeugen").click()
    await expect(page.get_by_test_id("consent-link")).to_be_visible()

    # A name that is saved after somebody went back leads nowhere.
    await page.get_by_text("Du möchtest die Amazon-API nicht verwenden?").click()
    await page.get_by_role("button", name="Ohne API verbinden").click()
    await page.get_by_label("Name der Integration").fill("Lampen")
    saving = await late(page, "**/api/v1/integrations", method="POST")
    await page.keyboard.press("Enter")
    await saving.answered()
    await page.go_back()
    await expect(title).to_have_text("In welchem Land ist dein Amazon-Store?")
    await saving.comes()
    await expect(title).to_have_text("In welchem Land ist dein Amazon-Store?")
    assert "source=amazon" in page.url

    # The views of the replies have one list.
    await page.goto("/replies")
    await expect(page.get_by_test_id("failed-reply")).to_have_count(1)
    failed = await late(page, "**/api/v1/replies?state=failed*")
    await page.get_by_role("link", name="Fehlgeschlagen", exact=True).last.click()
    await failed.answered()
    await page.get_by_role("link", name="Geplant").click()
    await expect(page.get_by_text("Keine Antwort ist geplant.")).to_be_visible()
    await failed.comes()
    await expect(page.get_by_text("Keine Antwort ist geplant.")).to_be_visible()

    # Back to an order, while the lists in between are still being read.
    await page.goto(f"/orders/{order.id}")
    await page.get_by_role("link", name="Zu den Bestellungen").click()
    await page.get_by_text("Filtern und sortieren").click()
    await page.get_by_label("Noch zu versenden").select_option("überfällig")
    await expect(page.get_by_test_id("order-row")).to_have_count(0)
    orders = await late(page, "**/api/v1/orders?*")
    await page.go_back()
    await orders.answered()
    await page.go_back()
    await expect(page.get_by_test_id("order")).to_be_visible()
    await orders.comes()
    await expect(page.get_by_test_id("order")).to_be_visible()
