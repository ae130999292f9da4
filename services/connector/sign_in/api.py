"""Routes: signing in and out, sessions, passwords, and proving again who one is."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Request, Response

from services.connector.accounts.schemas import MeAnswer, me_answer
from services.connector.accounts.service import caller_of_session, me
from services.connector.dependencies import (
    SESSION_COOKIE,
    AnyPerson,
    KeyringDep,
    Now,
    PasswordsDep,
    SessionsDep,
    SettingsDep,
    SettingUpPerson,
    SignInTurnsDep,
    browser_of,
    set_secret_cookie,
    set_session_cookies,
)
from services.connector.http.routers import api_router
from services.connector.second_factors.passkeys import RelyingParty
from services.connector.second_factors.schemas import OptionsAnswer
from services.connector.sign_in import confirm_service, password_service, second_step_service, service
from services.connector.sign_in.beginning import SignedIn
from services.connector.sign_in.schemas import (
    ConfirmRequest,
    NewPasswordRequest,
    PasskeySignInRequest,
    PasswordChangeRequest,
    PasswordResetRequest,
    SecondStepAnswer,
    SecondStepRequest,
    SessionItem,
    SessionList,
    SignInRequest,
)
from services.connector.sign_in.second_step_service import CHALLENGE_LIFETIME, SecondStep
from shared.database import Sessions
from shared.tables import SignInMethod

# A browser that sends it has something to answer within minutes; it lets nobody in.
CHALLENGE_COOKIE: Final = "__Host-replyco_sign_in"

router = api_router("accounts")


async def _relying_party(settings: SettingsDep) -> RelyingParty:
    return RelyingParty.at(settings.public_url)


RelyingPartyDep = Annotated[RelyingParty, Depends(_relying_party)]
_SECOND_STEP: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": SecondStepAnswer, "description": "The password is right; a second step is left."}
}


@router.post("/sessions", status_code=201, summary="Sign in", responses=_SECOND_STEP)
async def sign_in(
    *,
    body: SignInRequest,
    request: Request,
    response: Response,
    sessions: SessionsDep,
    turns: SignInTurnsDep,
    passwords: PasswordsDep,
    party: RelyingPartyDep,
    now: Now,
) -> MeAnswer | SecondStepAnswer:
    """Set the session's cookie. Every later change by a cookie caller needs the `csrf_token` in `X-CSRF-Token`.

    `202`: whoever has a second factor has five minutes for it, in the same browser (`POST /sessions/second-step`).
    """
    outcome = await service.sign_in(
        sessions,
        turns,
        passwords,
        body.email,
        body.password,
        party=party,
        browser=browser_of(request),
        now=now,
    )
    if isinstance(outcome, SignedIn):
        return await _welcome(response, sessions, outcome, now)
    response.status_code = 202
    set_secret_cookie(response, CHALLENGE_COOKIE, outcome.token, CHALLENGE_LIFETIME)
    return _second_step(outcome)


@router.post("/sessions/second-step", status_code=201, summary="Finish signing in")
async def finish_sign_in(
    *,
    body: SecondStepRequest,
    request: Request,
    response: Response,
    sessions: SessionsDep,
    keyring: KeyringDep,
    party: RelyingPartyDep,
    now: Now,
) -> MeAnswer:
    """With a code or a passkey, in the browser that has sent the password."""
    token, browser = request.cookies.get(CHALLENGE_COOKIE, ""), browser_of(request)
    if body.code is not None:
        signed_in = await second_step_service.finish_with_code(
            sessions, keyring, token, body.code, browser=browser, now=now
        )
    else:
        signed_in = await second_step_service.finish_with_passkey(
            sessions, party, token, body.passkey or {}, browser=browser, now=now
        )
    return await _welcome(response, sessions, signed_in, now)


@router.post("/sessions/passkey/options", summary="Begin to sign in with a passkey")
async def begin_passkey_sign_in(
    request: Request, response: Response, sessions: SessionsDep, party: RelyingPartyDep, now: Now
) -> SecondStepAnswer:
    """What any passkey of ours has to sign, within five minutes, in the same browser."""
    client_address = browser_of(request).client_address
    asked = await second_step_service.ask_passkey(sessions, party, client_address=client_address, now=now)
    set_secret_cookie(response, CHALLENGE_COOKIE, asked.token, CHALLENGE_LIFETIME)
    return _second_step(asked)


@router.post("/sessions/passkey", status_code=201, summary="Sign in with a passkey")
async def sign_in_with_passkey(
    *,
    body: PasskeySignInRequest,
    request: Request,
    response: Response,
    sessions: SessionsDep,
    party: RelyingPartyDep,
    now: Now,
) -> MeAnswer:
    """A passkey whose device has recognised its owner is a whole sign-in: something that one has, and knows or is."""
    token = request.cookies.get(CHALLENGE_COOKIE, "")
    signed_in = await second_step_service.sign_in_with_passkey(
        sessions, party, token, body.passkey, browser=browser_of(request), now=now
    )
    return await _welcome(response, sessions, signed_in, now)


@router.get("/sessions", summary="Where one is signed in")
async def list_sessions(caller: AnyPerson, sessions: SessionsDep, now: Now) -> SessionList:
    """One's own sessions, the one that was used last first; fifty at most."""
    rows = await service.own_sessions(sessions, caller, now)
    return SessionList(
        items=[
            SessionItem(
                id=row.id,
                browser=row.browser,
                network=row.network,
                method=SignInMethod(row.method),
                created_at=row.created_at,
                last_seen_at=row.last_seen_at,
                is_current=row.id == caller.session_id,
            )
            for row in rows
        ]
    )


