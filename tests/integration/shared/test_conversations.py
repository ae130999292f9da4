"""What both services do to conversations: mails find theirs, agents merge, split, release and settle, all at the same time."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.conversations import Threads, follow_threads, lock, merge, move, recount, release, settle
from shared.crypto.envelope import Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import Conversation, ConversationOrder, ConversationThread, Integration, Message
from tests.factories import make_account, make_conversation, make_integration, make_message

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
A, B, C, D = (bytes([letter]) * 32 for letter in b"abcd")


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    return owner_sessions


@pytest.fixture
async def store(owner: Sessions, keyring: Keyring) -> Integration:
    async with owner.begin() as session:
        account = await make_account(session, keyring)
        return await make_integration(session, account.id)


class Inbox:
    """One store's conversations, made and looked at with the owner's rights; what is tested has the connector's."""

    def __init__(self, owner: Sessions, keyring: Keyring, store: Integration) -> None:
        self._owner = owner
        self._keyring = keyring
        self.store = store

    def threads(self, *keys: bytes, own: UUID) -> Threads:
        return Threads(self.store.account_id, self.store.id, keys, own)

    async def conversation(self, *keys: bytes, status: str = "open", order_id: str | None = None) -> UUID:
        async with self._owner.begin() as session:
            conversation = await make_conversation(
                session,
                self._keyring,
                self.store,
                order_id=order_id,
                last_message_at=NOW - timedelta(days=30),
            )
            conversation.status, conversation.is_unread, conversation.message_count = status, False, 0
            for key in keys:
                session.add(
                    ConversationThread(
                        integration_id=self.store.id,
                        thread_key=key,
                        account_id=self.store.account_id,
                        conversation_id=conversation.id,
                    )
                )
        return conversation.id

    async def message(
        self,
        conversation_id: UUID,
        *keys: bytes,
        kind: str = "buyer_message",
        order_ids: list[str] | None = None,
        at: datetime = NOW,
        due: bool = True,
        is_proven: bool = True,
    ) -> UUID:
        async with self._owner.begin() as session:
            conversation = await session.get_one(Conversation, conversation_id)
            message = await make_message(session, self._keyring, conversation, kind=kind)
            message.thread_keys, message.order_ids, message.received_at = list(keys), order_ids or [], at
            message.answer_due_at = at + timedelta(hours=24) if due else None
            message.authenticity = "authentic" if is_proven else "stranger"
            for order_id in order_ids or []:
                await session.merge(
                    ConversationOrder(
                        account_id=conversation.account_id,
                        order_id=order_id,
                        conversation_id=conversation.id,
                        is_proven=is_proven,
                    )
                )
            await session.flush()
            await recount(session, conversation_id)
        return message.id

    async def read(self, conversation_id: UUID) -> Conversation:
        async with self._owner() as session:
            return await session.get_one(Conversation, conversation_id)

    async def place_of(self, message_id: UUID) -> tuple[UUID, UUID | None]:
        async with self._owner() as session:
            message = (await session.scalars(select(Message).where(Message.id == message_id))).one()
            return message.conversation_id, message.placed_by

    async def leads(self) -> dict[bytes, UUID]:
        async with self._owner() as session:
            rows = await session.execute(
                select(ConversationThread.thread_key, ConversationThread.conversation_id)
            )
            return {row.thread_key: row.conversation_id for row in rows}

    async def orders_of(self, conversation_id: UUID) -> set[str]:
        async with self._owner() as session:
            return set(
                await session.scalars(
                    select(ConversationOrder.order_id).where(
                        ConversationOrder.conversation_id == conversation_id
                    )
                )
            )

    async def proven_orders_of(self, conversation_id: UUID) -> set[str]:
        async with self._owner() as session:
            return set(
                await session.scalars(
                    select(ConversationOrder.order_id).where(
                        ConversationOrder.conversation_id == conversation_id, ConversationOrder.is_proven
                    )
                )
            )

    async def last_message_at(self) -> datetime | None:
        async with self._owner() as session:
            return (await session.get_one(Integration, self.store.id)).last_message_at


@pytest.fixture
def inbox(owner: Sessions, keyring: Keyring, store: Integration) -> Inbox:
    return Inbox(owner, keyring, store)


