"""An account's tags: made, renamed, deleted. Which conversations have them is in the conversations (inbox/changes.py)."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Boolean, delete, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.integrations.names import clean_name, name_key
from services.connector.problems.catalogue import NotFound
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.tables import Account, Conversation, Tag

# All of them are in one list, which people look through.
MAX_TAGS: Final = 100
_BATCH: Final = 1_000
_UNTAG: Final = text(
    "UPDATE conversations SET tag_ids = array_remove(tag_ids, CAST(:tag AS uuid)) WHERE id IN (SELECT id FROM conversations"
    " WHERE tag_ids <> '{}' AND tag_ids @> ARRAY[CAST(:tag AS uuid)] AND account_id = :account ORDER BY id LIMIT :batch FOR UPDATE)"
)


class TooManyTags(Expected):
    """The account has as many tags as it may have."""

    code = "too_many_tags"


class TagNameTaken(Expected):
    """Another tag of the account has the name, in whatever case."""

    code = "tag_name_taken"


async def list_tags(sessions: Sessions, account_id: UUID) -> Sequence[Tag]:
    """The account's tags by name; there are MAX_TAGS at most."""
    async with sessions.begin() as session:
        its_tags = select(Tag).where(Tag.account_id == account_id).order_by(Tag.name_key)
        return (await session.scalars(its_tags)).all()


async def count_conversations(sessions: Sessions, account_id: UUID, tag_id: UUID) -> tuple[Tag, int]:
    """A tag, and how many conversations have it. Raises NotFound."""
    async with sessions.begin() as session:
        tag = await session.scalar(select(Tag).where(Tag.id == tag_id, Tag.account_id == account_id))
        if tag is None:
            raise NotFound
        having = select(func.count()).where(
            Conversation.account_id == account_id,
            literal_column("conversations.tag_ids <> '{}'", Boolean),
            Conversation.tag_ids.contains([tag_id]),
            Conversation.merged_into.is_(None),
        )
        return tag, await session.scalar(having) or 0


async def create_tag(sessions: Sessions, caller: Caller, name: str) -> Tag:
    """Make a tag. Raises NameEmpty, NameTooLong, TagNameTaken, TooManyTags."""
    wanted = clean_name(name)
    async with sessions.begin() as session:
        await _lock_account(session, caller.account_id)
        count = select(func.count()).where(Tag.account_id == caller.account_id)
        if (await session.scalar(count) or 0) >= MAX_TAGS:
            raise TooManyTags(limit=MAX_TAGS)
        tag = Tag(id=new_id(), account_id=caller.account_id, name=wanted, name_key=name_key(wanted))
        await _require_free_name(session, tag)
        session.add(tag)
        session.add(audit_entry(caller, "tag.created", tag.id))
        return tag


async def rename_tag(sessions: Sessions, caller: Caller, tag_id: UUID, name: str) -> Tag:
    """Call a tag otherwise, wherever it is. Raises NotFound, NameEmpty, NameTooLong, TagNameTaken."""
    wanted = clean_name(name)
    async with sessions.begin() as session:
        await _lock_account(session, caller.account_id)
        tag = await session.scalar(select(Tag).where(Tag.id == tag_id, Tag.account_id == caller.account_id))
        if tag is None:
            raise NotFound
        tag.name, tag.name_key = wanted, name_key(wanted)
        with session.no_autoflush:
            await _require_free_name(session, tag)
        session.add(audit_entry(caller, "tag.renamed", tag_id))
        return tag


async def delete_tag(sessions: Sessions, caller: Caller, tag_id: UUID, *, batch: int = _BATCH) -> None:
    """Delete a tag; it goes from all conversations, so many at a time. Raises NotFound."""
    async with sessions.begin() as session:
        its_row = delete(Tag).where(Tag.id == tag_id, Tag.account_id == caller.account_id)
        if await session.scalar(its_row.returning(Tag.id)) is None:
            raise NotFound
        session.add(audit_entry(caller, "tag.deleted", tag_id))
    # From here on nobody sees it; what is left of it after an interruption says nothing.
    count = batch
    while count == batch:
        async with sessions.begin() as session:
            connection = await session.connection()
            values = {"tag": tag_id, "account": caller.account_id, "batch": batch}
            count = (await connection.execute(_UNTAG, values)).rowcount


async def _require_free_name(session: AsyncSession, tag: Tag) -> None:
    other = select(Tag.id).where(
        Tag.account_id == tag.account_id, Tag.name_key == tag.name_key, Tag.id != tag.id
    )
    if await session.scalar(other) is not None:
        raise TagNameTaken


async def _lock_account(session: AsyncSession, account_id: UUID) -> None:
    """One change of an account's tags at a time: their number and their names are compared."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
