"""Orders on the pages: their list and each of them, what an integration says of them, and that calls to Amazon are stopped."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from playwright.async_api import Page, Route, expect
from sqlalchemy import select

from services.sandbox.settings import SandboxSettings
from shared.events import EventKind, announce
from shared.tables import Account, AmazonPause, Order, OrderSync
from tests.browser.late import late
from tests.browser.steps import Site, open_signed_in
from tests.factories import (
    make_conversation,
    make_conversation_order,
    make_integration,
    make_message,
    make_order,
    make_order_item,
    make_order_package,
    make_relay_address,
)


async def test_an_order_is_filtered_found_by_its_number_and_changes_while_one_looks(page: Page, site: Site):
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Lampen Europa")
        conversation = await make_conversation(session, site.keyring, integration)
        await make_message(session, site.keyring, conversation, text="Wo bleibt meine Lampe?")
        late = await make_order(
            session,
            site.keyring,
            integration,
            order_id=conversation.order_id,
            ship_by=now - timedelta(hours=1),
            # No currency that anybody knows, and less than nothing.
            total=Decimal(-5),
            currency="XQQ",
        )
        for position in range(40):
            await make_order_item(
                session,
                site.keyring,
                late,
                position=position,
                title="مصباح مكتب",
                report_personal={"ship-service-name": "DHL Paket"} if position == 0 else None,
            )
        await make_conversation_order(session, conversation, late.order_id)
        for hours in (5, 9):
            await make_order(session, site.keyring, integration, ship_by=now + timedelta(days=9, hours=hours))
    await open_signed_in(page, "/orders", email="agent@seller.example")
    rows = page.get_by_test_id("order-row")
    await expect(rows).to_have_count(3)
    await rows.first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(rows.nth(1)).to_be_focused()

    await page.get_by_text("Filtern und sortieren").click()
    await page.get_by_label("Noch zu versenden").select_option("überfällig")

    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Überfällig seit")
    await page.reload()
    await expect(rows).to_have_count(1)

    search = page.get_by_label("Bestellnummer suchen")
    await search.fill("303")
    await page.keyboard.press("Enter")
    await expect(search).to_have_attribute("aria-invalid", "true")
    await search.fill(late.order_id.replace("-", " "))
    await page.keyboard.press("Enter")

    await expect(page).to_have_url(f"{site.url}/orders/{late.id}")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    order = page.get_by_test_id("order")
    await expect(order).to_contain_text("überfällig seit")
    # Of many items the first are shown, the others are folded away.
    await expect(order.get_by_text("مصباح مكتب").locator("visible=true")).to_have_count(5)
    await order.get_by_text("Weitere Angaben aus dem Bestellbericht").click()
    await expect(order.get_by_text("DHL Paket")).to_be_visible()
    await expect(page.get_by_test_id("conversation")).to_have_attribute("href", f"/inbox/{conversation.id}")

    async with site.sessions.begin() as session:
        stored = await session.scalar(select(Order).where(Order.id == late.id))
        assert stored is not None
        stored.status, stored.shipped_at, stored.changed_at = "SHIPPED", now, now
        await announce(
            session,
            site.account.id,
            EventKind.ORDER_CHANGED,
            integration_id=integration.id,
            order_row_id=late.id,
        )

    await expect(page.get_by_test_id("order-status")).to_have_text("versandt")
    # What was opened stays open, and those who do not see it are told.
    await expect(order.get_by_text("DHL Paket")).to_be_visible()
    await expect(page.locator("#announcer")).to_have_text(f"Bestellung {late.order_id}: versandt")
    await page.get_by_role("link", name="Zu den Bestellungen").click()
    await expect(page.get_by_text("Zu diesen Filtern gibt es keine Bestellung.")).to_be_visible()


async def test_an_integration_says_how_far_its_orders_are_and_every_page_that_calls_are_stopped(
    page: Page, site: Site
):
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Lampen Europa")
        await make_relay_address(session, integration)
        session.add(
            OrderSync(
                account_id=site.account.id,
                integration_id=integration.id,
                cursor_at=now - timedelta(hours=3),
                completed_at=now - timedelta(hours=3),
                order_count=1240,
                history_until=datetime(2026, 5, 3, 12, tzinfo=UTC),
                report_columns_missing=["gift-message-text", "customized-url"],
                report_columns_checked_at=now,
            )
        )
    await open_signed_in(page)
    await expect(page.get_by_test_id("orders-state")).to_contain_text("Verspätet: Änderungen seit")
    await page.get_by_role("link", name="Lampen Europa").click()

    await expect(page.get_by_test_id("orders-sync")).to_contain_text(
        "1.240 Bestellungen, zurück bis 3. Mai 2026"
    )
    check = page.locator("[data-check=report_columns_missing]")
    await expect(check).to_contain_text("gift-message-text, customized-url")
    await expect(check.get_by_role("link")).to_have_attribute(
        "href",
        f"{site.amazon_url}/sellercentral-europe.amazon.com/order-reports-and-feeds/column-picker?country=DE",
    )

    async with site.sessions.begin() as session:
        session.add(AmazonPause(client_id=SandboxSettings.model_fields["client_id"].default))
    # The connector asks its database every few seconds; the page that is opened then asks once, and again after half a minute.
    await page.evaluate(
        """async () => {
            while (!(await (await fetch("/api/v1/status")).json()).amazon_paused_since)
                await new Promise((resolve) => setTimeout(resolve, 200));
        }"""
    )

    await page.goto("/inbox")
    banner = page.locator("#amazon-pause")
    await expect(banner).to_contain_text("Nachrichten kommen weiter an")
    # On a phone the lower edge belongs to the box for replies.
    await page.set_viewport_size({"width": 390, "height": 800})
    assert await page.evaluate(
        "document.getElementById('amazon-pause').getBoundingClientRect().bottom <= document.getElementById('main').getBoundingClientRect().top"
    )


async def test_how_long_data_are_kept_is_changed_and_a_shorter_time_is_asked_about(page: Page, site: Site):
    await open_signed_in(page, "/settings/retention")
    kept = page.get_by_label("Unterhaltungen aufbewahren (Tage)")
    await expect(kept).to_have_value("548")
    await kept.fill("29")
    await page.get_by_role("button", name="Speichern").click()
    await expect(kept).to_have_attribute("aria-invalid", "true")

    await kept.fill("365")
    await page.get_by_label("Ein Gesetz verpflichtet uns").check()
    await page.get_by_label("Um so viele Tage länger").fill("3285")
    await page.get_by_label("Welches Gesetz").fill("§ 147 AO")
    await page.get_by_role("button", name="Speichern").click()
    await page.get_by_role("dialog").get_by_role("button", name="Kürzer aufbewahren").click()

    await expect(page.locator("#done").get_by_text("Die Fristen sind gespeichert.")).to_be_visible()
    async with site.sessions() as session:
        account = await session.get_one(Account, site.account.id)
        kept_as = (account.messages_kept_days, account.longer_kept_days, account.longer_kept_reason)
        assert kept_as == (365, 3285, "§ 147 AO")


async def test_whatever_an_order_says_is_text(page: Page, site: Site):
    """Markup runs nothing and loads nothing, every link leads to us or to Seller Central, and no word is wider than the page."""
    evil = '<img src="https://evil.example/x" onerror="window.ran=1"><script>window.ran=1</script>'
    words = f"\u202e{evil}=cmd|'/C calc'!A0 javascript:window.ran=1 {'W' * 500}"
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Lampen Europa")
        order = await make_order(
            session,
            site.keyring,
            integration,
            status=words,
            fulfilled_by=words,
            service_level=words,
            sales_channel=words,
            replaces_order_id=words,
            payment_methods=[words],
            problems=[words],
            is_cancellation_requested=True,
        )
        await make_order_item(
            session,
            site.keyring,
            order,
            title=words,
            sku=words,
            asin=words,
            condition=words,
            gift_wrap=words,
            gift_message=words,
            is_cancellation_requested=True,
            cancel_reason=words,
            report_columns={words: words},
            report_personal={evil: words},
        )
        await make_order_package(
            session,
            order,
            carrier=words,
            shipping_service=words,
            status=words,
            tracking_number=words,
            reference=words,
        )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.set_viewport_size({"width": 390, "height": 800})
    await open_signed_in(page, "/orders", email="agent@seller.example")
    for shown in ("order-row", "order"):
        if shown == "order":
            await page.goto(f"{site.url}/orders/{order.id}")
        await expect(page.get_by_test_id(shown)).to_contain_text(evil)
        links = await page.eval_on_selector_all("main a", "links => links.map((link) => link.href)")
        assert all(link.startswith((site.url, site.amazon_url)) for link in links), links
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, shown

    assert await page.evaluate("window.ran") is None
    assert await page.locator("main img, main script").count() == 0
    assert [url for url in asked if not url.startswith(site.url)] == []


async def test_who_goes_back_before_an_order_is_there_sees_the_list_and_what_changes_by_then_is_not_missed(
    page: Page, site: Site
):
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id, name="Lampen Europa")
        order = await make_order(session, site.keyring, integration)
    await open_signed_in(page, "/orders")
    row = page.get_by_test_id("order-row")
    await expect(row).to_have_count(1)
    held: asyncio.Queue[Route] = asyncio.Queue()
    await page.route(f"**/api/v1/orders/{order.id}", held.put)
    await row.click()
    await held.get()

    async with page.expect_event(
        "requestfailed", lambda request: request.url.endswith(f"/orders/{order.id}")
    ):
        await page.go_back()
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Bestellungen")
    await expect(row).to_be_visible()
    await expect(page).to_have_title("Bestellungen · Replyco")

    await page.unroute_all()
    conversations = await late(page, "**/api/v1/conversations/search", method="POST")
    await row.click()
    await conversations.answered()
    # The event that the list follows is the order's, too.
    async with page.expect_response("**/api/v1/orders?*"), site.sessions.begin() as session:
        stored = await session.get_one(Order, (order.id, order.account_id))
        stored.status, stored.changed_at = "SHIPPED", datetime.now(UTC)
        await announce(
            session, site.account.id, EventKind.ORDER_CHANGED, integration_id=integration.id, order_row_id=order.id
        )  # fmt: skip
    await conversations.comes()
    await expect(page.get_by_test_id("order-status")).to_have_text("versandt")
