"""The inbox in a real browser: views, filters, search, and what an agent does with a conversation."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from playwright.async_api import Page, Route, expect
from sqlalchemy import select

from shared.events import EventKind, announce
from shared.tables import Conversation, Integration, User
from tests.browser.steps import Site, command, open_signed_in
from tests.factories import make_attachment, make_conversation, make_integration, make_message, make_user
from tests.unit.connector.inbox.test_pictures import png

# Far enough from every bound for the words to be the same however slow the machine is.
IN_FIVE_HOURS = timedelta(hours=5, minutes=30)
TWO_HOURS_AGO = -timedelta(hours=2, minutes=30)
BUYER = "k3x9canary0abc@marketplace.amazon.de"


async def make_store(site: Site, name: str = "Lampen Europa") -> Integration:
    async with site.sessions.begin() as session:
        return await make_integration(session, site.account.id, name=name)


async def make_thread(
    site: Site, integration: Integration, *texts: str, due_in: timedelta | None = None, **columns: Any
) -> Conversation:
    """A conversation with these messages; the clock runs for all of them if `due_in` is given."""
    due_at = None if due_in is None else datetime.now(UTC) + due_in
    async with site.sessions.begin() as session:
        conversation = await make_conversation(
            session,
            site.keyring,
            integration,
            answer_due_at=due_at,
            **{"message_count": len(texts)} | columns,
        )
        for text in texts:
            message = await make_message(
                session, site.keyring, conversation, text=text, snippet=text[:160], is_excerpt=True, answer_due_at=due_at,
                authenticity="authentic", order_ids=[conversation.order_id] if conversation.order_id else [],
            )  # fmt: skip
            conversation.snippet, conversation.snippet_message_id = message.snippet, message.id
    return conversation


async def make_viewer(site: Site) -> None:
    """viewer@seller.example, who may read and change nothing."""
    async with site.sessions.begin() as session:
        agent = (await session.scalars(select(User).where(User.email == "agent@seller.example"))).one()
        await make_user(
            session, site.account.id, email="viewer@seller.example", password_hash=agent.password_hash,
            general_admin="none", inbox_messages="view",
        )  # fmt: skip


async def test_views_show_what_they_name_and_how_many_there_are(page: Page, site: Site):
    store = await make_store(site)
    await make_thread(site, store, "Frage", due_in=TWO_HOURS_AGO, order_id="303-1111111-1111111")
    await make_thread(
        site, store, "Frage", due_in=IN_FIVE_HOURS, order_id="303-2222222-2222222", is_unread=False
    )
    await make_thread(site, store, "Danke", status="closed", order_id="303-3333333-3333333", is_unread=False)
    await open_signed_in(page, "/inbox")
    views = page.get_by_role("navigation", name="Ansichten")
    rows = page.get_by_test_id("conversation")

    await expect(views.get_by_role("link")).to_have_text(
        [
            "Offen 2", "Meine", "Nicht zugewiesen 2", "Wartet auf Antwort 2", "Überfällig 1", "Nicht zugestellt", "Ungelesen 1",
            "Zurückgestellt", "Geschlossen", "Quarantäne", "Alle",
        ]
    )  # fmt: skip
    await expect(rows).to_have_count(2)
    unread = rows.filter(has_text="303-1111111-1111111")
    await expect(unread).to_contain_text("Ungelesen: Erika Beispiel")
    await expect(rows.filter(has_text="303-2222222-2222222")).not_to_contain_text("Ungelesen")

    await views.get_by_role("link", name="Wartet auf Antwort").click()
    await expect(page).to_have_url(f"{site.url}/inbox?view=due")
    clocks = page.get_by_test_id("answer-clock")
    await expect(clocks).to_have_text(["Antwortfrist: überfällig seit 2 Std.", "Antwortfrist: noch 5 Std."])
    await expect(clocks.first).to_have_attribute("title", re.compile("Antwort fällig: .*20"))

    await views.get_by_role("link", name="Überfällig").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("303-1111111-1111111")

    # An address in the API's words leads to its view, also after a reload, and back leads to the one before.
    await page.goto("/inbox?status=closed")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("303-3333333-3333333")
    closed = views.get_by_role("link", name="Geschlossen")
    await expect(closed).to_have_attribute("aria-current", "page")
    await page.reload()
    await expect(closed).to_have_attribute("aria-current", "page")
    await expect(rows).to_contain_text("303-3333333-3333333")
    await views.get_by_role("link", name="Ungelesen").click()
    await expect(rows).to_contain_text("303-1111111-1111111")
    await page.go_back()
    await expect(closed).to_have_attribute("aria-current", "page")
    await expect(rows).to_contain_text("303-3333333-3333333")
    await views.get_by_role("link", name="Quarantäne").click()
    await expect(page.get_by_role("heading", name="Die Quarantäne ist leer")).to_be_visible()


async def test_a_row_shows_who_wrote_about_what_and_how_it_begins(page: Page, site: Site):
    store = await make_store(site)
    await make_thread(site, store, "Wann kommt meine <b>Lampe</b>?", buyer_name="Erika Beispiel",
                      subject="Anfrage zur Bestellung 303-1111111-1111111", order_id="303-1111111-1111111")  # fmt: skip
    await make_thread(site, store, "أين طلبي 303-2222222-2222222؟", buyer_name="مريم <i>x</i>",
                      subject="سؤال عن الطلب", order_id="303-2222222-2222222")  # fmt: skip
    await make_thread(
        site, store, "Verkauft", buyer_name=None, subject="Jetzt versenden", kind="order_notice"
    )
    await make_thread(site, store, buyer_name=None, subject=None, order_id="303-4444444-4444444")
    await open_signed_in(page, "/inbox")
    rows = page.get_by_test_id("conversation")
    await expect(rows).to_have_count(4)

    lines = [
        await row.evaluate("row => [...row.children].map(line => line.textContent)")
        for row in await rows.all()
    ]
    bare, notice, arabic, german = [[line.replace("Ungelesen: ", "") for line in each] for each in lines]
    assert german[0].startswith("Erika Beispiel")
    assert german[1:3] == ["Anfrage zur Bestellung 303-1111111-1111111", "Wann kommt meine <b>Lampe</b>?"]
    assert german[-1] == "Lampen Europa · Deutschland"
    await expect(rows.last.locator(".flag")).to_be_visible()
    assert arabic[0].startswith("مريم <i>x</i>")
    assert arabic[1:3] == ["سؤال عن الطلب", "أين طلبي 303-2222222-2222222؟"]
    assert arabic[-1] == "Lampen Europa · Deutschland · 303-2222222-2222222"
    assert notice[0].startswith("Jetzt versenden")
    # Only what is no buyer's message has its kind said.
    assert notice[1:3] == ["Bestellung", "Verkauft"]
    assert bare[0].startswith("303-4444444-4444444")
    right_to_left = rows.nth(2).locator(".conversation-subject, .conversation-snippet")
    assert (
        await right_to_left.evaluate_all("all => all.map(one => getComputedStyle(one).direction)")
        == ["rtl"] * 2
    )
    times = await rows.locator("time:not(.clock)").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().right)"
    )
    assert len(set(times)) == 1  # a right-to-left name moves nothing


async def test_a_new_message_changes_its_row_and_long_words_push_nothing_aside(page: Page, site: Site):
    store = await make_store(site)
    thread = await make_thread(site, store, "x" * 160, buyer_name="N" * 300, subject="S" * 998)
    await open_signed_in(page, "/inbox")
    row = page.get_by_test_id("conversation")
    await expect(row).to_contain_text("xxx")
    fits = "element => element.scrollWidth <= element.clientWidth"
    assert await page.locator(".list-pane").evaluate(fits)
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await page.locator("body").evaluate(fits)

    async with site.sessions.begin() as session:
        row_now = await session.get_one(Conversation, thread.id)
        message = await make_message(session, site.keyring, row_now, snippet="Hat sich erledigt, danke!")
        row_now.snippet, row_now.snippet_message_id = message.snippet, message.id
        await announce(
            session, row_now.account_id, EventKind.MESSAGE_RECEIVED, integration_id=store.id,
            conversation_id=thread.id, message_id=message.id,
        )  # fmt: skip

    await expect(row).to_contain_text("Hat sich erledigt, danke!")


async def test_the_store_is_chosen_among_more_than_a_page_of_them(page: Page, site: Site):
    async with site.sessions.begin() as session:
        stores = [
            await make_integration(session, site.account.id, name=f"Laden {number:03}")
            for number in range(105)
        ]
    await make_thread(site, stores[-1], "Im letzten")
    await make_thread(site, stores[0], "Im ersten")
    # An agent without a right to the settings chooses, too.
    await open_signed_in(page, f"/inbox?integration={stores[-1].id}", email="agent@seller.example")

    rows, choice = page.get_by_test_id("conversation"), page.get_by_label("Store", exact=True)
    await expect(choice.locator("option")).to_have_count(106)
    await expect(choice).to_have_value(str(stores[-1].id))
    await expect(rows).to_have_text([re.compile("Im letzten")])
    await choice.select_option("Laden 000")
    await expect(rows).to_have_text([re.compile("Im ersten")])


async def test_messages_are_split_off_from_one_on_however_many(page: Page, site: Site):
    store = await make_store(site)
    await make_thread(site, store, *(f"Nr. {number}" for number in range(120)), order_id=None)
    await open_signed_in(page, "/inbox", email="agent@seller.example")
    await page.get_by_test_id("conversation").click()

    await command(page, "Aufteilen")
    dialog = page.get_by_role("dialog")
    for shown in (50, 100):
        await expect(dialog.get_by_role("group").get_by_role("checkbox")).to_have_count(shown)
        await dialog.get_by_role("button", name="Ältere Nachrichten laden").click()
    await expect(dialog.get_by_role("group").get_by_role("checkbox")).to_have_count(120)
    await dialog.get_by_role("checkbox", name="Nr. 5", exact=False).last.check()
    await dialog.get_by_label("Auch alle neueren").check()
    await dialog.get_by_role("button", name="Abtrennen").click()

    await expect(page.get_by_test_id("conversation")).to_have_count(2)
    await expect(page.get_by_test_id("conversation").first).to_contain_text("115 Nachrichten")
    await expect(page.get_by_test_id("conversation").last).to_contain_text("5 Nachrichten")


async def test_filters_are_in_the_address_and_survive_reload_and_back(page: Page, site: Site):
    store = await make_store(site)
    other = await make_store(site, "Lampen Übersee")
    await make_thread(site, store, "Frage", order_id="303-1111111-1111111")
    await make_thread(site, other, "Frage", order_id="303-2222222-2222222")
    await make_thread(site, other, "Bestellt", order_id="303-3333333-3333333", kind="order_notice")
    await open_signed_in(page, "/inbox")
    rows = page.get_by_test_id("conversation")
    await expect(rows).to_have_count(3)

    await page.get_by_text("Filtern und sortieren").click()
    await page.get_by_label("Store", exact=True).select_option("Lampen Übersee")
    await expect(rows).to_have_count(2)
    await page.get_by_label("Art").select_option("Käufernachricht")
    await expect(rows).to_have_count(1)
    await page.reload()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("303-2222222-2222222")
    await expect(page.get_by_label("Art")).to_have_value("buyer_message")

    await page.go_back()
    await expect(rows).to_have_count(2)
    await expect(page.get_by_label("Art")).to_have_value("")
    await page.get_by_label("Land").select_option("Japan")
    await expect(page.get_by_role("heading", name="Mit diesen Filtern gibt es nichts")).to_be_visible()
    await page.get_by_role("link", name="Filter zurücksetzen").click()
    await expect(rows).to_have_count(3)


async def test_an_agent_walks_from_the_list_to_no_answer_needed_and_back_by_keyboard_alone(
    page: Page, site: Site
):
    store = await make_store(site)
    await make_thread(site, store, "Die ältere", due_in=IN_FIVE_HOURS, order_id="303-1111111-1111111",
                      last_message_at=datetime.now(UTC) - timedelta(hours=1))  # fmt: skip
    await make_thread(site, store, "Die neuere", order_id="303-2222222-2222222")
    await open_signed_in(page, "/inbox", email="agent@seller.example")
    rows = page.get_by_test_id("conversation")
    await expect(rows).to_have_count(2)

    await page.get_by_text("Filtern und sortieren").focus()
    await page.keyboard.press("Tab")
    await expect(rows.first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(rows.last).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Bestellung 303-1111111-1111111")).to_be_focused()
    # Read is read: the mark goes, in the list and in the number beside it.
    await expect(rows.last).not_to_contain_text("Ungelesen")
    await expect(page.get_by_role("link", name="Ungelesen 1")).to_be_visible()

    more = page.get_by_role("button", name="Weitere Aktionen")
    for button in (
        page.get_by_role("button", name="Bestellnummer kopieren"),
        page.get_by_role("button", name="Schließen"),
        more,
    ):
        await page.keyboard.press("Tab")
        await expect(button).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_role("menuitem", name="Zusammenführen")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(more).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Keine Antwort nötig")).to_be_focused()
    await page.keyboard.press("z")
    await expect(page.get_by_role("menuitem", name="Zuweisen")).to_be_focused()
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")

    await expect(page.locator("#announcer")).to_have_text("Die Antwortfrist ist beendet.")
    await expect(page.get_by_test_id("answer-clock")).to_have_count(0)
    await expect(more).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(rows.last).to_be_focused()


async def test_a_conversation_is_closed_reopened_and_left_unread(page: Page, site: Site):
    store = await make_store(site)
    conversation = await make_thread(site, store, "Frage", due_in=IN_FIVE_HOURS)
    await open_signed_in(page, f"/inbox/{conversation.id}")
    views = page.get_by_role("navigation", name="Ansichten")
    await expect(views.get_by_role("link", name="Ungelesen", exact=True)).to_be_visible()

    await page.get_by_role("button", name="Schließen").click()
    await expect(page.get_by_role("button", name="Wieder öffnen")).to_be_focused()
    await expect(page.get_by_role("region", name="Unterhaltung").get_by_text("Geschlossen")).to_be_visible()
    await expect(page.get_by_test_id("answer-clock")).to_have_count(0)
    await expect(page.get_by_test_id("conversation")).to_have_count(0)

    await page.get_by_role("button", name="Wieder öffnen").click()
    await expect(page.get_by_test_id("conversation")).to_have_count(1)
    await command(page, "Als ungelesen markieren")
    await expect(views.get_by_role("link", name="Ungelesen 1")).to_be_visible()
    await expect(page.get_by_test_id("conversation")).to_contain_text("Ungelesen:")


async def test_conversations_of_one_store_are_merged_and_split_again(page: Page, site: Site):
    store = await make_store(site)
    elsewhere = await make_store(site, "Lampen Übersee")
    first = await make_thread(site, store, "Wann kommt meine Lampe?", order_id="303-1111111-1111111")
    second = await make_thread(site, store, "Und der Schirm?", order_id="303-2222222-2222222")
    await make_thread(site, elsewhere, "Fremd", order_id="303-3333333-3333333")
    await open_signed_in(page, f"/inbox/{second.id}")

    await command(page, "Zusammenführen")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("radio")).to_have_count(1)
    await dialog.get_by_role("button", name="Zusammenführen").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Bitte wähle eine Unterhaltung.")
    await merge_into_first(page)
    await expect(page).to_have_url(f"{site.url}/inbox/{first.id}")
    await expect(page.get_by_role("heading", name="Bestellung 303-1111111-1111111")).to_be_focused()
    articles = page.get_by_role("article")
    await expect(articles).to_have_count(2)

    await page.get_by_test_id("merged").get_by_role("button", name="Rückgängig").press("Enter")
    await expect(page).to_have_url(f"{site.url}/inbox/{second.id}")
    await expect(page.get_by_role("heading", name="Bestellung 303-2222222-2222222")).to_be_focused()
    await expect(articles).to_have_count(1)
    await command(page, "Zusammenführen")
    await merge_into_first(page)
    await expect(articles).to_have_count(2)
    await page.reload()
    await expect(page.get_by_test_id("merged")).to_have_count(0)
    await command(page, "Zusammenführen rückgängig machen")
    await expect(articles).to_have_count(1)
    await command(page, "Zusammenführen")
    await merge_into_first(page)
    await expect(articles).to_have_count(2)

    await command(page, "Aufteilen")
    await dialog.get_by_role("button", name="Abtrennen").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Bitte wähle mindestens eine Nachricht.")
    await dialog.get_by_role("checkbox", name="Und der Schirm?").check()
    await dialog.get_by_role("button", name="Abtrennen").click()

    await expect(articles).to_have_count(1)
    await expect(articles).to_contain_text("Und der Schirm?")
    await expect(page.get_by_test_id("conversation")).to_have_count(3)


async def test_a_dialog_opens_with_what_is_chosen_from_so_that_nothing_moves_under_the_pointer(
    page: Page, site: Site
):
    store = await make_store(site)
    await make_thread(site, store, "Und der Schirm?", order_id="303-2222222-2222222")
    conversation = await make_thread(site, store, "Wann kommt meine Lampe?", "Sie ist zerbrochen.")
    await open_signed_in(page, f"/inbox/{conversation.id}")
    await expect(page.get_by_role("article")).to_have_count(2)
    dialog = page.get_by_role("dialog")
    choices: tuple[tuple[str, str, Literal["radio", "checkbox"]], ...] = (
        ("Zusammenführen", "**/conversations?*integration_id=*", "radio"),
        ("Aufteilen", "**/messages?**", "checkbox"),
    )
    for name, asked, choice in choices:
        held: asyncio.Queue[Route] = asyncio.Queue()
        await page.route(asked, held.put)

        async with page.expect_request(asked):
            await command(page, name)
        route = await held.get()

        assert await dialog.count() == 0
        await route.continue_()
        await expect(dialog).to_be_visible()
        assert await dialog.get_by_role(choice).count() > 0
        await page.unroute(asked)
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)


async def merge_into_first(page: Page) -> None:
    """In the dialog: both are shown, what differs is said, and what they become."""
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("radio", name="303-1111111-1111111").check()
    # What is announced while the dialog is open has its place in it, too.
    preview = dialog.get_by_role("status").and_(dialog.locator(".merge-preview"))
    await expect(preview).to_contain_text("Die Bestellungen sind verschieden.")
    for text in ("Wann kommt meine Lampe?", "Und der Schirm?", "Daraus wird: Erika Beispiel"):
        await expect(preview).to_contain_text(text)
    await dialog.get_by_role("button", name="Zusammenführen").click()


async def test_pictures_are_seen_small_and_large_by_keyboard_alone(page: Page, site: Site):
    store = await make_store(site)
    conversation = await make_thread(site, store)
    async with site.sessions.begin() as session:
        message = await make_message(session, site.keyring, conversation, text="Sie ist zerbrochen.")
        for position, (name, content) in enumerate(
            {"vorn.png": png(40, 30), "hinten.png": png(30, 40), "bombe.png": png(50_000, 50_000)}.items()
        ):
            await make_attachment(
                session, site.keyring, message, filename=name, content=content, position=position,
                content_type="image/png", sniffed_type="image/png",
            )  # fmt: skip
    await open_signed_in(page, f"/inbox/{conversation.id}")
    pictures = page.get_by_role("list", name="Bilder").get_by_role("button")
    # The bomb is a file like others.
    await expect(pictures).to_have_count(2)
    await expect(page.get_by_test_id("attachment")).to_have_count(3)
    first = page.get_by_role("button", name="Bild vergrößern: vorn.png")

    await first.press("Enter")
    large = page.get_by_role("dialog", name="vorn.png")
    await expect(large.get_by_role("img", name="vorn.png")).to_have_js_property("naturalWidth", 40)
    await expect(large.get_by_role("button", name="Schließen")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("dialog", name="hinten.png").get_by_role("img")).to_be_visible()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("dialog", name="bombe.png")).to_contain_text(
        "lässt sich hier nicht anzeigen"
    )
    await page.keyboard.press("ArrowLeft")
    async with page.expect_download() as download:
        await page.get_by_role("dialog").get_by_role("link", name="Herunterladen").press("Enter")
    assert (await download.value).suggested_filename == "hinten.png"
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(first).to_be_focused()
    await expect(page).to_have_url(f"{site.url}/inbox/{conversation.id}")


async def test_a_file_downloads_under_its_name_and_what_is_infected_does_not(page: Page, site: Site):
    store = await make_store(site)
    conversation = await make_thread(site, store)
    async with site.sessions.begin() as session:
        message = await make_message(session, site.keyring, conversation)
        await make_attachment(
            session, site.keyring, message, filename="Größe und Maße, Übersicht.pdf", content=b"%PDF-1.4 x",
            content_type="application/pdf", sniffed_type="application/pdf",
        )  # fmt: skip
        await make_attachment(
            session, site.keyring, message, filename="rechnung.exe", position=1, scan="infected",
            content_type="application/pdf", sniffed_type="application/x-msdownload",
        )  # fmt: skip
    await open_signed_in(page, f"/inbox/{conversation.id}")
    files = page.get_by_test_id("attachment")
    await expect(files.first).to_contain_text("PDF")
    async with page.expect_download() as download:
        await files.first.get_by_role("link").click()

    assert (await download.value).suggested_filename == "Größe und Maße, Übersicht.pdf"
    await expect(files.last).to_contain_text("Der Virenscanner hat Schadsoftware gefunden")
    await expect(files.last.get_by_role("link")).to_have_count(0)


async def test_a_message_shows_its_own_words_first_why_a_delivery_failed_and_that_a_check_is_tried_again(
    page: Page, site: Site
):
    store = await make_store(site)
    quoting = await make_thread(site, store, is_unread=False)
    failed = await make_thread(site, store, kind="delivery_failure")
    unchecked = await make_thread(site, store, status="quarantine")
    async with site.sessions.begin() as session:
        await make_message(
            session, site.keyring, quoting, text="Der Schirm hat einen Riss.", is_excerpt=True,
            quoted_text="> Ihre Lampe ist unterwegs.", authenticity="authentic",
            authentication_results="mx.example; dkim=pass header.d=amazon.de",
        )  # fmt: skip
        await make_message(session, site.keyring, quoting, text="Alles auf einmal", is_excerpt=False)
        await make_message(
            session, site.keyring, failed, kind="delivery_failure", failure_reason="sender_not_approved"
        )
        await make_message(session, site.keyring, failed, kind="delivery_failure", failure_reason="new_one")
        await make_message(
            session,
            site.keyring,
            unchecked,
            authenticity="uncheckable",
            authenticity_reason="dns_unavailable",
        )
    await open_signed_in(page, f"/inbox/{quoting.id}")
    whole, excerpt = page.get_by_role("article").first, page.get_by_role("article").last

    await expect(whole).to_contain_text("deshalb wird die E-Mail ganz gezeigt")
    await expect(excerpt).not_to_contain_text("ganz gezeigt")
    quoted = excerpt.get_by_text("> Ihre Lampe ist unterwegs.")
    await expect(quoted).to_be_hidden()
    # It is read already, and one line.
    await expect(excerpt.locator(".message-snippet")).to_have_text("Der Schirm hat einen Riss.")
    await expect(excerpt.get_by_text("Details", exact=True)).to_be_hidden()
    await excerpt.locator("summary").first.click()
    await excerpt.get_by_label("Früherer Verlauf").click()
    await expect(quoted).to_be_visible()
    await excerpt.get_by_text("Details", exact=True).click()
    await expect(excerpt.get_by_text("Von Amazon", exact=True)).to_be_visible()
    await excerpt.get_by_text("Technische Angaben").click()
    await expect(excerpt).to_contain_text("dkim=pass header.d=amazon.de")

    await page.goto(f"/inbox/{failed.id}")
    await expect(page.get_by_role("article").last).to_contain_text("Absender nicht genehmigt")
    await expect(page.get_by_role("article").last).to_contain_text("Kommunikationsberechtigungen")
    await expect(page.get_by_role("article").first).to_contain_text("Eine Antwort wurde nicht zugestellt")

    await page.goto(f"/inbox/{unchecked.id}?view=quarantine")
    notice = page.get_by_test_id("not-authentic")
    await expect(notice).to_contain_text("In Quarantäne: Echtheit nicht geprüft")
    await expect(notice).to_contain_text("(DNS) blieb aus")
    await expect(notice).to_contain_text("prüft sie von selbst immer wieder")


async def test_who_may_only_view_is_offered_no_change_and_marks_nothing_read(page: Page, site: Site):
    store = await make_store(site)
    conversation = await make_thread(site, store, "Frage", due_in=IN_FIVE_HOURS)
    forged = await make_thread(site, store, status="quarantine", order_id=None)
    async with site.sessions.begin() as session:
        await make_message(
            session, site.keyring, forged, authenticity="forged", authenticity_reason="new_one"
        )
    await make_viewer(site)
    await open_signed_in(page, f"/inbox/{conversation.id}", email="viewer@seller.example")

    await expect(page.get_by_role("article")).to_contain_text("Frage")
    await expect(page.get_by_role("group", name="Unterhaltung bearbeiten")).to_have_count(0)
    await page.goto(f"/inbox/{forged.id}?view=quarantine")
    reason = page.get_by_test_id("not-authentic")
    await expect(reason).to_contain_text("nichts beweist das")
    await expect(reason).to_contain_text("Freigeben kann sie, wer Nachrichten bearbeiten darf.")
    await expect(reason.get_by_role("button")).to_have_count(0)
    await expect(page.get_by_test_id("conversation")).to_contain_text("Ungelesen:")


async def test_a_search_without_a_hit_says_how_to_search_and_offers_to_look_everywhere(
    page: Page, site: Site
):
    await make_thread(site, await make_store(site), "Frage")
    await open_signed_in(page, "/inbox")
    search = page.get_by_role("searchbox", name="Unterhaltungen suchen")
    await search.fill("Lampenschirm")
    await expect(page.get_by_text("Gesucht wird nach ganzen Wörtern")).to_be_visible()
    await search.press("Enter")

    await expect(page.get_by_role("heading", name="Nichts gefunden")).to_be_visible()
    await page.get_by_role("link", name="In allen suchen").click()
    await expect(page).to_have_url(f"{site.url}/inbox?view=all")
    await expect(search).to_have_value("Lampenschirm")
    await search.fill("a")
    await search.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("search_too_short")
    await search.fill("")
    await expect(page.get_by_test_id("conversation")).to_have_count(1)


async def test_what_is_searched_for_stands_in_no_address_and_survives_reload_and_back(page: Page, site: Site):
    store = await make_store(site)
    keys = await site.keyring.of(site.sessions, site.account.id)
    await make_thread(site, store, "Frage", buyer_key=keys.lookup_hash("buyer", BUYER))
    await make_thread(site, store, "Frage", order_id="303-2222222-2222222")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("framenavigated", lambda frame: addresses.append(frame.url))
    await open_signed_in(page, "/inbox")
    rows, articles = page.get_by_test_id("conversation"), page.get_by_role("article")
    search = page.get_by_role("searchbox", name="Unterhaltungen suchen")
    await expect(rows).to_have_count(2)

    await search.fill(BUYER)
    await search.press("Enter")
    await expect(rows).to_have_count(1)
    await rows.click()
    await expect(articles).to_have_count(1)
    await command(page, "Zusammenführen")
    dialog = page.get_by_role("dialog")
    async with page.expect_response("**/conversations/search"):
        await dialog.get_by_role("searchbox").fill(BUYER)
    await expect(dialog.get_by_role("radio")).to_have_count(0)
    await page.keyboard.press("Escape")
    await page.reload()
    await expect(articles).to_have_count(1)
    await expect(rows).to_have_count(1)
    await expect(search).to_have_value(BUYER)
    await page.get_by_role("link", name="Alle", exact=True).click()
    await expect(page).to_have_url(f"{site.url}/inbox?view=all")
    await expect(rows).to_have_count(1)

    for _ in range(2):
        await page.go_back()
        await expect(rows).to_have_count(1)
    await page.go_back()
    await expect(rows).to_have_count(2)
    await expect(search).to_have_value("")
    await page.go_forward()
    await expect(rows).to_have_count(1)
    assert f"{site.url}/api/v1/conversations/search" in addresses
    assert [address for address in addresses if "canary" in address] == []
