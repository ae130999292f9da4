"""A merge is shown before it is made, and undone: all is again as it was, but for what has come or been changed since."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from shared import conversations
from shared.crypto.envelope import Place
from shared.driver import new_id
from shared.tables import (
    Conversation,
    ConversationMerge,
    ConversationOrder,
    Message,
    Note,
    OutboundMessage,
    ReplyDraft,
)
from tests.factories import make_conversation_order, make_message, make_reply
from tests.integration.connector.inbox.test_merge_split import Desk

_DUE = datetime(2026, 11, 24, 9, tzinfo=UTC)
_OF_SOURCE, _OF_TARGET, _NEW = b"a" * 32, b"b" * 32, b"c" * 32
_LAMP, _CABLE = "303-1111111-1111111", "303-2222222-2222222"
# All of a conversation that people or programs see, or that mail is led by.
_ROWS = text("SELECT to_jsonb(c) FROM conversations c WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id")
_BESIDE = [
    text(
        f"SELECT to_jsonb(t) FROM {table} t WHERE conversation_id = ANY(CAST(:ids AS uuid[])) ORDER BY {key}"
    )
    for table, key in (
        ("messages", "id"),
        ("notes", "id"),
        ("outbound_messages", "id"),
        ("reply_drafts", "id"),
        ("conversation_threads", "thread_key"),
        ("conversation_orders", "conversation_id, order_id"),
    )
]


@pytest.fixture
def desk(owner_sessions, keyring, inbox):
    return Desk(owner_sessions, keyring, inbox)


async def _whole(sessions, *conversation_ids: UUID) -> list[Any]:
    async with sessions.begin() as session:
        values = {"ids": list(conversation_ids)}
        return [list(await session.scalars(each, values)) for each in (_ROWS, *_BESIDE)]


async def _two(desk, *, source: dict[str, Any] | None = None, target: dict[str, Any] | None = None):
    """Two conversations with a message each that has its thread; their counts as a mail worker writes them."""
    made = []
    for thread, columns in ((_OF_SOURCE, source or {}), (_OF_TARGET, target or {})):
        conversation_id = await desk.conversation(thread, **columns)
        await desk.message(conversation_id, kind="buyer_message", thread_keys=[thread])
        made.append(conversation_id)
    async with desk._sessions.begin() as session:
        for conversation_id in made:
            await conversations.recount(session, conversation_id)
    return made


async def _merge(client, source: UUID, target: UUID) -> str:
    answer = await client.post(f"/api/v1/conversations/{source}/merge", json={"into": str(target)})
    assert answer.status_code == 200, answer.text
    merge_id: str = answer.json()["undoable_merge_id"]
    return merge_id


async def _undo(client, target: UUID, merge_id: str):
    return await client.post(f"/api/v1/conversations/{target}/merges/{merge_id}/undo")


async def _arrive(desk, *keys: bytes) -> UUID:
    """A mail with these threads, placed as a mail worker places it."""
    async with desk._sessions.begin() as session:
        own = new_id()
        threads = conversations.Threads(desk.inbox.account.id, desk.inbox.integration.id, keys, own)
        [place] = await conversations.follow_threads(session, [threads])
        row = await session.get_one(Conversation, place)
        message = await make_message(
            session, desk._keyring, row, kind="buyer_message", thread_keys=list(keys), text="Und noch etwas"
        )
        row.is_unread, row.status = True, "open"
        await session.flush()
        await conversations.recount(session, place)
        return message.id


async def test_undone_all_is_as_it_was(signed_in, desk, owner_sessions, keyring):
    source, target = await _two(
        desk,
        source={"order_id": _LAMP, "is_unread": True, "buyer_key": b"e" * 32},
        target={"order_id": _CABLE, "status": "closed", "is_unread": False, "buyer_key": b"k" * 32},
    )
    earlier = await desk.conversation(merged_into=source)
    async with owner_sessions.begin() as session:
        rows = [await session.get_one(Conversation, each) for each in (source, target)]
        for row, orders in zip(rows, ({_LAMP: True, _CABLE: True}, {_CABLE: False}), strict=True):
            for order_id, is_proven in orders.items():
                await make_conversation_order(session, row, order_id, is_proven=is_proven)
        message = (await session.scalars(select(Message).where(Message.conversation_id == source))).one()
        message.answer_due_at, message.placed_by = _DUE, signed_in.user.id
        await make_reply(session, keyring, message, state="confirmed", written_by=signed_in.user.id)
        keys = await keyring.of(owner_sessions, desk.inbox.account.id)
        note_id, draft_id = new_id(), new_id()
        session.add(
            Note(
                id=note_id,
                account_id=desk.inbox.account.id,
                conversation_id=source,
                body_text=keys.seal_text(Place("notes", "body_text", note_id), "ruft an"),
            )
        )
        session.add(
            ReplyDraft(
                id=draft_id,
                account_id=desk.inbox.account.id,
                conversation_id=source,
                user_id=signed_in.user.id,
                body_text=keys.seal_text(Place("reply_drafts", "body_text", draft_id), "Guten Tag"),
                typed_at=_DUE,
                updated_at=_DUE,
            )
        )
        await session.flush()
        for each in (source, target):
            await conversations.recount(session, each)
    before = await _whole(owner_sessions, source, target, earlier)
    merge_id = await _merge(signed_in.client, source, target)
    assert await _whole(owner_sessions, source, target, earlier) != before

    answer = await _undo(signed_in.client, target, merge_id)

    assert (answer.status_code, answer.json()["id"]) == (200, str(source)), answer.text
    after = await _whole(owner_sessions, source, target, earlier)
    # A reply's last moment is told from its reply alone, which a factory has not done.
    for rows_of in (before, after):
        for row in rows_of[0]:
            del row["last_reply_at"]
    assert after == before
    assert (await desk.written())[-1] == ("conversation.merge_undone", source, {"out_of": str(target)})
    assert await desk.told() >= {str(source), str(target)}
    read = (await signed_in.client.get(f"/api/v1/conversations/{target}")).json()
    assert read["undoable_merge_id"] is None


@pytest.mark.parametrize(
    ("rewritten", "source_has", "target_has"),
    [
        (None, "Zur Lampe", "Zum Kabel"),
        ("Zum Kabel: ja\n\nZur Lampe", "Zur Lampe", "Zum Kabel: ja"),
        ("Zum Kabel\n\nZur Lampe\n\nGruß", "Zur Lampe", "Zum Kabel\n\nGruß"),
        # Sent: nobody gets as a draft again what is with the buyer. Or written anew: there is nothing to part.
        ("", "", ""),
        ("Zu beidem", "", "Zu beidem"),
    ],
)
async def test_one_draft_of_two_is_two_again_where_it_can_be_parted(
    client, desk, rewritten, source_has, target_has
):
    source, target = await _two(desk)

    async def draft(conversation_id: UUID) -> str:
        answer = await client.get(f"/api/v1/conversations/{conversation_id}/draft")
        words: str = answer.json()["text"]
        return words

    async def write(conversation_id: UUID, words: str) -> None:
        path = f"/api/v1/conversations/{conversation_id}/draft"
        assert (await client.put(path, json={"text": words})).status_code == 200

    await write(source, "Zur Lampe")
    await write(target, "Zum Kabel")
    merge_id = await _merge(client, source, target)
    assert await draft(target) == "Zum Kabel\n\nZur Lampe"
    if rewritten is not None:
        await write(target, rewritten)

    assert (await _undo(client, target, merge_id)).status_code == 200

    assert (await draft(source), await draft(target)) == (source_has, target_has)


async def test_a_draft_without_a_word_has_nothing_to_be_parted(client, desk):
    source, target = await _two(desk)
    for conversation_id, words in ((source, "Doch nicht"), (source, ""), (target, "Zum Kabel")):
        path = f"/api/v1/conversations/{conversation_id}/draft"
        assert (await client.put(path, json={"text": words})).status_code == 200
    merge_id = await _merge(client, source, target)

    assert (await _undo(client, target, merge_id)).status_code == 200

    assert (await client.get(f"/api/v1/conversations/{target}/draft")).json()["text"] == "Zum Kabel"


async def test_the_merged_conversation_is_the_proven_buyers_and_undone_the_forged_one_has_its_own(
    client, desk, owner_sessions
):
    source = await desk.conversation(buyer_name="Erika", buyer_key=b"e" * 32, order_id=_LAMP)
    target = await desk.conversation(buyer_name="Somebody else", buyer_key=b"f" * 32, order_id=None)
    await desk.message(
        source, authenticity="authentic", order_ids=[_LAMP], kind="buyer_message", answer_due_at=_DUE
    )
    await desk.message(target, authenticity="forged", kind="buyer_message")

    async def head() -> dict[str, Any]:
        answer: dict[str, Any] = (await client.get(f"/api/v1/conversations/{target}")).json()
        return {name: answer[name] for name in ("buyer_name", "order_id", "answer_due_at", "message_count")}

    before = await head()
    preview = (
        await client.get(f"/api/v1/conversations/{source}/merge-preview", params={"into": str(target)})
    ).json()
    assert await head() == before
    merge_id = await _merge(client, source, target)

    assert await head() == {
        "buyer_name": "Erika",
        "order_id": _LAMP,
        "answer_due_at": "2026-11-24T09:00:00Z",
        "message_count": 2,
    }
    assert {name: preview["merged"][name] for name in before} == await head()
    await _undo(client, target, merge_id)
    assert await head() == before


@pytest.mark.parametrize(
    ("source", "target", "differ"),
    [
        ({"buyer_key": b"e" * 32}, {"buyer_key": b"e" * 32}, (False, False)),
        ({"buyer_key": b"e" * 32}, {"buyer_key": b"f" * 32}, (True, False)),
        ({"buyer_key": None}, {"buyer_key": b"f" * 32}, (False, False)),
        ({"order_id": _LAMP}, {"order_id": _CABLE}, (False, True)),
        ({"order_id": None}, {"order_id": _CABLE}, (False, False)),
    ],
)
async def test_before_merging_it_is_said_whether_buyers_or_orders_differ(
    *, client, desk, source, target, differ
):
    one = await desk.conversation(**{"buyer_name": "Erika"} | source)
    other = await desk.conversation(**{"buyer_name": "Max"} | target)
    for each in (one, other):
        await desk.message(each, text="Wo bleibt sie?", snippet="Wo bleibt sie?")

    answer = await client.get(f"/api/v1/conversations/{one}/merge-preview", params={"into": str(other)})

    assert answer.status_code == 200, answer.text
    preview = answer.json()
    assert (preview["buyers_differ"], preview["orders_differ"]) == differ
    assert [preview[side]["buyer_name"] for side in ("source", "target")] == ["Erika", "Max"]
    assert preview["merged"]["message_count"] == 2
    assert await desk.written() == []
    assert await desk.told() == set()


async def test_what_cannot_be_merged_has_no_preview(client, desk, foreign_inbox):
    one, forged = await desk.conversation(), await desk.conversation(status="quarantine")

    codes = [
        (await client.get(f"/api/v1/conversations/{one}/merge-preview", params={"into": str(other)})).json()[
            "code"
        ]
        for other in (one, forged, foreign_inbox.conversation.id)
    ]

    assert codes == ["merge_into_itself", "conversation_in_quarantine", "not_found"]


async def test_what_came_since_goes_where_it_would_have_come(client, desk, owner_sessions):
    source, target = await _two(desk, source={"is_unread": False}, target={"status": "closed"})
    merge_id = await _merge(client, source, target)
    to_source = await _arrive(desk, _NEW, _OF_SOURCE)
    also = await _arrive(desk, _NEW)
    to_target = await _arrive(desk, _OF_TARGET)
    assert {(await desk.place_of(each))[0] for each in (to_source, also, to_target)} == {target}

    await _undo(client, target, merge_id)

    assert [(await desk.place_of(each))[0] for each in (to_source, also, to_target)] == [
        source,
        source,
        target,
    ]
    assert await desk.thread_leads_to(_NEW) == await desk.thread_leads_to(_OF_SOURCE) == source
    assert await desk.thread_leads_to(_OF_TARGET) == target
    one, other = [(await client.get(f"/api/v1/conversations/{each}")).json() for each in (source, target)]
    assert (one["message_count"], one["unread"], one["status"]) == (3, True, "open")
    # The buyer has written in it since: it is not closed again.
    assert (other["message_count"], other["unread"], other["status"]) == (2, True, "open")


async def test_what_a_colleague_has_changed_since_stays(client, desk, owner_sessions, keyring):
    source, target = await _two(desk, target={"is_unread": True})
    more = await desk.message(source, thread_keys=[_NEW])
    stays = await desk.message(target)
    merge_id = await _merge(client, source, target)
    path = f"/api/v1/conversations/{target}"
    split_off = (await client.post(f"{path}/split", json={"message_ids": [str(more)]})).json()["id"]
    await client.patch(path, json={"status": "closed", "unread": False})

    await _undo(client, target, merge_id)

    assert (await desk.place_of(more))[0] == UUID(split_off)
    assert (await desk.place_of(stays))[0] == target
    read = (await client.get(path)).json()
    assert (read["status"], read["unread"], read["message_count"]) == ("closed", False, 2)


async def test_a_reply_goes_with_the_message_that_it_answers(client, desk, owner_sessions, keyring):
    source, target = await _two(desk)
    merge_id = await _merge(client, source, target)
    async with owner_sessions.begin() as session:
        its = {
            row.thread_keys[0]: row
            for row in await session.scalars(select(Message).where(Message.conversation_id == target))
        }
        replies = [
            (await make_reply(session, keyring, its[key], state="confirmed")).id
            for key in (_OF_SOURCE, _OF_TARGET)
        ]

    await _undo(client, target, merge_id)

    async with owner_sessions.begin() as session:
        places = [(await session.get_one(OutboundMessage, each)).conversation_id for each in replies]
    assert places == [source, target]


async def test_the_newest_merge_is_undone_first_and_each_once(client, desk):
    first, target = await _two(desk)
    second, beyond = [await desk.conversation() for _ in range(2)]
    for each in (second, beyond):
        await desk.message(each)
    merges = [await _merge(client, each, target) for each in (first, second)]
    assert (await _undo(client, target, merges[0])).json()["code"] == "merge_not_undoable"
    on_top = await _merge(client, target, beyond)
    assert (await _undo(client, target, merges[1])).json()["code"] == "conversation_merged"
    assert (await _undo(client, beyond, on_top)).status_code == 200

    for merge_id, its in zip(reversed(merges), (second, first), strict=True):
        read = (await client.get(f"/api/v1/conversations/{target}")).json()
        assert read["undoable_merge_id"] == merge_id
        answers = await asyncio.gather(*(_undo(client, target, merge_id) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
        assert (await client.get(f"/api/v1/conversations/{its}")).json()["id"] == str(its)


async def test_it_is_undone_for_so_long_and_never_if_nothing_would_be_left(client, desk, owner_sessions):
    source, target = await _two(desk)
    old = await _merge(client, source, target)
    async with owner_sessions.begin() as session:
        merge = await session.get_one(ConversationMerge, UUID(old))
        merge.merged_at -= timedelta(days=30)
    answer = await _undo(client, target, old)
    assert (answer.status_code, answer.json()["code"]) == (409, "merge_not_undoable")
    assert (await client.get(f"/api/v1/conversations/{target}")).json()["undoable_merge_id"] is None

    async with owner_sessions.begin() as session:
        merge = await session.get_one(ConversationMerge, UUID(old))
        merge.merged_at += timedelta(days=30)
        own = (await session.scalars(select(Message.id).where(Message.placed_by.is_(None)))).all()
    path = f"/api/v1/conversations/{target}/split"
    assert (await client.post(path, json={"message_ids": [str(each) for each in own]})).status_code == 201
    assert (await _undo(client, target, old)).json()["code"] == "merge_not_undoable"


async def test_another_accounts_merge_is_not_there(client, desk, foreign_inbox):
    source, target = await _two(desk)
    merge_id = await _merge(client, source, target)

    assert (await _undo(client, source, merge_id)).status_code == 404
    assert (await _undo(client, foreign_inbox.conversation.id, merge_id)).status_code == 404
    assert (await _undo(client, target, str(new_id()))).status_code == 404


async def test_a_merge_is_forgotten_with_either_conversation(client, desk, owner_sessions):
    source, target = await _two(desk)
    await _merge(client, source, target)

    async with owner_sessions.begin() as session:
        await session.execute(text("DELETE FROM conversation_threads"))
        await session.execute(text("DELETE FROM conversations WHERE id = :id"), {"id": source})
        assert (await session.scalars(select(ConversationMerge))).all() == []


async def test_tags_and_assignee_are_joined_and_given_back(client, desk, signed_in, owner_sessions):
    lamp, cable = new_id(), new_id()
    source, target = await _two(
        desk,
        source={"tag_ids": [lamp, cable], "assignee_id": signed_in.user.id},
        target={"tag_ids": [cable]},
    )
    merge_id = await _merge(client, source, target)

    async def kept() -> tuple[list[UUID], UUID | None]:
        async with owner_sessions.begin() as session:
            row = await session.get_one(Conversation, target)
            return row.tag_ids, row.assignee_id

    assert await kept() == ([cable, lamp], signed_in.user.id)
    await _undo(client, target, merge_id)
    assert await kept() == ([cable], None)


async def test_a_mail_that_arrives_while_it_is_undone_comes_before_or_after(client, desk):
    source, target = await _two(desk)
    merge_id = await _merge(client, source, target)

    answer, message = await asyncio.gather(_undo(client, target, merge_id), _arrive(desk, _OF_SOURCE))

    assert answer.status_code == 200
    assert (await desk.place_of(message))[0] == source


async def test_orders_that_both_named_are_proven_by_their_own_mails_again(client, desk, owner_sessions):
    source, target = await _two(desk)
    async with owner_sessions.begin() as session:
        for each, is_proven in ((source, True), (target, False)):
            row = await session.get_one(Conversation, each)
            await make_conversation_order(session, row, _LAMP, is_proven=is_proven)
    merge_id = await _merge(client, source, target)
    await _undo(client, target, merge_id)

    async with owner_sessions.begin() as session:
        links = await session.scalars(select(ConversationOrder).where(ConversationOrder.order_id == _LAMP))
        proven = {link.conversation_id: link.is_proven for link in links}
    assert (proven[source], proven[target]) == (True, False)
