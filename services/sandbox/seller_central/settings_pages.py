"""The Seller Central pages on which a seller connects a helpdesk by hand, per country.

The paths are stable: the product's guide links to `https://<Seller Central host><path>?country=DE`. Amazon's real page for
the columns has the path given here; the others are likely ones.
"""

from html import escape
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import Language, PageLanguage, SandboxState, SellerCentralHost
from services.sandbox.login.appstore import APPSTORE_PATH
from services.sandbox.login.consent import signed_in, to_sign_in
from services.sandbox.login.login_uri import login_uri_call
from services.sandbox.pages.frame import hidden, page
from services.sandbox.state.sellers import AddressWrong, Seller, TooManyAddresses, bare_address
from shared.marketplaces import BY_COUNTRY

router = APIRouter()

HOME_PATH: Final = "/"
SELLER_PROFILE_PATH: Final = "/sw/AccountInfo/SellerProfileView/step/SellerProfileView"
NOTIFICATION_PREFERENCES_PATH: Final = "/notifications/preferences"
ORDER_REPORT_COLUMNS_PATH: Final = "/order-reports-and-feeds/column-picker"
MANAGE_APPS_PATH: Final = "/apps/manage"

REPORT_COLUMNS: Final = (
    "item-promotion-discount",
    "item-promotion-id",
    "ship-promotion-discount",
    "ship-promotion-id",
    "gift-wrap-type",
    "gift-message-text",
    "gift-wrap-price",
    "gift-wrap-tax",
    "is-business-order",
    "purchase-order-number",
    "price-designation",
    "buyer-company-name",
    "order-channel",
    "order-channel-instance",
    "sales-channel",
    "earliest-ship-date",
    "latest-ship-date",
    "earliest-delivery-date",
    "latest-delivery-date",
    "is-prime",
    "is-premium-order",
    "is-global-express",
    "fulfilled-by",
    "shipment-status",
    "address-type",
    "number-of-items",
    "tax-collection-model",
    "tax-collection-responsible-party",
    "ioss-number",
    "buyer-vat-number",
    "payment-method",
    "payment-method-details",
    "delivery-instructions",
    "is-transparency",
    "is-buyer-requested-cancellation",
    "buyer-requested-cancel-reason",
    "is-replacement-order",
    "original-order-id",
)

_TEXTS: Final = {
    "de": {
        "profile": "Verkäuferprofil",
        "service": "Details zum Kundenservice",
        "service_email": "Kundenservice-E-Mail",
        "reply_email": "Antwort-E-Mail",
        "submit": "Senden",
        "notifications": "Benachrichtigungseinstellungen",
        "messaging": "Messaging-Präferenzen",
        "buyer_messages": "Käufernachrichten",
        "no_address": "Noch keine Adresse. Nachrichten von Käufern aus diesem Land gehen nirgendwohin.",
        "add_label": "E-Mail-Adresse",
        "add": "Hinzufügen",
        "remove": "Entfernen",
        "columns": "Spalten für Auftragsberichte hinzufügen oder entfernen",
        "optional": "Optionale Spalten",
        "save": "Speichern",
        "apps": "Apps verwalten",
        "appstore": "Appstore",
        "authorized": "{app} ist autorisiert.",
        "not_authorized": "{app} ist nicht autorisiert.",
        "disable": "Autorisierung deaktivieren",
        "again": "Erneut autorisieren",
        "country": "Land: {country}",
        "none_here": "Ihr Konto verkauft in keinem Land, das zu dieser Adresse gehört. Ihre Länder:",
        "other_hosts": "Ihre Länder unter anderen Adressen:",
        "saved": "Gespeichert.",
        "address_wrong": "Das ist keine einzelne E-Mail-Adresse. Bitte nur die Adresse selbst eingeben, ohne mailto: und ohne Namen.",
        "too_many": "Mehr Adressen sind für dieses Land nicht möglich.",
        "as": "Angemeldet als {store}.",
        "sign_out": "Abmelden",
    },
    "en": {
        "profile": "Seller Profile",
        "service": "Customer Service Details",
        "service_email": "Customer Service E-mail",
        "reply_email": "Customer Service Reply-to E-mail",
        "submit": "Submit",
        "notifications": "Notification Preferences",
        "messaging": "Messaging",
        "buyer_messages": "Buyer Messages",
        "no_address": "No address yet. Messages from buyers in this country go nowhere.",
        "add_label": "Email address",
        "add": "Add",
        "remove": "Remove",
        "columns": "Add or remove order report columns",
        "optional": "Optional columns",
        "save": "Save",
        "apps": "Manage Your Apps",
        "appstore": "Appstore",
        "authorized": "{app} is authorized.",
        "not_authorized": "{app} is not authorized.",
        "disable": "Disable authorization",
        "again": "Re-Authorize",
        "country": "Country: {country}",
        "none_here": "Your account sells in no country of this address. Your countries:",
        "other_hosts": "Your countries at other addresses:",
        "saved": "Saved.",
        "address_wrong": "That is not one email address. Please enter the bare address, without mailto: and without a name.",
        "too_many": "This country takes no more addresses.",
        "as": "Signed in as {store}.",
        "sign_out": "Sign out",
    },
}


