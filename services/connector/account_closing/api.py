"""Routes: the account is closed."""

from services.connector.account_closing import service
from services.connector.account_closing.schemas import ClosureAnswer, ClosureRequest
from services.connector.dependencies import (
    AdminPerson,
    Now,
    SessionsDep,
)
from services.connector.http.routers import api_router

router = api_router("accounts")


@router.post("/account/closure", summary="Close the account")
async def close_account(
    body: ClosureRequest, caller: AdminPerson, sessions: SessionsDep, now: Now
) -> ClosureAnswer:
    """Nobody gets in from here on: sessions, API keys and webhooks end, stores are disconnected. Everything is erased after `erase_after`.

    Needs a signed-in user who has proved lately who they are; API keys are refused.
    """
    closed = await service.close(sessions, caller, account_name=body.account_name, now=now)
    return ClosureAnswer(closed_at=closed.closed_at, erase_after=closed.erase_after)
