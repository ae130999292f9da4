"""Consent on Seller Central, `/<Seller Central host>/apps/authorize/consent`.

As at Amazon: errors are shown on Amazon's own page with a code and never lead back to the application; neither does Cancel.
Only a ticked box and Confirm send the browser to a registered redirect URI, with state, selling_partner_id and
spapi_oauth_code. Scenarios change that. The Appstore's way in is in `appstore`.
"""

from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import Language, LanguageDep, SandboxDep, SellerCentralHost
from services.sandbox.html_page import hidden, origin, page
from services.sandbox.login.login_uri import login_uri_call, with_query
from services.sandbox.login.sign_in import SIGN_IN_PATH, SIGN_OUT_PATH, sign_in_location, signed_in
from services.sandbox.state.memory import CODE_LIFE, Sandbox
from services.sandbox.state.scenarios import PAGE_CODES
from services.sandbox.state.sellers import Seller
from shared.marketplaces import Region

router = APIRouter()

CONSENT_PATH: Final = "/apps/authorize/consent"
_MAX_FIELD_CHARS: Final = 4_096

_TEXTS: Final = {
    "de": {
        "consent": "{app} autorisieren",
        "as": "Angemeldet als {store} ({seller_id}).",
        "other": "Mit einem anderen Konto anmelden",
        "scope": "Die Autorisierung gilt für die Region {region} und damit für Ihre Stores in: {countries}.",
        "may": "{app} darf dann Ihre Shopdaten, Bestellungen und Käufernachrichten lesen, bis Sie die Autorisierung "
        "deaktivieren oder ein Jahr vergangen ist.",
        "tick": "Ich erlaube {app} den Zugriff auf die Daten meines Verkäuferkontos.",
        "tick_missing": "Bitte setzen Sie zuerst das Häkchen.",
        "confirm": "Bestätigen",
        "cancel": "Abbrechen",
        "confirmed": "Autorisiert",
        "by_hand": "Der Rückweg liegt in Ihrer Hand: Öffnen Sie diesen Link, wann, wie oft und in welchem Browser Sie wollen.",
        "error": "Die Autorisierung ist nicht möglich",
        "error_text": "Bitte wenden Sie sich an den Anbieter der Anwendung und nennen Sie diesen Fehlercode:",
    },
    "en": {
        "consent": "Authorize {app}",
        "as": "Signed in as {store} ({seller_id}).",
        "other": "Sign in with another account",
        "scope": "The authorization covers the region {region} and with it your stores in: {countries}.",
        "may": "{app} may then read your store's data, orders and buyer messages until you disable the authorization or "
        "a year has passed.",
        "tick": "I allow {app} to access the data of my seller account.",
        "tick_missing": "Please tick the box first.",
        "confirm": "Confirm",
        "cancel": "Cancel",
        "confirmed": "Authorized",
        "by_hand": "The way back is in your hands: open this link when, as often, and in whatever browser you like.",
        "error": "The authorization is not possible",
        "error_text": "Please contact the application's provider and name this error code:",
    },
}


_REGIONS: Final = {
    "de": {Region.NA: "Amerika", Region.EU: "Europa", Region.FE: "Fernost und Australien"},
    "en": {Region.NA: "the Americas", Region.EU: "Europe", Region.FE: "the Far East and Australia"},
}


class ConsentError(Exception):
    """The consent ends on Amazon's error page, which shows `code`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """The checked parameters of a consent URL. `target` is where the browser goes afterwards."""

    application_id: str
    state: str
    redirect_uri: str  # as sent, empty if absent
    version: str
    target: str


@router.get(f"/{{host}}{CONSENT_PATH}")
async def consent_page(
    request: Request, host: SellerCentralHost, language: LanguageDep, sandbox: SandboxDep
) -> Response:
    try:
        wanted = check_request(dict(request.query_params), sandbox)
        seller = signed_in(request, host, sandbox)
        if seller is None:
            return RedirectResponse(sign_in_location(request, host), 303)
        _raise_planned(sandbox, seller)
    except ConsentError as error:
        return error_page(language, host, error.code)
    return _show_consent(language, host, seller, wanted, sandbox)


@router.post(f"/{{host}}{CONSENT_PATH}")
async def consent(
    request: Request, host: SellerCentralHost, language: LanguageDep, sandbox: SandboxDep
) -> Response:
    form = await request.form(max_files=0, max_fields=10, max_part_size=_MAX_FIELD_CHARS)
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        wanted = check_request(fields, sandbox)
    except ConsentError as error:
        return error_page(language, host, error.code)
    seller = signed_in(request, host, sandbox)
    if seller is None:
        return RedirectResponse(f"/{host}{SIGN_IN_PATH}", 303)
    if fields.get("action") != "confirm":
        return _cancelled(sandbox, language, host, seller, wanted)
    if not fields.get("consent"):
        return _show_consent(language, host, seller, wanted, sandbox, tick_missing=True)
    return _confirmed(sandbox, language, host, seller, wanted)


def _cancelled(
    sandbox: Sandbox, language: Language, host: str, seller: Seller, wanted: ConsentRequest
) -> Response:
    """After Cancel the seller stays on Amazon's page, unless a scenario sends them back with an error."""
    if sandbox.scenarios.happens("access-denied", seller.seller_id):
        refusal = {"state": wanted.state, "error": "access_denied"}
        return RedirectResponse(with_query(wanted.target, refusal), 303)
    return _show_consent(language, host, seller, wanted, sandbox)


