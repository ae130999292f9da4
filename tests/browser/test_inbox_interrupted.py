"""The inbox when something comes between: a colleague's change, a link from elsewhere, a server that is away, no network."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, Route, expect
from sqlalchemy import func, select

from shared.events import EventKind, announce
from shared.tables import Conversation, ConversationStatus
from tests.browser.late import everything_is_drawn, late
from tests.browser.steps import Site, open_signed_in
from tests.browser.test_inbox_pages import make_store, make_thread
from tests.browser.test_inbox_work import IN_SIGHT, make_many
from tests.factories import make_message

ROWS = 250
# Reading the list, and nothing in it.
_LIST = "**/api/v1/conversations?*"


async def numbered(site: Site, number: int) -> Conversation:
    async with site.sessions() as session:
        its_row = select(Conversation).where(Conversation.order_id == f"303-{number:07}-0000000")
        return (await session.scalars(its_row)).one()


async def closed(site: Site) -> int:
    async with site.sessions() as session:
        its_rows = select(func.count()).where(Conversation.status == ConversationStatus.CLOSED.value)
        return await session.scalar(its_rows) or 0


async def test_what_is_selected_linked_changed_and_undone_stays_true(page: Page, site: Site):
    store = await make_store(site)
    await make_many(site, store, ROWS)
    deep = await numbered(site, 170)
    rows, boxes = page.get_by_test_id("conversation"), page.get_by_label("Auswählen")
    scroller = page.locator(".conversation-list")
    bar, done = (
        page.get_by_role("group", name="Mit den ausgewählten"),
        page.get_by_role("group", name="Zuletzt getan"),
    )

    # A link from a mail or a colleague knows no place in the list.
    await open_signed_in(page, f"/inbox/{deep.id}", email="agent@seller.example")
    current = page.locator(".conversation[aria-current]")
    await expect(current).to_have_count(1)
    assert await current.evaluate(IN_SIGHT)

    # What a colleague closes is not among what is selected any more.
    await page.goto("/inbox")
    await boxes.nth(0).check()
    await boxes.nth(1).check()
    await boxes.nth(2).check()
    await expect(bar).to_contain_text("3 ausgewählt")
    async with site.sessions.begin() as session:
        other = await session.get_one(Conversation, (await numbered(site, 2)).id)
        other.status = ConversationStatus.CLOSED.value
        await announce(
            session, site.account.id, EventKind.CONVERSATION_CHANGED, integration_id=store.id, conversation_id=other.id
        )  # fmt: skip
    await expect(bar).to_contain_text("2 ausgewählt")
    await bar.get_by_role("button", name="Keine").click()

    # The server goes away between two parts of a change: the first can be undone, the others stay selected.
    while await page.locator(f"[aria-posinset='{ROWS - 1}']").count() == 0:
        await scroller.evaluate("list => list.scrollTo(0, list.scrollHeight)")
    await scroller.evaluate("list => list.scrollTo(0, 0)")
    # Until the rows in sight are drawn, the first box is one from below, and whoever ticks it scrolls back there.
    await expect(rows.first).to_contain_text("303-0000000-0000000")
    await boxes.nth(0).check()
    await bar.get_by_role("button", name="Alle geladenen").click()
    await expect(bar).to_contain_text(f"{ROWS - 1} ausgewählt")
    parts = 0

    async def let_one_through(route: Route) -> None:
        nonlocal parts
        parts += 1
        await (route.continue_() if parts == 1 else route.abort())

    await page.route("**/conversations/changes", let_one_through)
    await bar.get_by_role("button", name="Schließen").click()
    await expect(done).to_contain_text("200 Unterhaltungen sind geschlossen.")
    await expect(done).to_contain_text(f"Für {ROWS - 201} weitere kam keine Bestätigung: Keine Verbindung.")
    await expect(bar).to_contain_text(f"{ROWS - 201} ausgewählt")
    await page.unroute("**/conversations/changes")
    assert await closed(site) == 201

    # Without a network the way back stays.
    undo = done.get_by_role("button", name="Rückgängig")
    await page.context.set_offline(True)
    await undo.click()
    await expect(done.get_by_role("alert")).to_be_visible()
    await page.context.set_offline(False)
    await undo.click()
    await expect(done).to_be_hidden()
    assert await closed(site) == 1
    await expect(rows.first).to_contain_text("303-0000000-0000000")


async def press(page: Page, element: Locator) -> None:
    """Without letting it go."""
    await element.hover()
    await page.mouse.down()


async def test_what_comes_while_something_is_pressed_waits_until_it_is_let_go(page: Page, site: Site):
    store = await make_store(site)
    conversation = await make_thread(site, store, "Wann kommt meine Lampe?")
    await open_signed_in(page, "/inbox")
    row = page.get_by_test_id("conversation")
    await expect(row).to_have_count(1)
    await page.wait_for_load_state("networkidle")
    held: asyncio.Queue[Route] = asyncio.Queue()
    await page.route("**/api/v1/conversations?*", held.put)
    async with site.sessions.begin() as session:
        (await session.get_one(Conversation, conversation.id)).message_count = 7
        await announce(
            session, site.account.id, EventKind.CONVERSATION_CHANGED, integration_id=store.id, conversation_id=conversation.id
        )  # fmt: skip
    read_again = await held.get()

    # Its row is drawn anew with the answer.
    await press(page, row)
    async with page.expect_response("**/api/v1/conversations?*"):
        await read_again.continue_()
    await page.unroute("**/api/v1/conversations?*")
    await everything_is_drawn(page)
    await page.mouse.up()

    await expect(page).to_have_url(f"{site.url}/inbox/{conversation.id}")
    await expect(row).to_contain_text("7")

    # The banner moves all that is below it.
    await press(page, page.get_by_role("button", name="Weitere Aktionen"))
    async with page.expect_event("requestfailed", lambda request: request.url.endswith("/livez")):
        await page.context.set_offline(True)
    await everything_is_drawn(page)
    await page.mouse.up()

    await expect(page.get_by_role("menu")).to_be_visible()
    await expect(page.get_by_text("nicht erreichbar. Wir versuchen es von selbst weiter")).to_be_visible()


async def test_an_open_menu_stays_whatever_others_do_and_the_rest_is_shown_when_it_is_closed(
    page: Page, site: Site
):
    store = await make_store(site)
    conversation = await make_thread(site, store, "Wann kommt meine Lampe?")
    await open_signed_in(page, f"/inbox/{conversation.id}")
    opener, menu = page.get_by_role("button", name="Weitere Aktionen"), page.get_by_role("menu")
    closed_tag = page.get_by_role("region", name="Unterhaltung").get_by_text("Geschlossen")
    await opener.click()
    await expect(menu).to_be_visible()

    async with site.sessions.begin() as session:
        row = await session.get_one(Conversation, conversation.id)
        row.status = ConversationStatus.CLOSED.value
        await make_message(session, site.keyring, row, text="Ist da", authenticity="authentic")
        await announce(
            session, site.account.id, EventKind.CONVERSATION_CHANGED, integration_id=store.id, conversation_id=row.id
        )  # fmt: skip
    # Its head is drawn in the same moment.
    await expect(page.get_by_test_id("message")).to_have_count(2)
    assert await menu.is_visible()
    await expect(page.get_by_role("menuitem").first).to_be_focused()

    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await expect(closed_tag).to_be_visible()
    await expect(opener).to_be_focused()
    await page.get_by_role("button", name="Wieder öffnen").click()
    await expect(closed_tag).to_be_hidden()


async def test_an_answer_that_comes_late_takes_neither_the_newer_counts_nor_the_keyboard(
    page: Page, site: Site
):
    store = await make_store(site)
    conversation = await make_thread(site, store, "Wann kommt meine Lampe?")
    await open_signed_in(page, "/inbox")
    unread = page.get_by_role("navigation", name="Ansichten").get_by_role("link", name="Ungelesen")
    await expect(unread).to_have_text(re.compile("1"))
    change = {"integration_id": store.id, "conversation_id": conversation.id}

    # Whether the event comes first or the stream opens only now: the first reading is held, and all later ones count.
    older = await late(page, "**/api/v1/conversations/counts")
    async with site.sessions.begin() as session:
        await announce(session, site.account.id, EventKind.CONVERSATION_CHANGED, **change)
    await older.answered()
    other = await make_thread(site, store, "Und der Schirm?")
    async with site.sessions.begin() as session:
        await announce(session, site.account.id, EventKind.CONVERSATION_CHANGED, **change)
    await expect(unread).to_have_text(re.compile("2"))
    await older.comes()
    await expect(unread).to_have_text(re.compile("2"))

    held: asyncio.Queue[Route] = asyncio.Queue()
    opened = f"**/api/v1/conversations/{conversation.id}"
    await page.route(opened, held.put)
    await page.get_by_test_id("conversation").filter(has_text="Wann kommt").click()
    route = await held.get()
    search = page.get_by_role("searchbox")
    await search.click()
    await page.keyboard.type("Lam")
    await route.continue_()
    await page.unroute(opened)
    await expect(page.get_by_test_id("message")).to_have_count(1)
    await page.keyboard.type("pe")
    await expect(search).to_have_value("Lampe")
    await expect(search).to_be_focused()

    # What is read twice while it opens is no new message.
    are_asked, are_answered = (asyncio.Event(), asyncio.Event()), (asyncio.Event(), asyncio.Event())
    places = count()

    async def hold(route: Route) -> None:
        if (place := next(places)) < 2:
            are_asked[place].set()
            await are_answered[place].wait()
        await route.continue_()

    await page.route(f"**/api/v1/conversations/{other.id}/messages", hold)
    await page.get_by_test_id("conversation").filter(has_text="Und der Schirm?").click()
    await are_asked[0].wait()
    async with site.sessions.begin() as session:
        await announce(
            session, site.account.id, EventKind.CONVERSATION_CHANGED, integration_id=store.id, conversation_id=other.id
        )  # fmt: skip
    await are_asked[1].wait()
    are_answered[0].set()
    await expect(page.get_by_test_id("message").filter(has_text="Wann kommt")).to_have_count(0)
    are_answered[1].set()
    await expect(page.get_by_test_id("message")).to_contain_text("Und der Schirm?")
    await everything_is_drawn(page)
    await expect(page.locator("#announcer")).not_to_have_text("Neue Nachricht")


async def test_who_goes_on_before_the_list_has_been_read_again_comes_to_what_is_next(page: Page, site: Site):
    store = await make_store(site)
    for number in range(3):
        await make_thread(
            site, store, "Frage", buyer_name=f"Käufer {number}", order_id=None, is_unread=False,
            last_message_at=datetime.now(UTC) - timedelta(minutes=number),
        )  # fmt: skip
    await open_signed_in(page, "/inbox", email="agent@seller.example")
    heading, rows = page.get_by_role("heading", level=2), page.get_by_test_id("conversation")
    await rows.nth(1).click()
    await expect(heading).to_contain_text("Käufer 1")

    # The list is read again by the page itself and by the event; then by what comes of it being undone.
    places, is_asked, is_read, is_read_again = count(1), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        answer, place = await route.fetch(), next(places)
        if place == 2:
            is_asked.set()
        await (is_read if place <= 2 else is_read_again).wait()
        await route.fulfill(response=answer)

    await page.route(_LIST, hold)
    await page.keyboard.press("e")
    await expect(heading).to_contain_text("Käufer 2")
    # What was closed a moment ago is not the one before the next one.
    await page.keyboard.press("k")
    await expect(heading).to_contain_text("Käufer 0")
    await is_asked.wait()
    await page.keyboard.press("z")
    await expect(heading).to_contain_text("Käufer 1")
    # What is open again is in the list again only when that has been read once more.
    is_read.set()
    await expect(rows).to_have_count(2)
    await page.keyboard.press("e")
    await expect(heading).to_contain_text("Käufer 2")
    is_read_again.set()
    await expect(rows).to_have_count(2)
    await expect(rows.filter(has_text="Käufer 1")).to_have_count(0)

    # Who goes back twice does not see what was between.
    await (
        page.get_by_role("navigation", name="Ansichten").get_by_role("link", name="Alle", exact=True).click()
    )
    await expect(rows).to_have_count(3)
    reading = await late(page, _LIST)
    await page.go_back()
    await reading.answered()
    await page.go_back()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    await reading.comes()
    await expect(rows).to_have_count(2)
    await expect(page).to_have_url(f"{site.url}/inbox")
    assert [path for path in asked if re.search("/api/v1/conversations/[0-9a-f]{8}", path)] == []
