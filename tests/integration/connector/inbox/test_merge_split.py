"""Conversations are merged and split, messages released: by whom it was, for whoever listens, and only where it makes sense."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from shared import conversations
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import AuditEntry, Conversation, ConversationThread, EventRow, Message
from tests.factories import make_conversation, make_integration, make_message
from tests.integration.connector.inbox.conftest import Inbox

_DUE = datetime(2026, 11, 24, 9, tzinfo=UTC)
_THREAD, _OTHER_THREAD = b"a" * 32, b"b" * 32


class Desk:
    """What the tests make and look at, with the owner's rights."""

    def __init__(self, sessions: Sessions, keyring: Keyring, inbox: Inbox) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self.inbox = inbox

    async def conversation(self, *threads: bytes, integration: Any = None, **columns: Any) -> UUID:
        integration = integration or self.inbox.integration
        async with self._sessions.begin() as session:
            row = await make_conversation(
                session, self._keyring, integration, **{"message_count": 0} | columns
            )
            for thread in threads:
                session.add(
                    ConversationThread(
                        integration_id=integration.id,
                        thread_key=thread,
                        account_id=integration.account_id,
                        conversation_id=row.id,
                    )
                )
        return row.id

    async def message(self, conversation_id: UUID, **columns: Any) -> UUID:
        async with self._sessions.begin() as session:
            row = await session.get_one(Conversation, conversation_id)
            row.message_count += 1
            return (await make_message(session, self._keyring, row, **columns)).id

    async def place_of(self, message_id: UUID) -> tuple[UUID, UUID | None]:
        async with self._sessions.begin() as session:
            row = await session.get_one(Message, message_id)
            return row.conversation_id, row.placed_by

    async def written(self) -> list[tuple[str, UUID | None, dict[str, Any]]]:
        async with self._sessions.begin() as session:
            rows = await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
            return [(row.action, row.subject_id, row.fields) for row in rows]

    async def told(self) -> set[str]:
        async with self._sessions.begin() as session:
            rows = await session.scalars(select(EventRow).where(EventRow.kind == "conversation.changed"))
            return {row.ids["conversation_id"] for row in rows}

    async def thread_leads_to(self, thread: bytes) -> UUID:
        async with self._sessions.begin() as session:
            row = await session.get_one(ConversationThread, (self.inbox.integration.id, thread))
            return row.conversation_id


@pytest.fixture
def desk(owner_sessions, keyring, inbox):
    return Desk(owner_sessions, keyring, inbox)


async def test_merging_moves_all_messages_and_those_to_come(signed_in, desk):
    source, target = await desk.conversation(_THREAD), await desk.conversation(_OTHER_THREAD)
    moved = await desk.message(source, answer_due_at=_DUE)
    stayed = await desk.message(target, answer_due_at=_DUE + timedelta(hours=1))

    answer = await signed_in.client.post(f"/api/v1/conversations/{source}/merge", json={"into": str(target)})

    assert answer.status_code == 200, answer.text
    merged = answer.json()
    assert (merged["id"], merged["message_count"]) == (str(target), 2)
    assert merged["answer_due_at"] == "2026-11-24T09:00:00Z"
    assert await desk.place_of(moved) == (target, signed_in.user.id)
    assert await desk.place_of(stayed) == (target, None)
    assert await desk.thread_leads_to(_THREAD) == target
    assert await desk.written() == [("conversation.merged", source, {"into": str(target)})]
    assert await desk.told() == {str(source), str(target)}


async def test_what_was_merged_answers_as_what_it_became_and_is_listed_no_more(client, desk):
    first, second, third = [await desk.conversation() for _ in range(3)]
    for conversation_id in (first, second, third):
        await desk.message(conversation_id, text=f"in {conversation_id}")
    await client.post(f"/api/v1/conversations/{first}/merge", json={"into": str(second)})
    await client.post(f"/api/v1/conversations/{second}/merge", json={"into": str(third)})

    read = (await client.get(f"/api/v1/conversations/{first}")).json()
    messages = (await client.get(f"/api/v1/conversations/{first}/messages")).json()["items"]
    listed = (await client.get("/api/v1/conversations")).json()["items"]

    assert (read["id"], read["message_count"], read["subject"]) == (str(third), 3, "Frage zur Lampe")
    assert {message["conversation_id"] for message in messages} == {str(third)}
    assert len(messages) == 3
    assert {item["id"] for item in listed} == {str(third), str(desk.inbox.conversation.id)}


