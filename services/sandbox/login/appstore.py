"""The Appstore's page of our application, and where the application sends the browser back to after its login URI."""

from html import escape
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import LanguageDep, SandboxDep, SellerCentralHost
from services.sandbox.html_page import page
from services.sandbox.login.consent import (
    ConsentError,
    check_request,
    error_page,
    send_back,
)
from services.sandbox.login.login_uri import CONFIRM_PATH, login_uri_call
from services.sandbox.login.sign_in import SignedInSeller

router = APIRouter()

APPSTORE_PATH: Final = "/apps/store"

_TEXTS: Final = {
    "de": {
        "title": "Appstore: {app}",
        "what": "Autorisieren öffnet die Anmeldeseite von {app}. Dort geht es weiter.",
        "authorize": "Jetzt autorisieren",
    },
    "en": {
        "title": "Appstore: {app}",
        "what": "Authorize opens the sign-in page of {app}. It goes on there.",
        "authorize": "Authorize now",
    },
}


@router.get("/{host}" + APPSTORE_PATH)
async def appstore_page(
    _seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep, sandbox: SandboxDep
) -> Response:
    texts, app = _TEXTS[language], sandbox.settings.application_name
    body = f"""<p>{texts["what"].format(app=escape(app))}</p><form method="post" action="/{host}{APPSTORE_PATH}">
<button class="main" id="authorize" type="submit">{texts["authorize"]}</button></form>"""
    return page(
        language,
        texts["title"].format(app=app),
        body,
        place=f"Seller Central · {host}",
        form_targets=(sandbox.settings.login_uri,),
    )


@router.post("/{host}" + APPSTORE_PATH)
async def authorize(seller: SignedInSeller, host: SellerCentralHost, sandbox: SandboxDep) -> Response:
    return RedirectResponse(login_uri_call(sandbox, host, seller), 303)


@router.get(f"/{{host}}{CONFIRM_PATH}/{{application_id}}")
async def confirm(
    request: Request,
    host: SellerCentralHost,
    application_id: str,
    language: LanguageDep,
    sandbox: SandboxDep,
) -> Response:
    """The application sends the browser here after its login URI was opened; the seller has agreed before."""
    fields = {**dict(request.query_params), "application_id": application_id}
    try:
        wanted = check_request(fields, sandbox)
    except ConsentError as error:
        return error_page(language, host, error.code)
    known = sandbox.appstore_states.pop(fields.get("amazon_state", ""), None)
    seller = sandbox.sellers.get(known[0]) if known is not None and sandbox.now() < known[1] else None
    if seller is None:
        return error_page(language, host, "MD9999")
    return send_back(sandbox, language, host, seller, wanted)