@router.get("/{host}" + HOME_PATH)
async def home(
    request: Request, host: SellerCentralHost, language: PageLanguage, sandbox: SandboxState
) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    texts = _TEXTS[language]
    links = (
        (SELLER_PROFILE_PATH, "profile"),
        (NOTIFICATION_PREFERENCES_PATH, "notifications"),
        (ORDER_REPORT_COLUMNS_PATH, "columns"),
        (MANAGE_APPS_PATH, "apps"),
        (APPSTORE_PATH, "appstore"),
    )
    items = "".join(f'<li><a href="/{host}{path}">{texts[name]}</a></li>' for path, name in links)
    return _seller_page(language, host, seller, "Seller Central", f"<ul>{items}</ul>")


@router.get("/{host}" + SELLER_PROFILE_PATH)
async def profile_page(
    request: Request, host: SellerCentralHost, language: PageLanguage, sandbox: SandboxState
) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    return _show_profile(language, host, seller, _wanted_country(request), _notice(request, language))


@router.post("/{host}" + SELLER_PROFILE_PATH)
async def save_profile(
    request: Request, host: SellerCentralHost, language: PageLanguage, sandbox: SandboxState
) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    fields = await _fields(request)
    country = _own_country(seller, host, fields.get("country", ""))
    try:
        service_email = bare_address(fields.get("service_email", ""))
        reply_email = bare_address(fields.get("reply_email", ""))
    except AddressWrong:
        return _show_profile(language, host, seller, country, _alert(language, "address_wrong"), status=422)
    profile = seller.profile_in(country)
    profile.service_email, profile.reply_email = service_email, reply_email
    return _saved(host, SELLER_PROFILE_PATH, country)


@router.get("/{host}" + NOTIFICATION_PREFERENCES_PATH)
async def notifications_page(
    request: Request, host: SellerCentralHost, language: PageLanguage, sandbox: SandboxState
) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    return _show_notifications(language, host, seller, _wanted_country(request), _notice(request, language))


@router.post("/{host}" + NOTIFICATION_PREFERENCES_PATH)
async def save_notifications(
    request: Request, host: SellerCentralHost, language: PageLanguage, sandbox: SandboxState
) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    fields = await _fields(request)
    country = _own_country(seller, host, fields.get("country", ""))
    address = fields.get("address", "")
    if fields.get("action") == "remove":
        addresses = seller.addresses_in(country)
        if address in addresses:
            addresses.remove(address)
        return _saved(host, NOTIFICATION_PREFERENCES_PATH, country)
    try:
        seller.enter_address(country, address)
    except AddressWrong:
        return _show_notifications(
            language, host, seller, country, _alert(language, "address_wrong"), status=422
        )
    except TooManyAddresses:
        return _show_notifications(language, host, seller, country, _alert(language, "too_many"), status=422)
    return _saved(host, NOTIFICATION_PREFERENCES_PATH, country)


@router.get("/{host}" + ORDER_REPORT_COLUMNS_PATH)
async def columns_page(
    request: Request, host: SellerCentralHost, language: PageLanguage, sandbox: SandboxState
) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    texts = _TEXTS[language]
    ticks = "".join(
        f'<label class="tick"><input type="checkbox" name="column" id="column-{name}" value="{name}"'
        f"{' checked' if name in seller.report_columns else ''}> {name}</label>"
        for name in REPORT_COLUMNS
    )
    body = f"""{_notice(request, language)}<form method="post" action="/{host}{ORDER_REPORT_COLUMNS_PATH}">
<fieldset><legend>{texts["optional"]}</legend><div class="columns">{ticks}</div></fieldset>
<button class="main" id="save" type="submit">{texts["save"]}</button></form>"""
    return _seller_page(language, host, seller, texts["columns"], body)


@router.post("/{host}" + ORDER_REPORT_COLUMNS_PATH)
async def save_columns(request: Request, host: SellerCentralHost, sandbox: SandboxState) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    form = await request.form(max_files=0, max_fields=len(REPORT_COLUMNS) + 5)
    seller.report_columns = {str(name) for name in form.getlist("column")} & set(REPORT_COLUMNS)
    return _saved(host, ORDER_REPORT_COLUMNS_PATH, "")


