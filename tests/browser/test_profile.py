"""Signing in safely: a second factor that is demanded, passkeys, sessions, a forgotten password."""

from base64 import b32decode
from datetime import UTC, datetime, timedelta

from playwright.async_api import Page, expect
from sqlalchemy import update

from services.connector.accounts.credentials import hash_secret
from shared.crypto.totp import code_at
from shared.tables import Account, PasswordReset, User, UserSession
from tests.browser.steps import PASSWORD, Site

NEW_PASSWORD = "vier Lampen im Keller"


async def _send_password(page: Page, password: str = PASSWORD) -> None:
    await page.get_by_label("E-Mail-Adresse").fill("admin@seller.example")
    await page.get_by_label("Passwort").fill(password)
    await page.keyboard.press("Enter")


async def _sign_out(page: Page) -> None:
    await page.get_by_role("button", name="Abmelden").click()
    await expect(page.get_by_label("E-Mail-Adresse")).to_be_focused()


async def test_a_second_factor_is_set_up_used_and_confirmed(page: Page, site: Site):
    async with site.sessions.begin() as session:
        await session.execute(update(Account).values(second_factor="everybody"))
    device = await page.context.new_cdp_session(page)
    await device.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    await device.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    # Whoever has none may do nothing but set one up, wherever they wanted to go.
    await page.goto("/integrations")
    await _send_password(page)
    await expect(page.get_by_text("Bitte richte einen zweiten Faktor ein")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Hauptmenü")).to_have_count(0)
    await page.get_by_role("button", name="App einrichten").click()
    await expect(page.get_by_label("Code aus der App")).to_be_focused()
    await expect(page.get_by_role("img", name="QR-Code")).to_be_visible()
    key = b32decode((await page.get_by_test_id("app-key").inner_text()).replace(" ", ""))
    await page.get_by_label("Code aus der App").fill("000000")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Dieser Code stimmt nicht.")).to_be_visible()
    await page.get_by_label("Code aus der App").fill(code_at(key, datetime.now(UTC)))
    await page.keyboard.press("Enter")
    await expect(
        page.get_by_role("heading", name="Bewahre diese Wiederherstellungscodes auf")
    ).to_be_focused()
    codes = await page.get_by_test_id("recovery-codes").get_by_role("listitem").all_inner_texts()
    assert len(set(codes)) == 10
    await page.get_by_role("button", name="Ich habe sie aufbewahrt").click()
    await expect(page.get_by_role("navigation", name="Hauptmenü")).to_be_visible()
    await expect(page.get_by_role("heading", name="Angaben")).to_be_visible()

    await page.get_by_role("button", name="Passkey hinzufügen").click()
    passkey = page.get_by_role("listitem").filter(has_text="noch nicht benutzt")
    await expect(passkey).to_be_visible()
    await passkey.get_by_role("button", name="umbenennen").click()
    await page.get_by_label("Name des Passkeys").fill("Telefon")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("listitem").filter(has_text="Telefon")).to_be_visible()

    # A recovery code is the second step here; the app's code has just been used.
    await _sign_out(page)
    await _send_password(page)
    await expect(page.get_by_label("Code")).to_be_focused()
    await page.keyboard.type("123456")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Dieser Code stimmt nicht")
    await page.get_by_label("Code").fill(codes[0].lower())
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Abmelden")).to_be_visible()

    await _sign_out(page)
    await page.get_by_role("button", name="Mit Passkey anmelden").click()
    await expect(page.get_by_role("button", name="Abmelden")).to_be_visible()

    # What decides how one signs in needs fresh proof: once, and then it is done.
    await page.get_by_role("link", name="Profil").click()
    await expect(page.get_by_text("Noch gültig: 9")).to_be_visible()
    async with site.sessions.begin() as session:
        long_ago = datetime.now(UTC) - timedelta(minutes=11)
        await session.execute(update(UserSession).values(authenticated_at=long_ago))
    await page.get_by_role("button", name="Neue Codes erzeugen").click()
    dialog = page.get_by_role("dialog", name="Bist du es?")
    await expect(dialog.get_by_label("Dein Passwort")).to_be_focused()
    await page.keyboard.type("not the password")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_contain_text("falsch")
    await dialog.get_by_role("button", name="Passkey verwenden").click()
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_test_id("recovery-codes").get_by_role("listitem")).to_have_count(10)

    await page.get_by_label("Name", exact=True).fill("Anna Beispiel")
    await page.get_by_role("button", name="Speichern").first.click()
    await expect(page.get_by_role("link", name="Anna Beispiel")).to_be_visible()


async def test_a_forgotten_password_is_set_anew(page: Page, site: Site):
    await page.goto("/sign-in")
    await page.get_by_role("link", name="Passwort vergessen?").click()
    await expect(page.get_by_label("E-Mail-Adresse")).to_be_focused()
    await page.keyboard.type("nobody@seller.example")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Wenn sich jemand mit dieser Adresse anmeldet")).to_be_visible()

    async with site.sessions.begin() as session:
        user = await session.scalar(
            update(User).where(User.email == "admin@seller.example").values(name="Anna").returning(User)
        )
        assert user is not None
        session.add(
            PasswordReset(
                account_id=user.account_id,
                user_id=user.id,
                token_hash=hash_secret("token-of-the-mail"),
                expires_at=datetime.now(UTC) + timedelta(minutes=60),
            )
        )
    await page.goto("/reset-password#token-of-the-mail")
    await expect(page.get_by_label("Neues Passwort")).to_be_focused()
    assert "#" not in page.url
    await page.keyboard.type("password1234")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Dieses Passwort haben zu viele.")).to_be_visible()
    await page.get_by_label("Neues Passwort").fill(NEW_PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Das neue Passwort gilt")).to_be_focused()
    await page.get_by_role("link", name="Anmelden").click()
    await _send_password(page, NEW_PASSWORD)
    await expect(page.get_by_role("button", name="Abmelden")).to_be_visible()

    # What the account demands, and where one is signed in.
    await page.goto("/settings/security")
    await page.get_by_label("… oder nach so vielen Minuten ohne Tätigkeit").fill("4")
    await page.get_by_role("button", name="Speichern").click()
    await expect(page.get_by_text("Bitte gib eine ganze Zahl von 5 bis 720 ein.")).to_be_visible()
    await page.get_by_label("… oder nach so vielen Minuten ohne Tätigkeit").fill("45")
    await page.get_by_role("button", name="Speichern").click()
    await expect(page.locator("#done").get_by_text("Gespeichert.")).to_be_visible()
    await page.get_by_role("link", name="Anna").click()
    await expect(page.get_by_text("Diese Sitzung")).to_be_visible()
    await page.get_by_label("Bisheriges Passwort").fill(PASSWORD)
    await page.get_by_label("Neues Passwort").fill("noch ein Keller mit Lampen")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Das bisherige Passwort stimmt nicht.")).to_be_visible()
