"""Whether a caller who was let in a while ago would be let in now: for answers that last, such as an event stream.

Asking prolongs nothing: a page that is merely open must not keep a session alive.
"""

from datetime import datetime

from sqlalchemy import or_, select

from services.connector.accounts.callers import Caller
from services.connector.accounts.queries import LACKS_SECOND_FACTOR
from services.connector.accounts.session_lifetime import lifetime_of
from shared.database import Sessions
from shared.permissions import Level, Permission
from shared.tables import Account, ApiKey, User, UserSession


async def is_still_allowed(sessions: Sessions, caller: Caller, now: datetime) -> bool:
    """False if the caller has signed out, was disabled or revoked, or has fewer permissions than when the answer began."""
    async with sessions.reading() as reader:
        if caller.session_id is not None:
            statement = (
                select(
                    User.general_admin,
                    User.inbox_messages,
                    UserSession.created_at,
                    UserSession.last_seen_at,
                    Account.admin_session_hours,
                    Account.admin_idle_minutes,
                    LACKS_SECOND_FACTOR.label("lacks_second_factor"),
                )
                .join(UserSession, UserSession.user_id == User.id)
                .join(Account, Account.id == User.account_id)
                .where(UserSession.id == caller.session_id, UserSession.expires_at > now)
            )
        else:
            statement = select(User.general_admin, User.inbox_messages).join(
                ApiKey, ApiKey.created_by == User.id
            )
            statement = statement.where(
                ApiKey.id == caller.api_key_id,
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
            )
        row = (await reader.execute(statement.where(User.disabled_at.is_(None)))).one_or_none()
    if row is None:
        return False
    if caller.session_id is not None:
        lifetime = lifetime_of(
            row.general_admin,
            admin_session_hours=row.admin_session_hours,
            admin_idle_minutes=row.admin_idle_minutes,
        )
        if row.lacks_second_factor or lifetime.end(row.created_at, row.last_seen_at) <= now:
            return False
    # A key's own levels never change; what its creator has lost, it has lost too.
    levels = {
        Permission.GENERAL_ADMIN: Level(row.general_admin),
        Permission.INBOX_MESSAGES: Level(row.inbox_messages),
        Permission.INBOX_REPLIES: Level(row.inbox_messages),
    }
    return all(levels[permission].includes(level) for permission, level in caller.levels.items())