async def test_a_mail_goes_where_its_surest_known_thread_leads(inbox: Inbox, sessions: Sessions):
    first, second = await inbox.conversation(A), await inbox.conversation(B)

    async with sessions.begin() as session:
        placed = await follow_threads(session, [inbox.threads(C, B, A, own=new_id())])

    assert placed == [second]
    assert await inbox.leads() == {A: first, B: second, C: second}


async def test_a_mail_without_threads_stays_alone(sessions: Sessions, inbox: Inbox):
    own = new_id()

    async with sessions.begin() as session:
        assert await follow_threads(session, [inbox.threads(own=own)]) == [own]

    assert await inbox.leads() == {}


async def test_mails_of_one_batch_find_each_other(sessions: Sessions, inbox: Inbox):
    known = await inbox.conversation(D)
    ids = [new_id() for _ in range(4)]

    async with sessions.begin() as session:
        placed = await follow_threads(
            session,
            [
                inbox.threads(A, own=ids[0]),
                inbox.threads(B, A, own=ids[1]),
                inbox.threads(C, D, own=ids[2]),
                inbox.threads(C, own=ids[3]),
            ],
        )
        await open_conversation(session, inbox, ids[0])

    assert placed == [ids[0], ids[0], known, known]
    assert await inbox.leads() == {A: ids[0], B: ids[0], C: known, D: known}


async def test_a_thread_that_leads_to_no_conversation_is_not_stored(sessions: Sessions, inbox: Inbox):
    with pytest.raises(IntegrityError):
        async with sessions.begin() as session:
            await follow_threads(session, [inbox.threads(A, own=new_id())])


async def open_conversation(session: AsyncSession, inbox: Inbox, conversation_id: UUID) -> None:
    await session.execute(
        insert(Conversation).values(
            id=conversation_id,
            account_id=inbox.store.account_id,
            integration_id=inbox.store.id,
            last_message_at=NOW,
        )
    )


async def test_mails_that_arrive_at_once_open_one_conversation(sessions: Sessions, inbox: Inbox):
    async def arrive(keys: tuple[bytes, ...]) -> UUID:
        own = new_id()
        async with sessions.begin() as session:
            [placed] = await follow_threads(session, [inbox.threads(*keys, own=own)])
            if placed == own:
                await open_conversation(session, inbox, own)
        return placed

    placed = await asyncio.gather(*(arrive((A, B) if number % 2 else (B, A)) for number in range(20)))

    assert len(set(placed)) == 1
    assert await inbox.leads() == {A: placed[0], B: placed[0]}


async def test_merged_conversations_are_one(sessions: Sessions, inbox: Inbox):
    source, target = await inbox.conversation(A), await inbox.conversation(B, status="closed")
    early = await inbox.message(source, A, order_ids=["302-0000000-0000001"], at=NOW - timedelta(days=2))
    late = await inbox.message(target, B, order_ids=["302-0000000-0000002"], kind="order_notice", due=False)
    agent = uuid4()

    async with sessions.begin() as session:
        await lock(session, source, target)
        await merge(session, source, target, by=agent)

    merged, empty = await inbox.read(target), await inbox.read(source)
    assert [await inbox.place_of(message) for message in (early, late)] == [(target, agent), (target, None)]
    assert (merged.message_count, merged.kind, merged.status) == (2, "buyer_message", "open")
    assert (merged.last_message_at, merged.answer_due_at) == (NOW, NOW - timedelta(days=1))
    assert merged.order_id == "302-0000000-0000001"
    assert (empty.merged_into, empty.message_count, empty.answer_due_at) == (target, 0, None)
    assert await inbox.leads() == {A: target, B: target}
    assert await inbox.orders_of(target) == {"302-0000000-0000001", "302-0000000-0000002"}
    assert await inbox.orders_of(source) == set()


async def test_older_sign_posts_point_to_the_last_conversation(sessions: Sessions, inbox: Inbox):
    one, two, three = [await inbox.conversation() for _ in range(3)]

    for source, target in ((one, two), (two, three)):
        async with sessions.begin() as session:
            await lock(session, source, target)
            await merge(session, source, target)

    assert [(await inbox.read(each)).merged_into for each in (one, two, three)] == [three, three, None]


