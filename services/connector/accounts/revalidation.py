"""Whether a caller who was let in a while ago would be let in now: for answers that last, such as an event stream.

Asking prolongs nothing: a page that is merely open must not keep a session alive.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.connector.accounts.callers import Caller
from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE, column_of, levels_of_user
from services.connector.accounts.queries import LACKS_SECOND_FACTOR
from services.connector.accounts.session_lifetime import lifetime_of
from shared.database import Sessions
from shared.tables import Account, ApiKey, User, UserSession


async def is_still_allowed(sessions: Sessions, caller: Caller, now: datetime) -> bool:
    """False if the caller has signed out, was disabled or revoked, or has fewer permissions than when the answer began."""
    async with sessions.reading() as reader:
        if caller.session_id is not None and not await _lasts(reader, caller.session_id, now):
            return False
        statement = select(*(getattr(User, column_of(each)) for each in PERMISSIONS_OF_PEOPLE)).where(
            User.disabled_at.is_(None)
        )
        if caller.session_id is not None:
            statement = statement.where(User.id == caller.user_id)
        else:
            statement = statement.join(ApiKey, ApiKey.created_by == User.id).where(
                ApiKey.id == caller.api_key_id,
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
            )
        row = (await reader.execute(statement)).one_or_none()
    if row is None:
        return False
    # A key's own levels never change; what its creator has lost, it has lost too.
    levels = levels_of_user(row)
    return all(levels[permission].includes(level) for permission, level in caller.levels.items())


async def _lasts(reader: AsyncConnection, session_id: UUID, now: datetime) -> bool:
    """Whether a session has neither ended nor lacks a second factor that its account demands since."""
    statement = (
        select(
            UserSession.created_at,
            UserSession.last_seen_at,
            User.general_admin,
            Account.admin_session_hours,
            Account.admin_idle_minutes,
            LACKS_SECOND_FACTOR.label("lacks_second_factor"),
        )
        .join(User, User.id == UserSession.user_id)
        .join(Account, Account.id == UserSession.account_id)
        .where(UserSession.id == session_id, UserSession.expires_at > now)
    )
    row = (await reader.execute(statement)).one_or_none()
    if row is None or row.lacks_second_factor:
        return False
    lifetime = lifetime_of(
        row.general_admin,
        admin_session_hours=row.admin_session_hours,
        admin_idle_minutes=row.admin_idle_minutes,
    )
    return lifetime.end(row.created_at, row.last_seen_at) > now
