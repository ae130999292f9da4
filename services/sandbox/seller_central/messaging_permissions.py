"""Messaging Permissions: the senders whose mails Amazon passes on to the buyers of a country."""

from html import escape
from typing import Final

from fastapi import APIRouter, Request, Response

from services.sandbox.dependencies import Language, LanguageDep, SellerCentralHost
from services.sandbox.html_page import hidden
from services.sandbox.login.sign_in import SignedInSeller
from services.sandbox.seller_central.seller_page import (
    alert,
    countries_here,
    form_fields,
    links_to_other_hosts,
    own_country,
    redirect_saved,
    saved_notice,
    seller_page,
    wanted_country,
)
from services.sandbox.state.sellers import AddressWrong, Seller, TooManyAddresses

router = APIRouter()

MESSAGING_PERMISSIONS_PATH: Final = "/messaging/permissions"

_TEXTS: Final = {
    "de": {
        "title": "Kommunikationsberechtigungen",
        "what": "E-Mails an Käufer werden nur von genehmigten Adressen und von der Kundenservice-E-Mail im Verkäuferprofil angenommen.",
        "country": "Land: {country}",
        "registered": "Kundenservice-E-Mail: genehmigt, ohne Eintrag hier",
        "none": "Noch keine Adresse.",
        "add": "+ E-Mail-Adresse hinzufügen",
        "address": "E-Mail-Adresse",
        "state": "Status",
        "approved": "Genehmigt",
        "blocked": "Nicht genehmigt",
        "save": "Speichern",
        "to_approved": "Genehmigen",
        "to_blocked": "Genehmigung zurückziehen",
        "remove": "Entfernen",
    },
    "en": {
        "title": "Messaging Permissions",
        "what": "E-mails to buyers are only taken from approved addresses and from the Customer Service E-mail in the Seller Profile.",
        "country": "Country: {country}",
        "registered": "Customer Service E-mail: approved without an entry here",
        "none": "No address yet.",
        "add": "+ Add an email address",
        "address": "Email address",
        "state": "Status",
        "approved": "Approved",
        "blocked": "Not approved",
        "save": "Save",
        "to_approved": "Approve",
        "to_blocked": "Withdraw approval",
        "remove": "Remove",
    },
}


@router.get("/{host}" + MESSAGING_PERMISSIONS_PATH)
async def permissions_page(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep
) -> Response:
    return _show(language, host, seller, wanted_country(request), saved_notice(request, language))


@router.post("/{host}" + MESSAGING_PERMISSIONS_PATH)
async def save_permission(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep
) -> Response:
    fields = await form_fields(request)
    country = own_country(seller, host, fields.get("country", ""))
    address = fields.get("address", "")
    if fields.get("action") == "remove":
        seller.permissions_in(country).pop(address, None)
        return redirect_saved(host, MESSAGING_PERMISSIONS_PATH, country)
    try:
        seller.set_permission(country, address, approved=fields.get("state") == "approved")
    except AddressWrong:
        return _show(language, host, seller, country, alert(language, "address_wrong"), status=422)
    except TooManyAddresses:
        return _show(language, host, seller, country, alert(language, "too_many"), status=422)
    return redirect_saved(host, MESSAGING_PERMISSIONS_PATH, country)


def _show(
    language: Language, host: str, seller: Seller, country: str, notice: str, *, status: int = 200
) -> Response:
    texts = _TEXTS[language]
    sections = "".join(_section(language, host, seller, own) for own in countries_here(seller, host, country))
    others = links_to_other_hosts(language, host, seller, MESSAGING_PERMISSIONS_PATH)
    body = f"{notice}<p>{texts['what']}</p>{sections}{others}"
    return seller_page(language, host, seller, texts["title"], body, status=status)


def _section(language: Language, host: str, seller: Seller, country: str) -> str:
    texts = _TEXTS[language]
    registered = seller.profile_in(country).service_email
    known = f"<p>{texts['registered']}: <code>{escape(registered)}</code></p>" if registered else ""
    rows = "".join(
        _entry(language, host, country, address, is_approved=approved)
        for address, approved in seller.permissions_in(country).items()
    )
    entries = f'<ul id="senders-{country}">{rows}</ul>' if rows else f"<p>{texts['none']}</p>"
    return f"""<h2 id="{country}">{texts["country"].format(country=country)}</h2>{known}{entries}
<form method="post" action="/{host}{MESSAGING_PERMISSIONS_PATH}">{hidden(country=country)}
<fieldset><legend>{texts["add"]}</legend>
<label for="address-{country}">{texts["address"]}</label>
<input type="text" inputmode="email" autocomplete="off" id="address-{country}" name="address" required maxlength="300">
<label for="state-{country}">{texts["state"]}</label><select id="state-{country}" name="state">
<option value="blocked">{texts["blocked"]}</option><option value="approved">{texts["approved"]}</option></select>
<button class="main" id="save-{country}" type="submit">{texts["save"]}</button></fieldset></form>"""


def _entry(language: Language, host: str, country: str, address: str, *, is_approved: bool) -> str:
    texts = _TEXTS[language]
    shown = escape(address)
    state, other = ("approved", "blocked") if is_approved else ("blocked", "approved")

    def button(label: str, **fields: str) -> str:
        return (
            f'<form method="post" action="/{host}{MESSAGING_PERMISSIONS_PATH}">'
            f"{hidden(country=country, address=address, **fields)}"
            f'<button type="submit" aria-label="{label}: {shown}">{label}</button></form>'
        )

    return (
        f'<li data-state="{state}"><code>{shown}</code>: {texts[state]} '
        f"{button(texts[f'to_{other}'], state=other)} {button(texts['remove'], action='remove')}</li>"
    )
