"""Signing in with the company account: set up by an admin, used by a colleague, and made the only way, in a real browser."""

import re

import httpx2
from playwright.async_api import Page, expect

from services.sandbox.state.openid_provider import CLIENT_SECRET
from tests.browser.late import late
from tests.browser.steps import PASSWORD, Site, open_signed_in
from tests.no_tls import NO_AUTHORITIES

ISSUER = "https://id.company.example/lampenladen"


async def _person(site: Site, subject: str, email: str, name: str, *groups: str) -> None:
    """Somebody with an account at the company."""
    async with httpx2.AsyncClient(verify=NO_AUTHORITIES) as control:
        body = {"email": email, "name": name, "groups": groups, "methods": ["pwd", "otp"]}
        answer = await control.put(f"{site.amazon_url}/control/company-people/{subject}", json=body)
        assert answer.status_code == 200, answer.text


async def _choose(page: Page, subject: str) -> None:
    """Sign in on the provider's page."""
    await page.locator(f"#person-{subject}").check()
    await page.locator("#sign-in").press("Enter")


async def test_an_admin_sets_up_the_company_account_and_it_becomes_the_only_way_in(page: Page, site: Site):
    await _person(site, "2001", "admin@seller.example", "Anna Admin", "it")
    await _person(site, "2002", "agent@seller.example", "Egon Agent", "support")
    await open_signed_in(page, "/settings/company-account")
    main = page.get_by_role("main")
    own_page = f"{site.url}/sign-in/company/{site.account.id}"
    await expect(main.get_by_text(f"{site.url}/single-sign-on/callback/{site.account.id}")).to_be_visible()
    await expect(main.get_by_text(own_page)).to_be_visible()

    # What is wrong with an issuer is said in plain words.
    await page.get_by_label("Aussteller (Issuer)").fill("https://id.company.example/")
    await page.get_by_role("button", name="Aussteller prüfen").press("Enter")
    await expect(main.get_by_text("So kann sich niemand anmelden")).to_be_visible()
    await page.get_by_label("Aussteller (Issuer)").fill(ISSUER)
    await page.get_by_role("button", name="Aussteller prüfen").press("Enter")
    await expect(main.get_by_text("Der Anbieter antwortet")).to_be_visible()
    # It is not said of what is typed since.
    tested = await late(page, "**/single-sign-on/test", method="POST")
    await page.get_by_role("button", name="Aussteller prüfen").press("Enter")
    await tested.answered()
    await page.get_by_label("Aussteller (Issuer)").fill("https://other.example/")
    await tested.comes()
    await expect(main.get_by_text("Der Anbieter antwortet")).to_have_count(0)
    await page.get_by_label("Aussteller (Issuer)").fill(ISSUER)
    await page.get_by_label("Client-ID").fill("replyco")
    await page.get_by_role("button", name="Speichern").press("Enter")
    await expect(
        main.get_by_text("Nötig ist das, das der Anbieter zu dieser Client-ID zeigt.")
    ).to_be_visible()
    await page.get_by_label("Client-Secret").fill(CLIENT_SECRET)
    await page.get_by_label("Name der Angabe (Claim)").fill("groups")
    for group, areas in (
        ("it", ("Allgemein → Admin", "Posteingang", "Webhooks und API-Schlüssel")),
        ("support", ("Posteingang",)),
    ):
        await page.get_by_role("button", name="Regel hinzufügen").press("Enter")
        rule = page.get_by_test_id("company-rule").last
        await expect(rule.get_by_label("Gruppe")).to_be_focused()
        await rule.get_by_label("Gruppe").fill(group)
        for area in areas:
            await rule.get_by_label(area).select_option("edit")
    saved = await late(page, "**/account/single-sign-on", method="PUT")
    await page.get_by_role("button", name="Speichern").press("Enter")
    await saved.answered()
    await page.get_by_label("Domain", exact=True).fill("seller.example")
    await saved.comes()
    await expect(page.locator("#done")).to_contain_text("Gespeichert.")
    assert CLIENT_SECRET not in await page.content()

    # A domain waits for its DNS.
    await expect(page.get_by_label("Domain", exact=True)).to_be_focused()
    await page.get_by_role("button", name="Domain hinzufügen").press("Enter")
    domain = page.get_by_test_id("company-domain")
    await expect(domain).to_contain_text("_replyco.seller.example")
    await expect(domain.get_by_role("button", name="Wert für seller.example kopieren")).to_be_visible()

    # Nobody leaves one way in who has not come by it.
    await page.get_by_label("Nur noch mit dem Firmenkonto anmelden").check()
    await page.get_by_role("button", name="Speichern").press("Enter")
    await expect(main.get_by_text("Zuerst mit dem Firmenkonto anmelden")).to_be_visible()

    # A colleague signs in, and may what their group may.
    await page.context.clear_cookies()
    await page.goto("/sign-in?next=%2Finbox")
    await page.get_by_role("button", name="Mit Firmenkonto anmelden").press("Enter")
    await expect(page.get_by_label("E-Mail-Adresse")).to_be_focused()
    await page.get_by_label("E-Mail-Adresse").fill("agent@seller.example")
    await page.keyboard.press("Enter")
    await expect(main.get_by_text("Dafür gibt es kein Firmenkonto")).to_be_visible()
    await page.goto(f"{own_page}?next=%2Finbox")
    await page.get_by_role("button", name="Mit Firmenkonto anmelden").press("Enter")
    await _choose(page, "2002")
    await expect(page).to_have_url(re.compile(r"/inbox"))
    await expect(page.get_by_role("link", name="Einstellungen")).to_be_visible()
    await page.goto("/settings")
    await expect(page.get_by_role("link", name="Benutzer")).to_have_count(0)

    # The admin comes by it, too, and makes it the only way.
    await page.context.clear_cookies()
    await page.goto(f"{own_page}?next=%2Fsettings%2Fcompany-account")
    await page.get_by_role("button", name="Mit Firmenkonto anmelden").press("Enter")
    await _choose(page, "2001")
    await page.get_by_label("Nur noch mit dem Firmenkonto anmelden").check()
    await page.get_by_role("button", name="Speichern").press("Enter")
    await expect(page.locator("#done")).to_contain_text("Gespeichert.")

    # Somebody who has a new account at the company is untied.
    await page.goto("/settings/users")
    colleague = page.get_by_test_id("user").filter(has_text="agent@seller.example")
    await expect(colleague).to_contain_text("mit Firmenkonto verbunden")
    await colleague.get_by_role("button", name="vom Firmenkonto trennen").press("Enter")
    await (
        page.get_by_role("dialog")
        .get_by_role("button", name="Firmenkonto trennen", exact=True)
        .press("Enter")
    )
    await expect(page.locator("#done")).to_contain_text("ist mit keinem Firmenkonto mehr verbunden.")
    await expect(colleague).not_to_contain_text("mit Firmenkonto verbunden")
    await page.goto("/profile")
    await expect(main.get_by_text("Ein Passwort gibt es hier nicht.")).to_be_visible()
    await expect(page.get_by_label("Neues Passwort")).to_have_count(0)
    await page.context.clear_cookies()
    await page.goto("/sign-in")
    await page.get_by_label("E-Mail-Adresse").fill("agent@seller.example")
    await page.get_by_label("Passwort").fill(PASSWORD)
    await page.get_by_role("button", name="Anmelden", exact=True).press("Enter")
    await expect(main.get_by_text("Dieses Konto meldet sich mit dem Firmenkonto an")).to_be_visible()


