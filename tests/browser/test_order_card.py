"""The card of an order beside its conversation, with orders as they come: long, strange, several, and changing while somebody looks."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from playwright.async_api import Locator, Page, expect

from shared.events import EventKind, announce
from shared.tables import Conversation, Integration, Order
from tests.browser.steps import Site, open_signed_in
from tests.factories import (
    make_conversation,
    make_conversation_order,
    make_grant,
    make_integration,
    make_message,
    make_order,
    make_order_item,
    make_order_package,
    make_relay_address,
)

FIRST, SECOND, THIRD = "303-0000001-0000001", "303-0000002-0000002", "303-0000003-0000003"
ARABIC = "مصباح مكتب LED قابل للتعتيم"
LONG = "Schreibtischlampe" + "mitsehrlangemnamen" * 20
# Layout shifts by which a message moved, whatever else did.
SHIFTS = """
window.shiftsOfMessages = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    for (const { node } of entry.sources)
      if (node?.parentElement?.closest?.(".messages")) window.shiftsOfMessages.push(entry.value);
}).observe({ type: "layout-shift", buffered: true });
"""
FITS = "element => element.scrollWidth <= element.clientWidth"


def card_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Bestellung")


async def change(site: Site, order: Order, **columns: object) -> None:
    """As whatever asks Amazon does: the row, and an event in the same transaction."""
    async with site.sessions.begin() as session:
        row = await session.get_one(Order, (order.id, order.account_id))
        for name, value in columns.items():
            setattr(row, name, value)
        row.changed_at = datetime.now(UTC)
        await announce(
            session,
            order.account_id,
            EventKind.ORDER_CHANGED,
            integration_id=order.integration_id,
            order_row_id=order.id,
        )


async def make_thread(site: Site, *order_ids: str) -> tuple[Integration, Conversation]:
    """A store's conversation, whose proven mails name these orders."""
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Lampen Europa")
        conversation = await make_conversation(session, site.keyring, integration, order_id=order_ids[0])
        await make_message(session, site.keyring, conversation, text="Wo bleibt meine Lampe?")
        for order_id in order_ids:
            await make_conversation_order(session, conversation, order_id)
    return integration, conversation


async def test_a_strange_order_of_500_items_is_readable_on_a_phone_and_folded(page: Page, site: Site):
    integration, conversation = await make_thread(site, FIRST)
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        order = await make_order(
            session, site.keyring, integration, order_id=FIRST, status="SOMETHING_NEW", currency="X1",
            total=Decimal(-5), problems=["purchasedAt"], fetched_at=now, reported_at=now,
            is_replacement=True, is_cancellation_requested=True,
        )  # fmt: skip
        for number in range(500):
            await make_order_item(
                session, site.keyring, order, position=number, title=[ARABIC, LONG, None][number % 3],
            )  # fmt: skip
        for number in range(40):
            await make_order_package(session, order, reference=str(number), tracking_number=f"{number:020}")
    await page.set_viewport_size({"width": 390, "height": 844})
    await open_signed_in(page, f"/inbox/{conversation.id}")
    card = card_of(page)

    # Folded, it says in a line what must not be missed.
    await expect(card.locator("> details")).not_to_have_attribute("open", "")
    await expect(card.get_by_test_id("order-status")).to_have_text("SOMETHING_NEW")
    await expect(card.locator("summary").first).to_contain_text("Stornierung gewünscht")
    await card.locator("summary").first.click()
    await expect(card.get_by_text("Ersatzlieferung")).to_be_visible()
    await expect(card.get_by_text("-5.00 X1")).to_be_visible()
    await expect(card.get_by_test_id("incomplete")).to_contain_text("purchasedAt")
    await expect(card.get_by_text("495 weitere Artikel")).to_be_visible()
    await expect(card.get_by_text("37 weitere Pakete")).to_be_visible()
    assert await card.get_by_role("listitem").filter(has_text=ARABIC).count() == 2
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    assert await card.evaluate(FITS)


async def test_several_orders_are_tabs_for_the_keyboard_and_each_says_what_is_known_of_it(
    page: Page, site: Site
):
    integration, conversation = await make_thread(site, FIRST, SECOND, THIRD)
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        await make_order(
            session, site.keyring, integration, order_id=FIRST, fetched_at=now,
            ship_by=now - timedelta(days=2), deliver_by=now - timedelta(days=1),
        )  # fmt: skip
        await make_order(
            session, site.keyring, integration, order_id=SECOND, fetched_at=now,
            status="SHIPPED", fulfilled_by="AMAZON", deliver_by=now - timedelta(days=9),
        )  # fmt: skip
    await page.set_viewport_size({"width": 1440, "height": 900})
    await open_signed_in(page, f"/inbox/{conversation.id}")
    card = card_of(page)
    steps = card.get_by_role("list", name="Verlauf").get_by_role("listitem")
    await expect(card.get_by_role("tab", name=FIRST)).to_have_attribute("aria-selected", "true")
    await expect(steps.filter(has_text="Versandt")).to_contain_text("überfällig seit")

    await card.get_by_role("tab", name=FIRST).focus()
    await page.keyboard.press("ArrowRight")

    # That nobody has told of the delivery does not make it late.
    await expect(card.get_by_role("tab", name=SECOND)).to_be_focused()
    await expect(card.get_by_role("tabpanel", name=SECOND)).to_contain_text("Versand durch Amazon (FBA)")
    await expect(steps.filter(has_text="Zugestellt")).to_contain_text("zugesagt bis")
    await expect(card.get_by_text("überfällig")).to_have_count(0)
    await page.keyboard.press("End")
    await expect(card.get_by_role("tabpanel", name=THIRD)).to_contain_text(
        "Unter Integrationen lässt sich der Store noch einmal verbinden."
    )
    await expect(card.get_by_test_id("order")).to_have_attribute("data-state", "unavailable")
    await page.keyboard.press("ArrowRight")
    await expect(card.get_by_role("tab", name=FIRST)).to_be_focused()