async def test_a_mail_that_arrives_while_its_conversation_is_merged_is_in_the_other(
    sessions: Sessions, inbox: Inbox
):
    source, target = await inbox.conversation(A), await inbox.conversation(B)

    async def arrive() -> UUID:
        async with sessions.begin() as session:
            [placed] = await follow_threads(session, [inbox.threads(A, own=new_id())])
        return placed

    async with sessions.begin() as session:
        await lock(session, source, target)
        arriving = asyncio.create_task(arrive())
        _, waiting = await asyncio.wait([arriving], timeout=0.3)
        assert waiting
        await merge(session, source, target)

    assert await arriving == target


async def test_messages_that_are_split_off_take_their_own_threads_along(sessions: Sessions, inbox: Inbox):
    source = await inbox.conversation(A, B, C)
    new = await inbox.conversation()
    stays = await inbox.message(source, A, B, order_ids=["302-0000000-0000001"])
    goes = await inbox.message(
        source, A, C, order_ids=["302-0000000-0000001", "302-0000000-0000002"], at=NOW - timedelta(hours=5)
    )
    agent = uuid4()

    async with sessions.begin() as session:
        await lock(session, source, new)
        await move(session, [goes], source, new, by=agent)

    old, split = await inbox.read(source), await inbox.read(new)
    assert [await inbox.place_of(message) for message in (stays, goes)] == [(source, None), (new, agent)]
    assert await inbox.leads() == {A: source, B: source, C: new}
    assert (old.message_count, split.message_count) == (1, 1)
    assert (split.last_message_at, split.answer_due_at) == (
        NOW - timedelta(hours=5),
        NOW + timedelta(hours=19),
    )
    assert await inbox.orders_of(source) == {"302-0000000-0000001"}
    assert await inbox.orders_of(new) == {"302-0000000-0000001", "302-0000000-0000002"}


async def test_a_released_message_joins_the_conversation_that_it_belongs_to(sessions: Sessions, inbox: Inbox):
    quarantine, waiting = await inbox.conversation(status="quarantine"), await inbox.conversation(A)
    message = await inbox.message(quarantine, B, A, order_ids=["302-0000000-0000001"])
    assert (await inbox.read(quarantine)).answer_due_at is None

    async with sessions.begin() as session:
        assert await release(session, message) == waiting

    joined = await inbox.read(waiting)
    assert (joined.message_count, joined.answer_due_at) == (1, NOW + timedelta(hours=24))
    assert (await inbox.read(quarantine)).merged_into == waiting
    assert await inbox.leads() == {A: waiting, B: waiting}
    assert await inbox.orders_of(waiting) == {"302-0000000-0000001"}
    assert await inbox.last_message_at() == NOW


@pytest.mark.parametrize(
    ("source", "target", "merged"),
    [
        ((A, False), (None, True), None),
        ((None, True), (B, False), None),
        ((A, True), (B, False), A),
        ((A, False), (B, True), B),
        ((A, True), (None, True), A),
        ((A, False), (None, False), A),
    ],
)
async def test_the_buyer_of_a_released_forgery_never_becomes_that_of_proven_messages(
    sessions: Sessions, owner: Sessions, inbox: Inbox, *, source, target, merged
):
    conversations = []
    for buyer_key, is_proven in (source, target):
        conversation = await inbox.conversation()
        await inbox.message(conversation, is_proven=is_proven)
        async with owner.begin() as session:
            (await session.get_one(Conversation, conversation)).buyer_key = buyer_key
        conversations.append(conversation)

    async with sessions.begin() as session:
        await lock(session, *conversations)
        await merge(session, *conversations)

    assert (await inbox.read(conversations[1])).buyer_key == merged


async def test_a_released_message_that_belongs_to_none_opens_one(sessions: Sessions, inbox: Inbox):
    quarantine = await inbox.conversation(status="quarantine")
    message = await inbox.message(quarantine, A)

    async with sessions.begin() as session:
        assert await release(session, message) == quarantine

    opened = await inbox.read(quarantine)
    assert (opened.status, opened.answer_due_at) == ("open", NOW + timedelta(hours=24))
    assert await inbox.leads() == {A: quarantine}


