"""The sandbox's first page: what it is, its own pages, and the sellers with their Seller Central hosts."""

from html import escape
from typing import Final

from fastapi import APIRouter, Response

from services.sandbox.dependencies import LanguageDep, SandboxDep
from services.sandbox.html_page import page
from services.sandbox.pages.buyer import BUYER_PATH
from services.sandbox.pages.inbox import INBOX_PATH
from services.sandbox.pages.scenarios import SCENARIOS_PATH
from shared.marketplaces import BY_COUNTRY

router = APIRouter()


_TEXTS: Final = {
    "de": {
        "title": "Sandbox",
        "what": "Hier wird Amazon nachgestellt: Anmeldung, Zustimmung, Schnittstelle und Käufer, für Entwicklung und Tests. "
        "Nichts davon erreicht Amazon, und Nachrichten gehen nur an Adressen, die in diesem Seller Central eingetragen sind.",
        "buyer": "Käufer sein: Nachrichten schreiben und lesen",
        "inbox": "Posteingang: was an Verkäufer gesendet wurde",
        "scenarios": "Szenarien: was bei Amazon schiefgehen kann, und die Uhr",
        "control": "Steuerung für Tests: Zähler",
    },
    "en": {
        "title": "Sandbox",
        "what": "Amazon is played here: sign-in, consent, API and buyers, for development and tests. Nothing of it reaches "
        "Amazon, and messages only go to addresses entered in this Seller Central.",
        "buyer": "Be the buyer: write and read messages",
        "inbox": "Inbox: what was sent to sellers",
        "scenarios": "Scenarios: what can go wrong at Amazon, and the clock",
        "control": "Control for tests: counters",
    },
}


@router.get("/")
async def overview(language: LanguageDep, sandbox: SandboxDep) -> Response:
    texts = _TEXTS[language]
    stores = "".join(
        f"<li>{escape(seller.store_name)} ({escape(seller.seller_id)}, {', '.join(seller.countries)}): "
        + ", ".join(f'<a href="/{host}/">{host}</a>' for host in _hosts_of(seller.countries))
        + "</li>"
        for seller in sandbox.sellers.values()
    )
    body = f"""<p>{texts["what"]}</p>
<p><a id="buyer" href="{BUYER_PATH}">{texts["buyer"]}</a></p>
<p><a id="inbox" href="{INBOX_PATH}">{texts["inbox"]}</a></p>
<p><a id="scenarios" href="{SCENARIOS_PATH}">{texts["scenarios"]}</a></p>
<h2>Seller Central</h2><ul>{stores}</ul>
<p><a href="/control/counters">{texts["control"]}</a></p>"""
    return page(language, texts["title"], body)


def _hosts_of(countries: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(BY_COUNTRY[country].seller_central_host for country in countries))
