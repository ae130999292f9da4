"""What showing a page costs, as Chromium counts it over its DevTools protocol."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from playwright.async_api import Browser, CDPSession, Page

from tests.browser.furnished import View
from tests.browser.running import PATIENCE_MS

_QUIET_SECONDS: Final = 0.25
# What a page has kept in the window or the browser, before its scripts run.
_FORGET: Final = """
    if (self === top && location.protocol.startsWith("http")) {
        sessionStorage.clear();
        localStorage.clear();
    }
"""
# Largest paint, and each shift with the elements that moved, from the first moment on.
_OBSERVE: Final = """
    window.seen = { lcp: 0, cls: 0, moved: [] };
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) seen.lcp = entry.startTime;
    }).observe({ type: "largest-contentful-paint", buffered: true });
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
            seen.cls += entry.value;
            for (const { node } of entry.sources) seen.moved.push(`${node?.nodeName}.${node?.className}`);
        }
    }).observe({ type: "layout-shift", buffered: true });
"""
_READ: Final = (
    """() => ({ fcp: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0, ...seen })"""
)


@dataclass(frozen=True, slots=True)
class Line:
    """A connection to emulate."""

    bytes_a_second: int
    latency_ms: int

    def conditions(self) -> dict[str, Any]:
        """As Chromium's protocol has it."""
        return {
            "offline": False,
            "latency": self.latency_ms,
            "downloadThroughput": self.bytes_a_second,
            "uploadThroughput": self.bytes_a_second // 2,
        }


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes over the wire with all headers, requests, milliseconds until something and until the largest thing is seen, and how much moved."""

    size: int
    requests: int
    fcp_ms: float
    lcp_ms: float
    shift: float
    moved: tuple[str, ...]


class Wire:
    """Counts what a page asks for. The stream of events never ends, and is counted as a request alone.

    On a slow machine the stream opens after the page has read; what it then reads again is no part of the page, and is not counted.
    Nor is what the document before still asks for while this one comes: `before` are its loader's ids, and of its frames.
    """

    def __init__(self, before: Collection[str]) -> None:
        self._before = before
        self._counted: set[str] = set()
        self.size = 0
        self.requests = 0
        self._open: set[str] = set()
        self._asked: set[str] = set()
        self._read_again: set[str] = set()
        self._is_followed = False
        self._first: dict[str, str] = {}
        self.from_cache: list[str] = []
        """What was not asked for because the browser had it: of a first view, nothing."""
        self._changed = asyncio.Event()

    @classmethod
    async def of(cls, session: CDPSession) -> Self:
        wire = cls(_loaders((await session.send("Page.getFrameTree"))["frameTree"]))
        session.on("Network.requestWillBeSent", wire._sent)
        session.on("Network.loadingFinished", wire._finished)
        session.on("Network.loadingFailed", wire._finished)
        session.on("Network.requestServedFromCache", wire._had)
        session.on("Network.eventSourceMessageReceived", wire._told)
        await session.send("Network.enable")
        return wire

    def _sent(self, event: dict[str, Any]) -> None:
        url: str = event["request"]["url"]
        if not url.startswith("http") or event["loaderId"] in self._before:
            return
        self._counted.add(event["requestId"])
        if url not in self._asked:
            self._first[event["requestId"]] = url
        if self._is_followed and url in self._asked:
            self._read_again.add(event["requestId"])
        else:
            self._asked.add(url)
            self.requests += 1
        if event.get("type") != "EventSource":
            self._open.add(event["requestId"])
        self._changed.set()

    def _had(self, event: dict[str, Any]) -> None:
        # What is drawn again, such as a picture, the page itself still has; so it is with an address that holds its content.
        if url := self._first.get(event["requestId"]):
            self.from_cache.append(url)

    def _told(self, event: dict[str, Any]) -> None:
        self._is_followed |= event["requestId"] in self._counted and event["eventName"] == "ready"

    def _finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._counted:
            return
        if event["requestId"] not in self._read_again:
            self.size += int(event.get("encodedDataLength", 0))
        self._open.discard(event["requestId"])
        self._changed.set()

    async def quiet(self) -> None:
        """Until nothing has been asked for a while."""
        while True:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), _QUIET_SECONDS)
            except TimeoutError:
                if not self._open:
                    return


@asynccontextmanager
async def first_views(
    browser: Browser,
    state: Any,
    url: str,
    *,
    line: Line | None = None,
    script: str = "",
    **context_options: Any,
) -> AsyncIterator[Callable[[View], Awaitable[tuple[Page, Cost]]]]:
    """Opens views one after the other in one window, each as if the browser had seen nothing yet, and gives the complete page and its cost.

    `state` holds the cookies, or is None. `script` is run before a page's own: Chromium compiles it once, for one page follows the other in
    one process. A window of its own for each, or an empty page between them, would cost two processes of the browser each.
    """
    context = await browser.new_context(base_url=url, storage_state=state, **context_options)
    try:
        context.set_default_timeout(PATIENCE_MS)
        await context.add_init_script(_FORGET + _OBSERVE + script)
        page = await context.new_page()

        async def look(view: View) -> tuple[Page, Cost]:
            session = await context.new_cdp_session(page)
            await session.send("Network.clearBrowserCache")
            wire = await Wire.of(session)
            if line is not None:
                await session.send("Network.emulateNetworkConditions", line.conditions())
            await page.goto(view.address)
            await page.locator(view.ready).first.wait_for()
            await wire.quiet()
            await session.detach()
            return page, await _read(page, wire)

        yield look
    finally:
        await context.close()


@asynccontextmanager
async def first_view(
    browser: Browser, state: Any, url: str, view: View, *, line: Line | None = None, **context_options: Any
) -> AsyncIterator[tuple[Page, Cost]]:
    """One view in a window of its own."""
    async with first_views(browser, state, url, line=line, **context_options) as look:
        yield await look(view)


def _loaders(tree: dict[str, Any]) -> set[str]:
    return {tree["frame"]["loaderId"]}.union(*(_loaders(each) for each in tree.get("childFrames", ())))


async def _read(page: Page, wire: Wire) -> Cost:
    assert wire.from_cache == []
    seen = await page.evaluate(_READ)
    return Cost(wire.size, wire.requests, seen["fcp"], seen["lcp"], seen["cls"], tuple(seen["moved"]))
