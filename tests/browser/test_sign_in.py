"""Where the sign-in page leads on to."""

import re
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from services.connector.web.own_address import own_address
from tests.browser.steps import Site, sign_in
from tests.unit.connector.web.test_own_address import NOT_OURS, OURS


async def test_the_page_leads_where_the_server_says(page: Page):
    """# S: one decision in Python and in the browser, held to one table"""
    await page.goto("/sign-in")
    addresses = [*OURS, *NOT_OURS]

    led = await page.evaluate(
        """async (addresses) => {
            const { ownAddress } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/own_address.js"));
            return addresses.map((address) => ownAddress(address));
        }""",
        addresses,
    )

    assert led == [own_address(address) for address in addresses]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [("/settings/audit-log", "/settings/audit-log"), ("/.//evil.example", "/")],
    ids=["ours", "not ours"],
)
async def test_signing_in_leads_on_or_home(page: Page, site: Site, wanted: str, shown: str):
    await sign_in(page, f"/sign-in?next={quote(wanted, safe='')}")

    home = "(/|/inbox|/integrations)"
    await expect(page).to_have_url(re.compile(f"^{re.escape(site.url)}{home if shown == '/' else shown}$"))
