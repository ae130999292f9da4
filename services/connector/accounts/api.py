"""Routes: the caller, API keys."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request

from services.connector.accounts import service
from services.connector.accounts.levels import levels_of_key
from services.connector.accounts.schemas import (
    AccountAnswer,
    AccountRequest,
    ApiKeyAnswer,
    ApiKeyPage,
    ApiKeyRequest,
    MeAnswer,
    MeRequest,
    NewApiKeyAnswer,
    account_answer,
    me_answer,
)
from services.connector.dependencies import (
    SESSION_COOKIE,
    AdminEditor,
    AdminViewer,
    AnyPerson,
    Cursor,
    Now,
    ProgramsEditor,
    ProgramsPerson,
    ProgramsViewer,
    SessionsDep,
    SettingUpCaller,
)
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.routers import api_router
from shared.tables import ApiKey

router = api_router("accounts")


@router.get("/me", summary="Who is asking")
async def read_me(caller: SettingUpCaller, request: Request, sessions: SessionsDep) -> MeAnswer:
    """The caller, their account and what they may do."""
    return me_answer(caller, await service.me(sessions, caller), request.cookies.get(SESSION_COOKIE))


@router.patch("/me", summary="Change one's own name, language or time zone")
async def change_me(body: MeRequest, caller: AnyPerson, request: Request, sessions: SessionsDep) -> MeAnswer:
    """Needs a signed-in user; API keys are refused."""
    me = await service.update_me(
        sessions,
        caller,
        name=body.name,
        language=body.language,
        time_zone=body.time_zone,
        form_of_address=body.form_of_address,
        keeps_form_of_address="form_of_address" not in body.model_fields_set,
    )
    return me_answer(caller, me, request.cookies.get(SESSION_COOKIE))


@router.get("/account", summary="Read the account")
async def read_account(caller: AdminViewer, sessions: SessionsDep) -> AccountAnswer:
    """Its name, and how its people are addressed."""
    return account_answer(await service.read_account(sessions, caller))


@router.patch("/account", summary="Change how people are addressed")
async def change_account(body: AccountRequest, caller: AdminEditor, sessions: SessionsDep) -> AccountAnswer:
    """German pages address whoever has not chosen for themselves in this way."""
    account = await service.change_account(sessions, caller, form_of_address=body.form_of_address)
    return account_answer(account)


@router.get("/api-keys", summary="List API keys")
async def list_api_keys(
    caller: ProgramsViewer,
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
    body: ApiKeyRequest, caller: ProgramsPerson, sessions: SessionsDep, now: Now
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
async def revoke_api_key(api_key_id: UUID, caller: ProgramsEditor, sessions: SessionsDep, now: Now) -> None:
    """Revoke an API key; it stops working at once."""
    await service.revoke_api_key(sessions, caller, api_key_id, now)


def _api_key(row: ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer(
        id=row.id,
        name=row.name,
        hint=row.hint,
        permissions=levels_of_key(row),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
