"""The read of the audit log, and of the names of what its entries are about."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Select, Uuid, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from services.connector.audit.objects import Named, ObjectKind
from shared.database import Reader
from shared.tables import (
    ApiKey,
    AuditEntry,
    Conversation,
    Integration,
    Invitation,
    Message,
    Order,
    ReadEntry,
    ReplyTemplate,
    Tag,
    User,
    Webhook,
)

# An id is made by another clock than its row's time; ids only bound what is looked at.
_CLOCKS_DIFFER: Final = timedelta(hours=1)

# Whose name is in a column of its own.
_BY_ONE_COLUMN: Final[dict[ObjectKind, tuple[Any, InstrumentedAttribute[str]]]] = {
    ObjectKind.INVITATION: (Invitation, Invitation.email),
    ObjectKind.REPLY_TEMPLATE: (ReplyTemplate, ReplyTemplate.name),
    ObjectKind.TAG: (Tag, Tag.name),
    ObjectKind.ORDER: (Order, Order.order_id),
}


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which entries to read; a filter that is left out filters nothing."""

    actor_id: UUID | None = None
    subject_id: UUID | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with the name of who did it, as they are called now."""

    id: UUID
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    actor_name: str | None
    action: str
    subject_id: UUID | None
    fields: dict[str, Any]


async def entries_of(
    reader: Reader, account_id: UUID, filters: AuditFilters, *, limit: int, after: UUID | None
) -> list[Entry]:
    """A page of the audit log, newest first, in one statement."""
    statement = (
        select(
            AuditEntry.id,
            AuditEntry.at,
            AuditEntry.actor_kind,
            AuditEntry.actor_id,
            func.coalesce(User.name, ApiKey.name).label("actor_name"),
            AuditEntry.action,
            AuditEntry.subject_id,
            AuditEntry.fields,
        )
        .outerjoin(User, and_(AuditEntry.actor_kind == "user", User.id == AuditEntry.actor_id))
        .outerjoin(ApiKey, and_(AuditEntry.actor_kind == "api_key", ApiKey.id == AuditEntry.actor_id))
        .where(AuditEntry.account_id == account_id)
    )
    wanted = {
        AuditEntry.actor_id: filters.actor_id,
        AuditEntry.subject_id: filters.subject_id,
        AuditEntry.action: filters.action,
    }
    page = page_of_log(
        statement, AuditEntry, wanted, since=filters.since, until=filters.until, limit=limit, after=after
    )
    return [Entry(**row) for row in (await reader.execute(page)).mappings()]


def page_of_log(
    statement: Select[*tuple[Any, ...]],
    log: type[AuditEntry] | type[ReadEntry],
    wanted: Mapping[InstrumentedAttribute[Any], object],
    *,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    after: UUID | None,
) -> Select[*tuple[Any, ...]]:
    """The statement narrowed to a page of the log, newest first. A `wanted` value that is None filters nothing."""
    if after is not None:
        statement = statement.where(log.id < after)
    for column, value in wanted.items():
        if value is not None:
            statement = statement.where(column == value)
    if since is not None:
        statement = statement.where(log.at >= since, log.id >= func.uuid_at(since - _CLOCKS_DIFFER))
    if until is not None:
        statement = statement.where(log.at < until, log.id < func.uuid_at(until + _CLOCKS_DIFFER))
    return statement.order_by(log.id.desc()).limit(limit)


async def names_of(
    reader: Reader, account_id: UUID, wanted: Mapping[ObjectKind, Collection[UUID]]
) -> dict[UUID, Named]:
    """What these objects are called now: one statement for each kind, however many there are. What is gone is left out."""
    named: dict[UUID, Named] = {}
    people = {
        *wanted.get(ObjectKind.USER, ()),
        *wanted.get(ObjectKind.API_KEY, ()),
        *wanted.get(ObjectKind.READER, ()),
    }
    if people:
        named |= await people_and_keys(reader, account_id, people)
    if ids := wanted.get(ObjectKind.WEBHOOK):
        columns = select(Webhook.id, Webhook.description, Webhook.url)
        for row in await reader.execute(
            columns.where(*_among(Webhook.id, Webhook.account_id, account_id, ids))
        ):
            # Whoever may only view may not see the whole address: it often has a password in its query.
            named[row.id] = Named(row.description or urlsplit(row.url).hostname)
    if ids := wanted.get(ObjectKind.INTEGRATION):
        name = func.coalesce(Integration.name, Integration.store_name)
        stores = select(Integration.id, name, Integration.removed_at.is_not(None)).where(
            *_among(Integration.id, Integration.account_id, account_id, ids)
        )
        named |= {
            store_id: Named(called, is_gone=is_gone)
            for store_id, called, is_gone in await reader.execute(stores)
        }
    if ids := wanted.get(ObjectKind.CONVERSATION):
        conversations = select(Conversation.id, Conversation.order_id).where(
            *_among(Conversation.id, Conversation.account_id, account_id, ids)
        )
        named |= {each: Named(number, each) for each, number in await reader.execute(conversations)}
    if ids := wanted.get(ObjectKind.MESSAGE):
        messages = (
            select(Message.id, Conversation.id, Conversation.order_id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(*_among(Message.id, Message.account_id, account_id, ids))
        )
        named |= {each: Named(number, where) for each, where, number in await reader.execute(messages)}
    for kind, (table, column) in _BY_ONE_COLUMN.items():
        if ids := wanted.get(kind):
            rows = select(table.id, column).where(*_among(table.id, table.account_id, account_id, ids))
            named |= {each: Named(called) for each, called in await reader.execute(rows)}
    return named


async def people_and_keys(reader: Reader, account_id: UUID, ids: Collection[UUID]) -> dict[UUID, Named]:
    """The users and API keys among these."""
    users = select(User.id, User.name, User.removed_at.is_not(None)).where(
        *_among(User.id, User.account_id, account_id, ids)
    )
    keys = (
        select(ApiKey.id, ApiKey.name, User.name.label("made_by"), ApiKey.revoked_at.is_not(None))
        .outerjoin(User, User.id == ApiKey.created_by)
        .where(*_among(ApiKey.id, ApiKey.account_id, account_id, ids))
    )
    named = {user_id: Named(name, is_gone=is_gone) for user_id, name, is_gone in await reader.execute(users)}
    named |= {
        key_id: Named(name, made_by=by, is_gone=is_gone)
        for key_id, name, by, is_gone in await reader.execute(keys)
    }
    return named


def _among(
    column: InstrumentedAttribute[UUID],
    account_column: InstrumentedAttribute[UUID],
    account_id: UUID,
    ids: Collection[UUID],
) -> tuple[Any, ...]:
    return (
        account_column == account_id,
        column == func.any(bindparam("ids", sorted(ids), type_=ARRAY(Uuid), unique=True)),
    )
