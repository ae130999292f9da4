"""Routes: the account's people, and invitations."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE, levels_of_user
from services.connector.dependencies import (
    AdminPerson,
    AdminViewer,
    Cursor,
    IfMatch,
    Now,
    PasswordsDep,
    SessionsDep,
)
from services.connector.http.etags import etag_of
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.routers import api_router
from services.connector.users import invitations_service, service
from services.connector.users.invitations_service import ListedInvitation
from services.connector.users.queries import ListedUser
from services.connector.users.schemas import (
    AcceptRequest,
    InvitationItem,
    InvitationList,
    InvitationRequest,
    LookRequest,
    OfferAnswer,
    UserDetail,
    UserItem,
    UserPage,
    UserRequest,
    UserStatus,
)
from shared.permissions import Level

router = api_router("accounts")


@router.get("/users", summary="List users")
async def list_users(
    *,
    caller: AdminViewer,
    sessions: SessionsDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
    with_disabled: Annotated[bool, Query(description="Also those who may not sign in.")] = False,
) -> UserPage:
    """The account's people, oldest first: who can own an integration has `general_admin` edit."""
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_users(
        sessions, caller, with_disabled=with_disabled, limit=limit + 1, after=after
    )
    page = rows[:limit]
    return UserPage(
        items=[_user(row) for row in page],
        next_cursor=encode_cursor(None, page[-1].user.id) if len(rows) > limit else None,
    )


@router.get("/users/{user_id}", summary="Read a user")
async def read_user(
    user_id: UUID, caller: AdminViewer, response: Response, sessions: SessionsDep
) -> UserDetail:
    """One of the account's people, and how much of what they have made somebody would take over."""
    listed, leaving = await service.read_user(sessions, caller, user_id)
    response.headers["ETag"] = etag_of(service.version_of(listed.user))
    return UserDetail(
        **_user(listed).model_dump(),
        integrations=leaving.integrations,
        webhooks=leaving.webhooks,
        api_keys=leaving.api_keys,
    )


@router.patch("/users/{user_id}", summary="Change what a user may do")
async def change_user(
    *,
    user_id: UUID,
    body: UserRequest,
    caller: AdminPerson,
    response: Response,
    sessions: SessionsDep,
    now: Now,
    if_match: IfMatch = None,
) -> UserItem:
    """It holds from their next request on. Nobody gives more than they have, and one person stays who may edit `general.admin`."""
    listed = await service.change_levels(
        sessions, caller, user_id, body.permissions, if_match=if_match, now=now
    )
    return _answer(response, listed)


@router.post("/users/{user_id}/disable", summary="Disable a user")
async def disable_user(
    *,
    user_id: UUID,
    caller: AdminPerson,
    response: Response,
    sessions: SessionsDep,
    now: Now,
    if_match: IfMatch = None,
) -> UserItem:
    """Their sessions, event streams and API keys end within seconds, until they are enabled again."""
    return _answer(response, await service.disable(sessions, caller, user_id, if_match=if_match, now=now))


@router.post("/users/{user_id}/enable", summary="Enable a user again")
async def enable_user(
    *,
    user_id: UUID,
    caller: AdminPerson,
    response: Response,
    sessions: SessionsDep,
    now: Now,
    if_match: IfMatch = None,
) -> UserItem:
    """They sign in as before, and their API keys work again."""
    return _answer(response, await service.enable(sessions, caller, user_id, if_match=if_match, now=now))


@router.delete("/users/{user_id}", status_code=204, summary="Remove a user")
async def remove_user(
    *,
    user_id: UUID,
    caller: AdminPerson,
    sessions: SessionsDep,
    now: Now,
    programs: Annotated[service.Programs, Query(description="What becomes of their webhooks and API keys.")],
    successor_id: Annotated[
        UUID | None,
        Query(description="Who takes over their stores, webhooks and keys; the caller if left out."),
    ] = None,
) -> None:
    """For good. Their name stays on what they have written."""
    await service.remove(sessions, caller, user_id, programs=programs, successor_id=successor_id, now=now)


