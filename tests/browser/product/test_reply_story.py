"""A buyer asks, an agent answers, and both know what became of it: the whole product in a browser, with Amazon's stand-in."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2
from playwright.async_api import BrowserContext, FilePayload, Locator, Page, expect
from sqlalchemy import update

from deploy.demo.postgres import OWNER
from deploy.demo.stack import DEMO_EMAIL, Stack
from shared.database import create_engine, create_sessions
from shared.tables import OutboundMessage, ReplyState
from tests.browser.product.mails import Seller, Store, make_store
from tests.browser.steps import enter
from tests.no_tls import NO_AUTHORITIES

NAME = "Anleitung für Größe M.pdf"
PDF = FilePayload(name=NAME, mimeType="application/pdf", buffer=b"%PDF-1.7 a manual")


class Amazon:
    """The sandbox's control API, for one seller in Germany."""

    def __init__(self, stack: Stack, seller: Seller, store: Store) -> None:
        self._url = f"{stack.sandbox_url}/control"
        self._seller = seller
        self._store = store
        self.order_id = seller.order_id("DE")

    async def approve(self, approved: bool = True) -> None:
        await self._post("senders", {"country": "DE", "address": self._store.address, "approved": approved})

    async def confirm_replies(self) -> None:
        body = {"country": "DE", "address": self._store.address, "notification": "confirmations"}
        await self._post("notification-addresses", body)

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        async with httpx2.AsyncClient(timeout=60, trust_env=False, verify=NO_AUTHORITIES) as client:
            answer = await client.post(f"{self._url}/sellers/{self._seller.seller_id}/{path}", json=body)
        answer.raise_for_status()


async def answer(page: Page, text: str) -> Locator:
    """Written with the keyboard and sent; its article, found by its text."""
    await page.locator("h2").first.focus()
    await page.keyboard.press("r")
    await page.keyboard.type(text)
    await page.keyboard.press("Control+Enter")
    article = page.get_by_test_id("reply").filter(has_text=text)
    await expect(article.get_by_role("button", name="Rückgängig")).to_be_visible()
    return article


async def as_buyer(german: BrowserContext, stack: Stack, order_id: str) -> Page:
    """The buyer's own page of the thread."""
    page = await german.new_page()
    await page.goto(f"{stack.sandbox_url}/buyer/thread?order_id={quote(order_id)}")
    return page


def state(article: Locator) -> Locator:
    return article.get_by_test_id("reply-state")


async def move_clock(stack: Stack, by: timedelta) -> None:
    """As if what is with Amazon had been there for so long already."""
    engine = create_engine(stack.database_url(OWNER), application_name="tests")
    async with create_sessions(engine).begin() as session:
        await session.execute(
            update(OutboundMessage)
            .where(OutboundMessage.state == ReplyState.HANDED_OVER.value)
            .values(
                handed_over_at=OutboundMessage.handed_over_at - by,
                state_since=OutboundMessage.state_since - by,
            )
        )
    await engine.dispose()


async def scenario(stack: Stack, name: str, seller: Seller) -> None:
    async with httpx2.AsyncClient(timeout=60, trust_env=False, verify=NO_AUTHORITIES) as client:
        answered = await client.post(
            f"{stack.sandbox_url}/control/scenarios/{name}", json={"seller_id": seller.seller_id}
        )
    answered.raise_for_status()


async def test_buyer_and_agent_talk_and_what_does_not_arrive_is_told_cured_and_sent_again(
    german: BrowserContext, stack: Stack
):
    store = await make_store(stack, "Lampen")
    seller = await Seller.of(stack, store, "DE")
    amazon = Amazon(stack, seller, store)
    await amazon.approve()
    page = await german.new_page()
    await enter(page, DEMO_EMAIL, stack.password)
    await page.goto(f"/inbox?integration={store.integration_id}&view=all")
    await seller.hears_from_buyer("DE", "Passt die Lampe zu Größe M?")
    await page.get_by_test_id("conversation").click()
    clock = page.locator(".conversation-head").get_by_test_id("answer-clock")
    await expect(clock).to_be_visible()

    # The agent answers with a file; the buyer reads both.
    await page.locator("input[type=file]").set_input_files(PDF)
    first = await answer(page, "Ja, sie passt. Die Anleitung liegt bei.")
    await expect(state(first)).to_contain_text("Wird gesendet")
    await expect(state(first)).to_contain_text("An Amazon übergeben")
    await expect(clock).to_have_count(0)
    buyer = await as_buyer(german, stack, amazon.order_id)
    seen = buyer.locator("#thread [data-author=seller_by_mail]")
    await expect(seen).to_contain_text("Ja, sie passt. Die Anleitung liegt bei.")
    await expect(seen.get_by_role("link", name=NAME)).to_be_visible()

    # The buyer answers in the same thread: proof that they have it, and a new clock.
    await buyer.locator("#message").fill("Danke! Und wann kommt sie?")
    await buyer.locator("#send").click()
    await expect(page.get_by_test_id("message").first).to_contain_text("Und wann kommt sie?")
    await expect(state(first)).to_contain_text("Beim Käufer angekommen")
    await expect(clock).to_be_visible()
    await expect(page.get_by_test_id("conversation")).to_have_count(1)
    order = [await each.get_attribute("data-testid") for each in await page.locator("article").all()]
    assert order == ["message", "reply", "message"]

    # Approval is withdrawn: the reply says why, with the address and the place where it is cured.
    await amazon.approve(False)
    second = await answer(page, "Sie kommt am Dienstag.")
    await expect(state(second)).to_contain_text("Nicht zugestellt")
    await expect(second).to_contain_text(store.address)
    await expect(second.get_by_role("link", name="Zu Seller Central")).to_have_attribute(
        "href", re.compile(r"/sellercentral-europe\.amazon\.com/messaging/permissions\?country=DE$")
    )
    await expect(clock).to_be_visible()
    await expect(page.get_by_test_id("failed-count")).to_have_text("1")

    await amazon.approve()
    await amazon.confirm_replies()
    await second.get_by_role("button", name="Noch einmal senden").click()
    await expect(state(second)).to_contain_text("Beim Käufer angekommen")
    await expect(clock).to_have_count(0)
    await expect(page.get_by_test_id("failed-count")).to_have_text("")
    buyer = await as_buyer(german, stack, amazon.order_id)
    seen = buyer.locator("#thread [data-author=seller_by_mail]")
    await expect(seen).to_have_text([re.compile("Ja, sie passt"), re.compile("Sie kommt am Dienstag.")])

    # Amazon says 250 and shows nothing, while other replies of the store were confirmed: after an hour the reply says so, and what to look at.
    await scenario(stack, "reply-not-shown", seller)
    third = await answer(page, "Und noch etwas.")
    await expect(state(third)).to_contain_text("An Amazon übergeben")
    await expect(third.get_by_text("noch nicht bestätigt")).to_have_count(0)
    await move_clock(stack, timedelta(hours=2))
    await page.reload()
    await expect(third).to_contain_text("Amazon hat diese Antwort noch nicht bestätigt")
    await expect(third).to_contain_text("Kommunikationsberechtigungen")
    await expect(third).to_contain_text(store.address)
