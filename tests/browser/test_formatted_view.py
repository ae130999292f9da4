"""A mail as it was formatted: only where that shows more than its text, whole without a scroll bar, dark where the pages are, and on paper."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.steps import Site, open_signed_in
from tests.browser.test_inbox_pages import make_store, make_thread
from tests.factories import make_message

_TABLE = "<table><tr>" + "<td>Lampe</td><td>39,90</td>" * 4 + "</tr></table>"
_LONG = "<h2>Bestellung</h2>" + "<p>Eine lange Zeile über die Lampe und ihren Schirm. </p>" * 60 + _TABLE
# Of the frame, as our page sees it: how much of it scrolls, what colour is behind its words, how tall its document is.
_DOCUMENT = "document.querySelector('iframe').contentDocument"
_HIDDEN = f"{_DOCUMENT}.documentElement.scrollHeight - document.querySelector('iframe').clientHeight"
_GROUND = f"getComputedStyle({_DOCUMENT}.body).backgroundColor"
_HEIGHT = f"{_DOCUMENT}.documentElement.getBoundingClientRect().height"


async def test_the_formatted_view_is_as_tall_as_the_mail(page: Page, site: Site):
    store = await make_store(site)
    thread = await make_thread(site, store, "Frage", order_id=None)
    async with site.sessions.begin() as session:
        await make_message(
            session, site.keyring, thread, text="Nur Worte", html="<p>Nur Worte</p>", has_formatting=False
        )
        await make_message(
            session, site.keyring, thread, text="Bestellung", html=_LONG, has_formatting=True, is_excerpt=True
        )
        thread.message_count = 3
        await session.merge(thread)
    await page.set_viewport_size({"width": 1440, "height": 900})
    await open_signed_in(page, f"/inbox/{thread.id}")
    await expect(page.get_by_test_id("message")).to_have_count(3)
    await expect(page.get_by_role("button", name="Formatierte Ansicht")).to_have_count(1)

    await page.get_by_role("button", name="Formatierte Ansicht").press("Enter")
    await expect(page.frame_locator("iframe").get_by_role("heading", name="Bestellung")).to_be_visible()
    await page.emulate_media(color_scheme="light")
    assert await page.evaluate(_GROUND) == "rgb(255, 255, 255)"
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate(_GROUND) == "rgb(26, 34, 43)"
    for width in (1440, 1000, 390):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.wait_for_function(f"() => {_HIDDEN} === 0")
        height = await page.locator("iframe").evaluate("each => each.offsetHeight")
        assert height > 1_500
        content = await page.evaluate(_HEIGHT)
        assert height == pytest.approx(content + 2, abs=1)
    narrow = await page.locator("iframe").evaluate("each => each.offsetHeight")

    # On paper it is wider than on the phone, hence shorter, and whole.
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert await page.locator("iframe").evaluate("each => each.offsetWidth") == 680
    assert await page.locator("iframe").evaluate("each => each.offsetHeight") < narrow
    assert await page.evaluate(_HIDDEN) == 0
    await page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert await page.locator("iframe").evaluate("each => each.offsetHeight") == narrow

    await page.get_by_role("button", name="Formatierte Ansicht schließen").press("Enter")
    await expect(page.locator("iframe")).to_have_count(0)
    await expect(page.get_by_role("button", name="Formatierte Ansicht")).to_be_focused()