async def test_what_was_merged_cannot_be_changed_and_names_where_it_went(client, desk):
    source, target, other = [await desk.conversation() for _ in range(3)]
    message = await desk.message(source)
    await client.post(f"/api/v1/conversations/{source}/merge", json={"into": str(target)})
    path = f"/api/v1/conversations/{source}"

    for answer in (
        await client.patch(path, json={"status": "closed"}),
        await client.post(f"{path}/no-answer-needed"),
        await client.post(f"{path}/merge", json={"into": str(other)}),
        await client.post(f"{path}/split", json={"message_ids": [str(message)]}),
        await client.post(f"/api/v1/conversations/{other}/merge", json={"into": str(source)}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "conversation_merged"), answer.text
        assert answer.json()["into"] == str(target)


async def test_what_does_not_belong_together_is_not_merged(
    client, desk, owner_sessions, keyring, foreign_inbox
):
    async with owner_sessions.begin() as session:
        usa = await make_integration(session, desk.inbox.account.id, name="Amazon USA", region="na")
    one, two = await desk.conversation(), await desk.conversation()
    elsewhere = await desk.conversation(integration=usa)
    forged = await desk.conversation(status="quarantine")

    for source, target, status, code in (
        (one, one, 422, "merge_into_itself"),
        (one, elsewhere, 422, "merge_other_store"),
        (one, forged, 409, "conversation_in_quarantine"),
        (forged, one, 409, "conversation_in_quarantine"),
        (one, foreign_inbox.conversation.id, 404, "not_found"),
        (foreign_inbox.conversation.id, one, 404, "not_found"),
        (one, new_id(), 404, "not_found"),
    ):
        answer = await client.post(f"/api/v1/conversations/{source}/merge", json={"into": str(target)})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await desk.written(), await desk.told()) == ([], set())
    assert (await client.get(f"/api/v1/conversations/{two}")).status_code == 200


async def test_two_merges_against_each_other_leave_one_conversation(client, desk):
    one, two = await desk.conversation(), await desk.conversation()

    answers = await asyncio.gather(
        client.post(f"/api/v1/conversations/{one}/merge", json={"into": str(two)}),
        client.post(f"/api/v1/conversations/{two}/merge", json={"into": str(one)}),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len((await client.get("/api/v1/conversations")).json()["items"]) == 2  # and that of the inbox


async def test_messages_that_are_split_off_become_a_conversation_of_the_same_buyer(signed_in, desk):
    source = await desk.conversation(_THREAD, _OTHER_THREAD)
    stays = await desk.message(source, thread_keys=[_THREAD], order_ids=["303-1234567-1234567"])
    goes = await desk.message(
        source,
        thread_keys=[_OTHER_THREAD],
        order_ids=["303-7654321-7654321"],
        subject="Und der Stuhl?",
        answer_due_at=_DUE,
    )

    answer = await signed_in.client.post(
        f"/api/v1/conversations/{source}/split", json={"message_ids": [str(goes)]}
    )

    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["id"] != str(source)
    assert (made["subject"], made["buyer_name"]) == ("Und der Stuhl?", "Erika Beispiel")
    assert (made["order_id"], made["message_count"], made["status"]) == ("303-7654321-7654321", 1, "open")
    assert made["answer_due_at"] == "2026-11-24T09:00:00Z"
    left = (await signed_in.client.get(f"/api/v1/conversations/{source}")).json()
    assert (left["message_count"], left["order_id"], left["answer_due_at"]) == (
        1,
        "303-1234567-1234567",
        None,
    )
    assert await desk.place_of(goes) == (UUID(made["id"]), signed_in.user.id)
    assert (await desk.place_of(stays))[0] == source
    assert await desk.thread_leads_to(_OTHER_THREAD) == UUID(made["id"])
    assert await desk.thread_leads_to(_THREAD) == source
    assert await desk.written() == [("conversation.split", source, {"into": made["id"]})]
    assert await desk.told() == {str(source), made["id"]}


async def test_what_cannot_be_split_off_stays(client, desk, foreign_inbox, worker):
    source = await desk.conversation()
    own = [str(await desk.message(source)) for _ in range(2)]
    other = str(await desk.message(await desk.conversation()))
    foreign = str((await worker.message(foreign_inbox)).id)

    for message_ids, status, code in (
        (own, 422, "split_takes_all"),
        ([own[0], other], 422, "message_elsewhere"),
        ([own[0], foreign], 422, "message_elsewhere"),
        ([str(new_id())], 422, "message_elsewhere"),
        ([], 422, "invalid_request"),
        ([str(new_id()) for _ in range(101)], 422, "invalid_request"),
    ):
        answer = await client.post(f"/api/v1/conversations/{source}/split", json={"message_ids": message_ids})
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await desk.written(), await desk.told()) == ([], set())