async def test_a_message_that_two_release_at_once_is_released_once(sessions: Sessions, inbox: Inbox):
    quarantine, waiting = await inbox.conversation(status="quarantine"), await inbox.conversation(A)
    message = await inbox.message(quarantine, A)

    async def let_out() -> UUID:
        async with sessions.begin() as session:
            return await release(session, message)

    assert set(await asyncio.gather(let_out(), let_out())) == {waiting}
    assert (await inbox.read(waiting)).message_count == 1


async def test_a_message_that_is_in_no_quarantine_stays_where_it_is(sessions: Sessions, inbox: Inbox):
    conversation, _ = await inbox.conversation(A, status="closed"), await inbox.conversation(B)
    message = await inbox.message(conversation, B)

    async with sessions.begin() as session:
        assert await release(session, message) == conversation

    assert (await inbox.read(conversation)).status == "closed"


async def test_what_is_settled_waits_no_more_until_the_buyer_writes_again(sessions: Sessions, inbox: Inbox):
    conversation = await inbox.conversation(A)
    await inbox.message(conversation, A)
    await inbox.message(conversation, A, at=NOW + timedelta(hours=1))

    async with sessions.begin() as session:
        await settle(session, conversation)
    assert (await inbox.read(conversation)).answer_due_at is None

    await inbox.message(conversation, A, at=NOW + timedelta(hours=2))
    assert (await inbox.read(conversation)).answer_due_at == NOW + timedelta(hours=26)


async def test_the_snippet_is_always_that_of_the_newest_message(
    inbox: Inbox, sessions: Sessions, owner: Sessions
):
    async def snippet_of(conversation_id: UUID) -> tuple[bytes | None, UUID | None]:
        row = await inbox.read(conversation_id)
        return None if row.snippet is None else row.snippet.ciphertext, row.snippet_message_id

    async def message(conversation_id: UUID, snippet: bytes, *keys: bytes, hours: int) -> UUID:
        made = await inbox.message(conversation_id, *keys, at=NOW + timedelta(hours=hours))
        async with owner.begin() as session:
            (await session.get_one(Message, made)).snippet = Sealed(snippet)
            await session.flush()
            await recount(session, conversation_id)
        return made

    first, second = await inbox.conversation(A), await inbox.conversation(B)
    quarantine = await inbox.conversation(status="quarantine")
    older = await message(second, b"older", hours=1)
    newer = await message(first, b"newer", A, hours=2)
    newest = await message(quarantine, b"newest", B, hours=3)
    assert await snippet_of(quarantine) == (b"newest", newest)

    async with sessions.begin() as session:
        await lock(session, first, second)
        await merge(session, first, second)
    assert (await snippet_of(first), await snippet_of(second)) == ((None, None), (b"newer", newer))

    async with sessions.begin() as session:
        await release(session, newest)
    assert (await snippet_of(quarantine), await snippet_of(second)) == ((None, None), (b"newest", newest))

    apart = await inbox.conversation()
    async with sessions.begin() as session:
        await lock(session, second, apart)
        await move(session, [newest, newer], second, apart, by=None)
    assert (await snippet_of(second), await snippet_of(apart)) == ((b"older", older), (b"newest", newest))

    await inbox.message(second, at=NOW + timedelta(hours=4))
    assert (await snippet_of(second))[0] is None  # the newest message came before there were snippets


async def test_an_order_stays_proven_or_not_wherever_its_message_goes(inbox: Inbox, sessions: Sessions):
    first, second, third = (
        await inbox.conversation(A),
        await inbox.conversation(B),
        await inbox.conversation(),
    )
    await inbox.message(first, A, order_ids=["302-0000000-0000001"])
    await inbox.message(second, B, order_ids=["302-0000000-0000002"], is_proven=False)
    moved = await inbox.message(first, A, order_ids=["302-0000000-0000003"])

    async with sessions.begin() as session:
        await lock(session, first, second)
        await merge(session, second, first)
        await lock(session, first, third)
        await move(session, [moved], first, third, by=None)

    assert await inbox.orders_of(first) == {"302-0000000-0000001", "302-0000000-0000002"}
    assert await inbox.proven_orders_of(first) == {"302-0000000-0000001"}
    assert await inbox.proven_orders_of(third) == {"302-0000000-0000003"}
