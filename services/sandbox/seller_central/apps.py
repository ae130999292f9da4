"""Manage Your Apps: sellers see whether the application is authorized, authorize it again, or withdraw."""

from html import escape
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import LanguageDep, SandboxDep, SellerCentralHost
from services.sandbox.login.login_uri import login_uri_call
from services.sandbox.login.sign_in import SignedInSeller
from services.sandbox.seller_central.seller_page import form_fields, seller_page

router = APIRouter()

MANAGE_APPS_PATH: Final = "/apps/manage"


_TEXTS: Final = {
    "de": {
        "apps": "Apps verwalten",
        "authorized": "{app} ist autorisiert.",
        "not_authorized": "{app} ist nicht autorisiert.",
        "disable": "Autorisierung deaktivieren",
        "again": "Erneut autorisieren",
    },
    "en": {
        "apps": "Manage Your Apps",
        "authorized": "{app} is authorized.",
        "not_authorized": "{app} is not authorized.",
        "disable": "Disable authorization",
        "again": "Re-Authorize",
    },
}


@router.get("/{host}" + MANAGE_APPS_PATH)
async def apps_page(
    seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep, sandbox: SandboxDep
) -> Response:
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
    return seller_page(
        language, host, seller, texts["apps"], body, form_targets=(sandbox.settings.login_uri,)
    )


@router.post("/{host}" + MANAGE_APPS_PATH)
async def manage_apps(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, sandbox: SandboxDep
) -> Response:
    action = (await form_fields(request)).get("action")
    if action == "reauthorize":
        return RedirectResponse(login_uri_call(sandbox, host, seller), 303)
    if action == "disable":
        sandbox.revoke(seller.seller_id)
    return RedirectResponse(f"/{host}{MANAGE_APPS_PATH}", 303)