async def test_a_message_and_all_newer_ones_are_split_off_however_many(client, desk, owner_sessions, keyring):
    source = await desk.conversation()
    async with owner_sessions.begin() as session:
        row = await session.get_one(Conversation, source)
        made = [(await make_message(session, keyring, row, snippet=f"no. {n}")).id for n in range(130)]
        await conversations.recount(session, source)

    answer = await client.post(
        f"/api/v1/conversations/{source}/split", json={"from_message_id": str(made[20])}
    )

    assert answer.status_code == 201, answer.text
    assert (answer.json()["message_count"], answer.json()["snippet"]) == (110, "no. 129")
    stayed = (await client.get(f"/api/v1/conversations/{source}")).json()
    assert (stayed["message_count"], stayed["snippet"]) == (20, "no. 19")
    assert (await desk.place_of(made[19]))[0] == source
    assert str((await desk.place_of(made[20]))[0]) == answer.json()["id"]


async def test_from_the_first_message_on_nothing_would_be_left(client, desk, foreign_inbox):
    source, other = await desk.conversation(), await desk.conversation()
    first, _ = await desk.message(source), await desk.message(source)
    elsewhere = await desk.message(other)
    path = f"/api/v1/conversations/{source}/split"

    for message_id, code in (
        (first, "split_takes_all"),
        (elsewhere, "message_elsewhere"),
        (new_id(), "message_elsewhere"),
    ):
        answer = await client.post(path, json={"from_message_id": str(message_id)})
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_split_names_its_messages_in_one_of_two_ways(client, desk):
    source = await desk.conversation()
    first, second = str(await desk.message(source)), str(await desk.message(source))
    path = f"/api/v1/conversations/{source}/split"

    bodies: list[dict[str, Any]] = [
        {},
        {"message_ids": []},
        {"from_message_id": None},
        {"message_ids": [first], "from_message_id": second},
        {"message_ids": [str(new_id()) for _ in range(101)]},
    ]
    for body in bodies:
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), body


async def test_a_message_that_is_named_twice_is_split_off_once(client, desk):
    source = await desk.conversation()
    await desk.message(source)
    goes = str(await desk.message(source))

    answer = await client.post(f"/api/v1/conversations/{source}/split", json={"message_ids": [goes, goes]})

    assert (answer.status_code, answer.json()["message_count"]) == (201, 1)


async def test_a_split_that_is_sent_twice_with_its_key_is_done_once(client, desk):
    source = await desk.conversation()
    await desk.message(source)
    request = {"message_ids": [str(await desk.message(source))]}
    path, headers = f"/api/v1/conversations/{source}/split", {"Idempotency-Key": "once"}

    first = await client.post(path, json=request, headers=headers)
    second = await client.post(path, json=request, headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len(await desk.written()) == 1


async def test_a_released_message_joins_the_conversation_that_it_belongs_to(client, desk):
    belongs = await desk.conversation(_THREAD)
    await desk.message(belongs)
    quarantine = await desk.conversation(status="quarantine")
    message = await desk.message(
        quarantine, thread_keys=[_THREAD], answer_due_at=_DUE, recheck_at=_DUE, authenticity="uncheckable"
    )

    answer = await client.post(f"/api/v1/messages/{message}/release")

    assert answer.status_code == 200, answer.text
    assert (answer.json()["id"], answer.json()["message_count"]) == (str(belongs), 2)
    assert answer.json()["answer_due_at"] == "2026-11-24T09:00:00Z"
    assert (await desk.place_of(message))[0] == belongs
    assert await desk.written() == [("message.released", message, {})]
    assert await desk.told() == {str(belongs), str(quarantine)}
    assert (await client.get("/api/v1/conversations", params={"status": "quarantine"})).json()["items"] == []


async def test_a_released_message_that_belongs_nowhere_opens_its_own_conversation(client, desk):
    quarantine = await desk.conversation(status="quarantine")
    message = await desk.message(quarantine, thread_keys=[_THREAD])

    answer = await client.post(f"/api/v1/messages/{message}/release")

    assert (answer.json()["id"], answer.json()["status"]) == (str(quarantine), "open")
    assert await desk.thread_leads_to(_THREAD) == quarantine


async def test_what_is_in_no_quarantine_is_not_released(client, desk, foreign_inbox, worker):
    message = await desk.message(await desk.conversation())
    foreign = (await worker.message(foreign_inbox)).id

    for message_id, status, code in (
        (message, 409, "message_not_in_quarantine"),
        (foreign, 404, "not_found"),
        (new_id(), 404, "not_found"),
    ):
        answer = await client.post(f"/api/v1/messages/{message_id}/release")
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_two_who_release_at_once_are_written_down_once(client, desk):
    message = await desk.message(await desk.conversation(status="quarantine"), thread_keys=[_THREAD])

    answers = await asyncio.gather(*(client.post(f"/api/v1/messages/{message}/release") for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert len(await desk.written()) == 1
