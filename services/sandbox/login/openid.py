"""A company's OpenID provider, `/id.company.example/{tenant}/…`: discovery, keys, sign-in, tokens with PKCE, and its word on a person.

Anybody who is one of the company's people may sign in, by choosing who they are. The issuer of a tenant is
`https://id.company.example/{tenant}`, as the connector knows it; browsers and the connector reach it here. What goes wrong is a scenario.
"""

import asyncio
import hmac
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from services.sandbox.dependencies import LanguageDep, SandboxDep
from services.sandbox.html_page import hidden, page
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.openid_provider import CLIENT_SECRET, HOST, OpenIdCode
from services.sandbox.state.scenarios import OUTAGE_PAGE

router = APIRouter(prefix=f"/{HOST}/{{tenant}}")

_CODE_LIFE: Final = timedelta(minutes=1)
_TOKEN_SECONDS: Final = 300
_MAX_FIELD_CHARS: Final = 4_096
_HUGE_BYTES: Final = 2 * 1024 * 1024
_ASKED: Final = ("client_id", "redirect_uri", "state", "nonce", "code_challenge")
_NO_STORE: Final = {"Cache-Control": "no-store"}
_TEXTS: Final = {
    "de": {"title": "Firmenkonto", "choose": "Wer meldet sich an?", "go": "Anmelden", "cancel": "Abbrechen"},
    "en": {"title": "Company account", "choose": "Who signs in?", "go": "Sign in", "cancel": "Cancel"},
}


def issuer_of(tenant: str) -> str:
    return f"https://{HOST}/{tenant}"


@router.get("/.well-known/openid-configuration")
async def discovery(tenant: str, sandbox: SandboxDep) -> Response:
    if sandbox.scenarios.happens("sso-discovery-500"):
        return HTMLResponse(OUTAGE_PAGE, 503)
    issuer = issuer_of(tenant)
    described: dict[str, Any] = {
        "issuer": issuer_of("somebody-else") if sandbox.scenarios.happens("sso-discovery-issuer") else issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": True,
    }
    return JSONResponse(described)


@router.get("/jwks")
async def jwks(sandbox: SandboxDep) -> Response:
    return JSONResponse({"keys": [key.as_dict(private=False) for key in sandbox.openid.keys]})


@router.get("/authorize")
async def authorize_page(
    tenant: str, request: Request, language: LanguageDep, sandbox: SandboxDep
) -> Response:
    asked = request.query_params
    if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256":
        raise HTTPException(400, "response_type=code and code_challenge_method=S256 are needed")
    if any(not asked.get(name) for name in _ASKED) or "openid" not in asked.get("scope", "").split():
        raise HTTPException(400, "a parameter is missing")
    texts = _TEXTS[language]
    people = "".join(
        f'<label class="tick"><input type="radio" name="subject" id="person-{escape(person.subject)}" '
        f'value="{escape(person.subject)}" required> {escape(person.name)} · {escape(person.email)}</label>'
        for person in sandbox.openid.people.values()
    )
    kept = {name: asked[name] for name in _ASKED}
    body = f"""<form method="post" action="/{HOST}/{escape(tenant)}/authorize">{hidden(**kept)}
<fieldset><legend>{texts["choose"]}</legend>{people}</fieldset>
<button class="main" id="sign-in" name="action" value="sign-in" type="submit">{texts["go"]}</button>
<button id="cancel" name="action" value="cancel" type="submit" formnovalidate>{texts["cancel"]}</button></form>"""
    return page(
        language, texts["title"], body, place=f"{HOST} · {tenant}", form_targets=[kept["redirect_uri"]]
    )


@router.post("/authorize")
async def authorize(tenant: str, request: Request, sandbox: SandboxDep) -> Response:
    form = await request.form(max_files=0, max_fields=10, max_part_size=_MAX_FIELD_CHARS)
    asked = {name: str(form.get(name, "")) for name in (*_ASKED, "action", "subject")}
    answer = {"state": asked["state"], "iss": issuer_of(tenant)}
    if sandbox.scenarios.happens("sso-issuer-parameter"):
        answer["iss"] = issuer_of("somebody-else")
    if sandbox.scenarios.happens("sso-issuer-parameter-missing"):
        del answer["iss"]
    person = sandbox.openid.people.get(asked["subject"])
    if asked["action"] == "cancel" or person is None:
        answer["error"] = "access_denied"
    else:
        long_ago = sandbox.scenarios.happens("sso-not-asked-again")
        now = sandbox.now()
        answer["code"] = sandbox.openid.new_code(
            OpenIdCode(
                tenant,
                asked["client_id"],
                asked["redirect_uri"],
                asked["nonce"],
                asked["code_challenge"],
                person,
                now - timedelta(hours=1) if long_ago else now,
                now + _CODE_LIFE,
            )
        )
    if urlsplit(asked["redirect_uri"]).scheme not in {"http", "https"}:
        raise HTTPException(400, "no redirect URI")
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 303, _NO_STORE)


