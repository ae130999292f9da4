"""Conversations and messages as lists: order, pages, cost."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.driver import new_id
from shared.tables import Conversation
from tests.factories import make_attachment, make_conversation, make_integration, make_message
from tests.integration.connector.inbox.conftest import counted_statements

_START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
async def with_snippet(inbox, owner_sessions, keyring):
    """The conversation shows the first words of a message."""
    async with owner_sessions.begin() as session:
        message = await make_message(
            session, keyring, inbox.conversation, snippet="Guten Tag, wann kommt meine Lampe?"
        )
        row = await session.get_one(Conversation, inbox.conversation.id)
        row.snippet, row.snippet_message_id = message.snippet, message.id
    return inbox


async def test_a_listed_conversation_shows_what_an_agent_reads_first(client, with_snippet):
    inbox = with_snippet
    answer = await client.get("/api/v1/conversations")

    assert answer.status_code == 200, answer.text
    conversation = inbox.conversation
    assert answer.json() == {
        "items": [
            {
                "id": str(conversation.id),
                "integration": {"id": str(inbox.integration.id), "name": "Amazon Europa"},
                "buyer_name": "Erika Beispiel",
                "subject": "Frage zur Lampe",
                "snippet": "Guten Tag, wann kommt meine Lampe?",
                "order_id": "303-1234567-1234567",
                "asin": None,
                "country": "DE",
                "status": "open",
                "kind": "buyer_message",
                "unread": True,
                "answer_due_at": None,
                "message_count": 1,
                "last_message_at": conversation.last_message_at.isoformat().replace("+00:00", "Z"),
                "last_reply_at": None,
                "assignee_id": None,
                "tag_ids": [],
                "snoozed_until": None,
                "has_files": False,
                "has_failed_reply": False,
            }
        ],
        "next_cursor": None,
    }


async def test_a_conversation_that_is_read_shows_what_the_list_shows(client, with_snippet):
    [listed] = (await client.get("/api/v1/conversations")).json()["items"]
    answer = await client.get(f"/api/v1/conversations/{with_snippet.conversation.id}")

    assert answer.status_code == 200, answer.text
    # Beside it, what whoever answers needs to know.
    assert answer.json() == answer.json() | listed


@pytest.mark.parametrize("column", ["buyer_name", "subject", "snippet"])
async def test_what_does_not_open_is_left_out_of_its_row_and_the_list_is_shown(
    client, with_snippet, owner_sessions, keyring, column
):
    async with owner_sessions.begin() as session:
        await make_conversation(session, keyring, with_snippet.integration)
        row = await session.get_one(Conversation, with_snippet.conversation.id)
        setattr(row, column, row.subject if column == "buyer_name" else row.buyer_name)

    answer = await client.get("/api/v1/conversations")

    assert answer.status_code == 200, answer.text
    [other, broken] = answer.json()["items"]
    assert (other["buyer_name"], other["subject"], other["snippet"]) == (
        "Erika Beispiel",
        "Frage zur Lampe",
        None,
    )
    shown = {name: broken[name] for name in ("buyer_name", "subject", "snippet")}
    assert shown == {
        "buyer_name": "Erika Beispiel",
        "subject": "Frage zur Lampe",
        "snippet": "Guten Tag, wann kommt meine Lampe?",
    } | {column: None}


async def test_a_snippet_opens_only_as_that_of_its_message(client, with_snippet, owner_sessions):
    async with owner_sessions.begin() as session:
        row = await session.get_one(Conversation, with_snippet.conversation.id)
        row.snippet_message_id = new_id()

    [item] = (await client.get("/api/v1/conversations")).json()["items"]

    assert (item["snippet"], item["subject"]) == (None, "Frage zur Lampe")


async def test_the_list_of_one_integration_has_its_conversations_only(client, inbox, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        other = await make_integration(session, inbox.account.id, name="Amazon USA", region="na")
        wanted = await make_conversation(session, keyring, other)

    items = (await client.get("/api/v1/conversations", params={"integration_id": other.id})).json()["items"]

    assert [item["id"] for item in items] == [str(wanted.id)]


async def test_another_accounts_conversations_are_in_no_list(client, inbox, foreign_inbox):
    everything = (await client.get("/api/v1/conversations")).json()["items"]
    filtered = await client.get(
        "/api/v1/conversations", params={"integration_id": str(foreign_inbox.integration.id)}
    )

    assert [item["id"] for item in everything] == [str(inbox.conversation.id)]
    assert filtered.json()["items"] == []


async def test_pages_of_conversations_show_every_row_once_while_new_ones_arrive(
    client, inbox, owner_sessions, keyring
):
    async with owner_sessions.begin() as session:
        # Several share a moment: the id decides then.
        made = [
            await make_conversation(
                session, keyring, inbox.integration, last_message_at=_START + timedelta(seconds=number // 3)
            )
            for number in range(25)
        ]
    expected = {str(row.id) for row in made} | {str(inbox.conversation.id)}

    seen, cursor = [], None
    while True:
        answer = await client.get(
            "/api/v1/conversations", params={"limit": 4} | ({"cursor": cursor} if cursor else {})
        )
        page = answer.json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        async with owner_sessions.begin() as session:
            await make_conversation(session, keyring, inbox.integration)

    assert [item["id"] for item in seen] == list(dict.fromkeys(item["id"] for item in seen))
    assert {item["id"] for item in seen} == expected
    moments = [(item["last_message_at"], item["id"]) for item in seen]
    assert moments == sorted(moments, reverse=True)


async def test_pages_of_messages_show_every_row_once_while_new_ones_arrive(
    client, inbox, owner_sessions, keyring
):
    async with owner_sessions.begin() as session:
        made = [
            await make_message(session, keyring, inbox.conversation, text=f"message {number}")
            for number in range(11)
        ]
    path = f"/api/v1/conversations/{inbox.conversation.id}/messages"

    seen, cursor = [], None
    while True:
        page = (await client.get(path, params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        async with owner_sessions.begin() as session:
            await make_message(session, keyring, inbox.conversation)

    assert [item["id"] for item in seen] == [str(row.id) for row in reversed(made)]
    assert [item["text"] for item in seen] == [f"message {number}" for number in reversed(range(11))]


async def test_lists_cost_the_same_number_of_statements_with_one_row_and_with_fifty(
    app, client, inbox, owner_sessions, keyring
):
    messages_path = f"/api/v1/conversations/{inbox.conversation.id}/messages?limit=50"
    async with owner_sessions.begin() as session:
        await make_attachment(session, keyring, await make_message(session, keyring, inbox.conversation))
    await client.get(messages_path)  # the account's keys are opened once a process

    async with counted_statements(app) as conversations_with_one:
        await client.get("/api/v1/conversations")
    async with counted_statements(app) as messages_with_one:
        await client.get(messages_path)
    async with owner_sessions.begin() as session:
        for _ in range(49):
            await make_conversation(session, keyring, inbox.integration)
            message = await make_message(session, keyring, inbox.conversation)
            await make_attachment(session, keyring, message)
    async with counted_statements(app) as conversations_with_fifty:
        conversations = (await client.get("/api/v1/conversations?limit=50")).json()["items"]
    async with counted_statements(app) as messages_with_fifty:
        messages = (await client.get(messages_path)).json()["items"]

    assert (len(conversations), len(messages)) == (50, 50)
    assert all(len(message["attachments"]) == 1 for message in messages)
    assert len(conversations_with_one) == len(conversations_with_fifty) == 2
    assert len(messages_with_one) == len(messages_with_fifty) == 5
    sealed = ("buyer_address", "body_text", "body_html", "quoted_text", "sender_", "raw_key")
    assert not any(column in sql for sql in conversations_with_fifty for column in sealed)
    assert not any("body_html," in sql or "messages.snippet" in sql for sql in messages_with_fifty)


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("%", id="not base64"),
        pytest.param("", id="empty"),
        pytest.param("e30", id="not a pair"),
        pytest.param("WzEsMl0", id="numbers"),
        pytest.param("W251bGwsIjAxOTlmM2EyNmIxMDdkMmE4YzExMmY5YTdiMWMwZDNlIl0", id="without a time"),
        pytest.param(
            "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwgIjAxOTlmM2EyNmIxMDdkMmE4YzExMmY5YTdiMWMwZDNlIl0",
            id="before the first year",
        ),
    ],
)
async def test_a_cursor_that_is_not_ours_is_refused(client, inbox, cursor):
    answer = await client.get("/api/v1/conversations", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("limit", ["0", "-1", "51", "many"])
async def test_a_page_of_messages_has_at_most_fifty(client, inbox, limit):
    path = f"/api/v1/conversations/{inbox.conversation.id}/messages"

    answer = await client.get(path, params={"limit": limit})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_disconnected_integrations_conversations_stay_readable(client, inbox, owner_sessions):
    async with owner_sessions.begin() as session:
        integration = await session.merge(inbox.integration)
        integration.disconnected_at = integration.rests_until = datetime.now(UTC)

    listed = (await client.get("/api/v1/conversations")).json()["items"]
    read = await client.get(f"/api/v1/conversations/{inbox.conversation.id}")

    assert len(listed) == 1
    assert read.status_code == 200


async def test_a_conversation_whose_subject_does_not_open_is_shown_without_it(client, inbox, owner_sessions):
    async with owner_sessions.begin() as session:
        row = await session.get_one(Conversation, inbox.conversation.id)
        row.subject = row.buyer_name

    answer = await client.get(f"/api/v1/conversations/{inbox.conversation.id}")

    assert answer.status_code == 200
    assert (answer.json()["subject"], answer.json()["buyer_name"]) == (None, "Erika Beispiel")
