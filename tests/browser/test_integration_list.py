"""The list of integrations with several stores: found, filtered, ordered, two lines each; and a store that somebody else disconnects."""

from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Page, expect
from sqlalchemy import update

from services.connector.integrations.service import recompute_lock
from shared.driver import new_id
from shared.events import EventKind, announce
from shared.tables import Grant, SetupStep, SmtpConfiguration
from tests.browser.steps import Site, open_signed_in
from tests.factories import make_grant, make_integration, make_relay_address

_STEPS = ("order_report_columns", "seller_profile", "notification_preferences", "approved_sender")


async def _make_stores(site: Site) -> str:
    """One that Amazon refuses, one in order, one paused, one without a name. The id of the one that is in order."""
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        stores = {}
        for name in ("Bright Porch", "Alles gut", "Zur Ruhe", None):
            store = await make_integration(session, site.account.id, name=name, countries=("DE",))
            await make_grant(session, site.keyring, store)
            if name:
                await make_relay_address(session, store)
            stores[name] = store
        await session.execute(
            update(Grant)
            .where(Grant.integration_id == stores["Bright Porch"].id)
            .values(refused_at=now - timedelta(minutes=2), revoked_at=now)
        )
        good = stores["Alles gut"]
        good.first_authentic_mail_at = good.last_message_at = now
        session.add_all(
            SetupStep(integration_id=good.id, step=step, country="DE", account_id=site.account.id)
            for step in _STEPS
        )
        stores["Zur Ruhe"].paused_at = now - timedelta(hours=30)
        await session.flush()
        for store in stores.values():
            await recompute_lock(session, site.account.id, store.id, now)
        return str(good.id)


async def _of_rows(page: Page, script: str) -> list[Any]:
    """What the script says of each row, asked at once: news draw the rows anew at any time."""
    found: list[Any] = await page.get_by_test_id("integration-row").evaluate_all(
        f"rows => rows.map((row) => {script})"
    )
    return found


async def _names(page: Page) -> list[str]:
    return await _of_rows(page, 'row.querySelector(".row-link").textContent')


