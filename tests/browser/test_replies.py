"""Answering in a real browser: what is written is never lost, keys are enough, and two people do not answer at once unawares."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, FilePayload, Locator, Page, Route, expect
from sqlalchemy import func, select

from shared.replies import Reply, change_state
from shared.tables import Conversation, Message, Note, OutboundMessage, ReplyState
from tests.browser.running import PATIENCE_MS
from tests.browser.steps import Site, open_signed_in
from tests.browser.test_inbox_pages import IN_FIVE_HOURS, make_store, make_thread
from tests.factories import make_relay_address, make_reply

AGENT = "agent@seller.example"
PDF = FilePayload(name="Rechnung März.pdf", mimeType="application/pdf", buffer=b"%PDF-1.7 a bill")


@pytest.fixture
async def thread(site: Site) -> Conversation:
    """A buyer's question in a store that can answer it."""
    store = await make_store(site)
    async with site.sessions.begin() as session:
        await make_relay_address(session, store)
    return await make_thread(
        site, store, "Wann kommt meine Lampe?", due_in=IN_FIVE_HOURS, order_id="303-1111111-1111111"
    )


@pytest.fixture
async def other(browser: Browser, site: Site) -> AsyncIterator[BrowserContext]:
    """Another browser."""
    context = await browser.new_context(base_url=site.url, locale="de-DE", timezone_id="Europe/Berlin")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    await context.close()


def boxes(page: Page) -> Locator:
    """Where replies and notes are written, without what only a screen reader is told."""
    return page.get_by_role("region", name="Antworten oder notieren")


def box(page: Page) -> Locator:
    return page.get_by_label("Antwort an den Käufer", exact=True).and_(page.locator("textarea"))


async def open_thread(page: Page, thread: Conversation, email: str = "admin@seller.example") -> None:
    await open_signed_in(page, f"/inbox/{thread.id}", email=email)
    await expect(page.get_by_test_id("message").first).to_be_visible()
    await expect(page.get_by_role("button", name="Antworten")).to_be_visible()


async def saved(page: Page) -> None:
    await expect(boxes(page).get_by_text("Entwurf gespeichert")).to_be_visible()


async def test_keys_are_enough_to_answer_and_a_note_is_never_sent(
    page: Page, site: Site, thread: Conversation
):
    await open_thread(page, thread)

    await page.keyboard.press("n")
    await page.keyboard.type("Kennt den Laden seit Jahren.")
    await page.keyboard.press("Control+Enter")
    note = page.get_by_test_id("note")
    await expect(note).to_contain_text("Interne Notiz")
    await expect(note).to_contain_text("Kennt den Laden seit Jahren.")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Tastenkürzel")
    await expect(keys.get_by_role("row")).to_have_count(18)
    await page.keyboard.press("Escape")
    await expect(keys).to_be_hidden()
    await page.keyboard.press("r")
    await expect(box(page)).to_be_focused()
    await page.keyboard.type("Sie ist unterwegs.")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("antworten")
    await page.keyboard.press("Enter")
    # The text was there before: only the focus tells that the palette has closed.
    await expect(box(page)).to_be_focused()
    await expect(box(page)).to_have_value("Sie ist unterwegs.")
    await page.keyboard.press("Control+Enter")

    reply = page.get_by_test_id("reply")
    await expect(reply).to_contain_text("Sie ist unterwegs.")
    await expect(reply.get_by_test_id("reply-state")).to_contain_text("Wird gesendet")
    await expect(page.locator("article").first).to_have_attribute("data-testid", "reply")
    await expect(box(page)).to_have_value("")
    async with site.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(OutboundMessage)) == 1
        assert await session.scalar(select(func.count()).select_from(Note)) == 1


