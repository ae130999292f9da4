"""What the pages of Seller Central have in common: the layout, a seller's countries at a host, and what a form sends.

The paths of all pages are stable: the product's guide links to `https://<Seller Central host><path>?country=DE`. Amazon's
real page for the report columns has the path given here; the others are likely ones.
"""

from html import escape
from typing import Final
from urllib.parse import urlencode

from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import Language
from services.sandbox.html_page import page
from services.sandbox.state.sellers import Seller
from shared.marketplaces import BY_COUNTRY

_TEXTS: Final = {
    "de": {
        "none_here": "Ihr Konto verkauft in keinem Land, das zu dieser Adresse gehört. Ihre Länder:",
        "other_hosts": "Ihre Länder unter anderen Adressen:",
        "saved": "Gespeichert.",
        "address_wrong": "Das ist keine einzelne E-Mail-Adresse. Bitte nur die Adresse selbst eingeben, ohne mailto: und ohne Namen.",
        "too_many": "Mehr Adressen sind für dieses Land nicht möglich.",
        "as": "Angemeldet als {store}.",
        "sign_out": "Abmelden",
    },
    "en": {
        "none_here": "Your account sells in no country of this address. Your countries:",
        "other_hosts": "Your countries at other addresses:",
        "saved": "Saved.",
        "address_wrong": "That is not one email address. Please enter the bare address, without mailto: and without a name.",
        "too_many": "This country takes no more addresses.",
        "as": "Signed in as {store}.",
        "sign_out": "Sign out",
    },
}


def seller_page(
    language: Language,
    host: str,
    seller: Seller,
    title: str,
    body: str,
    *,
    status: int = 200,
    form_targets: tuple[str, ...] = (),
) -> Response:
    """A page with the seller's name and the way to sign out above it."""
    texts = _TEXTS[language]
    who = texts["as"].format(store=escape(seller.store_name))
    head = f'<p>{who} <a href="/{host}/ap/signout">{texts["sign_out"]}</a> · <a href="/{host}/">Seller Central</a></p>'
    place = f"Seller Central · {host}"
    return page(language, title, head + body, place=place, status=status, form_targets=form_targets)


def countries_here(seller: Seller, host: str, wanted: str) -> list[str]:
    """The seller's countries at this host, the one that the link names first."""
    here = [country for country in seller.countries if BY_COUNTRY[country].seller_central_host == host]
    return sorted(here, key=lambda country: country != wanted)


def links_to_other_hosts(language: Language, host: str, seller: Seller, path: str) -> str:
    """Links to the same page at the other hosts where the seller has countries."""
    texts = _TEXTS[language]
    others = [c for c in seller.countries if BY_COUNTRY[c].seller_central_host != host]
    if not others:
        return ""
    links = "".join(
        f'<li><a href="/{BY_COUNTRY[c].seller_central_host}{path}?country={c}">{c}: '
        f"{BY_COUNTRY[c].seller_central_host}</a></li>"
        for c in others
    )
    text = texts["other_hosts"] if len(others) < len(seller.countries) else texts["none_here"]
    return f"<p>{text}</p><ul>{links}</ul>"


def own_country(seller: Seller, host: str, country: str) -> str:
    """The country that a form names; 422 if the seller does not sell there at this host."""
    if country not in countries_here(seller, host, ""):
        raise HTTPException(422)
    return country


def wanted_country(request: Request) -> str:
    """The country that the link names, or an empty string."""
    return request.query_params.get("country", "")


def saved_notice(request: Request, language: Language) -> str:
    if request.query_params.get("saved") is None:
        return ""
    return f'<p class="note" role="status">{_TEXTS[language]["saved"]}</p>'


def alert(language: Language, problem: str) -> str:
    return alert_text(_TEXTS[language][problem])


def alert_text(text: str) -> str:
    return f'<p class="wrong" role="alert">{text}</p>'


def redirect_saved(host: str, path: str, country: str) -> RedirectResponse:
    """Back to the page, which then says that the form was saved."""
    query = {"country": country, "saved": "1"} if country else {"saved": "1"}
    return RedirectResponse(f"/{host}{path}?{urlencode(query)}", 303)


async def form_fields(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=10, max_part_size=4_096)
    return {name: value for name, value in form.items() if isinstance(value, str)}
