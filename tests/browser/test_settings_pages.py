"""The settings in a real browser: webhooks, tags and the audit log."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from playwright.async_api import Page, expect
from sqlalchemy import func, select, update

from services.connector.accounts.audit import system_audit_entry
from shared.driver import new_id
from shared.events import EventKind, announce
from shared.tables import AuditEntry, Conversation, Tag, User, Webhook, WebhookDelivery
from tests.browser.late import late
from tests.browser.steps import Site, open_signed_in, sign_in
from tests.factories import make_conversation, make_integration

HELPDESK = "https://helpdesk.example/replyco"


def uuid_of(moment: datetime) -> UUID:
    """An id of this time."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def add_webhook(page: Page) -> str:
    """With the keyboard; returns the secret."""
    await page.get_by_text("Webhook hinzufügen").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Adresse").fill(HELPDESK)
    await page.get_by_label("Änderung an einer Integration").check()
    await page.get_by_label("Beschreibung").fill("Helpdesk")
    await page.keyboard.press("Enter")
    return await page.get_by_test_id("webhook-secret").inner_text()


async def test_an_answer_that_a_later_one_has_overtaken_does_not_hide_what_is_shown(page: Page, site: Site):
    first = await late(page, "**/api/v1/webhooks")
    async with page.expect_response("**/api/v1/webhooks") as second:
        await sign_in(page, "/settings/webhooks")
        # The page listens when it asks. Either the event comes to it, or its stream opens later and lets it read again.
        await first.answered()
        async with site.sessions.begin() as session:
            await announce(session, site.account.id, EventKind.WEBHOOK_DISABLED)
    await (await second.value).finished()
    await first.comes()

    # At once: the stream's opening and the event together let it read a third time, which would mend what is shown.
    await expect(page.get_by_text("Webhook hinzufügen")).to_be_visible()
    assert await page.get_by_text("Es gibt noch keinen Webhook.").is_visible()


async def test_a_webhook_is_created_once_its_address_is_one_its_secret_shown_once_and_the_audit_log_tells_it(
    page: Page,
):
    await open_signed_in(page, "/settings/webhooks")
    await expect(page.get_by_role("link", name="Einstellungen")).to_have_attribute("aria-current", "page")
    await expect(page.get_by_text("Es gibt noch keinen Webhook.")).to_be_visible()
    await page.get_by_text("Webhook hinzufügen").click()
    address = page.get_by_label("Adresse")
    await address.fill("http://helpdesk.example/")
    await page.get_by_label("Beschreibung").fill("Helpdesk")
    await page.get_by_role("button", name="Hinzufügen").click()

    # What was entered stays.
    await expect(address).to_be_focused()
    await expect(address).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_label("Beschreibung")).to_have_value("Helpdesk")
    await page.get_by_text("Webhook hinzufügen").click()

    secret = await add_webhook(page)

    assert secret.startswith("whsec_")
    await expect(page.get_by_role("heading", name="Das Geheimnis dieses Webhooks")).to_be_focused()
    webhook = page.get_by_test_id("webhook")
    await expect(webhook).to_contain_text(HELPDESK)
    await expect(webhook).to_contain_text("Meldet: Änderung an einer Integration und Neue Nachricht")
    await expect(page.get_by_test_id("webhook-state")).to_have_text("Läuft")
    await page.get_by_text("Webhook hinzufügen").click()
    await expect(page.get_by_label("Adresse")).to_have_value("")
    await page.reload()
    await expect(webhook).to_contain_text(HELPDESK)
    assert secret not in await page.content()
    await expect(page.get_by_test_id("webhook-secret")).to_have_count(0)

    await page.get_by_role("link", name="Protokoll", exact=True).click()

    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    entries = page.get_by_test_id("audit-entry")
    await expect(entries).to_have_count(2)
    await expect(entries.first).to_contain_text("Hat einen Webhook angelegt.")
    await expect(entries.last).to_contain_text("Hat sich angemeldet.")
    await page.get_by_role("button", name="English").click()
    await expect(entries.first).to_contain_text("Changed their own details.")
    await expect(entries.nth(1)).to_contain_text("Created a webhook.")


