"""What was searched for is marked where it stands, in the list and in the open conversation, and one gets from mark to mark."""

import json
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect
from sqlalchemy import select

from shared.search_words import word_keys
from shared.tables import Message
from tests.browser.steps import Site, open_signed_in
from tests.browser.test_inbox_pages import make_store, make_thread
from tests.factories import make_attachment

_CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "search_words.json").read_text("utf-8")
)
_MARKED = """async (cases) => {
    const app = document.querySelector("script[type=module]").src;
    const { findWords, wantedWords } = await import(app.replace("app.js", "core/search_words.js"));
    return cases.map(({ query, text }) => {
        const wanted = wantedWords(query);
        const { ranges, found } = findWords(text, wanted);
        const isFound = wanted.length > 0 && wanted.every((word) => found.has(word));
        return isFound ? ranges.map(([start, end]) => text.slice(start, end)) : null;
    });
}"""


async def test_the_pages_find_words_as_the_server_does(page: Page):
    await page.goto("/sign-in")

    assert await page.evaluate(_MARKED, _CASES) == [case["marked"] for case in _CASES]


async def test_hits_are_marked_unfolded_and_gone_through(page: Page, site: Site):
    store = await make_store(site)
    filler = "Vielen Dank im Voraus. " * 150
    texts = [
        f"{filler} Die MU\u0308HLE <b>mahlt</b> zu grob.",
        "Die Muehle mahlt zu\u200b grob, <mark>Muehle</mark>!",
        "Nur die Mühle, sonst nichts.",
        "Danke",
    ]
    await make_thread(
        site, store, *texts, is_unread=False, buyer_name="Erika Grob", subject="Mühle mahlt grob"
    )
    async with site.sessions.begin() as session:
        keys = await site.keyring.of(site.sessions, site.account.id)
        messages = (await session.scalars(select(Message).order_by(Message.id))).all()
        for message, text in zip(messages, texts, strict=True):
            message.word_keys = word_keys(keys, text, "muehle-grob.pdf" if text == "Danke" else None)
        await make_attachment(session, site.keyring, messages[-1], filename="mühle-grob.pdf")
    await open_signed_in(page, "/inbox?view=all")
    rows, marks = page.get_by_test_id("conversation"), page.get_by_test_id("message").locator("mark")
    search = page.get_by_role("searchbox", name="Unterhaltungen suchen")
    await expect(rows).to_have_count(1)
    assert await page.locator("mark").count() == 0

    await search.fill("mühle GROB")
    await search.press("Enter")
    await expect(rows.locator("mark")).to_have_text(["Grob", "Mühle", "grob"])
    await rows.click()

    # The newest first: the file's name, then two messages; the third has one of the words alone.
    await expect(marks).to_have_text(["mühle", "grob", "Muehle", "grob", "Muehle", "MU\u0308HLE", "grob"])
    await expect(page.locator("details.message-fold[open]")).to_have_count(3)
    await expect(page.locator(".message-text").nth(2)).to_have_text(texts[1])
    hits = page.get_by_role("group", name="Fundstelle")
    await expect(hits).to_contain_text("Fundstelle 1 von 7")
    await expect(marks.first).to_be_in_viewport()

    await page.get_by_role("button", name="Vorige Fundstelle").press("Enter")
    await expect(hits).to_contain_text("Fundstelle 7 von 7")
    await expect(marks.last).to_be_in_viewport()
    await expect(marks.first).not_to_be_in_viewport()
    await expect(page.get_by_role("button", name="Vorige Fundstelle")).to_be_focused()
    await page.get_by_role("button", name="Nächste Fundstelle").press("Enter")
    await expect(hits).to_contain_text("Fundstelle 1 von 7")
    await expect(marks.first).to_be_in_viewport()

    await page.emulate_media(media="print")
    await expect(hits).to_be_hidden()
    assert await marks.first.evaluate("mark => getComputedStyle(mark).backgroundColor") == "rgba(0, 0, 0, 0)"
    await page.emulate_media(media="screen")
    await page.reload()
    await expect(marks).to_have_count(7)
    await search.fill("")
    await expect(page.locator("mark")).to_have_count(0)
    await expect(hits).to_be_hidden()

    # What was unfolded for a hit is folded again when the search ends, here by going back; what somebody unfolded is not.
    folds = page.locator("details.message-fold[open]")
    await rows.click()
    await expect(folds).to_have_count(1)
    await search.fill("mühle GROB")
    await search.press("Enter")
    await expect(rows.locator("mark")).to_have_text(["Grob", "Mühle", "grob"])
    await rows.click()
    await expect(marks).to_have_count(7)
    await page.get_by_test_id("message").nth(1).locator("summary").first.press("Enter")
    await expect(folds).to_have_count(4)
    await page.evaluate("history.go(-2)")
    await expect(page.locator("mark")).to_have_count(0)
    await expect(hits).to_be_hidden()
    await expect(folds).to_have_count(2)
