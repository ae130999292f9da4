"""What the first view of each page costs on a phone: bytes, requests, and how long until something is seen."""

import asyncio
import logging
from typing import Any, Final

import structlog
from playwright.async_api import Browser

from shared.crypto.key_provider import KeyFile
from shared.keyring import Keyring
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.browser.furnished import View, entered, furnish
from tests.browser.page_weight import Cost, Line, first_view
from tests.browser.running import chromium, running_site
from tests.conftest import Database, Keys

# 1.6 Mbit/s and 150 ms, as a phone has them where the net is poor. The processor is the machine's own.
PHONE_LINE: Final = Line(bytes_a_second=200_000, latency_ms=150)
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "locale": "de-DE",
}
ROUNDS: Final = 3


def measure() -> list[Figure]:
    """About three minutes."""
    # The connector runs in this process: a line for each request would hide the table.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys))


async def _measure(database: Database, keys: Keys) -> list[Figure]:
    keyring = Keyring(KeyFile.load(keys.key_file))
    async with running_site(database, keys, keyring) as site, chromium() as browser:
        views = await furnish(site)
        state = await entered(browser, site)
        costs: dict[str, list[Cost]] = {view.name: [] for view in views}
        for _ in range(ROUNDS):
            for view in views:
                costs[view.name].append(
                    await _phone(browser, None if view.is_public else state, site.url, view)
                )
    return [figure for view in views for figure in _figures(view, costs[view.name])]


async def _phone(browser: Browser, state: object, url: str, view: View) -> Cost:
    async with first_view(browser, state, url, view, line=PHONE_LINE, **PHONE) as (_, cost):
        return cost


def _figures(view: View, costs: list[Cost]) -> list[Figure]:
    name = f"page_{view.name}"
    return [
        Figure(f"{name}_kb", "KB", [cost.size / 1000 for cost in costs]),
        Figure(f"{name}_requests", "", [cost.requests for cost in costs]),
        Figure(f"{name}_fcp_ms", "ms", [cost.fcp_ms for cost in costs]),
        Figure(f"{name}_lcp_ms", "ms", [cost.lcp_ms for cost in costs]),
        Figure(f"{name}_cls", "", [cost.shift for cost in costs]),
    ]
