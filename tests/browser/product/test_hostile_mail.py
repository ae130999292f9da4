"""Hostile mail from the wire to the screen: whatever it holds, nothing of it runs, and nothing leaves the page."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import (
    APIResponse,
    Browser,
    BrowserContext,
    CDPSession,
    Dialog,
    Page,
    Route,
    expect,
)

from deploy.demo.stack import DEMO_EMAIL, Stack
from tests.browser.product.mails import hand_over, mail, make_store
from tests.browser.product.payloads import PAYLOADS
from tests.browser.running import PATIENCE_MS
from tests.browser.steps import Site, enter, open_signed_in
from tests.factories import make_conversation, make_integration, make_message

SENDERS = 7
MAILS_OF_EACH = 12
# Whom Chromium itself asks how forms are filled in; no page has a part in it.
CHROMIUMS_OWN = "content-autofill.googleapis.com"
# Ends every element, comment and attribute in which what follows a payload would be mere text.
_WHATEVER_IS_OPEN = (
    "-->\"'></script></style></title></textarea></noscript></template></select></svg></math></table>"
)


@dataclass
class Witness:
    """What a browser did that it should not have done."""

    ran: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Requests for other hosts that a page began."""
    blocked: list[str] = field(default_factory=list)
    """Those of them that a policy ended before they left."""
    tried: list[str] = field(default_factory=list)
    """What it asked a proxy for, in whatever way: preconnecting to an https address is such a way."""


@asynccontextmanager
async def watched(browser: Browser, url: str) -> AsyncIterator[tuple[Page, Witness]]:
    """A German browser whose every way to another host ends at a proxy that writes it down."""
    witness = Witness()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readline()).decode("ascii", "replace").strip()
        if asked and CHROMIUMS_OWN not in asked:
            witness.tried.append(asked)
        writer.close()

    trap = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = trap.sockets[0].getsockname()[1]
    context = await browser.new_context(
        base_url=url,
        locale="de-DE",
        timezone_id="Europe/Berlin",
        proxy={"server": f"http://127.0.0.1:{port}", "bypass": "localhost"},
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        page = await context.new_page()
        await _watch(context, page, witness)
        yield page, witness
    finally:
        await context.close()
        trap.close()


async def _watch(context: BrowserContext, page: Page, witness: Witness) -> None:
    await context.expose_binding("xss", lambda _source, *number: witness.ran.append(f"xss{number}"))

    async def dismiss(dialog: Dialog) -> None:
        witness.ran.append("dialog")
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("popup", lambda popup: witness.ran.append(f"popup {popup.url}"))
    page.on("pageerror", lambda error: witness.complaints.append(str(error)))
    page.on("console", lambda line: witness.complaints.append(line.text) if line.type == "error" else None)

    def note(address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"data", "blob", "about"} and parts.hostname != "localhost":
            witness.asked.append(address)

    context.on("request", lambda request: note(request.url))
    context.on(
        "requestfailed",
        lambda request: witness.blocked.append(request.url) if request.failure == "csp" else None,
    )
    cdp: CDPSession = await context.new_cdp_session(page)
    cdp.on("Network.requestWillBeSent", lambda event: note(event["request"]["url"]))
    await cdp.send("Network.enable")


def hostile(payload: str, number: int, formatted: tuple[str, ...]) -> bytes:
    """The payload everywhere where a sender may write; those that are formatted, each behind a greeting, in the HTML if there are any."""
    line = " ".join(payload.split()).replace("\x00", "")
    body = "".join(f"<p>Guten Tag {place}</p>{payload}" for place, payload in enumerate(formatted))
    message = mail(
        sender="placeholder@sender.example",
        subject="placeholder",
        text=f"{payload}\n\n303-1234567-{number:07d} {payload}",
        html=f"<html><body>{body}</body></html>" if formatted else None,
    )
    message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename=f"{line[:120]}.pdf")
    del message["From"], message["Subject"]
    # As raw bytes, because no library writes such headers by itself.
    name = line.replace("\\", "\\\\").replace('"', '\\"')
    head = f'From: "{name}" <sender{number % SENDERS}@sender.example>\r\nSubject: {line}\r\n'
    return head.encode() + message.as_bytes()


def test_there_are_enough_payloads():
    assert len(PAYLOADS) == SENDERS * MAILS_OF_EACH >= 60


async def test_no_payload_runs_or_loads_anything_in_list_conversation_and_formatted_view(
    browser: Browser, stack: Stack
):
    """In 84 mails, twelve of which have HTML, with seven payloads each; `make soak` has each of them in HTML of its own."""
    await look_at_all(browser, stack, documents=12)