async def test_stores_are_found_filtered_by_lock_and_ordered_in_rows_of_two_lines(page: Page, site: Site):
    await _make_stores(site)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await open_signed_in(page)
    rows = page.get_by_test_id("integration-row")
    await expect(rows).to_have_count(4)
    # Two lines of 24 px each, with room around them.
    heights = await _of_rows(page, "row.getBoundingClientRect().height")
    assert all(48 <= height <= 80 for height in heights), heights

    filters = page.get_by_role("group", name="Nach Zustand filtern").get_by_role("button")
    assert await filters.all_inner_texts() == [
        "Alle 4", "Nicht richtig eingerichtet 1", "Einrichtung läuft 2", "Richtig eingerichtet 1",
    ]  # fmt: skip
    await filters.nth(1).click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Bitte handeln: Autorisierung widerrufen.")
    await expect(rows.get_by_role("button", name="Neu autorisieren")).to_be_visible()
    await expect(filters.nth(1)).to_be_focused()
    await filters.nth(0).click()
    await expect(rows).to_have_count(4)

    order = page.get_by_label("Sortieren nach")
    await order.select_option("name")
    assert await _names(page) == ["Alles gut", "Bright Porch", "Noch ohne Namen", "Zur Ruhe"]
    await order.select_option("state")
    assert (await _names(page))[0] == "Bright Porch"
    assert (await _names(page))[-1] == "Alles gut"
    search = page.get_by_label("Integrationen durchsuchen")
    await search.fill("porch")
    assert await _names(page) == ["Bright Porch"]
    await search.fill("nowhere")
    await expect(page.get_by_text("Keine Integration passt dazu.")).to_be_visible()
    await search.fill("")

    # A pause is as old in the list as where it is told in full.
    paused = rows.filter(has_text="Zur Ruhe")
    since = (await paused.get_by_text("Pausiert, seit").inner_text()).partition("seit ")[2]
    await paused.get_by_role("link", name="Zur Ruhe").click()
    await expect(page.get_by_test_id("check").filter(has_text="Pausiert")).to_contain_text(f"seit {since}")
    # What nobody knows is asked, and not told as a fault.
    await page.get_by_text("Noch nicht geprüft", exact=True).click()
    questions = await page.locator(".not-checked li").all_inner_texts()
    assert questions
    assert all(question.split(" ")[0] in {"Ob", "Wie", "In", "Aus"} for question in questions)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)

    await page.set_viewport_size({"width": 360, "height": 740})
    await search.fill("porch")
    await expect(rows).to_have_count(1)
    parts = '[".row-link", "[data-lock]", "[data-testid=summary]"]'
    [tops] = await _of_rows(
        page, f"{parts}.map((part) => row.querySelector(part).getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)
    [height] = await _of_rows(page, "row.getBoundingClientRect().height")
    assert height < 240


async def test_a_store_that_is_disconnected_elsewhere_is_said_to_be_gone_wherever_it_is_shown(
    page: Page, site: Site
):
    store = await _make_stores(site)
    await open_signed_in(page, f"/integrations/{store}")
    await expect(page.get_by_role("dialog", name="Alles gut").locator("#relay-address")).to_be_visible()
    wizard = await page.context.new_page()
    await wizard.goto(f"/integrations/new?integration={store}")
    await expect(wizard.locator("#relay-address")).to_be_visible()
    elsewhere = await page.context.new_page()
    await elsewhere.goto("/integrations")
    await expect(elsewhere.get_by_test_id("integration-row")).to_have_count(4)

    await elsewhere.evaluate(
        """async ([id]) => {
            const { remove } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/api.js"));
            await remove(`/integrations/${id}?data=keep`);
        }""",
        [store],
    )

    for shown in (page, wizard):
        await expect(shown.get_by_text("Dieser Store ist nicht mehr verbunden")).to_be_visible()
        await expect(shown.locator("#relay-address")).to_have_count(0)
    await wizard.get_by_role("link", name="Zur Liste").last.click()
    await expect(wizard.get_by_test_id("grace-period")).to_contain_text("Alles gut")


async def test_a_store_without_the_api_is_told_of_no_consent_and_one_that_is_not_here_of_no_end(
    page: Page, site: Site
):
    async with site.sessions.begin() as session:
        store = await make_integration(session, site.account.id, name="Ohne Zugang", countries=("DE",))
        store.uses_api, store.seller_id, store.store_name = False, None, None
        await make_relay_address(session, store)
    await open_signed_in(page, f"/integrations/{store.id}")
    dialog = page.get_by_role("dialog", name="Ohne Zugang")
    await dialog.get_by_text("Verwalten", exact=True).click()
    await expect(dialog.get_by_role("button", name="Autorisieren", exact=True)).to_be_visible()
    await expect(dialog.get_by_text("Neu autorisieren")).to_have_count(0)

    await page.evaluate(
        """async ([id]) => {
            const { put } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/api.js"));
            await put(`/integrations/${id}/smtp-configuration`, { host: "mail.example", port: 587, tls_mode: "starttls", username: "u", password: "p", sender_address: "shop@seller.example" });
        }""",
        [str(store.id)],
    )
    async with site.sessions.begin() as session:
        tested = {"checked_at": datetime.now(UTC), "check_result": "connect"}
        await session.execute(update(SmtpConfiguration).values(**tested))
    await dialog.get_by_text("Benutzerdefinierte SMTP-Konfiguration").click()
    await expect(dialog.get_by_text("Der Server antwortet nicht")).to_be_visible()
    await dialog.get_by_label("Port").fill("465")
    await expect(dialog.get_by_text("Der Server antwortet nicht")).to_have_count(0)

    # A pause, and news, leave what is typed and open as it is.
    await page.get_by_text("Noch nicht geprüft", exact=True).click()
    await dialog.get_by_role("button", name="Pausieren").press("Enter")
    await expect(dialog.get_by_role("button", name="Fortsetzen").last).to_be_focused()
    await expect(dialog.get_by_test_id("check").filter(has_text="Pausiert")).to_be_visible()
    await expect(dialog.get_by_label("Port")).to_have_value("465")
    await expect(page.locator(".not-checked li").first).to_be_visible()

    # What cannot be read again stays, and what was wrong is gone with the next answer.
    news = {"integration_id": store.id}
    mails, none = "**/verification-mails", dialog.get_by_text("Noch keine Bestätigungs-E-Mail angekommen.")
    await page.route(mails, lambda route: route.fulfill(status=503))
    async with site.sessions.begin() as session:
        await announce(session, site.account.id, EventKind.INTEGRATION_CHANGED, **news)
    await expect(dialog.get_by_role("alert")).to_be_visible()
    await expect(none).to_be_visible()
    await page.unroute(mails)
    async with site.sessions.begin() as session:
        await announce(session, site.account.id, EventKind.INTEGRATION_CHANGED, **news)
    await expect(dialog.get_by_role("alert")).to_have_count(0)
    await expect(none).to_be_visible()

    await dialog.get_by_role("button", name="Trennen").click()
    question = page.get_by_role("dialog", name="„Ohne Zugang“ trennen?")
    await expect(question).to_contain_text("30 Tage")
    assert "Amazon-Konto" not in await question.inner_text()
    await question.get_by_role("button", name="Abbrechen").click()

    await page.goto(f"/integrations/{new_id()}")
    await expect(page.get_by_role("dialog")).to_contain_text("Dieser Store ist nicht hier")
    await expect(page.get_by_text("Jemand hat ihn")).to_have_count(0)
