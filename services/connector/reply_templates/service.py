"""Templates: made, changed, deleted, and filled for a conversation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.http.etags import require_match
from services.connector.inbox import queries
from services.connector.inbox.listing import ListedConversation
from services.connector.inbox.unsealing import keys_of, open_conversation
from services.connector.integrations.names import clean_name, name_key
from services.connector.orders import queries as orders
from services.connector.problems.catalogue import NotFound
from services.connector.reply_templates.order_values import KnownOrder, order_values
from services.connector.reply_templates.placeholders import (
    Filled,
    Placeholder,
    check_placeholders,
    fill,
    first_name,
    marketplace_name,
)
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables import Account, Integration, ReplyTemplate, User

# All of them are in one list, which people look through.
MAX_TEMPLATES: Final = 200


class TooManyTemplates(Expected):
    """The account has as many templates as it may have."""

    code = "too_many_templates"


class TemplateNameTaken(Expected):
    """Another template in this language has the name, in whatever case."""

    code = "template_name_taken"


async def list_templates(
    sessions: Sessions, account_id: UUID, language: str | None
) -> Sequence[ReplyTemplate]:
    """The account's templates, by language and name; there are MAX_TEMPLATES at most."""
    statement = (
        select(ReplyTemplate)
        .where(ReplyTemplate.account_id == account_id)
        .order_by(ReplyTemplate.language, ReplyTemplate.name_key)
    )
    if language is not None:
        statement = statement.where(ReplyTemplate.language == language)
    async with sessions.begin() as session:
        return (await session.scalars(statement)).all()


async def get_template(sessions: Sessions, account_id: UUID, template_id: UUID) -> ReplyTemplate:
    """One template. Raises NotFound."""
    async with sessions.begin() as session:
        return await _existing(session, account_id, template_id)


async def create_template(
    sessions: Sessions, caller: Caller, *, name: str, language: str, text: str, now: datetime
) -> ReplyTemplate:
    """Make a template. Raises NameEmpty, NameTooLong, TemplateNameTaken, PlaceholderUnknown, TooManyTemplates."""
    wanted = clean_name(name)
    check_placeholders(text)
    async with sessions.begin() as session:
        await _lock_account(session, caller.account_id)
        count = select(func.count()).where(ReplyTemplate.account_id == caller.account_id)
        if (await session.scalar(count) or 0) >= MAX_TEMPLATES:
            raise TooManyTemplates(limit=MAX_TEMPLATES)
        template = ReplyTemplate(
            id=new_id(),
            account_id=caller.account_id,
            name=wanted,
            name_key=name_key(wanted),
            language=language,
            body_text=text,
            version=1,
            changed_by=caller.person_id,
            created_at=now,
            updated_at=now,
        )
        await _require_free_name(session, template)
        session.add(template)
        session.add(audit_entry(caller, "reply_template_created", template.id))
        return template


async def change_template(
    sessions: Sessions,
    caller: Caller,
    template_id: UUID,
    *,
    name: str | None,
    language: str | None,
    text: str | None,
    if_match: str | None,
    now: datetime,
) -> ReplyTemplate:
    """Change what is not None.

    Raises NotFound, PreconditionFailed, NameEmpty, NameTooLong, TemplateNameTaken, PlaceholderUnknown.
    """
    wanted = None if name is None else clean_name(name)
    if text is not None:
        check_placeholders(text)
    async with sessions.begin() as session:
        await _lock_account(session, caller.account_id)
        template = await _existing(session, caller.account_id, template_id)
        require_match(if_match, template.version)
        if wanted is not None:
            template.name, template.name_key = wanted, name_key(wanted)
        if language is not None:
            template.language = language
        if text is not None:
            template.body_text = text
        with session.no_autoflush:
            await _require_free_name(session, template)
        template.version, template.updated_at = template.version + 1, now
        template.changed_by = caller.person_id
        session.add(audit_entry(caller, "reply_template_changed", template_id))
        return template


async def delete_template(sessions: Sessions, caller: Caller, template_id: UUID) -> None:
    """Delete a template; replies that were written with it stay as they are. Raises NotFound."""
    async with sessions.begin() as session:
        gone = await session.scalar(
            delete(ReplyTemplate)
            .where(ReplyTemplate.id == template_id, ReplyTemplate.account_id == caller.account_id)
            .returning(ReplyTemplate.id)
        )
        if gone is None:
            raise NotFound
        session.add(audit_entry(caller, "reply_template_deleted", template_id))


async def fill_template(
    sessions: Sessions, keyring: Keyring, caller: Caller, conversation_id: UUID, template_id: UUID
) -> Filled:
    """The template's text with the values of a conversation, as far as they are known. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        template = await _existing(session, caller.account_id, template_id)
        found = await queries.conversation_of(session, caller.account_id, conversation_id)
        if found is None:
            raise NotFound
        store = select(func.coalesce(Integration.store_name, Integration.name)).where(
            Integration.id == found.listed.integration_id
        )
        store_name = await session.scalar(store)
        order = await _order_of(session, found.listed, caller.account_id)
        agent_name = None
        if caller.is_browser:
            agent_name = await session.scalar(select(User.name).where(User.id == caller.user_id))
    listed, buyer_name = found.listed, open_conversation(keys, found).buyer_name
    return fill(
        template.body_text,
        {
            Placeholder.ORDER_ID: listed.order_id,
            Placeholder.ASIN: listed.asin,
            Placeholder.BUYER_NAME: buyer_name,
            Placeholder.BUYER_FIRST_NAME: first_name(buyer_name, listed.country),
            Placeholder.MARKETPLACE: marketplace_name(listed.country),
            Placeholder.STORE_NAME: store_name,
            Placeholder.AGENT_NAME: agent_name,
            **({} if order is None else order_values(order, template.language)),
        },
    )


async def _order_of(session: AsyncSession, listed: ListedConversation, account_id: UUID) -> KnownOrder | None:
    """Our copy of the order that the conversation is about; a number that a stranger wrote is none."""
    order = None
    if listed.order_id is not None:
        order = await orders.named_order(
            session, account_id, listed.integration_id, listed.id, listed.order_id
        )
    if order is None:
        return None
    return KnownOrder(
        country=order.listed.country,
        status=order.listed.status,
        is_delivered=order.listed.delivered_at is not None,
        purchased_at=order.listed.purchased_at,
        ship_by=order.listed.ship_by,
        deliver_by=order.listed.deliver_by,
        total=order.listed.total,
        currency=order.listed.currency,
        titles=[item.title for item in order.items],
        packages=[(package.carrier, package.tracking_number) for package in order.packages],
    )


async def _existing(session: AsyncSession, account_id: UUID, template_id: UUID) -> ReplyTemplate:
    template = await session.scalar(
        select(ReplyTemplate).where(ReplyTemplate.id == template_id, ReplyTemplate.account_id == account_id)
    )
    if template is None:
        raise NotFound
    return template


async def _require_free_name(session: AsyncSession, template: ReplyTemplate) -> None:
    other = select(ReplyTemplate.id).where(
        ReplyTemplate.account_id == template.account_id,
        ReplyTemplate.language == template.language,
        ReplyTemplate.name_key == template.name_key,
        ReplyTemplate.id != template.id,
    )
    if await session.scalar(other) is not None:
        raise TemplateNameTaken


async def _lock_account(session: AsyncSession, account_id: UUID) -> None:
    """One change of an account's templates at a time: their number and their names are compared."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