async def test_a_webhook_is_edited_and_another_ones_change_is_not_overwritten_paused_tested_and_deleted(
    page: Page, site: Site
):
    await open_signed_in(page, "/settings/webhooks")
    first = await add_webhook(page)
    await page.get_by_role("button", name="Ich habe es hinterlegt").click()
    await expect(page.get_by_test_id("webhook-secret")).to_have_count(0)
    webhook, state = page.get_by_test_id("webhook"), page.get_by_test_id("webhook-state")
    edit = page.get_by_role("button", name="Bearbeiten: Helpdesk")

    await edit.click()
    await expect(webhook.get_by_label("Adresse")).to_be_focused()
    await expect(webhook.get_by_label("Adresse")).to_have_value(HELPDESK)
    await webhook.get_by_label("Adresse").fill("http://helpdesk.example/")
    await webhook.get_by_role("button", name="Speichern").click()
    await expect(webhook.get_by_label("Adresse")).to_have_attribute("aria-invalid", "true")
    await webhook.get_by_label("Adresse").fill(f"{HELPDESK}/neu")
    await webhook.get_by_label("Neue Nachricht").uncheck()
    await page.keyboard.press("Enter")
    await expect(webhook).to_contain_text(f"{HELPDESK}/neu")
    await expect(webhook).to_contain_text("Meldet: Änderung an einer Integration")
    await expect(webhook).not_to_contain_text("Neue Nachricht")
    await expect(edit).to_be_focused()

    await edit.click()
    await webhook.get_by_label("Adresse").fill(HELPDESK)
    async with site.sessions.begin() as session:
        await session.execute(update(Webhook).values(version=Webhook.version + 1, description="Anderes"))
        await announce(session, site.account.id, EventKind.WEBHOOK_DISABLED)
    # What is drawn anew keeps what is typed, and the keyboard there.
    await expect(page.get_by_role("button", name="Bearbeiten: Anderes")).to_be_visible()
    await expect(webhook.get_by_label("Adresse")).to_have_value(HELPDESK)
    await expect(webhook.get_by_label("Adresse")).to_be_focused()
    await webhook.get_by_role("button", name="Speichern").click()
    await expect(webhook.get_by_text("Es wurde inzwischen geändert")).to_be_visible()
    await expect(webhook.get_by_label("Adresse")).to_have_value(HELPDESK)
    await webhook.get_by_role("button", name="Abbrechen").click()
    await expect(webhook.get_by_label("Adresse")).to_have_count(0)
    async with site.sessions.begin() as session:
        assert await session.scalar(select(Webhook.url)) == f"{HELPDESK}/neu"

    await page.get_by_role("button", name="Pausieren: Anderes").click()
    await expect(state).to_contain_text("Pausiert seit")
    await expect(page.get_by_role("button", name="Fortsetzen: Anderes")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(state).to_have_text("Läuft")

    await page.get_by_role("button", name="Testmeldung senden: Anderes").click()
    delivery = page.get_by_test_id("delivery")
    await expect(delivery).to_contain_text("Testmeldung")
    await delivery.get_by_role("button", name="Erneut senden").click()
    await expect(delivery).to_contain_text("Wird gleich gesendet")

    await page.get_by_role("button", name="Geheimnis ersetzen: Anderes").click()
    await page.get_by_role("dialog").get_by_role("button", name="Geheimnis ersetzen").click()
    second = page.get_by_test_id("webhook-secret")
    await expect(second).to_contain_text("whsec_")
    assert await second.inner_text() != first
    await expect(page.get_by_text("gilt auch das bisherige Geheimnis")).to_be_visible()

    # It ended with its creator's right.
    async with site.sessions.begin() as session:
        await session.execute(
            update(Webhook)
            .where(Webhook.account_id == site.account.id)
            .values(disabled_at=func.now(), disabled_reason="creator")
        )
    await page.reload()
    await expect(state).to_contain_text(
        "Wer diesen Webhook angelegt oder seine Adresse zuletzt geändert hat, darf nicht mehr sehen"
    )
    await page.get_by_role("button", name="Fortsetzen: Anderes").click()
    await expect(state).to_have_text("Läuft")

    await page.get_by_role("button", name="Löschen: Anderes").click()
    await page.get_by_role("dialog").get_by_role("button", name="Abbrechen").click()
    await expect(webhook).to_have_count(1)
    await page.get_by_role("button", name="Löschen: Anderes").click()
    await page.get_by_role("dialog").get_by_role("button", name="Löschen").click()
    await expect(page.get_by_text("Es gibt noch keinen Webhook.")).to_be_visible()


async def test_the_audit_log_goes_on_page_by_page_and_shows_an_unknown_action_as_it_is(
    page: Page, site: Site
):
    async with site.sessions.begin() as session:
        session.add(system_audit_entry(site.account.id, "lamp_lit", new_id()))
        await session.flush()
        session.add_all(system_audit_entry(site.account.id, "webhook_disabled", new_id()) for _ in range(55))
    await open_signed_in(page, "/settings/audit-log")
    entries = page.get_by_test_id("audit-entry")
    await expect(entries).to_have_count(50)

    await page.get_by_role("button", name="Mehr laden").click()

    await expect(entries).to_have_count(57)
    await expect(entries.nth(50)).to_be_focused()
    await expect(entries.last).to_contain_text("lamp_lit")
    await expect(page.get_by_role("button", name="Mehr laden")).to_have_count(0)


async def test_the_audit_log_is_narrowed_down_by_who_what_and_day(page: Page, site: Site):
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        agent = await session.scalar(select(User).where(User.email == "agent@seller.example"))
        assert agent is not None
        agent.name = "Anna Beispiel"
        long_ago = system_audit_entry(site.account.id, "webhook_disabled", new_id())
        long_ago.at, long_ago.id = now - timedelta(days=40), uuid_of(now - timedelta(days=40))
        session.add(long_ago)
        session.add(
            AuditEntry(
                account_id=site.account.id, actor_kind="user", actor_id=agent.id, action="sign_in_failed",
                subject_id=agent.id, fields={"network": "192.0.2.7/32"},
            )
        )  # fmt: skip
    await open_signed_in(page, "/settings/audit-log")
    entries = page.get_by_test_id("audit-entry")
    await expect(entries).to_have_count(3)

    await page.get_by_label("Wer", exact=True).select_option("Anna Beispiel")
    await expect(entries).to_have_count(1)
    await expect(entries).to_contain_text("fehlgeschlagen. Von 192.0.2.7.")
    await page.get_by_label("Was", exact=True).select_option("Hat sich angemeldet.")
    await expect(page.get_by_text("Dazu gibt es keinen Eintrag.")).to_be_visible()
    await page.get_by_label("Wer", exact=True).select_option("Alle")
    await expect(entries).to_have_count(1)
    await page.get_by_label("Was", exact=True).select_option("Alles")
    await page.get_by_label("Bis", exact=True).fill(f"{now - timedelta(days=39):%Y-%m-%d}")
    await expect(entries).to_have_count(1)
    await expect(entries).to_contain_text("Ein Webhook wurde abgeschaltet")
    await page.get_by_label("Von", exact=True).fill(f"{now - timedelta(days=38):%Y-%m-%d}")
    await expect(entries).to_have_count(0)
    await page.get_by_label("Bis", exact=True).fill("")
    await expect(entries).to_have_count(2)

    # A link to what one person did shows nobody else's entries: nor if they are disabled, nor if nobody knows them.
    async with site.sessions.begin() as session:
        await session.execute(update(User).where(User.id == agent.id).values(disabled_at=now))
    await page.goto(f"/settings/audit-log?actor_id={agent.id}")
    await expect(page.get_by_label("Wer", exact=True).locator("option:checked")).to_have_text("Anna Beispiel")
    await expect(entries).to_have_count(1)
    await page.goto(f"/settings/audit-log?actor_id={new_id()}&action=signed_in")
    await expect(page.get_by_label("Wer", exact=True).locator("option:checked")).to_have_text(
        "Person oder Schlüssel des Links"
    )
    await expect(page.get_by_text("Dazu gibt es keinen Eintrag.")).to_be_visible()
    await page.goto(f"/settings/audit-log?subject_id={agent.id}")
    await expect(entries).to_have_count(1)
    await expect(page.get_by_text("was eine bestimmte Sache betrifft")).to_be_visible()
    await page.get_by_label("Was", exact=True).select_option("Hat sich angemeldet.")
    await expect(page.get_by_text("was eine bestimmte Sache betrifft")).to_be_hidden()


async def test_the_read_log_shows_who_opened_what_and_leads_there(page: Page, site: Site):
    async with site.sessions.begin() as session:
        store = await make_integration(session, site.account.id, name="Lampen Europa")
        conversation = await make_conversation(session, site.keyring, store, order_id="303-1234567-1234567")
        session.add(system_audit_entry(site.account.id, "integration_renamed", store.id))
        session.add(system_audit_entry(site.account.id, "webhook_disabled", new_id()))
    async with page.expect_response(f"**/api/v1/conversations/{conversation.id}") as opened:
        await open_signed_in(page, f"/inbox/{conversation.id}")
    await (await opened.value).finished()

    await page.goto(f"{site.url}/settings/read-log")
    entry = page.get_by_test_id("reads-entry")
    await expect(entry).to_have_count(1)
    await expect(entry).to_contain_text("Hat eine Unterhaltung geöffnet.")
    await page.get_by_label("Was", exact=True).select_option("Suchen")
    await expect(page.get_by_text("Dazu gibt es keinen Eintrag.")).to_be_visible()
    await page.get_by_label("Was", exact=True).select_option("Unterhaltungen")
    await expect(entry).to_have_count(1)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Als CSV-Datei").click()
    assert (await download.value).suggested_filename == "read-log.csv"
    await page.get_by_role("link", name="Protokoll", exact=True).click()
    entries = page.get_by_test_id("audit-entry")
    gone = entries.filter(has_text="Ein Webhook wurde abgeschaltet")
    await expect(gone).to_contain_text("Webhook, inzwischen entfernt")
    await expect(entries.get_by_role("link", name="Store Lampen Europa")).to_have_attribute(
        "href", f"/integrations/{store.id}"
    )
    await page.get_by_role("link", name="Leseprotokoll").click()
    await entry.get_by_role("link", name="Unterhaltung 303-1234567-1234567").click()
    await expect(page).to_have_url(f"{site.url}/inbox/{conversation.id}")


async def test_who_may_only_view_is_led_to_the_people_and_sees_no_programs(page: Page, site: Site):
    async with site.sessions.begin() as session:
        admin = await session.scalar(select(User).where(User.email == "admin@seller.example"))
        assert admin is not None
        admin.general_admin, admin.general_programs = "view", "none"
    await open_signed_in(page, "/inbox")

    await page.get_by_role("link", name="Einstellungen").click()

    await expect(page).to_have_url(f"{site.url}/settings/users")
    await expect(page.get_by_role("link", name="API-Schlüssel")).to_have_count(0)
    await expect(page.get_by_role("link", name="Webhooks")).to_have_count(0)
    await page.get_by_role("link", name="Protokoll", exact=True).click()
    await expect(page.get_by_test_id("audit-entry")).to_have_count(1)


async def test_of_the_settings_an_agent_is_shown_templates_and_tags_alone(page: Page, site: Site):
    await open_signed_in(page, "/inbox", email="agent@seller.example")

    await page.get_by_role("link", name="Einstellungen").click()

    await expect(page).to_have_url(f"{site.url}/settings/templates")
    await expect(page.get_by_role("navigation", name="Einstellungen").get_by_role("link")).to_have_text(
        ["Vorlagen", "Schlagwörter"]
    )


async def test_what_a_webhook_did_not_receive_is_sent_again_and_followed(page: Page, site: Site):
    await open_signed_in(page, "/settings/webhooks")
    await add_webhook(page)
    await page.get_by_role("button", name="Ich habe es hinterlegt").click()
    async with site.sessions.begin() as session:
        webhook_id = await session.scalar(select(Webhook.id))
        assert webhook_id is not None
        session.add_all(
            WebhookDelivery(
                id=new_id(),
                account_id=site.account.id,
                webhook_id=webhook_id,
                event_id=new_id(),
                kind="message.received",
                ids={},
                event_at=datetime.now(UTC) - timedelta(hours=1),
                state="dead",
            )
            for _ in range(3)
        )
    await page.get_by_text("Letzte Zustellungen").click()
    await page.get_by_role("button", name="Nicht Zugestelltes erneut senden: Helpdesk").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_test_id("resend-count")).to_have_text("Nicht zugestellt in dieser Zeit: 3")
    await dialog.get_by_label("Von").fill("")
    await dialog.get_by_role("button", name="Erneut senden").click()
    await expect(dialog.get_by_test_id("resend-count")).to_have_text("Nötig sind beide Zeiten.")
    await dialog.get_by_label("Von").fill("2026-01-01T00:00")
    await page.keyboard.press("Enter")

    progress = page.get_by_test_id("resend-progress")
    await expect(progress).to_have_text("In dieser Zeit: 0 zugestellt, 3 unterwegs, 0 nicht zugestellt.")
    async with site.sessions.begin() as session:
        await session.execute(update(WebhookDelivery).values(state="delivered", delivered_at=func.now()))
    await expect(progress).to_have_text("In dieser Zeit: 3 zugestellt, 0 unterwegs, 0 nicht zugestellt.")

    async with site.sessions.begin() as session:
        await session.execute(update(WebhookDelivery).values(state="waiting"))
    await page.get_by_role("button", name="Pausieren: Helpdesk").click()
    await expect(page.get_by_test_id("webhook")).to_contain_text("Was schon wartete, wartet bis")
    await expect(page.get_by_test_id("delivery").first).to_contain_text(
        "Wartet, bis der Webhook wieder läuft."
    )


