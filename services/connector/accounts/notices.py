"""A mail to a person about how they sign in: a row that their transaction writes, and the worker sends."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import new_id
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
