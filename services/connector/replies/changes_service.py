"""What agents do with replies that are on their way, or have not arrived: take back, send now, send again, leave.

The row's state decides races: with a colleague who does the same, and with the mail worker that has just taken the reply in hand.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.http.language import Language
from services.connector.inbox.changes import lock_conversations
from services.connector.inbox.unsealing import Opener, keys_of
from services.connector.problems.catalogue import NotFound
from services.connector.replies import drafts_service, service
from services.connector.replies.unsealing import OpenedReply
from services.connector.throttling.limits import REPLIES
from shared.database import Sessions
from shared.errors import Expected
from shared.events import EventKind
from shared.events import announce as announce_event
from shared.keyring import Keyring
from shared.replies import Reply, announce_due, change_state
from shared.tables import OutboundMessage, ReplyFile, ReplyState


class ReplyStateWrong(Expected):
    """This cannot be done to a reply in its state, which `state` names."""

    code = "reply_state"


async def cancel_reply(
    sessions: Sessions, keyring: Keyring, caller: Caller, reply_id: UUID, *, now: datetime
) -> OpenedReply:
    """Take a reply back before it is sent: text and files are its writer's draft again. Raises NotFound, ReplyStateWrong."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        row = await _locked(session, caller, reply_id)
        await _change(session, row, ReplyState.CANCELED)
        if row.written_by is not None:
            text = Opener(keys, "outbound_messages", row.id).text("body_text", row.body_text)
            await drafts_service.give_back(session, keys, row, text or "", now=now)
            # They count from now on as those of a draft that is looked after.
            await session.execute(
                update(ReplyFile)
                .where(ReplyFile.outbound_message_id == row.id, ReplyFile.account_id == row.account_id)
                .values(outbound_message_id=None, uploaded_by=row.written_by)
            )
        session.add(audit_entry(caller, "reply_canceled", row.conversation_id, reply=str(row.id)))
        return await service.opened_reply(session, keys, reply_id)


async def send_reply_now(
    sessions: Sessions, keyring: Keyring, caller: Caller, reply_id: UUID, *, language: Language, now: datetime
) -> OpenedReply:
    """Send a scheduled reply at once. Raises NotFound, ReplyStateWrong, NotAnswerable, TooOften."""
    await REPLIES.require(sessions, caller.account_id)
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        row = await _locked(session, caller, reply_id)
        if row.state != ReplyState.SCHEDULED:
            raise ReplyStateWrong(state=row.state)
        await _queue(session, caller, row, language=language, now=now)
        session.add(audit_entry(caller, "reply_sent_now", row.conversation_id, reply=str(row.id)))
        return await service.opened_reply(session, keys, reply_id)


async def send_reply_again(
    sessions: Sessions, keyring: Keyring, caller: Caller, reply_id: UUID, *, language: Language, now: datetime
) -> OpenedReply:
    """Send a reply once more that has failed, or perhaps has: with its text and files. Raises NotFound, ReplyStateWrong, NotAnswerable, TooOften."""
    await REPLIES.require(sessions, caller.account_id)
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        row = await _locked(session, caller, reply_id)
        if row.state not in {ReplyState.FAILED, ReplyState.PERHAPS_SENT}:
            raise ReplyStateWrong(state=row.state)
        await _queue(
            session,
            caller,
            row,
            language=language,
            now=now,
            round=OutboundMessage.round + 1,
            attempts=0,
            first_attempt_at=None,
            data_sent_at=None,
            handed_over_at=None,
            confirmed_at=None,
            transport=None,
            sent_from=None,
            server_words=None,
        )
        session.add(audit_entry(caller, "reply_sent_again", row.conversation_id, reply=str(row.id)))
        return await service.opened_reply(session, keys, reply_id)


async def dismiss_reply(
    sessions: Sessions, keyring: Keyring, caller: Caller, reply_id: UUID, *, now: datetime
) -> OpenedReply:
    """Leave a reply at that which has failed, or perhaps has. Raises NotFound, ReplyStateWrong."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        row = await _locked(session, caller, reply_id)
        if row.state not in {ReplyState.FAILED, ReplyState.PERHAPS_SENT}:
            raise ReplyStateWrong(state=row.state)
        if row.dismissed_at is None:
            row.dismissed_at = now
            session.add(audit_entry(caller, "reply_dismissed", row.conversation_id, reply=str(row.id)))
            await announce_event(
                session,
                row.account_id,
                EventKind.REPLY_CHANGED,
                integration_id=row.integration_id,
                conversation_id=row.conversation_id,
                reply_id=row.id,
            )
        return await service.opened_reply(session, keys, reply_id)


async def _locked(session: AsyncSession, caller: Caller, reply_id: UUID) -> OutboundMessage:
    """The reply, and its conversation before it. Raises NotFound, ConversationMerged."""
    its_conversation = select(OutboundMessage.conversation_id).where(
        OutboundMessage.id == reply_id, OutboundMessage.account_id == caller.account_id
    )
    conversation_id = await session.scalar(its_conversation)
    if conversation_id is None:
        raise NotFound
    await lock_conversations(session, caller.account_id, conversation_id)
    row = await session.scalar(
        select(OutboundMessage)
        .where(OutboundMessage.id == reply_id, OutboundMessage.account_id == caller.account_id)
        .with_for_update()
    )
    if row is None:
        raise NotFound
    return row


async def _queue(
    session: AsyncSession,
    caller: Caller,
    row: OutboundMessage,
    *,
    language: Language,
    now: datetime,
    **values: Any,
) -> None:
    answers = await service.require_answerable(session, caller, row.conversation_id, language)
    await _change(session, row, ReplyState.QUEUED, due_at=now, answers_message_id=answers, **values)
    await announce_due(session)


async def _change(session: AsyncSession, row: OutboundMessage, to: ReplyState, **values: Any) -> None:
    """Raises ReplyStateWrong."""
    reply = Reply(row.id, row.account_id, row.integration_id, row.conversation_id)
    present = row.state
    if not await change_state(session, reply, to, **values):
        raise ReplyStateWrong(state=present)