async def test_what_is_written_survives_reload_other_device_and_no_connection(
    page: Page, site: Site, thread: Conversation, other: BrowserContext
):
    await open_thread(page, thread)
    await page.keyboard.press("r")
    await page.keyboard.type("Guten Tag,")
    await page.locator("input[type=file]").set_input_files(PDF)
    await expect(page.get_by_role("button", name="Rechnung März.pdf entfernen")).to_be_visible()
    await saved(page)

    # The first letters after the last saving are only in this browser.
    await page.context.set_offline(True)
    await page.keyboard.type(" sie kommt morgen.")
    await expect(boxes(page).get_by_text("Der Entwurf ist in diesem Browser gespeichert")).to_be_visible()
    await page.keyboard.press("Control+Enter")
    await expect(boxes(page).get_by_text("Nicht gesendet: keine Verbindung")).to_be_visible()
    await expect(box(page)).to_have_value("Guten Tag, sie kommt morgen.")
    await page.context.set_offline(False)
    await saved(page)
    await page.reload()
    await expect(box(page)).to_have_value("Guten Tag, sie kommt morgen.")
    await expect(page.get_by_role("link", name="Rechnung März.pdf")).to_be_visible()

    phone = await other.new_page()
    await open_thread(phone, thread)
    await expect(box(phone)).to_have_value("Guten Tag, sie kommt morgen.")
    await expect(phone.get_by_role("link", name="Rechnung März.pdf")).to_be_visible()
    await box(phone).fill("Guten Tag, sie kommt heute.")
    await saved(phone)
    await box(page).fill("Guten Tag, sie kommt nie.")
    await expect(
        boxes(page).get_by_text("Du hast diese Antwort auch anderswo weitergeschrieben")
    ).to_be_visible()
    await expect(box(page)).to_have_value("Guten Tag, sie kommt nie.")
    await page.get_by_role("button", name="Den anderen Text nehmen").click()
    await expect(box(page)).to_have_value("Guten Tag, sie kommt heute.")

    await page.get_by_role("button", name="Abmelden").click()
    await expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    kept = await page.evaluate("Object.values(localStorage).join()")
    assert "Guten Tag" not in kept


async def test_two_who_answer_at_once_are_told_and_both_keep_their_text(
    page: Page, site: Site, thread: Conversation, other: BrowserContext
):
    colleague = await other.new_page()
    await open_thread(page, thread)
    await open_thread(colleague, thread, AGENT)
    await colleague.keyboard.press("r")
    await colleague.keyboard.type("Morgen.")
    await expect(boxes(page).get_by_text("antwortet gerade")).to_be_visible()
    await page.keyboard.press("r")
    await page.keyboard.type("Übermorgen.")
    await saved(page)

    await colleague.keyboard.press("Control+Enter")
    await expect(colleague.get_by_test_id("reply")).to_be_visible()

    await expect(page.get_by_test_id("news")).to_contain_text("Morgen.")
    await page.keyboard.press("Control+Enter")
    await expect(
        boxes(page).get_by_text("Noch nicht gesendet: Inzwischen hat jemand geschrieben")
    ).to_be_visible()
    await expect(box(page)).to_have_value("Übermorgen.")
    await expect(page.get_by_test_id("reply")).to_have_count(1)
    await page.get_by_role("button", name="Trotzdem senden").click()
    await expect(page.get_by_test_id("reply")).to_have_count(2)
    async with site.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(OutboundMessage)) == 2


async def test_a_reply_is_taken_back_planned_and_closes_its_conversation(page: Page, thread: Conversation):
    await open_thread(page, thread)
    await page.keyboard.press("r")
    await page.keyboard.type("Sie kommt morgen.")
    await page.get_by_role("button", name="Später senden").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("In deiner Zeitzone: Mitteleuropäische")
    await dialog.get_by_label("Datum und Uhrzeit").fill("2020-01-01T08:00")
    await dialog.get_by_role("button", name="Dann senden").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Bitte wähle eine Zeit in der Zukunft.")
    day = datetime.now(UTC).date() + timedelta(days=30)
    await dialog.get_by_label("Datum und Uhrzeit").fill(f"{day}T08:00")
    await dialog.get_by_role("button", name="Dann senden").click()
    state = page.get_by_test_id("reply-state")
    await expect(state).to_contain_text(re.compile(f"Geplant.*{day:%d.%m.%Y}, 08:00"))

    await page.get_by_role("button", name="Nicht senden").click()
    await expect(page.get_by_test_id("reply")).to_have_count(0)
    await expect(box(page)).to_have_value("Sie kommt morgen.")
    await expect(box(page)).to_be_focused()
    await page.keyboard.press("Control+Shift+Enter")
    await page.get_by_role("button", name="Rückgängig").click()
    await expect(box(page)).to_have_value("Sie kommt morgen.")


