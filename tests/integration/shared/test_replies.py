"""What follows for a conversation when a reply comes into a state."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.database import Sessions
from shared.keyring import Keyring
from shared.replies import Reply, change_state
from shared.tables import Conversation, Integration, Message, OutboundMessage, ReplyState
from tests.factories import make_account, make_conversation, make_integration, make_message, make_reply


class Thread:
    """A buyer's messages and the replies to them, made with the owner's rights."""

    def __init__(self, owner: Sessions, keyring: Keyring, conversation: Conversation) -> None:
        self._owner = owner
        self._keyring = keyring
        self.conversation = conversation

    async def message(self) -> Message:
        async with self._owner.begin() as session:
            due_at = datetime.now(UTC) + timedelta(hours=20)
            return await make_message(session, self._keyring, self.conversation, answer_due_at=due_at)

    async def reply(self, message: Message, **columns: Any) -> Reply:
        async with self._owner.begin() as session:
            row = await make_reply(session, self._keyring, message, **columns)
            return Reply(row.id, row.account_id, row.integration_id, row.conversation_id)

    async def read(self, reply: Reply) -> OutboundMessage:
        async with self._owner() as session:
            return await session.get_one(OutboundMessage, reply.id)

    async def due_at(self) -> datetime | None:
        async with self._owner() as session:
            return (await session.get_one(Conversation, self.conversation.id)).answer_due_at


@pytest.fixture
async def thread(owner_sessions: Sessions, keyring: Keyring) -> Thread:
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring)
        integration: Integration = await make_integration(session, account.id)
        return Thread(owner_sessions, keyring, await make_conversation(session, keyring, integration))


async def _become(sessions: Sessions, reply: Reply, state: ReplyState) -> None:
    values: dict[str, Any] = {"failure": "unknown"} if state is ReplyState.FAILED else {}
    async with sessions.begin() as session:
        assert await change_state(session, reply, state, **values)


async def test_what_somebody_has_left_is_shown_again_when_it_has_failed_after_all(
    sessions: Sessions, thread: Thread
):
    reply = await thread.reply(await thread.message(), state="perhaps_sent", dismissed_at=datetime.now(UTC))

    await _become(sessions, reply, ReplyState.FAILED)

    assert (await thread.read(reply)).dismissed_at is None


@pytest.mark.parametrize("states", [["handed_over", "handed_over"], ["confirmed", "handed_over"], ["handed_over", "confirmed"]], ids=" ".join)  # fmt: skip
async def test_the_clock_stands_as_long_as_one_reply_has_answered(
    sessions: Sessions, thread: Thread, states: list[str]
):
    message = await thread.message()
    replies = [await thread.reply(message, state="sending", claimed_until=datetime.now(UTC)) for _ in states]
    for reply, state in zip(replies, states, strict=True):
        await _become(sessions, reply, ReplyState(state))
    assert await thread.due_at() is None

    await _become(sessions, replies[0], ReplyState.FAILED)
    assert await thread.due_at() is None

    await _become(sessions, replies[1], ReplyState.FAILED)
    assert await thread.due_at() == message.answer_due_at


async def test_a_reply_to_an_older_message_has_not_answered_the_newer(sessions: Sessions, thread: Thread):
    older = await thread.message()
    newer = await thread.message()
    replies = [
        await thread.reply(each, state="sending", claimed_until=datetime.now(UTC)) for each in (older, newer)
    ]
    for reply in replies:
        await _become(sessions, reply, ReplyState.HANDED_OVER)
    assert await thread.due_at() is None

    await _become(sessions, replies[1], ReplyState.FAILED)

    assert await thread.due_at() == newer.answer_due_at
