"""A mail to a person about how they sign in: a row that their transaction writes, and the worker sends."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.driver import new_id
from shared.permissions import Level
from shared.tables import Notice, NoticeKind, User


async def notify_person(
    session: AsyncSession, user: User, kind: NoticeKind, occasion: UUID, **fields: str
) -> None:
    """Once for each occasion. `fields` hold no secret."""
    row = insert(Notice).values(
        id=new_id(),
        account_id=user.account_id,
        user_id=user.id,
        kind=kind.value,
        dedupe_key=f"{kind}:{occasion}:{user.id}",
        fields={"occasion": str(occasion)} | fields,
    )
    await session.execute(row.on_conflict_do_nothing(index_elements=["dedupe_key"]))


async def notify_admins(
    session: AsyncSession, account_id: UUID, kind: NoticeKind, occasion: UUID, **fields: str
) -> None:
    """Everybody who may change the account, once for each occasion."""
    admins = select(User).where(
        User.account_id == account_id, User.disabled_at.is_(None), User.general_admin == Level.EDIT
    )
    for user in await session.scalars(admins):
        await notify_person(session, user, kind, occasion, **fields)