async def test_what_amazon_forbids_is_asked_and_a_missing_value_blocks(page: Page, thread: Conversation):
    await open_signed_in(page, "/settings/templates")
    await page.get_by_text("Vorlage hinzufügen").click()
    await page.get_by_label("Name", exact=True).fill("Unterwegs")
    await page.get_by_label("Text", exact=True).fill(
        "Ihre Bestellung {{order_id}} kommt mit {{tracking_numbr}}."
    )
    await page.get_by_role("button", name="Hinzufügen").click()
    await expect(page.get_by_label("Text", exact=True)).to_be_focused()
    await page.get_by_label("Text", exact=True).fill(
        "Ihre Bestellung {{order_id}} kommt mit {{tracking_number}}."
    )
    await page.get_by_role("button", name="Hinzufügen").click()
    await expect(page.get_by_test_id("template")).to_contain_text("Unterwegs")

    # A form that is open stays when another template is added.
    await page.get_by_test_id("template").get_by_role("button", name="Bearbeiten").click()
    await page.get_by_test_id("template").get_by_label("Name", exact=True).fill("Schon unterwegs")
    await page.get_by_text("Vorlage hinzufügen").click()
    await page.get_by_label("Name", exact=True).last.fill("Dank")
    await page.get_by_label("Text", exact=True).last.fill("Vielen Dank.")
    await page.get_by_role("button", name="Hinzufügen").click()
    await expect(page.get_by_test_id("template")).to_have_count(2)
    await expect(
        page.get_by_test_id("template").filter(has_text="Unterwegs").get_by_label("Name", exact=True)
    ).to_have_value("Schon unterwegs")
    await page.get_by_role("button", name="Speichern").click()
    await expect(page.get_by_role("heading", name="Schon unterwegs")).to_be_visible()
    await page.goto(f"/inbox/{thread.id}")
    await expect(page.get_by_role("button", name="Antworten")).to_be_visible()

    await page.keyboard.press("Control+k")
    await page.keyboard.type("unterw")
    await page.keyboard.press("Enter")
    await expect(box(page)).to_have_value(
        "Ihre Bestellung 303-1111111-1111111 kommt mit {{tracking_number}}."
    )
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("alert").filter(has_text="tracking_number")).to_be_visible()
    await expect(page.get_by_test_id("reply")).to_have_count(0)

    await box(page).fill("Rufen Sie an: 030 901820, oder www.shop.example.com")
    await expect(page.get_by_test_id("rule").first).to_be_visible()
    await page.keyboard.press("Control+Enter")
    question = page.get_by_role("alert").filter(has_text="Amazon könnte diese Antwort ablehnen")
    await expect(question).to_contain_text("030 901820")
    await expect(box(page)).to_have_value("Rufen Sie an: 030 901820, oder www.shop.example.com")
    await question.get_by_role("button", name="Trotzdem senden").click()
    await expect(page.get_by_test_id("reply")).to_have_count(1)


async def test_files_are_checked_while_they_are_chosen(page: Page, thread: Conversation, tmp_path: Path):
    await open_thread(page, thread)
    await page.keyboard.press("r")
    await page.keyboard.type("Anbei.")
    await expect(boxes(page).get_by_text("Dateien: ")).to_contain_text("höchstens 10 MB")
    picker = page.locator("input[type=file]")
    # By its place: given as bytes, it would go through the driver as text.
    large = tmp_path / "groß.pdf"
    large.write_bytes(b"%PDF-1.7" + b"0" * 10_500_000)
    await picker.set_input_files(large)
    await expect(page.get_by_role("alert")).to_contain_text("Zu groß")
    await page.get_by_role("button", name="groß.pdf entfernen").click()
    await picker.set_input_files(
        {"name": "spiel.exe", "mimeType": "application/pdf", "buffer": b"MZ" + b"0" * 200}
    )
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.keyboard.press("Control+Enter")
    await expect(boxes(page).get_by_text("Eine Datei lässt sich nicht senden")).to_be_visible()
    await page.get_by_role("button", name="spiel.exe entfernen").click()
    # Dropped, with the name as it is.
    await page.evaluate(
        """() => {
            const files = new DataTransfer();
            files.items.add(new File(["%PDF-1.7 a bill"], "Größe & Maß.pdf", { type: "application/pdf" }));
            document.querySelector(".reply-form").dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        }"""
    )
    await expect(page.get_by_role("button", name="Größe & Maß.pdf entfernen")).to_be_visible()
    await page.get_by_role("button", name="Senden", exact=True).click()
    await expect(page.get_by_test_id("reply").get_by_role("link", name="Größe & Maß.pdf")).to_be_visible()