async def look_at_all(browser: Browser, stack: Stack, *, documents: int) -> None:
    """Each payload in a mail of its own; as HTML they are spread over so many of the mails."""
    store = await make_store(stack, "Feindliche Post")
    mails = (
        hostile(payload, number, PAYLOADS[number::documents] if number < documents else ())
        for number, payload in enumerate(PAYLOADS)
    )
    await hand_over(stack, store, *mails)

    async with watched(browser, stack.url) as (page, witness):
        await enter(page, DEMO_EMAIL, stack.password)
        await page.goto(f"/inbox?view=all&integration={store.integration_id}")
        rows = page.get_by_test_id("conversation")
        await expect(rows).to_have_count(SENDERS)
        await expect(rows.filter(has_text=f"{MAILS_OF_EACH} Nachrichten")).to_have_count(SENDERS)
        seen = 0
        newest = page.get_by_role("article").first
        before = ""
        for row in await rows.all():
            await row.click()
            await expect(row).to_have_attribute("aria-current", "true")
            # The conversation before stays until this one has come.
            await expect(newest).not_to_have_attribute("data-message", before)
            seen += await look_at_everything(page, len(PAYLOADS) // documents)
            before = await newest.get_attribute("data-message") or ""

        assert seen == documents
    assert witness == Witness(complaints=[line for line in witness.complaints if "401" in line])


async def look_at_everything(page: Page, payloads: int) -> int:
    """Every message of a conversation, as text and formatted, touched with the mouse; how many have HTML, with so many payloads each."""
    articles = page.get_by_role("article")
    await expect(articles).to_have_count(MAILS_OF_EACH)
    formatted = await articles.filter(has=page.locator(".formatted-place")).all()
    for article in formatted:
        await article.get_by_role("button", name="Formatierte Ansicht", exact=True).click()
        frame = article.frame_locator("iframe")
        greetings = frame.get_by_text("Guten Tag")
        await expect(greetings).to_have_count(payloads)
        await expect(greetings.last).to_be_visible()
        await article.locator("iframe").hover()
        # The mouse is in one place; all others are told that it is there.
        assert (
            await frame.locator("body").evaluate(
                """body => [...body.ownerDocument.querySelectorAll("*")].flatMap(element => {
                    for (const type of ["pointerover", "mouseover", "focus"]) element.dispatchEvent(new Event(type));
                    return [...element.attributes];
                })
                .filter(({name, value}) => name.startsWith("on") || /^\\s*(javascript|data:text|vbscript)/i.test(value))
                .map(({name, value}) => `${name}=${value}`)"""
            )
            == []
        )
    return len(formatted)


async def test_html_that_no_cleaner_has_seen_still_runs_and_loads_nothing_in_the_frame(
    browser: Browser, site: Site
):
    """In twelve documents; `make soak` has each payload in one of its own."""
    await look_at_what_was_let_through(browser, site, documents=12)


async def look_at_what_was_let_through(browser: Browser, site: Site, *, documents: int) -> None:
    """The last walls, the frame's sandbox and its document's policy: as if the cleaners had let everything through."""
    async with site.sessions.begin() as session:
        integration = await make_integration(session, site.account.id)
        conversation = await make_conversation(session, site.keyring, integration)
        await make_message(session, site.keyring, conversation, html="<p>Guten Tag</p>")
    # No policy holds a browser back from preconnecting, only the cleaners do; without TLS a connection alone asks for nothing.
    payloads = [payload.replace("https://evil", "http://evil") for payload in PAYLOADS]
    unseen = iter(
        [
            "".join(f"{each}{_WHATEVER_IS_OPEN}<p>Guten Tag</p>" for each in payloads[n::documents])
            for n in range(documents)
        ]
    )

    # Its head is that of every answer.
    answer: APIResponse | None = None

    async def let_through(route: Route) -> None:
        nonlocal answer
        answer = answer or await route.fetch()
        await route.fulfill(response=answer, body=f"<!doctype html>{next(unseen)}")

    async with watched(browser, site.url) as (page, witness):
        await page.route("**/api/v1/messages/*/html", let_through)
        await open_signed_in(page, f"/inbox/{conversation.id}")
        button = page.get_by_role("button", name="Formatierte Ansicht")
        for _ in range(documents):
            await button.click()
            # Each payload was markup of its own, and none swallowed the next.
            greetings = page.frame_locator("iframe").locator("p", has_text=re.compile("^Guten Tag$"))
            await expect(greetings).to_have_count(len(PAYLOADS) // documents)
            await button.click()

    assert next(unseen, None) is None
    assert (witness.ran, witness.tried) == ([], [])
    # The policy was needed: else this test would try nothing.
    assert len(witness.blocked) > 10


async def test_the_witness_sees_what_runs_and_what_leaves(browser: Browser, site: Site):
    """Else the tests above would prove nothing."""
    async with watched(browser, site.url) as (page, witness):
        await page.route("**/bait", lambda route: route.fulfill(content_type="text/html", body="<p>x</p>"))
        await page.goto("/bait")
        async with page.expect_event("requestfailed"):
            await page.evaluate("xss(7); alert(1); new Image().src = 'http://evil.example/pixel.gif'")

    assert sorted(witness.ran) == ["dialog", "xss(7,)"]
    assert set(witness.asked) == {"http://evil.example/pixel.gif"}
    assert len(witness.tried) == 1
