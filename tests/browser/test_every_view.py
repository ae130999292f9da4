"""What holds for the first view of every page: it is light, nothing jumps while it comes, and everybody can use it.

The rules are those of WCAG 2.2, level AA, as far as a machine can tell: axe-core's in light, dark and on a phone; and by hand
the size of targets (2.5.8), focus that nothing covers (2.4.11), and reflow at 320 pixels or 400 % (1.4.10).
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page

from tests.browser.furnished import View, entered, furnish
from tests.browser.page_weight import Cost, first_views
from tests.browser.steps import Site

PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "locale": "de-DE",
}
DESK: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US"}
_MOST_BYTES: Final = 100_000
_LEVELS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# A box or its label, whichever is larger, is the target; a link within a sentence is as high as its line.
_TOO_SMALL: Final = """() => {
    const targets = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [role=menuitem]")];
    return targets.flatMap((each) => {
        const target = (each.type === "checkbox" || each.type === "radio") && each.labels[0] ? each.labels[0] : each;
        const { width, height } = target.getBoundingClientRect();
        const isSeen = each.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && width > 1 && height > 1;
        if (!isSeen || getComputedStyle(target).display === "inline" || (width >= 24 && height >= 24)) return [];
        return `${target.outerHTML.slice(0, 80)} ${width} x ${height}`;
    });
}"""
# Whatever takes the focus is seen at one of its corners or in its middle.
_COVERED: Final = """() => {
    const inside = document.querySelector("dialog[open]") ?? document;
    const stops = [...inside.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")];
    return stops.flatMap((each) => {
        each.focus();
        if (document.activeElement !== each) return [];
        // Of a row that scrolls sideways, Chromium leaves what is seen by a hair where it is.
        each.scrollIntoView({ block: "nearest", inline: "nearest" });
        const { left, right, top, bottom } = each.getBoundingClientRect();
        const points = [[left + 2, top + 2], [right - 2, top + 2], [left + 2, bottom - 2], [right - 2, bottom - 2], [(left + right) / 2, (top + bottom) / 2]];
        const isSeen = points.some(([x, y]) => {
            const found = document.elementFromPoint(x, y);
            return found && (each.contains(found) || found.contains(each));
        });
        return isSeen ? [] : `covered at ${Math.round(left)}, ${Math.round(top)}: ${each.outerHTML.slice(0, 80)}`;
    });
}"""
Look = Callable[[View], Awaitable[tuple[Page, Cost]]]
_TOO_WIDE: Final = """() => document.documentElement.scrollWidth - innerWidth"""


@pytest.mark.parametrize(
    "begins",
    [("/sign-in", "/forgot", "/reset", "/invitation", "/connect", "/nowhere"), ("/inbox", "/replies"), ("/integrations", "/orders", "/profile"),
     ("/settings",)],
    ids=lambda begins: begins[0][1:],
)  # fmt: skip
async def test_a_first_view_is_light_and_still_and_everybody_can_use_it(
    browser: Browser, site: Site, begins: tuple[str, ...]
):
    views = [view for view in await furnish(site) if view.address.startswith(begins)]
    is_public = views[0].is_public
    assert {view.is_public for view in views} == {is_public}
    state = None if is_public else await entered(browser, site)

    found: list[object] = []
    async with (
        first_views(browser, state, site.url, script=AXE_SCRIPT, **PHONE) as on_phone,
        first_views(browser, state, site.url, script=AXE_SCRIPT, **DESK) as on_desk,
    ):
        for view in views:
            found += [(view.name, "on a phone", fault) for fault in await _phone_faults(on_phone, view)]
            found += [(view.name, fault) for fault in await _desk_faults(on_desk, view)]

    assert len(views) > 2
    assert found == []


async def _phone_faults(look: Look, view: View) -> list[object]:
    page, cost = await look(view)
    return [*await _faults(page), *_too_much(cost)]


async def _desk_faults(look: Look, view: View) -> list[object]:
    page, cost = await look(view)
    faults = [*await _faults(page), *_too_much(cost)]
    await page.emulate_media(color_scheme="dark")
    contrast = {"type": "rule", "values": ["color-contrast"]}
    faults += [f"in the dark: {each}" for each in await _violations(page, contrast)]
    # 1280 pixels at 200 % and at 400 %.
    for width, height in ((640, 400), (320, 512)):
        await page.set_viewport_size({"width": width, "height": height})
        if too_wide := await page.evaluate(_TOO_WIDE):
            faults.append(f"{too_wide} wider than {width}")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(DESK["viewport"])
    return faults


def _too_much(cost: Cost) -> list[object]:
    return [cost] if cost.size >= _MOST_BYTES or cost.requests > 40 or cost.shift >= 0.02 else []


async def _faults(page: Page) -> list[str]:
    return [
        *await _violations(page, {"type": "tag", "values": _LEVELS}),
        *await page.evaluate(_TOO_SMALL),
        *await page.evaluate(_COVERED),
    ]


async def _violations(page: Page, rules: dict[str, Any]) -> list[str]:
    # The whole result is ten times what it complains about, and stays there.
    violations = await page.evaluate(
        "(options) => axe.run(options).then(({ violations }) => violations)",
        {"resultTypes": ["violations"], "runOnly": rules},
    )
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in violations
        for node in each["nodes"]
    ]
