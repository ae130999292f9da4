"""What is typed stays, and so does the place of the keyboard, whatever happens around it."""

from playwright.async_api import Page, expect

from shared.events import EventKind, announce
from tests.browser.late import late
from tests.browser.steps import Site, command, enter, open_signed_in
from tests.browser.test_inbox_pages import make_store, make_thread
from tests.browser.test_settings_pages import HELPDESK
from tests.factories import make_message, make_relay_address

_TYPED = "Guten Tag, die Lampe ist unterwegs."
_LOST = "document.activeElement === document.body"


async def test_a_reply_that_is_typed_and_the_focus_outlast_everything(page: Page, site: Site):
    store = await make_store(site)
    thread = await make_thread(site, store, "Wann kommt sie?", order_id=None)
    async with site.sessions.begin() as session:
        await make_relay_address(session, store)
    await open_signed_in(page, f"/inbox/{thread.id}")
    tools = page.locator(".conversation-actions")
    for name, then in (("Schließen", "Wieder öffnen"), ("Wieder öffnen", "Schließen")):
        await tools.get_by_role("button", name=name).press("Enter")
        await expect(tools.get_by_role("button", name=then)).to_be_focused()
    await command(page, "Als ungelesen")
    await expect(tools.get_by_role("button", name="Weitere Aktionen")).to_be_focused()

    await page.get_by_role("button", name="Antworten").press("Enter")
    box = page.locator(".compose textarea").first
    await expect(box).to_be_focused()
    await page.keyboard.type(_TYPED)
    await page.keyboard.press("Escape")
    await expect(box).to_have_value(_TYPED)
    assert not await page.evaluate(_LOST)

    # Somebody else's tab, and the buyer.
    async with site.sessions.begin() as session:
        row = await session.merge(thread)
        await make_message(session, site.keyring, row, text="Noch eine Frage", authenticity="authentic")
        await announce(
            session, site.account.id, EventKind.CONVERSATION_CHANGED,
            integration_id=store.id, conversation_id=thread.id,
        )  # fmt: skip
    await expect(page.get_by_test_id("message")).to_have_count(2)
    await expect(box).to_have_value(_TYPED)

    await page.context.set_offline(True)
    await box.press_sequentially("!")
    await expect(page.get_by_text("Keine Verbindung").first).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_text("Keine Verbindung")).to_have_count(0)
    await expect(page.get_by_test_id("message")).to_have_count(2)
    await expect(box).to_have_value(f"{_TYPED}!")
    assert not await page.evaluate(_LOST)

    await page.get_by_role("button", name="English").press("Enter")
    await expect(page.get_by_role("button", name="Reply").first).to_be_visible()
    await expect(page.locator(".compose textarea").first).to_have_value(f"{_TYPED}!")


async def test_what_is_typed_for_the_next_one_while_one_is_added_stays(page: Page, site: Site):
    await enter(page)
    for path, api, adding, first, field, then in (
        ("api-keys", "api-keys", "Schlüssel hinzufügen", {"Name": "Lager"}, "Name", "api-key-secret"),
        ("webhooks", "webhooks", "Webhook hinzufügen", {"Adresse": HELPDESK}, "Beschreibung", "webhook-secret"),
        ("templates", "reply-templates", "Vorlage hinzufügen", {"Text": "Danke.", "Name": "Dank"}, "Name", "template"),
    ):  # fmt: skip
        await page.goto(f"/settings/{path}")
        await page.get_by_text(adding, exact=True).click()
        form = page.locator("form:visible")
        for label, text in first.items():
            await form.get_by_role("textbox", name=label).fill(text)
        if path == "webhooks":
            await form.get_by_label("Neue Nachricht").check()
        typed = form.get_by_role("textbox", name=field)
        await typed.focus()
        answer = await late(page, f"**/api/v1/{api}", method="POST")

        await page.keyboard.press("Enter")
        await answer.answered()
        await typed.fill("Der nächste")
        await answer.comes()

        await expect(page.get_by_test_id(then)).to_be_visible()
        await expect(typed).to_have_value("Der nächste")
        await expect(typed).to_be_focused()
