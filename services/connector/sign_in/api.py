"""Routes: signing in and out, and proving again who one is."""

from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from services.connector.accounts.schemas import MeAnswer, me_answer
from services.connector.accounts.service import caller_of_session, me
from services.connector.accounts.session_lifetime import USUAL
from services.connector.dependencies import (
    SESSION_COOKIE,
    Now,
    PasswordsDep,
    SessionsDep,
    SettingUpCaller,
    SignInTurnsDep,
)
from services.connector.sign_in import service
from services.connector.sign_in.browsers import Browser
from services.connector.sign_in.schemas import ConfirmRequest, SignInRequest
from shared.database import Sessions

# A browser that sends it has signed in before (`sign_in_limits`).
KNOWN_BROWSER_COOKIE: Final = "__Host-replyco_known_browser"

router = APIRouter(tags=["accounts"])


@router.post("/sessions", status_code=201, summary="Sign in")
async def sign_in(
    *,
    body: SignInRequest,
    request: Request,
    response: Response,
    sessions: SessionsDep,
    turns: SignInTurnsDep,
    passwords: PasswordsDep,
    now: Now,
) -> MeAnswer:
    """Set the session's cookie. Every later change by a cookie caller needs the `csrf_token` in `X-CSRF-Token`."""
    signed_in = await service.sign_in(
        sessions, turns, passwords, body.email, body.password, browser=browser_of(request), now=now
    )
    return await _welcome(response, sessions, signed_in, now)


@router.delete("/sessions/current", status_code=204, summary="Sign out")
async def sign_out(caller: SettingUpCaller, response: Response, sessions: SessionsDep) -> None:
    """End this session at once. The browser stays known, so that others cannot keep its user from signing in again."""
    await service.sign_out(sessions, caller)
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


@router.post("/sessions/current/confirm", status_code=204, summary="Prove again who is there")
async def confirm(
    *,
    body: ConfirmRequest,
    caller: SettingUpCaller,
    request: Request,
    sessions: SessionsDep,
    turns: SignInTurnsDep,
    passwords: PasswordsDep,
    now: Now,
) -> None:
    """What answered `reauthentication_needed` may be done within the next ten minutes. API keys need it nowhere, and are refused here."""
    await service.confirm(
        sessions, turns, passwords, caller, body.password, browser=browser_of(request), now=now
    )


def browser_of(request: Request) -> Browser:
    """The browser that sent this request."""
    # The peer's address; behind a proxy, uvicorn replaces it, for proxies named in REPLYCO_TRUSTED_PROXIES only.
    return Browser(
        client_address=request.client.host if request.client else "",
        user_agent=request.headers.get("user-agent", ""),
        session_token=request.cookies.get(SESSION_COOKIE, ""),
        known_token=request.cookies.get(KNOWN_BROWSER_COOKIE, ""),
    )


async def _welcome(
    response: Response, sessions: Sessions, signed_in: service.SignedIn, now: datetime
) -> MeAnswer:
    """Set the cookies of a session that has begun."""
    _set_cookie(response, SESSION_COOKIE, signed_in.session_token, USUAL.longest)
    _set_cookie(response, KNOWN_BROWSER_COOKIE, signed_in.known_token, service.BROWSER_LIFETIME)
    caller = await caller_of_session(sessions, signed_in.session_token, now)
    return me_answer(caller, await me(sessions, caller), signed_in.session_token)


def _set_cookie(response: Response, name: str, token: str, lifetime: timedelta) -> None:
    response.set_cookie(
        name,
        token,
        max_age=int(lifetime.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )
