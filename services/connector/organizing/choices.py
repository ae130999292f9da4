"""What whoever reads the inbox may choose from without the rights of an administrator: names of stores and of colleagues."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from services.connector.inbox.changes import assignable
from shared.database import Sessions
from shared.tables import Integration, User

# Nobody looks through more.
MAX_STORES: Final = 500
MAX_PEOPLE: Final = 500


class Named(NamedTuple):
    """Something by its name."""

    id: UUID
    name: str | None


async def list_stores(sessions: Sessions, account_id: UUID) -> Sequence[Named]:
    """The account's stores by name, those that are disconnected among them, because their conversations stay."""
    statement = (
        select(Integration.id, Integration.name)
        .where(Integration.account_id == account_id, Integration.removed_at.is_(None))
        .order_by(Integration.name, Integration.id)
        .limit(MAX_STORES)
    )
    async with sessions.begin() as session:
        return [Named._make(row) for row in await session.execute(statement)]


async def list_assignees(sessions: Sessions, account_id: UUID) -> Sequence[Named]:
    """Whom a conversation can be assigned to, by name."""
    statement = assignable(account_id).order_by(User.name, User.id).limit(MAX_PEOPLE)
    async with sessions.begin() as session:
        return [Named._make(row) for row in await session.execute(statement)]