async def fail(site: Site, reply: OutboundMessage, **columns: Any) -> None:
    known = Reply(reply.id, reply.account_id, reply.integration_id, reply.conversation_id)
    async with site.sessions.begin() as session:
        assert await change_state(session, known, ReplyState.FAILED, **columns)


async def test_what_has_not_arrived_is_seen_from_any_page_with_its_cure_and_what_perhaps_has_asks(
    page: Page, site: Site, thread: Conversation
):
    async with site.sessions.begin() as session:
        message = (await session.scalars(select(Message).where(Message.conversation_id == thread.id))).one()
        reply = await make_reply(session, site.keyring, message, text="Sie kommt morgen.", state="handed_over",
                                 sent_from="aaabbbccc@replyco.email", country="DE", order_id=thread.order_id)  # fmt: skip
        await make_reply(session, site.keyring, message, text="Hallo.", state="perhaps_sent")
    await open_signed_in(page, "/integrations")
    count = page.get_by_test_id("failed-count")
    await expect(count).to_have_text("1")

    await fail(site, reply, failure="sender_not_approved")

    await expect(count).to_have_text("2")
    await page.get_by_role("link", name="Nicht zugestellt").click()
    row = page.get_by_test_id("failed-reply").filter(has_text="Sie kommt morgen.")
    await expect(row).to_contain_text("aaabbbccc@replyco.email")
    await row.get_by_role("link", name="303-1111111-1111111").click()
    article = page.get_by_test_id("reply").filter(has_text="Sie kommt morgen.")
    await expect(article.get_by_test_id("reply-state")).to_contain_text("Nicht zugestellt")
    await expect(article).to_contain_text("Was hilft:")
    assert "sender_not_approved" not in await article.inner_text()
    await article.get_by_role("button", name="Noch einmal senden").click()
    await expect(article.get_by_test_id("reply-state")).to_contain_text("Wird gesendet")
    await expect(count).to_have_text("1")

    doubtful = page.get_by_test_id("reply").filter(has_text="Vielleicht hat der Käufer diese Antwort schon")
    await doubtful.get_by_role("button", name="Noch einmal senden").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Dann bekommt er sie zweimal.")
    await page.get_by_role("dialog").get_by_role("button", name="Abbrechen").click()
    await doubtful.get_by_role("button", name="So lassen").click()
    await expect(doubtful.get_by_role("button", name="So lassen")).to_have_count(0)
    await expect(count).to_have_text("")


async def test_what_is_typed_while_a_text_is_being_sent_stays(page: Page, thread: Conversation):
    await open_thread(page, thread)
    typed = boxes(page).locator("textarea:visible")
    for key, path, shown in (("n", "notes", "note"), ("r", "replies", "reply")):
        held: asyncio.Queue[Route] = asyncio.Queue()
        await page.route(f"**/conversations/*/{path}", partial(_hold_posts, held))

        await page.keyboard.press(key)
        await expect(typed).to_be_focused()
        await expect(typed).to_have_value("")
        await page.keyboard.type("Sie ist unterwegs.")
        await page.keyboard.press("Control+Enter")
        route = await held.get()
        await page.keyboard.type(" Und der Schirm?")
        await route.continue_()

        await expect(page.get_by_test_id(shown)).to_contain_text("Sie ist unterwegs.")
        await expect(typed).to_have_value("Und der Schirm?")
        await expect(typed).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(typed).not_to_be_focused()


async def _hold_posts(held: asyncio.Queue[Route], route: Route) -> None:
    if route.request.method == "POST":
        await held.put(route)
    else:
        await route.continue_()