async def test_tags_are_renamed_and_deleted_by_keyboard_alone(page: Page, site: Site):
    async with site.sessions.begin() as session:
        store = await make_integration(session, site.account.id)
        tags = [
            Tag(id=new_id(), account_id=site.account.id, name=name, name_key=name.lower())
            for name in ("Rückgabe", "Versand")
        ]
        session.add_all(tags)
        await make_conversation(session, site.keyring, store, tag_ids=[tags[0].id])
    await open_signed_in(page, "/settings/tags", email="agent@seller.example")
    rows, dialog = page.get_by_test_id("tag"), page.get_by_role("dialog")
    await expect(rows).to_have_text([re.compile("Rückgabe"), re.compile("Versand")])

    await page.get_by_role("button", name="Umbenennen: Versand").press("Enter")
    await expect(dialog.get_by_label("Name")).to_be_focused()
    await dialog.get_by_label("Name").fill("rückgabe")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).not_to_be_empty()
    await dialog.get_by_label("Name").fill("Lieferung")
    await page.keyboard.press("Enter")
    await expect(rows).to_have_text([re.compile("Lieferung"), re.compile("Rückgabe")])
    await expect(page.get_by_role("heading", level=1)).to_be_focused()

    await page.get_by_role("button", name="Löschen: Rückgabe").press("Enter")
    await expect(dialog).to_contain_text("1 Unterhaltung hat es und verliert es.")
    await dialog.get_by_role("button", name="Löschen").press("Enter")
    await expect(rows).to_have_text([re.compile("Lieferung")])
    async with site.sessions() as session:
        assert (await session.scalars(select(Conversation.tag_ids))).all() == [[]]