@router.post("/token")
async def token(tenant: str, request: Request, sandbox: SandboxDep) -> Response:
    form = dict(parse_qsl((await request.body()).decode(), max_num_fields=20))
    if (planned := await _planned(request, sandbox)) is not None:
        return planned
    client = _client(request, form)
    if client is None:
        return JSONResponse({"error": "invalid_client"}, 401, _NO_STORE)
    code = sandbox.openid.codes.pop(form.get("code", ""), None)
    challenge = urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).decode()
    if (
        code is None
        or (code.tenant, code.client_id, code.redirect_uri) != (tenant, client, form.get("redirect_uri"))
        or not hmac.compare_digest(code.challenge, challenge.rstrip("="))
        or code.expires_at <= sandbox.now()
    ):
        return JSONResponse({"error": "invalid_grant"}, 400, _NO_STORE)
    sandbox.counters.token["openid"] += 1
    answer = {
        "access_token": sandbox.openid.new_access_token(code.person),
        "token_type": "Bearer",
        "expires_in": _TOKEN_SECONDS,
        "id_token": _id_token(code, sandbox),
    }
    return JSONResponse(answer, headers=_NO_STORE)


@router.get("/userinfo")
async def userinfo(request: Request, sandbox: SandboxDep) -> Response:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    person = sandbox.openid.access_tokens.get(given) if scheme.lower() == "bearer" else None
    if person is None:
        return JSONResponse({"error": "invalid_token"}, 401, _NO_STORE)
    subject = "9999" if sandbox.scenarios.happens("sso-userinfo-of-another") else person.subject
    claims = {"sub": subject, "email": person.email, "email_verified": person.email_verified}
    return JSONResponse({**claims, "groups": list(person.groups)}, headers=_NO_STORE)


async def _planned(request: Request, sandbox: Sandbox) -> Response | None:
    if sandbox.scenarios.happens("sso-500"):
        return HTMLResponse(OUTAGE_PAGE, 500)
    if sandbox.scenarios.happens("sso-huge"):
        return Response(b'{"id_token": "' + b"a" * _HUGE_BYTES + b'"}', media_type="application/json")
    if sandbox.scenarios.happens("sso-redirects"):
        return RedirectResponse("https://elsewhere.example/token", 307)
    if sandbox.scenarios.happens("sso-slow"):
        with suppress(TimeoutError):
            async with asyncio.timeout(sandbox.settings.hang_seconds):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
        return HTMLResponse(OUTAGE_PAGE, 503)
    return None


def _client(request: Request, form: dict[str, str]) -> str | None:
    """The client's id, if its secret is right (RFC 6749 §2.3.1)."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    client, secret = form.get("client_id", ""), form.get("client_secret", "")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            client, _, secret = b64decode(given, validate=True).decode().partition(":")
        client, secret = unquote_plus(client), unquote_plus(secret)
    return client if hmac.compare_digest(secret.encode(), CLIENT_SECRET.encode()) else None


def _id_token(code: OpenIdCode, sandbox: Sandbox) -> str:
    now, person = int(sandbox.now().timestamp()), code.person
    claims: dict[str, Any] = {
        "iss": issuer_of(code.tenant),
        "sub": person.subject,
        "aud": code.client_id,
        "iat": now,
        "exp": now + _TOKEN_SECONDS,
        "nonce": code.nonce,
        "auth_time": int(code.authenticated_at.timestamp()),
        "amr": list(person.methods),
        "email": person.email,
        "email_verified": person.email_verified,
        "name": person.name,
        "groups": list(person.groups),
        "hd": person.organization,
    }
    for scenario, wrong in _WRONG_CLAIMS.items():
        if sandbox.scenarios.happens(scenario):
            claims |= wrong(claims)
    return _signed({name: value for name, value in claims.items() if value is not None}, sandbox)


# What each scenario makes of the claims; None takes one away.
_WRONG_CLAIMS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "sso-other-issuer": lambda _: {"iss": issuer_of("somebody-else")},
    "sso-wrong-audience": lambda _: {"aud": "somebody-else"},
    "sso-two-audiences": lambda claims: {"aud": [claims["aud"], "somebody-else"]},
    "sso-other-party": lambda _: {"azp": "somebody-else"},
    "sso-wrong-nonce": lambda _: {"nonce": secrets.token_urlsafe(32)},
    "sso-no-nonce": lambda _: {"nonce": None},
    "sso-expired": lambda claims: {"iat": claims["iat"] - 7200, "exp": claims["iat"] - 3600},
    "sso-from-the-future": lambda claims: {"iat": claims["iat"] + 3600},
    "sso-no-auth-time": lambda _: {"auth_time": None},
    "sso-email-unverified": lambda _: {"email_verified": False},
    "sso-thin-token": lambda _: dict.fromkeys(("email", "email_verified", "name", "groups")),
}


def _signed(claims: dict[str, Any], sandbox: Sandbox) -> str:
    happens = sandbox.scenarios.happens
    if happens("sso-alg-none"):
        return sandbox.openid.sign_badly(claims, "none")
    if happens("sso-hs256-with-public-key"):
        return sandbox.openid.sign_badly(claims, "HS256")
    if happens("sso-key-rotated"):
        sandbox.openid.rotate_key()
    signed = sandbox.openid.sign(claims, is_shown=not happens("sso-key-unknown"))
    if happens("sso-altered"):
        head, body, signature = signed.split(".")
        return f"{head}.{'B' if body[0] == 'A' else 'A'}{body[1:]}.{signature}"
    return signed
