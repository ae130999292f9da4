"""Notification Preferences: the addresses to which Amazon sends a country's buyers' mails, and its confirmations of the seller's."""

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
from services.sandbox.state.sellers import (
    AddressWrong,
    Notification,
    Seller,
    TooManyAddresses,
    enter_address,
)

router = APIRouter()

NOTIFICATION_PREFERENCES_PATH: Final = "/notifications/preferences"


_TEXTS: Final = {
    "de": {
        "notifications": "Benachrichtigungseinstellungen",
        "messaging": "Messaging-Präferenzen",
        "buyer_messages": "Käufernachrichten",
        "no_address": "Noch keine Adresse. Nachrichten von Käufern aus diesem Land gehen nirgendwohin.",
        "confirmations": "Bestätigungsbenachrichtigungen",
        "no_confirmations": "Noch keine Adresse. Gesendete Nachrichten werden nicht bestätigt.",
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
        "confirmations": "Confirmation Notifications",
        "no_confirmations": "No address yet. Sent messages are not confirmed.",
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
    confirms = fields.get("notification") == Notification.CONFIRMATIONS
    addresses = seller.addresses_in(
        country, Notification.CONFIRMATIONS if confirms else Notification.BUYER_MESSAGES
    )
    if fields.get("action") == "remove":
        if address in addresses:
            addresses.remove(address)
        return redirect_saved(host, NOTIFICATION_PREFERENCES_PATH, country)
    try:
        enter_address(addresses, address)
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
    sections = "".join(
        f'<h2 id="{own}">{texts["country"].format(country=own)}</h2>'
        + "".join(_addresses(language, host, seller, own, notification) for notification in Notification)
        for own in countries_here(seller, host, country)
    )
    body = notice + sections + links_to_other_hosts(language, host, seller, NOTIFICATION_PREFERENCES_PATH)
    return seller_page(language, host, seller, texts["notifications"], body, status=status)


def _addresses(
    language: Language, host: str, seller: Seller, country: str, notification: Notification
) -> str:
    texts = _TEXTS[language]
    confirms = notification is Notification.CONFIRMATIONS
    name, none = ("confirmations", "no_confirmations") if confirms else ("buyer_messages", "no_address")
    prefix = "confirmation-" if confirms else ""
    action = f"/{host}{NOTIFICATION_PREFERENCES_PATH}"
    entered = "".join(
        f'<li><code>{escape(address)}</code> <form method="post" action="{action}">'
        f"{hidden(country=country, notification=notification, address=address, action='remove')}"
        f'<button type="submit" aria-label="{texts["remove"]}: {escape(address)}">{texts["remove"]}</button></form></li>'
        for address in seller.addresses_in(country, notification)
    )
    entered = f"<ul>{entered}</ul>" if entered else f"<p>{texts[none]}</p>"
    return f"""<fieldset><legend>{texts["messaging"]}: {texts[name]}</legend>{entered}
<form method="post" action="{action}">{hidden(country=country, notification=notification, action="add")}
<label for="{prefix}address-{country}">{texts["add_label"]}</label>
<input type="text" inputmode="email" autocomplete="off" id="{prefix}address-{country}" name="address" required maxlength="300">
<button class="main" id="{prefix}add-{country}" type="submit">{texts["add"]}</button></form></fieldset>"""
