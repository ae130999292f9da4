"""Notification Preferences: the addresses to which Amazon sends the buyers' mails of a country."""

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
from services.sandbox.state.sellers import AddressWrong, Seller, TooManyAddresses, enter_address

router = APIRouter()

NOTIFICATION_PREFERENCES_PATH: Final = "/notifications/preferences"


_TEXTS: Final = {
    "de": {
        "notifications": "Benachrichtigungseinstellungen",
        "messaging": "Messaging-Präferenzen",
        "buyer_messages": "Käufernachrichten",
        "no_address": "Noch keine Adresse. Nachrichten von Käufern aus diesem Land gehen nirgendwohin.",
        "add_label": "E-Mail-Adresse",
        "add": "Hinzufügen",
        "remove": "Entfernen",
        "country": "Land: {country}",
    },
    "en": {
        "notifications": "Notification Preferences",
        "messaging": "Messaging",
        "buyer_messages": "Buyer Messages",
        "no_address": "No address yet. Messages from buyers in this country go nowhere.",
        "add_label": "Email address",
        "add": "Add",
        "remove": "Remove",
        "country": "Country: {country}",
    },
}


@router.get("/{host}" + NOTIFICATION_PREFERENCES_PATH)
async def notifications_page(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep
) -> Response:
    return _show_notifications(
        language, host, seller, wanted_country(request), saved_notice(request, language)
    )


@router.post("/{host}" + NOTIFICATION_PREFERENCES_PATH)
async def save_notifications(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep
) -> Response:
    fields = await form_fields(request)
    country = own_country(seller, host, fields.get("country", ""))
    address = fields.get("address", "")
    if fields.get("action") == "remove":
        addresses = seller.addresses_in(country)
        if address in addresses:
            addresses.remove(address)
        return redirect_saved(host, NOTIFICATION_PREFERENCES_PATH, country)
    try:
        enter_address(seller.addresses_in(country), address)
    except AddressWrong:
        return _show_notifications(
            language, host, seller, country, alert(language, "address_wrong"), status=422
        )
    except TooManyAddresses:
        return _show_notifications(language, host, seller, country, alert(language, "too_many"), status=422)
    return redirect_saved(host, NOTIFICATION_PREFERENCES_PATH, country)


def _show_notifications(
    language: Language, host: str, seller: Seller, country: str, notice: str, *, status: int = 200
) -> Response:
    texts = _TEXTS[language]
    action = f"/{host}{NOTIFICATION_PREFERENCES_PATH}"
    sections = []
    for own in countries_here(seller, host, country):
        entered = "".join(
            f'<li><code>{escape(address)}</code> <form method="post" action="{action}">'
            f"{hidden(country=own, address=address, action='remove')}"
            f'<button type="submit" aria-label="{texts["remove"]}: {escape(address)}">{texts["remove"]}</button></form></li>'
            for address in seller.addresses_in(own)
        )
        entered = f"<ul>{entered}</ul>" if entered else f"<p>{texts['no_address']}</p>"
        sections.append(f"""<h2 id="{own}">{texts["country"].format(country=own)}</h2>
<fieldset><legend>{texts["messaging"]}: {texts["buyer_messages"]}</legend>{entered}
<form method="post" action="{action}">{hidden(country=own, action="add")}
<label for="address-{own}">{texts["add_label"]}</label>
<input type="text" inputmode="email" autocomplete="off" id="address-{own}" name="address" required maxlength="300">
<button class="main" id="add-{own}" type="submit">{texts["add"]}</button></form></fieldset>""")
    body = (
        notice
        + "".join(sections)
        + links_to_other_hosts(language, host, seller, NOTIFICATION_PREFERENCES_PATH)
    )
    return seller_page(language, host, seller, texts["notifications"], body, status=status)
