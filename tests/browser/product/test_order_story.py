"""A buyer buys and asks, and the order stands beside what they wrote: the whole product in a browser, with Amazon's stand-in."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
from playwright.async_api import BrowserContext, Page, expect
from sqlalchemy import update

from deploy.demo.postgres import OWNER
from deploy.demo.stack import DEMO_EMAIL, Stack
from shared.database import create_engine, create_sessions
from shared.jobs import Job, enqueue
from shared.tables import OrderReport
from tests.browser.steps import CASA_VERDE, authorize, consent, open_signed_in
from tests.no_tls import NO_AUTHORITIES

# Notices are read every fifteen seconds, and what they name is asked for every ten.
_TOLD_WITHIN_MS = 60_000
# A report is looked at a quarter of a minute after it was asked for, and twice as long after that.
_REPORTED_WITHIN_MS = 90_000


class Amazon:
    """The sandbox's control API and its pages for buyers, for one seller in Spain."""

    def __init__(self, context: BrowserContext, stack: Stack) -> None:
        self._context = context
        self._url = stack.sandbox_url

    async def sends_mail_to(self, address: str) -> None:
        body = {"country": "ES", "address": address}
        await self._post(f"sellers/{CASA_VERDE}/notification-addresses", body)

    async def buyer_buys(self, quantity: int) -> str:
        """A present; the number of the order."""
        buyer = await self._buyer()
        await buyer.locator("#quantity").fill(str(quantity))
        await buyer.locator("#how").select_option("gift")
        await buyer.locator("#buy").click()
        order_id = await buyer.locator("#bought").get_attribute("data-order-id")
        await buyer.close()
        assert order_id is not None
        return order_id

    async def buyer_asks(self, order_id: str, text: str) -> None:
        """The mail is accepted when this returns."""
        await self._post("mails", {"seller_id": CASA_VERDE, "order_id": order_id, "text": text})

    async def buyer_wants_to_cancel(self, order_id: str) -> None:
        buyer = await self._buyer()
        await buyer.locator("#cancel_order_id").select_option(order_id)
        await buyer.locator("#ask-for-cancellation").click()
        await expect(buyer.locator("#cancelled")).to_be_visible()
        await buyer.close()

    async def seller_ships(self, order_id: str) -> None:
        await self._post("orders/ship", {"order_ids": [order_id], "tracking_number": "ES00112233445"})

    async def _buyer(self) -> Page:
        page = await self._context.new_page()
        await page.goto(f"{self._url}/buyer")
        await page.locator(f"#store-{CASA_VERDE}-ES").click()
        return page

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        async with httpx2.AsyncClient(timeout=60, trust_env=False, verify=NO_AUTHORITIES) as client:
            answer = await client.post(f"{self._url}/control/{path}", json=body)
        answer.raise_for_status()


async def ask_for_reports_again(stack: Stack, integration_id: UUID) -> None:
    """As if some hours had passed since the last ones."""
    engine = create_engine(stack.database_url(OWNER), application_name="tests")
    async with create_sessions(engine).begin() as session:
        await session.execute(
            update(OrderReport)
            .where(OrderReport.integration_id == integration_id)
            .values(created_at=OrderReport.created_at - timedelta(hours=3))
        )
        await enqueue(session, Job.FOLLOW_ORDER_REPORTS, integration_id)
    await engine.dispose()


async def test_what_was_bought_stands_beside_the_question_and_follows_amazon_without_a_reload(
    german: BrowserContext, stack: Stack
):
    amazon = Amazon(german, stack)
    page = await german.new_page()
    await open_signed_in(page, "/integrations/new?source=amazon", DEMO_EMAIL, stack.password)
    await consent(await authorize(page, "Spanien"), CASA_VERDE)
    await page.get_by_label("Name der Integration").fill("Casa Verde")
    await page.get_by_role("button", name="Autorisieren").click()
    await amazon.sends_mail_to((await page.locator("#relay-address").inner_text()).strip())
    await page.goto("/inbox")

    order_id = await amazon.buyer_buys(2)
    await amazon.buyer_asks(order_id, "¿Cuándo llega mi lámpara?")
    await page.get_by_test_id("conversation").filter(has_text="¿Cuándo llega").click()

    card = page.get_by_role("region", name="Bestellung")
    await expect(card.get_by_test_id("order-status")).to_have_text("noch nicht versandt")
    await expect(card.get_by_role("list", name="Artikel")).to_contain_text("2 \N{MULTIPLICATION SIGN}")
    await expect(card.get_by_role("list", name="Merkmale")).to_contain_text("Geschenk")
    await expect(card.get_by_role("link", name="In Seller Central öffnen")).to_have_attribute(
        "href", re.compile(rf"/orders-v3/order/{order_id}$")
    )
    await expect(card.get_by_text("Stand")).to_be_visible()

    # Nobody reloads: Amazon tells, the worker asks, and the open page follows.
    await page.evaluate("window.isSamePage = true")
    await amazon.buyer_wants_to_cancel(order_id)
    await amazon.seller_ships(order_id)
    await expect(card.get_by_test_id("order-status")).to_have_text("versandt", timeout=_TOLD_WITHIN_MS)
    await expect(card.get_by_test_id("cancellation")).to_have_text("Der Käufer möchte stornieren.")
    await expect(card.get_by_test_id("package")).to_contain_text("ES00112233445")
    await expect(
        page.get_by_role("status").filter(has_text=f"Bestellung {order_id}: versandt")
    ).to_be_attached()
    assert await page.evaluate("window.isSamePage")

    # The store's report has none of the optional columns: a check says which, and leads to where they are switched on.
    await page.goto("/integrations")
    await page.get_by_role("link", name="Casa Verde").click()
    dialog = page.get_by_role("dialog", name="Casa Verde")
    check = dialog.locator("[data-check=report_columns_missing]")
    await expect(check).to_contain_text("gift-message-text", timeout=_REPORTED_WITHIN_MS)
    step = dialog.get_by_test_id("setup-order_report_columns")
    await expect(step.get_by_role("checkbox")).not_to_be_checked()
    async with german.expect_page() as opened:
        await check.get_by_role("link", name="Zu Seller Central").click()
    picker = await opened.value
    await picker.locator("#all").click()
    # Its answer has come: a window that is closed while it loads may hold up the browser, and what was sent is not sure to have arrived.
    await expect(picker.locator("#column-is-prime")).to_be_checked()
    await picker.close()
    await ask_for_reports_again(stack, UUID(page.url.rsplit("/", 1)[1]))

    # The next report has them all: the check goes, and the step of the guide ticks itself.
    await expect(check).to_have_count(0, timeout=_REPORTED_WITHIN_MS)
    await expect(step.get_by_role("checkbox")).to_be_checked()
    await expect(step).to_contain_text("von selbst erkannt am")