async def test_a_change_comes_by_itself_is_told_and_moves_nothing_that_one_reads(page: Page, site: Site):
    integration, conversation = await make_thread(site, FIRST)
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        order = await make_order(
            session, site.keyring, integration, order_id=FIRST, fetched_at=now, deliver_by=now
        )
        await make_order_item(session, site.keyring, order)
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.add_init_script(SHIFTS)
    await open_signed_in(page, f"/inbox/{conversation.id}")
    card = card_of(page)
    await expect(card.get_by_test_id("order-status")).to_have_text("noch nicht versandt")
    await card.get_by_role("button", name="Bestellnummer kopieren").focus()
    message = page.get_by_test_id("message")
    before = await message.bounding_box()

    async with site.sessions.begin() as session:
        await make_order_package(session, order)
    await change(site, order, status="SHIPPED", shipped_at=datetime.now(UTC), is_cancellation_requested=True)

    await expect(card.get_by_test_id("order-status")).to_have_text("versandt")
    await expect(card.get_by_test_id("package")).to_contain_text("00340434161094000000")
    await expect(page.locator("#announcer")).to_have_text(f"Bestellung {FIRST}: versandt")
    await expect(card.get_by_role("button", name="Bestellnummer kopieren")).to_be_focused()
    assert await message.bounding_box() == before
    assert await page.evaluate("window.shiftsOfMessages") == []


async def test_a_card_longer_than_the_thread_or_shorter_leaves_thread_and_reply_box_where_they_are(
    page: Page, site: Site
):
    integration, conversation = await make_thread(site, FIRST)
    async with site.sessions.begin() as session:
        await make_relay_address(session, integration)
        order = await make_order(
            session, site.keyring, integration, order_id=FIRST, fetched_at=datetime.now(UTC)
        )
        for number in range(30):
            await make_order_item(session, site.keyring, order, position=number)
    await page.set_viewport_size({"width": 1440, "height": 900})
    await open_signed_in(page, f"/inbox/{conversation.id}")
    card, box, pane = card_of(page), page.locator(".compose"), page.locator(".conversation-scroll")
    await expect(card.get_by_text("25 weitere Artikel")).to_be_visible()
    thread = [page.locator(each) for each in (".conversation-head", ".messages", ".compose")]
    places = [await each.bounding_box() for each in thread]
    await card.locator("summary").first.click()
    await expect(card.get_by_text("25 weitere Artikel")).to_be_hidden()
    assert [await each.bounding_box() for each in thread] == places
    await card.locator("summary").first.click()

    async with site.sessions.begin() as session:
        for number in range(8):
            await make_message(session, site.keyring, conversation, text=f"{number}\n" * 6)
    await page.reload()
    await expect(page.get_by_test_id("message")).to_have_count(9)
    await pane.evaluate("element => element.scrollTo(0, element.scrollHeight)")

    assert await box.evaluate("element => element.scrollHeight === element.clientHeight")
    await expect(box.get_by_role("button", name="Antworten")).to_be_in_viewport(ratio=1)
    await expect(card.get_by_test_id("order-status")).to_be_in_viewport(ratio=1)


async def test_a_copy_that_is_asked_for_again_and_is_the_same_is_not_said_to_be_updated_for_ever(
    page: Page, site: Site
):
    integration, conversation = await make_thread(site, FIRST)
    async with site.sessions.begin() as session:
        await make_grant(session, site.keyring, integration)
        order = await make_order(
            session,
            site.keyring,
            integration,
            order_id=FIRST,
            fetched_at=datetime.now(UTC) - timedelta(hours=1),
        )
    await page.clock.install()
    await open_signed_in(page, f"/inbox/{conversation.id}")
    card = card_of(page)
    await expect(card.get_by_text("wird aktualisiert")).to_be_visible()

    # Nothing has changed, so nobody is told.
    async with site.sessions.begin() as session:
        row = await session.get_one(Order, (order.id, order.account_id))
        row.fetched_at = datetime.now(UTC)
    await page.clock.fast_forward(6_000)

    await expect(card.get_by_text("wird aktualisiert")).to_have_count(0)
    await expect(card.get_by_text("Stand")).to_be_visible()
