"""How agents order the inbox: assignees, tags, snoozed conversations, saved views, and many changed at once and undone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import func, select, update

from services.connector.accounts.callers import Caller
from services.connector.organizing.saved_views import MAX_SAVED_VIEWS
from services.connector.organizing.tags import MAX_TAGS, delete_tag
from services.connector.organizing.waking import wake_due
from shared.driver import new_id
from shared.tables import AuditEntry, Conversation, ConversationsChange, EventRow, Message, SavedView, User
from tests.factories import make_conversation, make_integration, make_message, make_reply
from tests.integration.connector.inbox.conftest import counted_statements

_LIST = "/api/v1/conversations"
_CHANGES = f"{_LIST}/changes"
_LATER = (datetime.now(UTC) + timedelta(days=2)).isoformat()


@pytest.fixture
async def three(inbox, owner_sessions, keyring) -> list[str]:
    """Three open conversations, the newest first; the last one waits for an answer."""
    due_at = datetime.now(UTC) + timedelta(hours=5)
    async with owner_sessions.begin() as session:
        other = await make_conversation(session, keyring, inbox.integration)
        waits = await make_conversation(
            session,
            keyring,
            inbox.integration,
            answer_due_at=due_at,
            last_message_at=datetime.now(UTC) - timedelta(days=1),
        )
        await make_message(session, keyring, waits, answer_due_at=due_at)
    return [str(other.id), str(inbox.conversation.id), str(waits.id)]


async def _ids(client: httpx2.AsyncClient, **params: str) -> set[str]:
    answer = await client.get(_LIST, params=params)
    assert answer.status_code == 200, answer.text
    return {item["id"] for item in answer.json()["items"]}


async def _change(client: httpx2.AsyncClient, ids: list[str], **change: Any) -> dict[str, Any]:
    answer = await client.post(_CHANGES, json={"conversation_ids": ids, "change": change})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def _undo(client: httpx2.AsyncClient, change_id: str) -> dict[str, Any]:
    answer = await client.post(f"{_CHANGES}/{change_id}/undo")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def _row(owner_sessions: Any, conversation_id: str) -> Conversation:
    async with owner_sessions.begin() as session:
        row: Conversation = await session.get_one(Conversation, UUID(conversation_id))
        return row


async def test_a_conversation_is_somebodys(signed_in, three, owner_sessions):
    client, me = signed_in.client, str(signed_in.user.id)

    answer = await client.patch(f"{_LIST}/{three[0]}", json={"assignee_id": me})

    assert (answer.status_code, answer.json()["assignee_id"]) == (200, me)
    assert await _ids(client, assignee="me", status="open") == {three[0]}
    assert await _ids(client, assignee=me) == {three[0]}
    assert await _ids(client, assignee="nobody", status="open") == set(three[1:])
    counts = (await client.get(f"{_LIST}/counts")).json()
    assert (counts["mine"], counts["unassigned"]) == (1, 2)
    async with owner_sessions.begin() as session:
        entries = await session.execute(select(AuditEntry.action, AuditEntry.fields))
        events = await session.scalars(select(EventRow.kind))
        assert entries.all() == [("conversation.assigned", {"assignee_id": me})]
        assert events.all() == ["conversation.changed"]

    await client.patch(f"{_LIST}/{three[0]}", json={"assignee_id": None})
    assert await _ids(client, assignee="me") == set()


async def test_only_people_who_may_read_the_inbox_get_conversations(
    client, three, sign_in_as, foreign_inbox, owner_sessions
):
    blind = await sign_in_as(inbox_messages="none")
    stranger = await sign_in_as(of=foreign_inbox.account)
    reader = await sign_in_as(general_admin="none", inbox_messages="view")

    for nobody in (blind.user.id, stranger.user.id, new_id()):
        answer = await client.patch(f"{_LIST}/{three[0]}", json={"assignee_id": str(nobody)})
        assert (answer.status_code, answer.json()["code"]) == (422, "assignee_unknown")
    people = (await client.get(f"{_LIST}/assignees")).json()["items"]
    assert str(reader.user.id) in {person["id"] for person in people}
    assert not {str(blind.user.id), str(stranger.user.id)} & {person["id"] for person in people}


async def test_agents_choose_by_store_without_the_rights_of_an_administrator(
    inbox, foreign_inbox, sign_in_as, owner_sessions
):
    async with owner_sessions.begin() as session:
        await make_integration(session, inbox.account.id, name="Zubehör")
    agent = await sign_in_as(general_admin="none", inbox_messages="view")

    stores = (await agent.client.get(f"{_LIST}/stores")).json()["items"]

    assert [store["name"] for store in stores] == sorted([inbox.integration.name, "Zubehör"])
    assert [set(store) for store in stores] == [{"id", "name"}] * 2
    assert len(await _ids(agent.client, integration_id=stores[0]["id"])) == 1


async def test_tags_are_made_renamed_and_removed(client, three, app, signed_in, owner_sessions):
    made = await client.post("/api/v1/tags", json={"name": "  Erstattung "})
    tag = made.json()["id"]
    assert (made.status_code, made.json()["name"]) == (201, "Erstattung")
    taken = await client.post("/api/v1/tags", json={"name": "ERSTATTUNG"})
    assert (taken.status_code, taken.json()["code"]) == (409, "tag_name_taken")

    await _change(client, three[:2], add_tag_ids=[tag])
    assert await _ids(client, tag_id=tag) == set(three[:2])
    await client.patch(f"{_LIST}/{three[0]}", json={"remove_tag_ids": [tag]})
    assert await _ids(client, tag_id=tag) == {three[1]}
    renamed = await client.patch(f"/api/v1/tags/{tag}", json={"name": "Refund"})
    assert renamed.json() == {"id": tag, "name": "Refund"}
    assert (await client.get("/api/v1/tags")).json() == {"items": [{"id": tag, "name": "Refund"}]}

    await _change(client, three, add_tag_ids=[tag])
    counted = await client.get(f"/api/v1/tags/{tag}")
    assert counted.json() == {"id": tag, "name": "Refund", "conversation_count": len(three)}
    assert (await client.delete(f"/api/v1/tags/{tag}")).status_code == 204
    assert (await client.get(f"/api/v1/tags/{tag}")).status_code == 404
    for conversation_id in three:
        assert (await _row(owner_sessions, conversation_id)).tag_ids == []
    gone = await client.patch(f"{_LIST}/{three[0]}", json={"add_tag_ids": [tag]})
    assert (gone.status_code, gone.json()["code"]) == (422, "tag_unknown")


async def test_an_account_has_a_bounded_number_of_tags(client, account, owner_sessions):
    for number in range(MAX_TAGS):
        assert (await client.post("/api/v1/tags", json={"name": f"Tag {number}"})).status_code == 201

    over = await client.post("/api/v1/tags", json={"name": "One more"})
    long = await client.post("/api/v1/tags", json={"name": "x" * 61})

    assert (over.status_code, over.json()["code"]) == (409, "too_many_tags")
    assert (long.status_code, long.json()["code"]) == (422, "name_too_long")


async def test_a_snoozed_conversation_opens_unread_when_its_time_has_come(client, three, sessions):
    await _change(client, [three[2]], unread=False)
    snoozed = await client.patch(f"{_LIST}/{three[2]}", json={"snoozed_until": _LATER})

    assert snoozed.json()["status"] == "snoozed"
    assert await _ids(client, status="open") == set(three[:2])
    assert await _ids(client, status="snoozed") == {three[2]}
    # Amazon's clock goes on, whatever we put off.
    assert await _ids(client, due="true") == {three[2]}
    assert (await client.get(f"{_LIST}/counts")).json()["snoozed"] == 1

    now = datetime.now(UTC)
    assert await wake_due(sessions, now) == 0
    assert await wake_due(sessions, now + timedelta(days=3)) == 1
    woken = (await client.get(f"{_LIST}/{three[2]}")).json()
    assert (woken["status"], woken["snoozed_until"], woken["unread"]) == ("open", None, True)


@pytest.mark.parametrize("days", [-1, 400])
async def test_a_conversation_is_snoozed_until_a_time_within_a_year(client, three, days):
    until = (datetime.now(UTC) + timedelta(days=days)).isoformat()

    answer = await client.patch(f"{_LIST}/{three[0]}", json={"snoozed_until": until})

    assert (answer.status_code, answer.json()["code"]) == (422, "snooze_out_of_range")


async def test_many_are_closed_at_once_and_as_they_were_after_undoing(client, three, owner_sessions):
    result = await _change(client, three, status="closed")

    assert (result["changed"], result["refused"]) == (three, [])
    assert await _ids(client, status="open") == set()
    assert (await _row(owner_sessions, three[2])).answer_due_at is None

    assert await _undo(client, result["id"]) == {"restored": three, "left": []}
    assert await _ids(client, status="open") == set(three)
    waits = await _row(owner_sessions, three[2])
    assert waits.answer_due_at is not None
    async with owner_sessions.begin() as session:
        settled = select(func.count()).where(Message.answer_settled_at.is_not(None))
        assert await session.scalar(settled) == 0
    again = await client.post(f"{_CHANGES}/{result['id']}/undo")
    assert (again.status_code, again.json()["code"]) == (409, "undo_too_late")


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"unread": False}, "is_unread"),
        ({"snoozed_until": _LATER}, "snoozed_until"),
        ({"status": "closed"}, "status"),
    ],
)
async def test_undoing_leaves_alone_what_was_right_before(client, three, owner_sessions, change, column):
    """One of the three is as wanted already: it is not changed, and not restored."""
    await client.patch(f"{_LIST}/{three[0]}", json=change)
    before = [getattr(await _row(owner_sessions, each), column) for each in three]

    result = await _change(client, three, **change)
    undone = await _undo(client, result["id"])

    assert (result["unchanged"], undone["restored"]) == (three[:1], three[1:])
    assert [getattr(await _row(owner_sessions, each), column) for each in three] == before


async def test_what_a_colleague_changed_since_is_not_undone(client, three, sign_in_as):
    result = await _change(client, three, status="closed")
    colleague = await sign_in_as()
    await colleague.client.patch(f"{_LIST}/{three[0]}", json={"snoozed_until": _LATER})

    undone = await _undo(client, result["id"])

    assert undone == {"restored": three[1:], "left": three[:1]}
    assert await _ids(client, status="snoozed") == {three[0]}


async def test_what_was_answered_since_is_not_opened_again(client, three, owner_sessions):
    result = await _change(client, three, status="closed")
    async with owner_sessions.begin() as session:
        answered = update(Conversation).where(Conversation.id == UUID(three[0]))
        await session.execute(answered.values(last_reply_at=datetime.now(UTC)))

    assert await _undo(client, result["id"]) == {"restored": three[1:], "left": three[:1]}


async def test_undoing_gives_nothing_back_to_somebody_who_left(client, three, sign_in_as, owner_sessions):
    leaver, heir = await sign_in_as(), await sign_in_as()
    await _change(client, three[:1], assignee_id=str(leaver.user.id))
    result = await _change(client, three, assignee_id=str(heir.user.id))
    async with owner_sessions.begin() as session:
        (await session.get_one(User, leaver.user.id)).inbox_messages = "none"

    await _undo(client, result["id"])

    assert [(await _row(owner_sessions, each)).assignee_id for each in three] == [None, None, None]


async def test_a_bulk_change_takes_few_statements_however_many_there_are(
    app, client, inbox, owner_sessions, keyring
):
    async with owner_sessions.begin() as session:
        rows = [await make_conversation(session, keyring, inbox.integration) for _ in range(30)]
    ids = [str(row.id) for row in rows]

    counts = []
    for some in (ids[:3], ids[3:]):
        async with counted_statements(app) as statements:
            result = await _change(client, some, status="closed", unread=False)
        assert result["changed"] == some
        async with counted_statements(app) as undone:
            await _undo(client, result["id"])
        counts.append((len(statements), len(undone)))

    assert counts[0] == counts[1]


async def test_nobody_undoes_what_somebody_else_did_or_what_is_long_ago(
    client, three, sign_in_as, foreign_inbox, owner_sessions
):
    result = await _change(client, three, unread=False)
    colleague, stranger = await sign_in_as(), await sign_in_as(of=foreign_inbox.account)
    for other in (colleague, stranger):
        answer = await other.client.post(f"{_CHANGES}/{result['id']}/undo")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    async with owner_sessions.begin() as session:
        long_ago = datetime.now(UTC) - timedelta(minutes=11)
        await session.execute(update(ConversationsChange).values(made_at=long_ago))
    late = await client.post(f"{_CHANGES}/{result['id']}/undo")

    assert (late.status_code, late.json()["code"]) == (409, "undo_too_late")


async def test_what_cannot_be_changed_is_named(  # noqa: PLR0917
    client, three, inbox, foreign_inbox, owner_sessions, keyring
):
    async with owner_sessions.begin() as session:
        forged = await make_conversation(session, keyring, inbox.integration, status="quarantine")
        merged = await make_conversation(
            session, keyring, inbox.integration, merged_into=inbox.conversation.id, message_count=0
        )
    others = [str(forged.id), str(merged.id), str(foreign_inbox.conversation.id)]

    result = await _change(client, [*others, three[0], three[0]], status="closed")

    assert result["changed"] == three[:1]
    assert [refused["code"] for refused in result["refused"]] == [
        "conversation_in_quarantine",
        "conversation_merged",
        "not_found",
    ]
    too_many = [str(new_id()) for _ in range(201)]
    answer = await client.post(_CHANGES, json={"conversation_ids": too_many, "change": {"unread": True}})
    assert answer.status_code == 422
    both = await client.patch(f"{_LIST}/{three[0]}", json={"status": "closed", "snoozed_until": _LATER})
    assert (both.status_code, both.json()["code"]) == (422, "invalid_request")


async def test_two_agents_who_change_the_same_at_once_both_come_through(client, three, sign_in_as):
    """Rows are locked in one order, whatever the order in which they are named."""
    colleague = await sign_in_as()

    answers = await asyncio.gather(
        *(
            who.post(_CHANGES, json={"conversation_ids": ids, "change": {"unread": is_unread}})
            for is_unread, who, ids in (
                (False, client, three),
                (True, colleague.client, three[::-1]),
                (False, client, three[::-1]),
                (True, colleague.client, three),
            )
        )
    )

    assert {answer.status_code for answer in answers} == {200}


async def test_a_failed_reply_and_files_are_seen_in_the_list(app, client, three, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        row = await session.get_one(Conversation, UUID(three[0]))
        asked = await make_message(session, keyring, row)
        await make_reply(session, keyring, asked, state="failed", failure="unknown")
        row.has_files = True

    items = (await client.get(_LIST)).json()["items"]

    assert {item["id"] for item in items if item["has_failed_reply"]} == {three[0]}
    assert {item["id"] for item in items if item["has_files"]} == {three[0]}
    assert await _ids(client, failed="true") == {three[0]}
    assert (await client.get(f"{_LIST}/counts")).json()["failed"] == 1
    async with counted_statements(app) as statements:
        await client.get(f"{_LIST}/counts")
    assert len(statements) == 2  # the caller, and all counts


async def test_saved_views_are_ones_own_and_hold_no_search(signed_in, sign_in_as):
    view = {"name": "Germany", "filters": {"country": "DE", "status": "open", "assignee": "me"}}
    made = await signed_in.client.post("/api/v1/saved-views", json=view)
    colleague = await sign_in_as()

    listed = (await signed_in.client.get("/api/v1/saved-views")).json()["items"]
    searched = await signed_in.client.post(
        "/api/v1/saved-views", json={"name": "Erika", "filters": {"q": "erika@example.com"}}
    )

    assert made.status_code == 201
    assert [(each["name"], each["filters"]["country"]) for each in listed] == [("Germany", "DE")]
    assert (await colleague.client.get("/api/v1/saved-views")).json() == {"items": []}
    assert searched.status_code == 422
    path = f"/api/v1/saved-views/{made.json()['id']}"
    assert (await colleague.client.patch(path, json={"name": "Mine"})).status_code == 404
    assert (await colleague.client.delete(path)).status_code == 404
    renamed = await signed_in.client.patch(path, json={"name": " Germany,  mine "})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Germany, mine")
    assert renamed.json()["filters"] == listed[0]["filters"]
    await signed_in.client.post("/api/v1/saved-views", json={"name": "France", "filters": {"country": "FR"}})
    taken = await signed_in.client.patch(path, json={"name": "FRANCE"})
    assert (taken.status_code, taken.json()["code"]) == (409, "view_name_taken")
    assert (await signed_in.client.delete(path)).status_code == 204


async def test_a_view_is_saved_anew_under_its_name_and_there_are_thirty_at_most(client):
    for number in range(MAX_SAVED_VIEWS):
        made = await client.post("/api/v1/saved-views", json={"name": f"View {number}", "filters": {}})
        assert made.status_code == 201

    again = await client.post(
        "/api/v1/saved-views", json={"name": "VIEW 0", "filters": {"failed": True, "sort": "due"}}
    )
    over = await client.post("/api/v1/saved-views", json={"name": "One more", "filters": {}})

    listed = (await client.get("/api/v1/saved-views")).json()["items"]
    assert (again.status_code, len(listed), listed[0]) == (201, MAX_SAVED_VIEWS, again.json())
    assert (listed[0]["name"], listed[0]["filters"]["failed"], listed[0]["filters"]["sort"]) == (
        "VIEW 0",
        True,
        "due",
    )
    assert (over.status_code, over.json()["code"]) == (409, "too_many_saved_views")


async def test_kinds_are_muted_and_unmuted(client):
    muted = await client.put("/api/v1/muted-kinds/order_notice")

    assert muted.json()["muted"] == ["order_notice"]
    assert (await client.put("/api/v1/muted-kinds/buyer_message")).status_code == 422
    assert (await client.delete("/api/v1/muted-kinds/order_notice")).status_code == 204
    assert (await client.get("/api/v1/muted-kinds")).json()["muted"] == []


async def test_a_tag_goes_from_its_conversations_some_at_a_time(
    sessions, three, client, signed_in, owner_sessions
):
    tag = (await client.post("/api/v1/tags", json={"name": "Garantie"})).json()["id"]
    await _change(client, three, add_tag_ids=[tag])

    caller = Caller(signed_in.account.id, signed_in.user.id, {}, session_id=signed_in.session_id)
    await delete_tag(sessions, caller, UUID(tag), batch=1)

    assert [(await _row(owner_sessions, each)).tag_ids for each in three] == [[], [], []]


async def test_what_is_merged_keeps_the_tags_of_both_and_somebody_who_has_it(
    signed_in, three, sign_in_as, owner_sessions
):
    client, colleague = signed_in.client, await sign_in_as()
    tags = [
        (await client.post("/api/v1/tags", json={"name": name})).json()["id"]
        for name in ("Garantie", "Eilig")
    ]
    await _change(
        client, three[:1], add_tag_ids=tags, assignee_id=str(colleague.user.id), snoozed_until=_LATER
    )
    await _change(client, three[1:2], add_tag_ids=tags[1:])

    merged = await client.post(f"{_LIST}/{three[0]}/merge", json={"into": three[1]})

    assert merged.status_code == 200, merged.text
    assert set(merged.json()["tag_ids"]) == set(tags)
    assert len(merged.json()["tag_ids"]) == 2
    assert (merged.json()["assignee_id"], merged.json()["status"]) == (str(colleague.user.id), "open")


async def test_who_is_removed_leaves_no_views_behind(client, sign_in_as, owner_sessions):
    leaver = await sign_in_as()
    await leaver.client.post("/api/v1/saved-views", json={"name": "Germany", "filters": {"country": "DE"}})

    await client.delete(f"/api/v1/users/{leaver.user.id}", params={"programs": "end"})

    async with owner_sessions.begin() as session:
        assert (await session.scalars(select(SavedView))).all() == []


async def test_a_tag_that_was_deleted_meanwhile_does_not_come_back(client, three, owner_sessions):
    tag = (await client.post("/api/v1/tags", json={"name": "Garantie"})).json()["id"]
    await _change(client, three, add_tag_ids=[tag])
    result = await _change(client, three, remove_tag_ids=[tag])
    await client.delete(f"/api/v1/tags/{tag}")

    assert (await _undo(client, result["id"]))["restored"] == three

    assert [(await _row(owner_sessions, each)).tag_ids for each in three] == [[], [], []]


async def test_a_tag_that_is_deleted_while_it_is_given_is_on_no_conversation(client, three, owner_sessions):
    for number in range(5):
        tag = (await client.post("/api/v1/tags", json={"name": f"Garantie {number}"})).json()["id"]

        given, deleted = await asyncio.gather(
            client.post(_CHANGES, json={"conversation_ids": three, "change": {"add_tag_ids": [tag]}}),
            client.delete(f"/api/v1/tags/{tag}"),
        )

        assert (given.status_code in {200, 422}, deleted.status_code) == (True, 204)
        assert [(await _row(owner_sessions, each)).tag_ids for each in three] == [[], [], []]


async def test_nobody_touches_what_is_another_accounts(client, three, foreign_inbox, sign_in_as):
    stranger = await sign_in_as(of=foreign_inbox.account)
    tag = (await stranger.client.post("/api/v1/tags", json={"name": "Theirs"})).json()["id"]

    for answer in (
        await client.patch(f"/api/v1/tags/{tag}", json={"name": "Mine"}),
        await client.delete(f"/api/v1/tags/{tag}"),
        await client.patch(f"{_LIST}/{foreign_inbox.conversation.id}", json={"assignee_id": None}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    given = await client.patch(f"{_LIST}/{three[0]}", json={"add_tag_ids": [tag]})
    assert (given.status_code, given.json()["code"]) == (422, "tag_unknown")
    for filters in (
        {"tag_id": tag},
        {"assignee": str(stranger.user.id)},
        {"integration_id": str(foreign_inbox.integration.id)},
    ):
        assert await _ids(client, **filters) == set()
    # Each account has names of its own.
    assert (await client.post("/api/v1/tags", json={"name": "Theirs"})).status_code == 201
    assert (await stranger.client.get("/api/v1/tags")).json() == {"items": [{"id": tag, "name": "Theirs"}]}


async def test_two_who_take_a_conversation_at_once_both_see_whose_it_is(
    signed_in, three, sign_in_as, owner_sessions
):
    people = [signed_in, await sign_in_as(), await sign_in_as()]

    answers = await asyncio.gather(
        *(who.client.patch(f"{_LIST}/{three[0]}", json={"assignee_id": str(who.user.id)}) for who in people)
    )

    # One after the other: each is told what was so when it was theirs, and all of it is in the audit log and told to open pages.
    assert [each.json()["assignee_id"] for each in answers] == [str(who.user.id) for who in people]
    async with owner_sessions.begin() as session:
        entries = list(await session.scalars(select(AuditEntry.fields).order_by(AuditEntry.id)))
        events = await session.scalar(select(func.count()).select_from(EventRow))
    assert str((await _row(owner_sessions, three[0])).assignee_id) in {
        each["assignee_id"] for each in entries
    }
    assert (len(entries), events) == (3, 3)


async def test_a_repeated_change_and_a_repeated_undo_are_done_once(client, three, owner_sessions):
    body = {"conversation_ids": three, "change": {"status": "closed"}}
    first, again = [
        await client.post(_CHANGES, json=body, headers={"Idempotency-Key": "close"}) for _ in range(2)
    ]
    assert (first.status_code, again.json()) == (200, first.json())

    path = f"{_CHANGES}/{first.json()['id']}/undo"
    undone = [await client.post(path, headers={"Idempotency-Key": "undo"}) for _ in range(2)]
    assert [each.json() for each in undone] == [{"restored": three, "left": []}] * 2
    async with owner_sessions.begin() as session:
        actions = list(await session.scalars(select(AuditEntry.action)))
    assert sorted(actions) == ["conversation.change_undone"] * 3 + ["conversation.closed"] * 3
