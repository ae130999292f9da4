"""What agents do with a conversation: each change is told, written down, and refused where it would do harm."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from shared.database import Sessions
from shared.tables import AuditEntry, Conversation, EventRow, Message
from tests.factories import make_message
from tests.integration.connector.inbox.conftest import Inbox

_DUE = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.fixture
def path(inbox):
    return f"/api/v1/conversations/{inbox.conversation.id}"


@pytest.fixture
async def due(inbox, owner_sessions, keyring):
    """Two messages that wait for an answer, and one that waits for none."""
    async with owner_sessions.begin() as session:
        row = await session.get_one(Conversation, inbox.conversation.id)
        row.answer_due_at = _DUE
        waiting = [
            await make_message(session, keyring, row, answer_due_at=_DUE + timedelta(hours=number))
            for number in range(2)
        ]
        await make_message(session, keyring, row, kind="auto_reply")
    return {message.id for message in waiting}


async def _change(owner_sessions: Sessions, inbox: Inbox, **columns: Any) -> None:
    async with owner_sessions.begin() as session:
        row = await session.get_one(Conversation, inbox.conversation.id)
        for name, value in columns.items():
            setattr(row, name, value)


async def _written(owner_sessions: Sessions) -> list[str]:
    async with owner_sessions.begin() as session:
        return list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


async def _told(owner_sessions: Sessions) -> list[tuple[str, dict[str, str]]]:
    async with owner_sessions.begin() as session:
        return [(row.kind, row.ids) for row in await session.scalars(select(EventRow).order_by(EventRow.id))]


async def _settled(owner_sessions: Sessions) -> set[UUID]:
    async with owner_sessions.begin() as session:
        return set(await session.scalars(select(Message.id).where(Message.answer_settled_at.is_not(None))))


async def test_closing_and_reopening_is_written_down_and_told(client, inbox, path, owner_sessions):
    closed = await client.patch(path, json={"status": "closed"})
    reopened = await client.patch(path, json={"status": "open"})

    assert closed.status_code == 200, closed.text
    assert (closed.json()["status"], reopened.json()["status"]) == ("closed", "open")
    assert closed.json()["buyer_name"] == "Erika Beispiel"
    assert await _written(owner_sessions) == ["conversation.closed", "conversation.reopened"]
    ids = {"integration_id": str(inbox.integration.id), "conversation_id": str(inbox.conversation.id)}
    assert await _told(owner_sessions) == [("conversation.changed", ids)] * 2


async def test_closing_stops_the_answer_clock(client, path, due, owner_sessions):
    answer = await client.patch(path, json={"status": "closed"})

    assert answer.json()["answer_due_at"] is None
    assert await _settled(owner_sessions) == due


async def test_no_answer_needed_stops_the_clock_of_every_message_and_leaves_the_rest(
    client, path, due, owner_sessions
):
    answer = await client.post(f"{path}/no-answer-needed")

    assert answer.status_code == 200, answer.text
    assert (answer.json()["answer_due_at"], answer.json()["status"]) == (None, "open")
    assert await _settled(owner_sessions) == due
    assert await _written(owner_sessions) == ["conversation.no_answer_needed"]


async def test_no_answer_needed_where_none_waits_changes_nothing(client, path, owner_sessions):
    answer = await client.post(f"{path}/no-answer-needed")

    assert answer.status_code == 200
    assert (await _written(owner_sessions), await _told(owner_sessions)) == ([], [])


async def test_read_and_unread_is_told_and_not_written_down(client, path, owner_sessions):
    read = await client.patch(path, json={"unread": False})
    again = await client.patch(path, json={"unread": False})
    unread = await client.patch(path, json={"unread": True})

    assert [answer.json()["unread"] for answer in (read, again, unread)] == [False, False, True]
    assert await _written(owner_sessions) == []
    assert len(await _told(owner_sessions)) == 2


async def test_what_is_so_already_is_no_change(client, path, due, owner_sessions):
    answer = await client.patch(path, json={"status": "open", "unread": True})

    assert answer.status_code == 200
    assert (await _written(owner_sessions), await _told(owner_sessions)) == ([], [])
    assert await _settled(owner_sessions) == set()


async def test_who_insists_on_what_he_has_read_closes_nothing_over_a_new_message(
    client, inbox, path, owner_sessions
):
    etag = (await client.get(path)).headers["etag"]
    # That somebody reads it changes nothing that a decision rests on.
    await client.patch(path, json={"unread": False})
    same = (await client.get(path)).headers["etag"]
    unhindered = await client.patch(path, json={"unread": True}, headers={"If-Match": etag})
    await _change(owner_sessions, inbox, message_count=2, last_message_at=datetime.now(UTC))

    refused = await client.patch(path, json={"status": "closed"}, headers={"If-Match": etag})
    seen = (await client.get(path)).headers["etag"]
    closed = await client.patch(path, json={"status": "closed"}, headers={"If-Match": seen})

    # The version; behind the point is what tells one answer from another.
    assert (same.partition(".")[0], unhindered.status_code) == (etag.partition(".")[0], 200)
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert closed.status_code == 200
    assert closed.headers["etag"] not in {etag, seen}


async def test_a_quarantined_conversation_is_marked_but_neither_closed_nor_settled(
    client, inbox, path, owner_sessions
):
    await _change(owner_sessions, inbox, status="quarantine")

    read = await client.patch(path, json={"unread": False})
    assert (read.status_code, read.json()["unread"]) == (200, False)
    for answer in (
        await client.patch(path, json={"status": "open"}),
        await client.patch(path, json={"status": "closed"}),
        await client.post(f"{path}/no-answer-needed"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "conversation_in_quarantine")


async def test_what_cannot_be_changed_is_refused(client, path):
    bodies: list[object] = [
        {"status": "quarantine"},
        {"status": "x"},
        {"unread": "x"},
        {"kind": "x"},
        [],
        None,
    ]
    for body in bodies:
        answer = await client.patch(path, json=body)

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), body


async def test_two_who_close_at_once_are_written_down_as_one_change(client, path, owner_sessions):
    answers = await asyncio.gather(*(client.patch(path, json={"status": "closed"}) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {200}
    assert await _written(owner_sessions) == ["conversation.closed"]


async def test_another_accounts_conversation_is_not_there_to_be_changed(
    client, foreign_inbox, owner_sessions
):
    path = f"/api/v1/conversations/{foreign_inbox.conversation.id}"

    for answer in (
        await client.patch(path, json={"status": "closed"}),
        await client.post(f"{path}/no-answer-needed"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await _told(owner_sessions) == []