def _confirmed(
    sandbox: Sandbox, language: Language, host: str, seller: Seller, wanted: ConsentRequest
) -> Response:
    # Reported by integrators: a consent without `state` comes back through the login URI, without a code.
    if not wanted.state or sandbox.scenarios.happens("consent-through-login-uri", seller.seller_id):
        return RedirectResponse(login_uri_call(sandbox, host, seller), 303)
    if sandbox.scenarios.happens("redirect-uri-as-login-uri", seller.seller_id):
        return RedirectResponse(login_uri_call(sandbox, host, seller, instead=wanted.target), 303)
    return send_back(sandbox, language, host, seller, wanted)


def error_page(language: Language, host: str, code: str) -> Response:
    """Amazon's own error page, from which no link leads back to the application."""
    texts = _TEXTS[language]
    body = f'<p>{texts["error_text"]} <strong id="error-code">{escape(code)}</strong></p>'
    return page(language, texts["error"], body, place=f"Seller Central · {host}", status=400)


def check_request(fields: dict[str, str], sandbox: Sandbox) -> ConsentRequest:
    """The request behind these parameters. Raises ConsentError with Amazon's code."""
    settings = sandbox.settings
    application_id = fields.get("application_id", "")
    redirect_uri = fields.get("redirect_uri", "")
    if not application_id:
        raise ConsentError("MD4010")
    # Seen at Amazon: the Login with Amazon client id instead of the application's is answered like a draft.
    if application_id == settings.client_id:
        raise ConsentError("MD1000")
    if application_id != settings.application_id:
        raise ConsentError("MD4100")
    if sandbox.is_draft and fields.get("version") != "beta":
        raise ConsentError("MD1000")
    if "#" in redirect_uri:
        raise ConsentError("MD5110")
    if redirect_uri and redirect_uri not in settings.redirect_uris:
        raise ConsentError("MD5101")
    return ConsentRequest(
        application_id=application_id,
        state=fields.get("state", ""),
        redirect_uri=redirect_uri,
        version=fields.get("version", ""),
        target=redirect_uri or settings.redirect_uris[0],
    )


def _show_consent(
    language: Language,
    host: str,
    seller: Seller,
    wanted: ConsentRequest,
    sandbox: Sandbox,
    *,
    tick_missing: bool = False,
) -> Response:
    texts = _TEXTS[language]
    app = escape(sandbox.settings.application_name)
    parameters = {
        "application_id": wanted.application_id,
        "state": wanted.state,
        "redirect_uri": wanted.redirect_uri,
        "version": wanted.version,
    }
    here = f"/{host}{CONSENT_PATH}?{urlencode({name: value for name, value in parameters.items() if value})}"
    again = escape(f"/{host}{SIGN_OUT_PATH}?{urlencode({'return_to': here})}")
    scope = texts["scope"].format(
        region=_REGIONS[language][seller.region], countries=escape(", ".join(seller.countries))
    )
    who = texts["as"].format(store=escape(seller.store_name), seller_id=escape(seller.seller_id))
    warning = f'<p class="wrong" role="alert">{texts["tick_missing"]}</p>' if tick_missing else ""
    body = f"""<p>{who} <a id="other-account" href="{again}">{texts["other"]}</a></p>
<p>{scope}</p>
<p>{texts["may"].format(app=app)}</p>{warning}
<form method="post" action="/{host}{CONSENT_PATH}">{hidden(**parameters)}
<label class="tick" for="consent"><input type="checkbox" id="consent" name="consent" value="yes" required>
{texts["tick"].format(app=app)}</label>
<button class="main" id="confirm" type="submit" name="action" value="confirm">{texts["confirm"]}</button>
<button id="cancel" type="submit" name="action" value="cancel" formnovalidate>{texts["cancel"]}</button></form>"""
    return page(
        language,
        texts["consent"].format(app=sandbox.settings.application_name),
        body,
        place=f"Seller Central · {host}",
        status=422 if tick_missing else 200,
        form_targets=(wanted.target, sandbox.settings.login_uri),
    )


def send_back(
    sandbox: Sandbox, language: Language, host: str, seller: Seller, wanted: ConsentRequest
) -> Response:
    """Send the browser to the redirect URI with a code, or do what a scenario makes of that."""
    on, target = sandbox.scenarios, wanted.target
    who = _who_consents(sandbox, seller)
    parameters = {"state": wanted.state, "selling_partner_id": who.seller_id}
    if not on.happens("code-missing", seller.seller_id):
        life = timedelta() if on.happens("code-expired", seller.seller_id) else CODE_LIFE
        parameters["spapi_oauth_code"] = sandbox.issue_code(who, target, life)
    location = with_query(target, parameters)
    if not on.happens("callback-by-hand", seller.seller_id):
        return RedirectResponse(location, 303)
    texts = _TEXTS[language]
    body = f'<p>{texts["by_hand"]}</p><p><a id="callback" href="{escape(location)}">{escape(origin(target))}</a></p>'
    return page(language, texts["confirmed"], body, place=f"Seller Central · {host}")


def _who_consents(sandbox: Sandbox, seller: Seller) -> Seller:
    if sandbox.scenarios.happens("other-seller", seller.seller_id):
        return sandbox.other_seller(seller)
    if sandbox.scenarios.happens("other-region", seller.seller_id):
        elsewhere = next(region for region in (Region.NA, Region.EU) if region is not seller.region)
        return sandbox.other_seller(seller, elsewhere)
    return seller


def _raise_planned(sandbox: Sandbox, seller: Seller) -> None:
    """Raises ConsentError where a scenario has Amazon refuse this seller."""
    for code in PAGE_CODES:
        if sandbox.scenarios.happens(f"page-{code}", seller.seller_id):
            raise ConsentError(code)
