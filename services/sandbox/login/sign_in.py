"""Sign-in on Seller Central: who is signed in at a host, and the pages on which sellers sign in and out.

Each host has a sign-in of its own, as at Amazon, and nobody needs a password.
"""

from html import escape
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import LanguageDep, SandboxDep, SellerCentralHost
from services.sandbox.html_page import hidden, page
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.sellers import Seller

router = APIRouter()

SIGN_IN_PATH: Final = "/ap/signin"
SIGN_OUT_PATH: Final = "/ap/signout"
SESSION_COOKIE: Final = "sandbox_session"
_MAX_FIELD_CHARS: Final = 4_096

_TEXTS: Final = {
    "de": {
        "sign_in": "Anmelden",
        "choose": "Mit welchem Verkäuferkonto möchten Sie sich anmelden?",
        "account": "Verkäuferkonto",
    },
    "en": {
        "sign_in": "Sign in",
        "choose": "Which seller account do you want to sign in with?",
        "account": "Seller account",
    },
}


def signed_in(request: Request, host: str, sandbox: Sandbox) -> Seller | None:
    """The seller who is signed in at this host, if anybody is."""
    return sandbox.signed_in_seller(host, request.cookies.get(SESSION_COOKIE))


def sign_in_location(request: Request, host: str) -> str:
    """The URL of the sign-in page, from which the browser comes back to this request's URL."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/{host}{SIGN_IN_PATH}?{urlencode({'return_to': here})}"


async def require_signed_in(request: Request, host: SellerCentralHost, sandbox: SandboxDep) -> Seller:
    """The signed-in seller; anybody else is sent to the sign-in page instead of the route."""
    seller = signed_in(request, host, sandbox)
    if seller is None:
        raise HTTPException(303, headers={"Location": sign_in_location(request, host)})
    return seller


SignedInSeller = Annotated[Seller, Depends(require_signed_in)]


@router.get(f"/{{host}}{SIGN_IN_PATH}")
async def sign_in_page(
    host: SellerCentralHost, language: LanguageDep, sandbox: SandboxDep, return_to: str = ""
) -> Response:
    texts = _TEXTS[language]
    choices = "".join(
        f'<label class="tick"><input type="radio" name="seller_id" id="seller-{escape(seller.seller_id)}" '
        f'value="{escape(seller.seller_id)}" required> {escape(seller.store_name)} · {escape(seller.seller_id)} · '
        f"{escape(', '.join(seller.countries))}</label>"
        for seller in sandbox.sellers.values()
    )
    body = f"""<p>{texts["choose"]}</p>
<form method="post" action="/{host}{SIGN_IN_PATH}">{hidden(return_to=return_to)}
<fieldset><legend>{texts["account"]}</legend>{choices}</fieldset>
<button class="main" id="sign-in" type="submit">{texts["sign_in"]}</button></form>"""
    # The answer leads to the consent page, whose own answer is another form's: no other origin is needed here.
    return page(language, texts["sign_in"], body, place=f"Seller Central · {host}")


@router.post(f"/{{host}}{SIGN_IN_PATH}")
async def sign_in(
    request: Request, host: SellerCentralHost, language: LanguageDep, sandbox: SandboxDep
) -> Response:
    form = await request.form(max_files=0, max_fields=4, max_part_size=_MAX_FIELD_CHARS)
    seller_id, return_to = str(form.get("seller_id", "")), str(form.get("return_to", ""))
    if seller_id not in sandbox.sellers:
        return await sign_in_page(host, language, sandbox, return_to)
    answer = RedirectResponse(_safe_return(host, return_to), 303)
    answer.set_cookie(
        SESSION_COOKIE, sandbox.sign_in(host, seller_id), path=f"/{host}", httponly=True, samesite="lax"
    )
    return answer


@router.get(f"/{{host}}{SIGN_OUT_PATH}")
async def sign_out(
    request: Request, host: SellerCentralHost, sandbox: SandboxDep, return_to: str = ""
) -> Response:
    sandbox.sessions.pop(request.cookies.get(SESSION_COOKIE, ""), None)
    query = urlencode({"return_to": _safe_return(host, return_to)})
    answer = RedirectResponse(f"/{host}{SIGN_IN_PATH}?{query}", 303)
    answer.delete_cookie(SESSION_COOKIE, path=f"/{host}")
    return answer


def _safe_return(host: str, return_to: str) -> str:
    """Only back to the same Seller Central host."""
    wrong = not return_to.startswith(f"/{host}/") or any(c in return_to for c in "\\\r\n")
    return f"/{host}/" if wrong else return_to
