"""An agent works in the inbox all day: by keyboard, in lists of any length, with tags, snoozes and many conversations at once."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from playwright.async_api import Page, expect
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.driver import new_id
from shared.events import EventKind, announce
from shared.tables import Conversation, Integration, OutboundMessage, Tag, User
from tests.browser.steps import Site, open_signed_in
from tests.browser.test_inbox_pages import IN_FIVE_HOURS, make_store, make_thread
from tests.factories import make_conversation, make_message, make_relay_address, make_user

# A window of 720 pixels shows seven rows; with those ready above and below there may be so many.
MOST_ROWS = 30
IN_SIGHT = """row => {
    const [box, list] = [row.getBoundingClientRect(), row.closest(".conversation-list").getBoundingClientRect()];
    return box.top >= list.top - 1 && box.bottom <= list.bottom + 1;
}"""


async def make_many(site: Site, store: Integration, number: int) -> None:
    """Open conversations, the newest with the lowest number: nothing in them is sealed, so that they are made at once."""
    now = datetime.now(UTC)
    rows = [
        {
            "id": new_id(), "account_id": store.account_id, "integration_id": store.id, "order_id": f"303-{index:07}-0000000",
            "country": "DE", "kind": "buyer_message", "message_count": 1, "is_unread": False,
            "last_message_at": now - timedelta(minutes=index + 1),
        }
        for index in range(number)
    ]  # fmt: skip
    async with site.sessions.begin() as session:
        await session.execute(insert(Conversation), rows)


async def tell(session: AsyncSession, row: Conversation) -> None:
    """That a message has come."""
    await announce(
        session, row.account_id, EventKind.MESSAGE_RECEIVED, integration_id=row.integration_id,
        conversation_id=row.id, message_id=new_id(),
    )  # fmt: skip


async def test_a_long_list_of_conversations_scrolls_with_few_elements_and_new_mail_moves_nothing(
    page: Page, site: Site
):
    """Two thousand; `make soak` has ten thousand."""
    await scrolled_to_the_end(page, site, 2_000)


async def scrolled_to_the_end(page: Page, site: Site, number: int) -> None:
    """So many conversations, one in the middle opened, and new mail while it is read."""
    store = await make_store(site)
    await make_many(site, store, number)
    # The system's notifications, written down; a browser without windows shows none.
    await page.add_init_script(
        """window.told = [];
        window.Notification = class extends EventTarget {
            static permission = "granted";
            static requestPermission = async () => "granted";
            constructor(title, options) { super(); window.told.push([title, options.body ?? ""]); }
        };
        document.hasFocus = () => false;"""
    )
    await open_signed_in(page, "/inbox", email="agent@seller.example")
    rows, items = page.get_by_test_id("conversation"), page.locator(".long-list > li")
    scroller = page.locator(".conversation-list")
    await expect(rows.first).to_contain_text("303-0000000-0000000")

    # To the end, as far as is loaded at each moment; how many rows were elements then.
    most = await scroller.evaluate(
        """async (list, last) => {
            let most = 0;
            while (!list.querySelector(`[aria-posinset="${last}"]`)) {
                list.scrollTo(0, list.scrollHeight);
                await new Promise(requestAnimationFrame);
                most = Math.max(most, list.querySelectorAll(".long-list > li").length);
            }
            list.scrollTo(0, list.scrollHeight);
            return most;
        }""",
        number,
    )
    assert 0 < most <= MOST_ROWS
    last = rows.filter(has_text=f"303-{number - 1:07}-0000000")
    await expect(last).to_be_visible()
    await expect(items.last).to_have_attribute("aria-setsize", str(number))
    # Rows lie as close as they are high, also after so many.
    tops = await items.evaluate_all("all => all.map(each => each.getBoundingClientRect().top)")
    assert len({round(after - before) for before, after in pairwise(tops)}) == 1

    # One in the middle is opened, and in sight again after a reload.
    await scroller.evaluate("list => list.scrollTo(0, list.scrollHeight / 2)")
    middle = page.locator(f"[aria-posinset='{number // 2}']")
    await middle.get_by_test_id("conversation").click()
    await expect(page.get_by_role("heading", level=2)).to_be_focused()
    await page.reload()
    current = page.locator(".conversation[aria-current]")
    await expect(current).to_have_count(1, timeout=60_000)
    assert await current.evaluate("row => row.closest('li').ariaPosInSet") == str(number // 2)
    assert await current.evaluate(IN_SIGHT)

    await page.get_by_role("button", name="Mehr zum Posteingang").click()
    await page.get_by_role("menuitem", name="benachrichtigen").click()
    await page.get_by_label("Neue Nachrichten auf diesem Gerät melden").check()
    await page.get_by_role("dialog").get_by_role("button", name="Schließen").click()

    # Somebody writes: what is read stays where it is, and a bar tells.
    place = await current.bounding_box()
    async with site.sessions.begin() as session:
        fresh = await make_conversation(session, site.keyring, store, buyer_name="Nora Neu", order_id=None)
        await make_message(session, site.keyring, fresh)
        await tell(session, fresh)
    bar = page.get_by_role("button", name="1 neue Nachricht")
    await expect(bar).to_be_visible()
    await expect(page.locator("#announcer")).to_have_text("1 neue Nachricht")
    await expect(page).to_have_title(re.compile(r"^\(1\) "))
    assert await page.evaluate("told") == [["1 ungelesene Unterhaltung", ""]]
    assert await current.bounding_box() == place
    await bar.click()
    await expect(rows.first).to_be_focused()
    await expect(rows.first).to_contain_text("Nora Neu")
    await expect(bar).to_be_hidden()


async def test_a_day_of_an_agent_by_keyboard_alone(page: Page, site: Site):
    """Twelve conversations; `make soak` has twenty."""
    await a_day_of_an_agent(page, site, answered=4)


async def a_day_of_an_agent(page: Page, site: Site, *, answered: int) -> None:
    """So many conversations are answered, and with eight more everything else is done that keys can do."""
    store = await make_store(site)
    async with site.sessions.begin() as session:
        await make_relay_address(session, store)
    threads = [
        await make_thread(
            site, store, f"Frage {number}", due_in=IN_FIVE_HOURS, buyer_name=f"Käuferin {number}", order_id=None,
            last_message_at=datetime.now(UTC) - timedelta(minutes=number),
        )
        for number in range(answered + 8)
    ]  # fmt: skip
    await open_signed_in(page, "/inbox", email="agent@seller.example")
    rows, heading = page.get_by_test_id("conversation"), page.get_by_role("heading", level=2)
    await expect(rows.first).to_contain_text("Käuferin 0")
    pressed = 0

    async def press(*keys: str) -> None:
        nonlocal pressed
        for key in keys:
            await page.keyboard.press(key)
            pressed += 1

    async def is_open(number: int) -> None:
        await expect(heading).to_have_text(re.compile(rf"Käuferin {number}\b"))
        await expect(heading).to_be_focused()
        await expect(page.get_by_test_id("message")).to_contain_text(f"Frage {number}")

    # The first row, opened; the next ones come by themselves.
    await press("j", "o")
    await is_open(0)
    started = pressed
    for number in range(answered):
        await press("r")
        await expect(page.get_by_test_id("reply-text")).to_be_focused()
        await page.keyboard.insert_text(f"Antwort {number}")
        await press("Control+Shift+Enter")
        await is_open(number + 1)
    # Two keys an answered message, besides what is written.
    assert pressed - started == 2 * answered

    for number in range(answered, answered + 3):
        await press("e")
        await is_open(number + 1)
    await press("z")
    await is_open(answered + 2)
    await press("e")
    await is_open(answered + 3)

    # Left for later: a note, unread, given to a colleague, put off.
    await press("n")
    await page.keyboard.insert_text("Erst den Lieferanten fragen")
    await press("Control+Enter")
    await expect(page.get_by_text("Erst den Lieferanten fragen")).to_be_visible()
    await press("Escape")
    await press("u")
    await expect(page.locator("#announcer")).to_contain_text("als ungelesen markiert")
    await press("j")
    await is_open(answered + 4)
    await press("a")
    await expect(page.get_by_role("radio").first).to_be_focused()
    await press("Enter")
    await expect(page.locator("#announcer")).to_contain_text("Zugewiesen an")
    await expect(page.get_by_role("link", name="Meine 1")).to_be_visible()
    await press("s")
    await expect(page.get_by_role("radio", name="Morgen früh")).to_be_focused()
    await press("Enter")
    await is_open(answered + 5)
    await press("k")
    await is_open(answered + 3)
    await press("j", "j")
    await is_open(answered + 6)

    # Several at once, from the list.
    await press("Escape")
    await expect(rows.filter(has_text=f"Käuferin {answered + 6}")).to_be_focused()
    await press("x", "j", "x")
    await expect(page.get_by_text("2 ausgewählt")).to_be_visible()
    await press("e")
    await expect(page.locator("#announcer")).to_have_text("2 Unterhaltungen sind geschlossen.")
    # Those that were answered close when the relay has handed their answers over; none runs here.
    await expect(page.get_by_role("link", name=f"Offen {answered + 2}")).to_be_visible()
    await press("/")
    await expect(page.get_by_role("searchbox", name="Unterhaltungen suchen")).to_be_focused()
    await press("Tab", "Tab")
    await press("?")
    keys = page.get_by_role("dialog", name="Tastenkürzel")
    # Its script is loaded only now, and nothing below waits.
    await expect(keys).to_be_visible()
    shown = await keys.locator("kbd").all_text_contents()
    assert {"J", "K", "O", "E", "U", "N", "R", "X", "/", "?"} <= set(shown)
    await press("Escape")
    await press("Control+k")
    await page.keyboard.insert_text("ansicht geschl")
    await press("Enter")
    await expect(page).to_have_url(re.compile(r"view=closed"))

    async with site.sessions.begin() as session:
        ids = [thread.id for thread in threads]
        stored = (await session.scalars(select(Conversation).where(Conversation.id.in_(ids)))).all()
        closing = select(OutboundMessage.conversation_id).where(OutboundMessage.closes_conversation)
        closing_ids = set((await session.scalars(closing)).all())
    states = {
        status: sum(each.status == status for each in stored) for status in ("open", "snoozed", "closed")
    }
    assert states == {"open": answered + 2, "snoozed": 1, "closed": 5}
    assert closing_ids == {thread.id for thread in threads[:answered]}


async def test_conversations_are_selected_assigned_tagged_put_off_and_all_is_undone(page: Page, site: Site):
    store = await make_store(site)
    async with site.sessions.begin() as session:
        agent = (await session.scalars(select(User).where(User.email == "agent@seller.example"))).one()
        kim = await make_user(
            session, site.account.id, email="kim@seller.example", password_hash=agent.password_hash
        )
        kim.name = "Kim Sommer"
        session.add(Tag(account_id=site.account.id, name="Rückgabe", name_key="rückgabe"))
        await make_relay_address(session, store)
    for number in range(6):
        await make_thread(
            site, store, "Frage", buyer_name=f"Käufer {number}", order_id=None, kind="order_notice" if number == 5 else "buyer_message",
            last_message_at=datetime.now(UTC) - timedelta(minutes=number),
        )  # fmt: skip
    await open_signed_in(page, "/inbox", email="agent@seller.example")
    rows, boxes, dialog = (
        page.get_by_test_id("conversation"),
        page.get_by_label("Auswählen"),
        page.get_by_role("dialog"),
    )
    bar, done = (
        page.get_by_role("group", name="Mit den ausgewählten"),
        page.get_by_role("group", name="Zuletzt getan"),
    )
    await expect(rows).to_have_count(6)

    # Two clicks an answered message, besides what is written: the next one opens by itself.
    await rows.first.click()
    await expect(page.get_by_role("heading", level=2)).to_contain_text("Käufer 0")
    await page.evaluate("window.clicks = 0; addEventListener('click', () => (window.clicks += 1), true)")
    for number in range(2):
        await page.get_by_role("button", name="Antworten").click()
        await page.get_by_test_id("reply-text").fill("Sie ist unterwegs.")
        await page.get_by_role("button", name="Senden und schließen").click()
        await expect(page.get_by_role("heading", level=2)).to_contain_text(f"Käufer {number + 1}")
    assert await page.evaluate("clicks") == 2 * 2
    await page.goto("/inbox")
    await expect(rows).to_have_count(6)

    # From one to another, closed at once and back again.
    await boxes.nth(1).click()
    await boxes.nth(3).click(modifiers=["Shift"])
    await expect(bar).to_contain_text("3 ausgewählt")
    await bar.get_by_role("button", name="Schließen").click()
    await expect(rows).to_have_count(3)
    await expect(done).to_contain_text("3 Unterhaltungen sind geschlossen.")
    await expect(bar).to_be_hidden()
    await done.get_by_role("button", name="Rückgängig").click()
    await expect(rows).to_have_count(6)

    # Assigned and tagged: both are seen in the rows.
    await boxes.nth(0).click()
    await boxes.nth(1).click()
    await bar.get_by_role("button", name="Zuweisen").click()
    await dialog.get_by_role("radio", name="Kim Sommer").check()
    await dialog.get_by_role("button", name="Zuweisen").click()
    await expect(rows.filter(has_text="Zugewiesen an Kim Sommer")).to_have_count(2)
    # An event may show it before the answer ends the selection, and the next click would take one out of it.
    await expect(bar).to_be_hidden()
    await boxes.nth(0).click()
    await bar.get_by_role("button", name="Weitere Aktionen").click()
    await page.get_by_role("menuitem", name="Schlagwörter").click()
    await dialog.get_by_label("Rückgabe").check()
    await dialog.get_by_label("Neues Schlagwort").fill("Lieferant")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_label("Lieferant")).to_be_checked()
    await dialog.get_by_role("button", name="Übernehmen").click()
    await expect(rows.first).to_contain_text("Lieferant")
    await expect(rows.first).to_contain_text("+1")
    await expect(bar).to_be_hidden()

    # What is chosen is saved as a view under a name, found again, renamed, deleted.
    await page.get_by_text("Filtern und sortieren").click()
    await page.get_by_label("Zugewiesen an").select_option("Kim Sommer")
    await expect(rows).to_have_count(2)
    await page.get_by_label("Schlagwort").select_option("Rückgabe")
    await expect(rows).to_have_count(1)
    more, views = (
        page.get_by_role("button", name="Mehr zum Posteingang"),
        page.get_by_role("navigation", name="Ansichten"),
    )
    await more.click()
    await page.get_by_role("menuitem", name="Ansicht speichern").click()
    await dialog.get_by_label("Name der Ansicht").fill("Kims Rückgaben")
    await page.keyboard.press("Enter")
    own = views.get_by_role("link", name="Kims Rückgaben")
    await expect(own).to_have_attribute("aria-current", "page")
    await views.get_by_role("link", name="Alle").click()
    await expect(own).not_to_have_attribute("aria-current", "page")
    await page.reload()
    await own.click()
    await expect(rows).to_have_count(1)
    await expect(page.get_by_label("Schlagwort")).to_have_value(re.compile("."))
    await more.click()
    await page.get_by_role("menuitem", name="umbenennen").click()
    await dialog.get_by_label("Name der Ansicht").fill("Rückgaben")
    await page.keyboard.press("Enter")
    await expect(own).to_have_count(0)
    await more.click()
    await page.get_by_role("menuitem", name="„Rückgaben“ löschen").click()
    await dialog.get_by_role("button", name="Ansicht löschen").click()
    await expect(page).to_have_url(f"{site.url}/inbox")
    await expect(views.get_by_role("link", name="Rückgaben")).to_have_count(0)

    # Put off until a time of one's own; it waits in its view and is opened again from there.
    await expect(rows).to_have_count(6)
    await rows.filter(has_text="Käufer 2").focus()
    await page.keyboard.press("s")
    await dialog.get_by_label("Zurückgestellt bis").fill("2020-01-01T08:00")
    await dialog.get_by_role("button", name="Zurückstellen").click()
    await expect(dialog.get_by_role("alert")).not_to_be_empty()
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT09:30")
    await dialog.get_by_label("Zurückgestellt bis").fill(tomorrow)
    await dialog.get_by_role("button", name="Zurückstellen").click()
    await expect(rows).to_have_count(5)
    await views.get_by_role("link", name="Zurückgestellt 1").click()
    await expect(rows).to_contain_text(re.compile(r"bis .*09:30"))
    await done.get_by_role("button", name="Rückgängig").click()
    heading = page.get_by_role("region", name="Unterhaltung").get_by_role("heading", level=2)
    await expect(heading).to_contain_text("Käufer 2")
    await views.get_by_role("link", name="Offen 6").click()

    # A kind of notices is muted where one is read, and unmuted in the list of them.
    await rows.filter(has_text="Käufer 5").click()
    await expect(heading).to_contain_text("Käufer 5")
    await page.get_by_role("button", name="Weitere Aktionen", exact=True).click()
    await page.get_by_role("menuitem", name="stummschalten").click()
    await dialog.get_by_role("button", name="Stummschalten").click()
    await expect(page.locator("#announcer")).to_have_text("Stummgeschaltet: Bestellung")
    await more.click()
    await page.get_by_role("menuitem", name="Hinweise von Amazon").click()
    muted = dialog.get_by_label("Bestellung", exact=True)
    await expect(muted).to_be_checked()
    await muted.click()
    await expect(dialog.locator(".announcer")).to_have_text("Nicht mehr stummgeschaltet: Bestellung")
