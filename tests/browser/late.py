"""An answer of the server's that comes when the page has gone on: held and let through, without a clock."""

import asyncio

from playwright.async_api import APIResponse, Page, Route


async def everything_is_drawn(page: Page) -> None:
    """Whatever came before this, the page has had its turns to draw it."""
    await page.evaluate(
        "async () => { await fetch('/livez').catch(() => {}); await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); }"
    )


class Late:
    """The first request of its kind to an address: its answer is held when the server has given it, and all others go their way.

    Whatever a page sends, it also reads again whenever its stream of events opens, which on a slow machine is late.
    """

    def __init__(self, page: Page, pattern: str, method: str) -> None:
        self._page, self._pattern, self._method = page, pattern, method
        self._held: asyncio.Future[tuple[Route, APIResponse]] = asyncio.get_running_loop().create_future()
        self._is_taken = False

    async def take(self, route: Route) -> None:
        if self._is_taken or route.request.method != self._method:
            return await route.continue_()
        self._is_taken = True
        self._held.set_result((route, await route.fetch()))
        return None

    async def answered(self) -> None:
        """Waits until the server has answered, of which the page knows nothing yet."""
        await self._held

    async def comes(self) -> None:
        """Lets the answer through, and waits until the page has drawn what it draws of it."""
        route, answer = await self._held
        await route.fulfill(response=answer)
        await everything_is_drawn(self._page)
        await self._page.unroute(self._pattern)


async def late(page: Page, pattern: str, *, method: str = "GET") -> Late:
    held = Late(page, pattern, method)
    await page.route(pattern, held.take)
    if page.url.startswith("http"):
        await _requests_are_intercepted(page)
    return held


async def _requests_are_intercepted(page: Page) -> None:
    """Chromium tells a document that is loaded already by a message of its own; what it sends until that has come goes its way."""
    is_intercepted = asyncio.Event()

    async def note(route: Route) -> None:
        is_intercepted.set()
        await route.fulfill(status=204)

    await page.route("**/livez?intercepted", note)
    while not is_intercepted.is_set():
        await page.evaluate("() => fetch('/livez?intercepted').catch(() => {})")
    await page.unroute("**/livez?intercepted")
