"""The first view of every page, in a browser that has seen nothing yet: it is light, and nothing jumps while it comes."""

from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.furnished import enter, furnish
from tests.browser.page_weight import first_view
from tests.browser.steps import Site

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "locale": "de-DE"}
DESK = {"viewport": {"width": 1440, "height": 900}, "locale": "en-US"}


@pytest.mark.parametrize("device", [PHONE, DESK], ids=["phone", "desk"])
async def test_a_first_view_is_light_and_nothing_jumps(browser: Browser, site: Site, device: dict[str, Any]):
    views = await furnish(site)
    entrance = await browser.new_context(base_url=site.url)
    await enter(entrance)
    state = await entrance.storage_state()
    await entrance.close()

    costs = {
        view.name: await first_view(browser, None if view.is_public else state, site.url, view, **device)
        for view in views
    }

    assert {name: cost.size for name, cost in costs.items() if cost.size >= 100_000} == {}
    assert {name: cost.requests for name, cost in costs.items() if cost.requests > 40} == {}
    assert {name: (cost.shift, cost.moved) for name, cost in costs.items() if cost.shift >= 0.02} == {}