@router.get("/{host}" + MANAGE_APPS_PATH)
async def apps_page(
    request: Request, host: SellerCentralHost, language: PageLanguage, sandbox: SandboxState
) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    texts = _TEXTS[language]
    authorized = sandbox.is_authorized(seller.seller_id)
    state = texts["authorized" if authorized else "not_authorized"].format(
        app=escape(sandbox.settings.application_name)
    )
    disable = (
        f'<button id="disable" type="submit" name="action" value="disable">{texts["disable"]}</button>'
        if authorized
        else ""
    )
    body = f"""<p id="authorization">{state}</p><form method="post" action="/{host}{MANAGE_APPS_PATH}">
<button class="main" id="reauthorize" type="submit" name="action" value="reauthorize">{texts["again"]}</button>
{disable}</form>"""
    return _seller_page(
        language, host, seller, texts["apps"], body, form_targets=(sandbox.settings.login_uri,)
    )


@router.post("/{host}" + MANAGE_APPS_PATH)
async def manage_apps(request: Request, host: SellerCentralHost, sandbox: SandboxState) -> Response:
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return to_sign_in(request, host)
    action = (await _fields(request)).get("action")
    if action == "reauthorize":
        return RedirectResponse(login_uri_call(sandbox, host, seller), 303)
    if action == "disable":
        sandbox.revoke(seller.seller_id)
    return RedirectResponse(f"/{host}{MANAGE_APPS_PATH}", 303)


# --- parts -----------------------------------------------------------------------------------------------------------


def _show_profile(
    language: Language, host: str, seller: Seller, country: str, notice: str, *, status: int = 200
) -> Response:
    texts = _TEXTS[language]
    sections = []
    for own in _countries_here(seller, host, country):
        profile = seller.profile_in(own)
        sections.append(f"""<h2 id="{own}">{texts["country"].format(country=own)}</h2>
<form method="post" action="/{host}{SELLER_PROFILE_PATH}">{hidden(country=own)}
<fieldset><legend>{texts["service"]}</legend>
<label for="service_email-{own}">{texts["service_email"]}</label>
<input type="email" id="service_email-{own}" name="service_email" value="{escape(profile.service_email)}" required>
<label for="reply_email-{own}">{texts["reply_email"]}</label>
<input type="email" id="reply_email-{own}" name="reply_email" value="{escape(profile.reply_email)}" required>
<button class="main" id="submit-{own}" type="submit">{texts["submit"]}</button></fieldset></form>""")
    body = notice + "".join(sections) + _elsewhere(language, host, seller, SELLER_PROFILE_PATH)
    return _seller_page(language, host, seller, texts["profile"], body, status=status)


def _show_notifications(
    language: Language, host: str, seller: Seller, country: str, notice: str, *, status: int = 200
) -> Response:
    texts = _TEXTS[language]
    action = f"/{host}{NOTIFICATION_PREFERENCES_PATH}"
    sections = []
    for own in _countries_here(seller, host, country):
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
    body = notice + "".join(sections) + _elsewhere(language, host, seller, NOTIFICATION_PREFERENCES_PATH)
    return _seller_page(language, host, seller, texts["notifications"], body, status=status)


def _countries_here(seller: Seller, host: str, wanted: str) -> list[str]:
    """The seller's countries at this host, the one that the link names first."""
    here = [country for country in seller.countries if BY_COUNTRY[country].seller_central_host == host]
    return sorted(here, key=lambda country: country != wanted)


def _elsewhere(language: Language, host: str, seller: Seller, path: str) -> str:
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


def _own_country(seller: Seller, host: str, country: str) -> str:
    if country not in _countries_here(seller, host, ""):
        raise HTTPException(422)
    return country


def _wanted_country(request: Request) -> str:
    return request.query_params.get("country", "")


def _notice(request: Request, language: Language) -> str:
    if request.query_params.get("saved") is None:
        return ""
    return f'<p class="note" role="status">{_TEXTS[language]["saved"]}</p>'


def _alert(language: Language, text: str) -> str:
    return f'<p class="wrong" role="alert">{_TEXTS[language][text]}</p>'


def _saved(host: str, path: str, country: str) -> RedirectResponse:
    query = {"country": country, "saved": "1"} if country else {"saved": "1"}
    return RedirectResponse(f"/{host}{path}?{urlencode(query)}", 303)


async def _fields(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=10, max_part_size=4_096)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _seller_page(
    language: Language,
    host: str,
    seller: Seller,
    title: str,
    body: str,
    *,
    status: int = 200,
    form_targets: tuple[str, ...] = (),
) -> Response:
    texts = _TEXTS[language]
    who = texts["as"].format(store=escape(seller.store_name))
    head = f'<p>{who} <a href="/{host}/ap/signout">{texts["sign_out"]}</a> · <a href="/{host}/">Seller Central</a></p>'
    place = f"Seller Central · {host}"
    return page(language, title, head + body, place=place, status=status, form_targets=form_targets)
