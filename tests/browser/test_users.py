"""Settings → users, and whoever accepts an invitation, in a real browser."""

import re
from datetime import UTC, datetime

from playwright.async_api import Page, Route, expect
from sqlalchemy import select

from services.connector.users.mails import InvitationMails
from shared.database import Sessions
from shared.tables import Notice, NoticeKind, User
from tests.browser.steps import Site, open_signed_in


async def _link(sessions: Sessions, url: str) -> str:
    """The link of the mail, as the worker makes it."""
    async with sessions.begin() as session:
        notice = (await session.scalars(select(Notice).where(Notice.kind == NoticeKind.INVITATION))).one()
    compose = InvitationMails(sessions, url).composers()[NoticeKind.INVITATION]
    mail = await compose(notice, "no-reply@replyco.example", datetime.now(UTC))
    assert mail is not None
    found = re.search(r"https?://\S+/invitation#\S+", str(mail.get_content()))
    assert found is not None
    return found[0]


async def test_an_admin_invites_and_the_invited_joins(page: Page, site: Site):
    await open_signed_in(page, "/settings/users")
    await expect(page.get_by_test_id("user")).to_have_count(2)

    await page.get_by_role("button", name="Jemanden einladen").press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("E-Mail-Adresse")).to_be_focused()
    await dialog.get_by_label("E-Mail-Adresse").fill("erika")
    await page.keyboard.press("Enter")
    await expect(dialog).to_contain_text("Das ist keine E-Mail-Adresse.")
    await dialog.get_by_label("E-Mail-Adresse").fill("erika@seller.example")
    await dialog.get_by_label("Posteingang").select_option(label="lesen")
    await dialog.get_by_role("button", name="Einladung senden").press("Enter")
    await expect(dialog).to_have_count(0)
    await expect(page.locator("#done").get_by_text("ist unterwegs")).to_be_visible()
    await expect(page.get_by_test_id("invitation")).to_contain_text("Posteingang: lesen")

    await page.context.clear_cookies()
    await page.goto(await _link(site.sessions, site.url))
    await expect(page.get_by_role("main")).to_contain_text("zum Konto")
    assert "#" not in page.url
    await page.get_by_label("Name").fill("Erika Beispiel")
    await page.get_by_label(re.compile("Passwort")).fill("vier Lampen im Keller")
    await page.get_by_role("button", name="Einladung annehmen").press("Enter")
    await expect(page.get_by_role("heading", name="Willkommen")).to_be_focused()
    await page.goto("/invitation#wrong")
    await page.reload()
    await expect(page.get_by_role("main")).to_contain_text("Diese Einladung gilt nicht mehr")


async def test_permissions_are_changed_and_people_are_disabled_and_removed(page: Page, site: Site):
    await open_signed_in(page, "/settings/users")
    agent = page.get_by_test_id("user").filter(has_text="agent@seller.example")
    dialog = page.get_by_role("dialog")

    await agent.get_by_role("button", name="Berechtigungen").press("Enter")
    await dialog.get_by_label("Posteingang").select_option(label="lesen")
    await dialog.get_by_role("button", name="Speichern").press("Enter")
    await expect(agent).to_contain_text("Posteingang: lesen ·")

    await agent.get_by_role("button", name=re.compile("deaktivieren")).press("Enter")
    await dialog.get_by_role("button", name="Deaktivieren").press("Enter")
    await expect(agent).to_contain_text("deaktiviert")
    await agent.get_by_role("button", name=re.compile("wieder aktivieren")).press("Enter")
    await expect(agent).not_to_contain_text("deaktiviert")

    admin = page.get_by_test_id("user").filter(has_text="admin@seller.example")
    await admin.get_by_role("button", name=re.compile("deaktivieren")).press("Enter")
    await dialog.get_by_role("button", name="Deaktivieren").press("Enter")
    await expect(page.get_by_text("Jemand muss bleiben, der das kann")).to_be_visible()

    await agent.get_by_role("button", name=re.compile("entfernen")).press("Enter")
    await dialog.get_by_role("button", name="Entfernen").press("Enter")
    await expect(agent).to_have_count(0)
    await expect(page.locator("#done").get_by_text("gehört nicht mehr zum Konto")).to_be_visible()


async def test_who_may_only_look_changes_nothing(page: Page, site: Site):
    async with site.sessions.begin() as session:
        agent = (await session.scalars(select(User).where(User.email == "agent@seller.example"))).one()
        agent.general_admin = "view"
    await open_signed_in(page, "/settings/users", "agent@seller.example")

    await expect(page.get_by_test_id("user")).to_have_count(2)
    await expect(page.get_by_role("button", name="Jemanden einladen")).to_have_count(0)
    await expect(page.get_by_role("button", name=re.compile("entfernen"))).to_have_count(0)


async def _list_is_away(route: Route) -> None:
    await (route.fulfill(status=503) if route.request.method == "GET" else route.continue_())


async def test_a_key_is_made_shown_once_and_revoked(page: Page, site: Site):
    await open_signed_in(page, "/settings/api-keys")
    await expect(page.get_by_text("Noch kein Schlüssel ist angelegt.")).to_be_visible()
    await page.get_by_text("Schlüssel hinzufügen").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Schlüssel anlegen").press("Enter")
    await expect(page.get_by_text("Bitte einen Namen eintragen.")).to_be_visible()
    await page.get_by_label("Name", exact=True).fill("Helpdesk")
    await page.get_by_label("Posteingang").select_option(label="ansehen")
    await page.get_by_role("button", name="Schlüssel anlegen").press("Enter")
    await expect(page.get_by_test_id("api-key-secret")).to_contain_text("rk_")
    await expect(page.get_by_test_id("api-key")).to_contain_text("Posteingang: ansehen")

    await page.get_by_role("button", name="Ist aufbewahrt").press("Enter")
    await expect(page.get_by_test_id("api-key-secret")).to_have_count(0)

    # A second one is shown also if the list cannot be read, and when the first one is revoked.
    await page.get_by_text("Schlüssel hinzufügen").click()
    await page.get_by_label("Name", exact=True).fill("Lager")
    await page.route("**/api/v1/api-keys", _list_is_away)
    await page.get_by_role("button", name="Schlüssel anlegen").press("Enter")
    await expect(page.get_by_test_id("api-key-secret")).to_contain_text("rk_")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.unroute("**/api/v1/api-keys")
    await page.get_by_role("button", name="Schlüssel Helpdesk widerrufen").press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="Widerrufen").press("Enter")
    await expect(page.get_by_test_id("api-key")).to_have_count(1)
    await expect(page.get_by_test_id("api-key")).to_contain_text("Lager")
    await expect(page.get_by_test_id("api-key-secret")).to_contain_text("rk_")
