"""One conversation in its panes: nothing scrolls but what should, at every width, in light and dark, and on paper."""

from datetime import UTC, datetime

from playwright.async_api import Page, expect

from tests.browser.steps import Site, open_signed_in
from tests.browser.test_inbox_pages import IN_FIVE_HOURS, make_store, make_thread
from tests.factories import make_conversation_order, make_order, make_order_item, make_relay_address

ORDER = "303-1111111-1111111"
# The document's height and width, and the window's.
SIZES = (
    "[document.documentElement.scrollHeight - innerHeight, document.documentElement.scrollWidth - innerWidth]"
)


async def test_each_pane_scrolls_by_itself_and_the_document_never_does(page: Page, site: Site):
    store = await make_store(site)
    texts = [f"Frage {number}. " + "Lampe und Schirm. " * 30 for number in range(20)]
    read = await make_thread(site, store, *texts, due_in=IN_FIVE_HOURS, order_id=ORDER, is_unread=False)
    for _ in range(15):
        await make_thread(site, store, "Eine andere", due_in=IN_FIVE_HOURS, order_id=None)
    async with site.sessions.begin() as session:
        await make_relay_address(session, store)
        await make_conversation_order(session, read, ORDER)
        order = await make_order(session, site.keyring, store, order_id=ORDER, fetched_at=datetime.now(UTC))
        for number in range(30):
            await make_order_item(session, site.keyring, order, position=number)
    await page.set_viewport_size({"width": 1440, "height": 900})
    await open_signed_in(page, f"/inbox/{read.id}")
    head, order_card = page.locator(".conversation-head"), page.get_by_role("region", name="Bestellung")
    await expect(head.get_by_role("link", name=f"Bestellung {ORDER}")).to_have_attribute(
        "href", f"/orders/{order.id}"
    )
    await expect(page.get_by_test_id("message")).to_have_count(20)

    for width, height in ((1440, 900), (1100, 700), (1000, 700), (761, 600)):
        await page.set_viewport_size({"width": width, "height": height})
        assert await page.evaluate(SIZES) == [0, 0], width
        card, messages = await order_card.bounding_box(), await page.locator(".messages").bounding_box()
        assert card is not None
        assert messages is not None
        assert (card["x"] > messages["x"]) is (width >= 1100)
        # The fault was: a wheel over the conversation's end scrolled the document into nothing.
        await page.locator(".conversation-scroll").evaluate("each => each.scrollTo(0, each.scrollHeight)")
        await page.mouse.move(width / 2, height - 200)
        await page.mouse.wheel(0, 5_000)
        await expect(head.get_by_role("button", name="Schließen")).to_be_in_viewport(ratio=1)
        await expect(page.get_by_role("button", name="Antworten")).to_be_in_viewport(ratio=1)
        assert await page.evaluate("scrollY") == 0
    for width in (390, 320):
        await page.set_viewport_size({"width": width, "height": 700})
        assert (await page.evaluate(SIZES))[1] == 0, width
        links = page.get_by_role("navigation", name="Hauptmenü").get_by_role("link")
        tops = await links.evaluate_all("all => all.map(each => each.getBoundingClientRect().top)")
        assert len(set(tops)) == 1
        # The brand and what is one's own are one row more, and no third one.
        tallest = await page.locator(".header").evaluate("header => header.getBoundingClientRect().height")
        assert width < 390 or tallest < 110


async def test_on_paper_the_whole_conversation_is_unfolded_and_alone(page: Page, site: Site):
    store = await make_store(site)
    read = await make_thread(site, store, "Die ältere Frage", "Die neuere", order_id=ORDER, is_unread=False)
    await open_signed_in(page, f"/inbox/{read.id}")
    await expect(page.get_by_test_id("message")).to_have_count(2)
    older = page.get_by_test_id("message").last
    await expect(older.get_by_text("Details", exact=True)).to_be_hidden()

    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    await page.emulate_media(media="print")
    await expect(older.locator(".message-text")).to_be_visible()
    for hidden in (".header", ".list-pane", ".conversation-actions", ".compose"):
        await expect(page.locator(hidden)).to_be_hidden()
    await page.emulate_media(media="screen")
    await page.evaluate("dispatchEvent(new Event('afterprint'))")
    await expect(older.locator(".message-text")).to_be_hidden()