async def test_whoever_has_come_by_the_company_account_confirms_there_who_they_are(page: Page, site: Site):
    await _person(site, "2001", "admin@seller.example", "Anna Admin")
    await open_signed_in(page, "/settings/company-account")
    await page.get_by_label("Aussteller (Issuer)").fill(ISSUER)
    await page.get_by_label("Client-ID").fill("replyco")
    await page.get_by_label("Client-Secret").fill(CLIENT_SECRET)
    await page.get_by_role("button", name="Speichern").press("Enter")
    await expect(page.locator("#done")).to_contain_text("Gespeichert.")
    await page.context.clear_cookies()
    async with httpx2.AsyncClient(verify=NO_AUTHORITIES) as control:
        # The provider has asked an hour ago: no proof of who is there now.
        await control.post(f"{site.amazon_url}/control/scenarios/sso-not-asked-again", json={"count": 1})
    await page.goto(f"/sign-in/company/{site.account.id}?next=%2Fsettings%2Fsecurity")
    await page.get_by_role("button", name="Mit Firmenkonto anmelden").press("Enter")
    await _choose(page, "2001")

    await page.get_by_role("button", name="Speichern").press("Enter")
    dialog = page.get_by_role("dialog")
    async with page.expect_popup() as opened:
        await dialog.get_by_role("button", name="Mit Firmenkonto bestätigen").press("Enter")
    window = await opened.value
    await window.locator("#person-2001").check()
    await window.locator("#sign-in").press("Enter")

    await expect(dialog).to_have_count(0)
    await expect(page.locator("#done")).to_contain_text("Gespeichert.")

    await page.goto("/settings/company-account")
    await page.get_by_role("button", name="Firmenkonto entfernen").press("Enter")
    await dialog.get_by_role("button", name="Firmenkonto entfernen").press("Enter")
    await expect(page.locator("#done")).to_contain_text("Das Firmenkonto ist entfernt.")
    await expect(page.get_by_label("Client-ID")).to_have_value("")
