"""What an account demands of those who sign in, and an admin's help for whoever has lost their second factor."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.notices import notify_person
from services.connector.problems.catalogue import NotFound
from services.connector.second_factors import queries
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.tables import NoticeKind, SecondFactor, UserSession


class OwnSecondFactor(Expected):
    """Nobody resets their own: that would be a way around it."""

    code = "own_second_factor"


@dataclass(frozen=True, slots=True)
class SecurityRules:
    """Who has to have a second factor, and how long the sessions of whoever may edit general.admin last."""

    second_factor: SecondFactor
    admin_session_hours: int
    admin_idle_minutes: int


async def read_rules(sessions: Sessions, caller: Caller) -> SecurityRules:
    async with sessions.begin() as session:
        account = await queries.account_of(session, caller.account_id)
        return SecurityRules(
            SecondFactor(account.second_factor), account.admin_session_hours, account.admin_idle_minutes
        )


async def change_rules(
    sessions: Sessions,
    caller: Caller,
    *,
    second_factor: SecondFactor | None,
    admin_session_hours: int,
    admin_idle_minutes: int,
    now: datetime,
) -> SecurityRules:
    """Change what is given; 0 is nothing. Raises ReauthenticationNeeded."""
    caller.require_recent(now)
    async with sessions.begin() as session:
        account = await queries.account_of(session, caller.account_id)
        if second_factor is not None:
            account.second_factor = second_factor.value
        account.admin_session_hours = admin_session_hours or account.admin_session_hours
        account.admin_idle_minutes = admin_idle_minutes or account.admin_idle_minutes
        fields = {
            "second_factor": account.second_factor,
            "admin_session_hours": str(account.admin_session_hours),
            "admin_idle_minutes": str(account.admin_idle_minutes),
        }
        session.add(audit_entry(caller, "security_changed", account.id, **fields))
    return await read_rules(sessions, caller)


async def reset(sessions: Sessions, caller: Caller, user_id: UUID, now: datetime) -> None:
    """Take away everything that a colleague has beside their password, and end their sessions.

    Raises ReauthenticationNeeded, OwnSecondFactor, NotFound.
    """
    caller.require_recent(now)
    if user_id == caller.user_id:
        raise OwnSecondFactor
    async with sessions.begin() as session:
        user = await queries.locked_user(session, caller.account_id, user_id)
        if user is None:
            raise NotFound
        await queries.forget_factors(session, user.id)
        await session.execute(delete(UserSession).where(UserSession.user_id == user.id))
        session.add(audit_entry(caller, "second_factor_reset", user.id))
        await notify_person(session, user, NoticeKind.SECOND_FACTOR_RESET, new_id())
