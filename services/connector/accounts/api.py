"""Routes: sessions, the caller, users, API keys."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.connector.accounts import service, sign_in_service
from services.connector.accounts.callers import Caller
from services.connector.accounts.credentials import csrf_token
from services.connector.accounts.schemas import (
    AccountAnswer,
    ApiKeyAnswer,
    ApiKeyPage,
    ApiKeyRequest,
    MeAnswer,
    MeRequest,
    NewApiKeyAnswer,
    SignInRequest,
    UserAnswer,
    UserItem,
    UserPage,
)
from services.connector.dependencies import (
    SESSION_COOKIE,
    AdminEditor,
    AdminViewer,
    AnyCaller,
    Cursor,
    Now,
    PasswordsDep,
    SessionsDep,
    SignInTurnsDep,
)
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from shared.permissions import Level, Permission
from shared.tables import ApiKey

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
    # The peer's address; behind a proxy, uvicorn replaces it, for proxies named in REPLYCO_TRUSTED_PROXIES only.
    client_address = request.client.host if request.client else ""
    signed_in = await sign_in_service.sign_in(
        sessions,
        turns,
        passwords,
        body.email,
        body.password,
        client_address=client_address,
        session_token=request.cookies.get(SESSION_COOKIE, ""),
        browser_token=request.cookies.get(KNOWN_BROWSER_COOKIE, ""),
        now=now,
    )
    for name, token, lifetime in (
        (SESSION_COOKIE, signed_in.session_token, service.MAX_LIFETIME),
        (KNOWN_BROWSER_COOKIE, signed_in.browser_token, sign_in_service.BROWSER_LIFETIME),
    ):
        response.set_cookie(
            name,
            token,
            max_age=int(lifetime.total_seconds()),
            path="/",
            secure=True,
            httponly=True,
            samesite="lax",
        )
    return _me(signed_in.caller, await service.me(sessions, signed_in.caller), signed_in.session_token)


@router.delete("/sessions/current", status_code=204, summary="Sign out")
async def sign_out(caller: AnyCaller, response: Response, sessions: SessionsDep) -> None:
    """End this session at once. The browser stays known, so that others cannot keep its user from signing in again."""
    await sign_in_service.sign_out(sessions, caller)
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


@router.get("/me", summary="Who is asking")
async def read_me(caller: AnyCaller, request: Request, sessions: SessionsDep) -> MeAnswer:
    """The caller, their account and what they may do."""
    return _me(caller, await service.me(sessions, caller), request.cookies.get(SESSION_COOKIE))


@router.patch("/me", summary="Change language or time zone")
async def update_me(body: MeRequest, caller: AnyCaller, request: Request, sessions: SessionsDep) -> MeAnswer:
    """Needs a signed-in user; API keys are refused."""
    me = await service.update_me(sessions, caller, language=body.language, time_zone=body.time_zone)
    return _me(caller, me, request.cookies.get(SESSION_COOKIE))


@router.get("/users", summary="List users")
async def list_users(
    caller: AdminViewer,
    sessions: SessionsDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> UserPage:
    """The account's people, oldest first: who can own an integration has `general_admin` edit."""
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_users(sessions, caller, limit=limit + 1, after=after)
    page = rows[:limit]
    return UserPage(
        items=[
            UserItem(id=row.id, name=row.name, email=row.email, general_admin=Level(row.general_admin))
            for row in page
        ],
        next_cursor=encode_cursor(None, page[-1].id) if len(rows) > limit else None,
    )


@router.get("/api-keys", summary="List API keys")
async def list_api_keys(
    caller: AdminViewer,
    sessions: SessionsDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> ApiKeyPage:
    """Newest first, without the revoked ones. The keys themselves are never shown again."""
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_api_keys(sessions, caller, limit=limit + 1, after=after)
    page = rows[:limit]
    return ApiKeyPage(
        items=[_api_key(row) for row in page],
        next_cursor=encode_cursor(None, page[-1].id) if len(rows) > limit else None,
    )


@router.post("/api-keys", status_code=201, summary="Create an API key")
async def create_api_key(
    body: ApiKeyRequest, caller: AdminEditor, sessions: SessionsDep, now: Now
) -> NewApiKeyAnswer:
    """The answer shows the key, once. A key may do at most what its creator may, and ends when its creator is disabled."""
    key, row = await service.create_api_key(
        sessions,
        caller,
        name=body.name,
        levels=body.permissions,
        expires_at=body.expires_at,
        now=now,
    )
    return NewApiKeyAnswer(**_api_key(row).model_dump(), key=key)


@router.delete("/api-keys/{api_key_id}", status_code=204, summary="Revoke an API key")
async def revoke_api_key(api_key_id: UUID, caller: AdminEditor, sessions: SessionsDep, now: Now) -> None:
    """Revoke an API key; it stops working at once."""
    await service.revoke_api_key(sessions, caller, api_key_id, now)


def _me(caller: Caller, me: service.Me, token: str | None) -> MeAnswer:
    user = me.user
    return MeAnswer(
        user=None
        if user is None
        else UserAnswer(
            id=user.id, email=user.email, name=user.name, language=user.language, time_zone=user.time_zone
        ),
        account=AccountAnswer(id=me.account.id, name=me.account.name),
        permissions=dict(caller.levels),
        csrf_token=csrf_token(token) if caller.is_browser and token else None,
    )


def _api_key(row: ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer(
        id=row.id,
        name=row.name,
        hint=row.hint,
        permissions={
            Permission.GENERAL_ADMIN: Level(row.general_admin),
            Permission.INBOX_MESSAGES: Level(row.inbox_messages),
            Permission.INBOX_REPLIES: Level(row.inbox_replies),
        },
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