@router.delete("/sessions", status_code=204, summary="Sign out everywhere else")
async def end_other_sessions(caller: AnyPerson, sessions: SessionsDep) -> None:
    """End all of one's sessions but this one, at once."""
    await service.end_other_sessions(sessions, caller)


@router.delete("/sessions/current", status_code=204, summary="Sign out")
async def sign_out(caller: SettingUpPerson, response: Response, sessions: SessionsDep) -> None:
    """End this session at once. The browser stays known, so that others cannot keep its user from signing in again."""
    await service.sign_out(sessions, caller)
    _delete_cookie(response, SESSION_COOKIE)


@router.delete("/sessions/{session_id}", status_code=204, summary="End a session")
async def end_session(session_id: UUID, caller: AnyPerson, sessions: SessionsDep) -> None:
    """One of one's own, at once. Its event streams end within seconds."""
    await service.end_session(sessions, caller, session_id)


@router.post("/sessions/current/confirm", status_code=204, summary="Prove again who is there")
async def confirm_identity(
    *,
    body: ConfirmRequest,
    caller: SettingUpPerson,
    request: Request,
    sessions: SessionsDep,
    turns: SignInTurnsDep,
    passwords: PasswordsDep,
    keyring: KeyringDep,
    party: RelyingPartyDep,
    now: Now,
) -> None:
    """What answered `reauthentication_needed` may be done within the next ten minutes. API keys need it nowhere, and are refused here."""
    browser = browser_of(request)
    if body.password is not None:
        await confirm_service.confirm_with_password(
            sessions, turns, passwords, caller, body.password, browser=browser, now=now
        )
    elif body.code is not None:
        await confirm_service.confirm_with_code(
            sessions, keyring, caller, body.code, browser=browser, now=now
        )
    else:
        await confirm_service.confirm_with_passkey(
            sessions, party, caller, body.passkey or {}, browser=browser, now=now
        )


@router.post("/sessions/current/confirm/passkey-options", summary="Begin to prove it with a passkey")
async def begin_passkey_confirmation(
    caller: SettingUpPerson, sessions: SessionsDep, party: RelyingPartyDep, now: Now
) -> OptionsAnswer:
    """What one of one's own passkeys has to sign, within five minutes."""
    return OptionsAnswer(options=await confirm_service.ask_passkey(sessions, party, caller, now))


@router.put("/me/password", status_code=204, summary="Change one's own password")
async def change_password(
    *,
    body: PasswordChangeRequest,
    caller: AnyPerson,
    request: Request,
    sessions: SessionsDep,
    turns: SignInTurnsDep,
    passwords: PasswordsDep,
    now: Now,
) -> None:
    """It ends all other sessions."""
    await password_service.change(
        sessions,
        turns,
        passwords,
        caller,
        current=body.current,
        new=body.new,
        browser=browser_of(request),
        now=now,
    )


@router.post("/password-resets", status_code=202, summary="Ask for a new password")
async def ask_password_reset(
    body: PasswordResetRequest, request: Request, sessions: SessionsDep, now: Now
) -> None:
    """A mail with a link goes to whoever signs in with this address. The answer is the same if nobody does."""
    client_address = browser_of(request).client_address
    await password_service.ask_reset(sessions, body.email, client_address=client_address, now=now)


@router.post("/password-resets/use", status_code=204, summary="Set a new password")
async def use_password_reset(
    body: NewPasswordRequest, request: Request, sessions: SessionsDep, passwords: PasswordsDep, now: Now
) -> None:
    """With the token of the link, which is good for an hour, once. All sessions end; the second factor stays."""
    await password_service.use_reset(
        sessions, passwords, body.token, body.new, browser=browser_of(request), now=now
    )


def _second_step(asked: SecondStep) -> SecondStepAnswer:
    return SecondStepAnswer(
        takes_codes=asked.takes_codes,
        passkey_options=asked.passkey_options,
        expires_at=asked.expires_at,
    )


async def _welcome(response: Response, sessions: Sessions, signed_in: SignedIn, now: datetime) -> MeAnswer:
    """Set the cookies of a session that has begun."""
    set_session_cookies(response, signed_in)
    caller = await caller_of_session(sessions, signed_in.session_token, now)
    return me_answer(caller, await me(sessions, caller), signed_in.session_token)


def _delete_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
