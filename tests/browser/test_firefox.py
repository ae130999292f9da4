"""The pages in Firefox: what is seen in it, and that no script fails there. Everything else is tried in Chromium."""

import pytest

from tests.browser.firefox import FIREFOX, firefox
from tests.browser.steps import PASSWORD, Site
from tests.browser.test_inbox_pages import make_store, make_thread
from tests.factories import make_relay_address

pytestmark = [
    pytest.mark.skipif(
        FIREFOX is None, reason="no Firefox is installed (Debian: apt-get install firefox-esr)"
    ),
]

_REFUSED = "document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }))"


async def test_signing_in_the_inbox_a_conversation_and_the_wizard_work_in_firefox(site: Site, tmp_path):
    store = await make_store(site)
    async with site.sessions.begin() as session:
        await make_relay_address(session, store)
    await make_thread(site, store, "Wo ist meine Lampe?", buyer_name="Erika Muster", subject="Lieferung")
    async with firefox(tmp_path) as browser:
        await browser.goto(f"{site.url}/inbox")
        await browser.type("//input[@type='email']", "admin@seller.example")
        await browser.type("//input[@type='password']", PASSWORD)
        await browser.click("//main//button[@type='submit']")

        row = "//a[@data-testid='conversation'][contains(., 'Erika Muster')]"
        assert await browser.is_seen(row)
        await browser.click(row)
        assert await browser.is_seen("//h2[contains(., 'Erika Muster')]")
        assert await browser.is_seen(
            "//article[@data-testid='message']//*[contains(text(), 'Wo ist meine Lampe?')]"
        )
        await browser.click("//button[contains(., 'Antworten')]")
        await browser.type("//textarea[@data-testid='reply-text']", "Sie ist unterwegs.")
        assert await browser.is_seen("//*[contains(text(), 'Entwurf gespeichert')]")

        await browser.goto(f"{site.url}/integrations/new?source=amazon&country=DE")
        assert await browser.is_seen("//h1")
        assert await browser.is_seen("//button[contains(., 'Autorisieren')]")

        # The only error that is told is the one that is made here, after all others: a script in the document is refused.
        await browser.run(_REFUSED)
        assert len(await browser.script_errors(site.url)) == 1
