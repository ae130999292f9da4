"""`python -m tests.pictures [FOLDER]`: a picture of every page in both languages, light, dark and on a phone, for people to look at."""

import asyncio
import logging
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import structlog
from playwright.async_api import Browser, StorageState

from shared.crypto.key_provider import KeyFile
from shared.keyring import Keyring
from tests.bench.installation import installation
from tests.browser.furnished import View, entered, furnish
from tests.browser.page_weight import first_view
from tests.browser.running import chromium, running_site
from tests.conftest import Database, Keys

_ROOT: Final = Path(__file__).parents[1]
_DESK: Final[dict[str, Any]] = {"viewport": {"width": 1440, "height": 900}}
_LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {**_DESK, "color_scheme": "light"},
    "dark": {**_DESK, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2},
}  # fmt: skip
_LOCALES: Final = {"de": "de-DE", "en": "en-GB"}
# What the README shows.
_OF_README: Final = ("conversation", "en", "light")


async def _take(folder: Path, database: Database, keys: Keys) -> None:
    keyring = Keyring(KeyFile.load(keys.key_file))
    async with running_site(database, keys, keyring, development=True) as site, chromium() as browser:
        views = [*await furnish(site), View("components", "/components", ".scheme-dark", is_public=True)]
        for language in _LOCALES:
            state = await entered(browser, site, language=language)
            for look in _LOOKS:
                for view in views:
                    path = folder / _name(view.name, language, look)
                    await _picture(browser, site.url, view, None if view.is_public else state, path)
                print(f"{language}, {look}: {len(views)} pictures", flush=True)  # noqa: T201
    shutil.copy(folder / _name(*_OF_README), _ROOT / "docs" / "pictures" / "inbox.png")


async def _picture(browser: Browser, url: str, view: View, state: StorageState | None, path: Path) -> None:
    _, language, look = path.stem.rsplit("-", 2)
    options = {**_LOOKS[look], "locale": _LOCALES[language], "timezone_id": "Europe/Berlin"}
    async with first_view(browser, state, url, view, **options) as (page, _cost):
        # A dialog is as tall as the window; what else there is lies behind it.
        is_tall = await page.locator("dialog:modal").count() == 0
        await page.screenshot(path=path, full_page=is_tall, animations="disabled")


def _name(view: str, language: str, look: str) -> str:
    return f"{view}-{language}-{look}.png"


def main(arguments: list[str]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    folder = Path(arguments[0] if arguments else "pictures").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with installation() as (database, keys):
        asyncio.run(_take(folder, database, keys))
    print(f"The pictures are in {folder}.")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