@router.get("/invitations", summary="List invitations")
async def list_invitations(caller: AdminViewer, sessions: SessionsDep, now: Now) -> InvitationList:
    """Newest first: the open ones, and for 30 days those that have expired."""
    rows = await invitations_service.list_invitations(sessions, caller)
    return InvitationList(items=[_invitation(row, now) for row in rows])


@router.post("/invitations", status_code=201, summary="Invite somebody")
async def invite_user(
    body: InvitationRequest, caller: AdminPerson, sessions: SessionsDep, now: Now
) -> InvitationItem:
    """They get a mail with a link that is good for 72 hours, once."""
    listed = await invitations_service.invite(
        sessions,
        caller,
        email=body.email,
        name=body.name,
        language=body.language,
        levels=body.permissions,
        now=now,
    )
    return _invitation(listed, now)


@router.post("/invitations/{invitation_id}/send", summary="Send an invitation again")
async def send_invitation(
    invitation_id: UUID, caller: AdminPerson, sessions: SessionsDep, now: Now
) -> InvitationItem:
    """With a new link for another 72 hours; the old one is good no more."""
    return _invitation(await invitations_service.send_again(sessions, caller, invitation_id, now), now)


@router.delete("/invitations/{invitation_id}", status_code=204, summary="Withdraw an invitation")
async def withdraw_invitation(invitation_id: UUID, caller: AdminPerson, sessions: SessionsDep) -> None:
    """Its link is good no more."""
    await invitations_service.withdraw(sessions, caller, invitation_id)


@router.post("/invitations/look", summary="See who invites")
async def look_at_invitation(
    body: LookRequest, request: Request, sessions: SessionsDep, now: Now
) -> OfferAnswer:
    """With the token of the link. Whatever is wrong with one, the answer is the same."""
    offer = await invitations_service.look(
        sessions, body.token, client_address=_client_address(request), now=now
    )
    return OfferAnswer(
        account_name=offer.account_name,
        email=offer.email,
        name=offer.name,
        language=offer.language,
        invited_by=offer.invited_by,
    )


@router.post("/invitations/accept", status_code=204, summary="Accept an invitation")
async def accept_invitation(
    body: AcceptRequest, request: Request, sessions: SessionsDep, passwords: PasswordsDep, now: Now
) -> None:
    """Become a user, and sign in afterwards."""
    await invitations_service.accept(
        sessions,
        passwords,
        body.token,
        name=body.name,
        password=body.password,
        time_zone=body.time_zone,
        client_address=_client_address(request),
        now=now,
    )


def _client_address(request: Request) -> str:
    return request.client.host if request.client else ""


def _answer(response: Response, listed: ListedUser) -> UserItem:
    response.headers["ETag"] = etag_of(service.version_of(listed.user))
    return _user(listed)


def _user(listed: ListedUser) -> UserItem:
    user = listed.user
    levels = levels_of_user(user)
    return UserItem(
        id=user.id,
        name=user.name,
        email=user.email,
        general_admin=Level(user.general_admin),
        status=UserStatus.ACTIVE if user.disabled_at is None else UserStatus.DISABLED,
        permissions={each: levels[each] for each in PERMISSIONS_OF_PEOPLE},
        has_second_factor=listed.has_second_factor,
        has_company_account=user.oidc_subject is not None,
        last_seen_at=listed.last_seen_at,
        created_at=user.created_at,
        disabled_at=user.disabled_at,
    )


def _invitation(listed: ListedInvitation, now: datetime) -> InvitationItem:
    invitation = listed.invitation
    levels = levels_of_user(invitation)
    return InvitationItem(
        id=invitation.id,
        email=invitation.email,
        name=invitation.name,
        language=invitation.language,
        permissions={each: levels[each] for each in PERMISSIONS_OF_PEOPLE},
        invited_by=listed.invited_by,
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
        is_expired=invitation.expires_at <= now,
    )
