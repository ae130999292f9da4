"""Who read what: written before the answer, told to administrators, without a word of what was read."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, text

from services.connector.accounts.callers import Caller
from services.connector.app import opens_mail
from services.connector.dependencies import ReadLogDep
from services.connector.reads.service import ReadLog
from shared.database import Sessions
from shared.driver import new_id
from shared.tables import ReadEntry
from tests.factories import (
    make_conversation,
    make_conversation_order,
    make_order,
    make_reply,
    make_reply_file,
)
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.inbox.conftest import Inbox, Worker, counted_statements

LOG = "/api/v1/read-log"
# What hands out no buyer's data that a list does not show, or only what its caller has just written: no reading of it is told.
NOT_TOLD = {
    "GET /api/v1/conversations": "a list",
    "GET /api/v1/conversations/counts": "numbers",
    "GET /api/v1/conversations/stores": "names of stores",
    "GET /api/v1/conversations/assignees": "names of colleagues",
    "GET /api/v1/tags": "the seller's own words",
    "GET /api/v1/tags/{tag_id}": "the seller's own words, and a number",
    "GET /api/v1/saved-views": "one's own filters",
    "GET /api/v1/muted-kinds": "kinds of notices",
    "GET /api/v1/conversations/{conversation_id}/draft": "one's own words",
    "GET /api/v1/integrations/{integration_id}/verification-mails": "Amazon's codes, no buyer's mail",
    "GET /api/v1/orders": "a list, with nothing personal",
    "GET /api/v1/orders/changes": "a list, with nothing personal",
    "GET /api/v1/replies": "a list",
    "GET /api/v1/replies/counts": "numbers",
    "GET /api/v1/reply-templates": "texts without a buyer",
    "GET /api/v1/reply-templates/{template_id}": "texts without a buyer",
}


async def told(client: httpx2.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await client.get(LOG, params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def kinds(client: httpx2.AsyncClient, **query: str) -> list[str]:
    return [item["kind"] for item in await told(client, **query)]


def caller_of(who: SignedIn) -> Caller:
    return Caller(who.account.id, who.user.id, {}, session_id=who.session_id)


async def test_a_page_that_opens_a_conversation_in_many_requests_has_opened_it_once(
    signed_in: SignedIn, inbox: Inbox, worker: Worker
):
    """# S: read audit: who opened which conversation"""
    message = await worker.message(inbox, html="<p>Frage</p>")
    one = f"/api/v1/conversations/{inbox.conversation.id}"

    answers = await asyncio.gather(
        *(
            signed_in.client.get(path)
            for path in (
                one,
                f"{one}/messages",
                f"/api/v1/messages/{message.id}",
                f"/api/v1/messages/{message.id}/html",
            )
        )
    )
    changed = await signed_in.client.patch(one, json={"unread": False})

    assert {answer.status_code for answer in (*answers, changed)} == {200}
    (entry,) = await told(signed_in.client)
    assert entry["reader"] == {"kind": "user", "id": str(signed_in.user.id), "name": signed_in.user.name}
    assert (entry["kind"], entry["subject_id"]) == ("conversation", str(inbox.conversation.id))
    assert (entry["part_id"], entry["found"]) == (None, None)


@pytest.mark.parametrize("part", ["messages", "message", "html", "replies", "change"])
async def test_whatever_part_of_a_conversation_is_read_first_tells_of_it(
    part: str, client: httpx2.AsyncClient, inbox: Inbox, worker: Worker
):
    message = await worker.message(inbox, html="<p>Frage</p>")
    async with worker.sessions.begin() as session:
        await make_reply(session, worker.keyring, message)
    one = f"/api/v1/conversations/{inbox.conversation.id}"

    if part == "change":
        answer = await client.patch(one, json={"unread": False})
    else:
        paths = {
            "messages": f"{one}/messages",
            "message": f"/api/v1/messages/{message.id}",
            "html": f"/api/v1/messages/{message.id}/html",
            "replies": f"{one}/replies",
        }
        answer = await client.get(paths[part])

    assert answer.status_code == 200
    assert [(entry["kind"], entry["subject_id"]) for entry in await told(client)] == [
        ("conversation", str(inbox.conversation.id))
    ]


async def test_files_and_raw_mails_are_told_each_time_with_their_conversation(
    client: httpx2.AsyncClient, inbox: Inbox, worker: Worker
):
    """# S: read audit: who took which file, which raw mail"""
    message = await worker.message(inbox)
    attachment = await worker.attachment(message)
    async with worker.sessions.begin() as session:
        file = await make_reply_file(session, worker.keyring, inbox.conversation)
    paths = (attachment, attachment, f"/api/v1/files/{file.id}", f"/api/v1/messages/{message.id}/raw")
    for path in paths:
        assert (await client.get(path)).status_code == 200

    entries = [
        (entry["kind"], entry["subject_id"], entry["part_id"]) for entry in reversed(await told(client))
    ]

    conversation_id, attachment_id = str(inbox.conversation.id), attachment.rpartition("/")[2]
    assert entries == [
        ("file", conversation_id, attachment_id),
        ("file", conversation_id, attachment_id),
        ("file", conversation_id, str(file.id)),
        ("raw_mail", conversation_id, str(message.id)),
    ]
    assert len(await told(client, subject_id=conversation_id)) == 4


async def test_orders_are_told_where_what_is_personal_in_them_is_shown(
    client: httpx2.AsyncClient, inbox: Inbox, worker: Worker
):
    async with worker.sessions.begin() as session:
        order = await make_order(session, worker.keyring, inbox.integration)
        await make_conversation_order(session, inbox.conversation, order.order_id)

    assert (await client.get("/api/v1/orders")).status_code == 200
    listed = await told(client)
    assert (await client.get(f"/api/v1/conversations/{inbox.conversation.id}/orders")).status_code == 200
    assert (await client.get(f"/api/v1/orders/{order.id}")).status_code == 200

    assert listed == []
    assert [(entry["kind"], entry["subject_id"]) for entry in await told(client)] == [
        ("order", str(order.id))
    ]


async def test_a_search_is_told_by_its_number_of_results_and_by_no_word(
    client: httpx2.AsyncClient, sessions: Sessions, inbox: Inbox, worker: Worker
):
    """# S: read audit: what was searched, ids and counts, no contents"""
    await worker.message(inbox)
    async with worker.sessions.begin() as session:
        await make_order(session, worker.keyring, inbox.integration, order_id="028-1234567-1234567")

    answer = await client.post("/api/v1/conversations/search", json={"q": "canary-7Q4 Lampe"})
    await client.post("/api/v1/orders/search", json={"order_id": "028-1234567-1234567"})

    assert answer.json()["items"] == []
    assert [(entry["kind"], entry["found"]) for entry in await told(client)] == [("search", 1), ("search", 0)]
    async with sessions.begin() as session:
        rows = await session.scalars(text("SELECT read_log::text FROM read_log"))
        assert not [row for row in rows if "canary" in row or "028-" in row]


async def test_a_program_is_told_by_its_key(
    api_key_client: Any, signed_in: SignedIn, inbox: Inbox, worker: Worker
):
    await worker.message(inbox)
    program = await api_key_client()

    await program.get(f"/api/v1/conversations/{inbox.conversation.id}")

    (entry,) = await told(signed_in.client)
    assert (entry["reader"]["kind"], entry["reader"]["name"]) == ("api_key", "Helpdesk")


async def test_what_is_not_there_or_anothers_was_not_read(
    client: httpx2.AsyncClient, inbox: Inbox, foreign_inbox: Inbox, worker: Worker
):
    message = await worker.message(foreign_inbox)
    attachment = await worker.attachment(message)
    for path in (
        f"/api/v1/conversations/{foreign_inbox.conversation.id}",
        f"/api/v1/conversations/{foreign_inbox.conversation.id}/messages",
        f"/api/v1/messages/{message.id}/raw",
        attachment,
        f"/api/v1/orders/{new_id()}",
    ):
        assert (await client.get(path)).status_code == 404

    assert await told(client) == []


async def test_another_account_is_told_nothing(
    client: httpx2.AsyncClient, sign_in_as: Any, inbox: Inbox, foreign_inbox: Inbox
):
    await client.get(f"/api/v1/conversations/{inbox.conversation.id}")
    other = await sign_in_as(of=foreign_inbox.account)

    assert await kinds(client) == ["conversation"]
    assert await kinds(other.client) == []
    assert await kinds(other.client, subject_id=str(inbox.conversation.id)) == []


async def test_entries_are_filtered_by_reader_subject_kind_and_time(
    signed_in: SignedIn, sign_in_as: Any, inbox: Inbox, worker: Worker
):
    second = await sign_in_as()
    await worker.message(inbox)
    await signed_in.client.get(f"/api/v1/conversations/{inbox.conversation.id}")
    await second.client.post("/api/v1/conversations/search", json={"q": "Lampe"})
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    client = signed_in.client
    assert await kinds(client) == ["search", "conversation"]
    assert await kinds(client, reader_id=str(second.user.id)) == ["search"]
    assert await kinds(client, kind="conversation") == ["conversation"]
    assert await kinds(client, subject_id=str(inbox.conversation.id)) == ["conversation"]
    assert await kinds(client, since=tomorrow) == []
    assert await kinds(client, until=tomorrow) == ["search", "conversation"]
    assert (await client.get(LOG, params={"kind": "dream"})).status_code == 422


async def test_the_log_is_read_page_by_page_in_one_statement(
    signed_in: SignedIn, app: FastAPI, sessions: Sessions
):
    reads = ReadLog(sessions, CollectorRegistry())
    for number in range(5):
        await reads.search(caller_of(signed_in), number)

    found, cursor = [], None
    for _ in range(3):
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        async with counted_statements(app) as sent:
            page = (await signed_in.client.get(LOG, params=query)).json()
        assert len([statement for statement in sent if "read_log" in statement]) == 1
        found += [entry["found"] for entry in page["items"]]
        cursor = page["next_cursor"]

    assert (found, cursor) == ([4, 3, 2, 1, 0], None)


async def test_who_comes_back_later_is_told_again_and_other_processes_count(
    signed_in: SignedIn, sessions: Sessions, inbox: Inbox
):
    caller, conversation_id = caller_of(signed_in), inbox.conversation.id
    one, other = (ReadLog(sessions, CollectorRegistry()) for _ in range(2))
    forgetful = ReadLog(sessions, CollectorRegistry(), again_seconds=0)

    await one.conversation(caller, conversation_id)
    await other.conversation(caller, conversation_id)
    assert len(await told(signed_in.client)) == 1
    await forgetful.conversation(caller, conversation_id)
    assert len(await told(signed_in.client)) == 2


async def test_a_reader_who_opens_more_than_is_remembered_is_told_of_each_once(
    signed_in: SignedIn, sessions: Sessions, inbox: Inbox, worker: Worker
):
    reads = ReadLog(sessions, CollectorRegistry(), most_remembered=2)
    async with worker.sessions.begin() as session:
        opened = [await make_conversation(session, worker.keyring, inbox.integration) for _ in range(5)]

    for conversation in (*opened, *opened):
        await reads.conversation(caller_of(signed_in), conversation.id)

    assert len(await told(signed_in.client)) == 5


async def test_who_has_a_conversation_open_costs_no_more_statements(
    client: httpx2.AsyncClient, app: FastAPI, inbox: Inbox
):
    path = f"/api/v1/conversations/{inbox.conversation.id}"
    counts = []
    for _ in range(2):
        async with counted_statements(app) as sent:
            await client.get(path)
        counts.append(len([each for each in sent if "read_log" in each]))

    assert counts == [1, 0]


async def test_nothing_is_handed_out_that_could_not_be_written_down(
    client: httpx2.AsyncClient, owner_sessions: Sessions, inbox: Inbox, worker: Worker
):
    """The database takes no entry: neither does anybody get a conversation or a file."""
    attachment = await worker.attachment(await worker.message(inbox))
    async with owner_sessions.begin() as session:
        await session.execute(text("REVOKE INSERT ON read_log FROM replyco_connector"))
    try:
        refused = [
            await client.get(path) for path in (attachment, f"/api/v1/conversations/{inbox.conversation.id}")
        ]
    finally:
        async with owner_sessions.begin() as session:
            await session.execute(text("GRANT INSERT ON read_log TO replyco_connector"))

    assert [answer.status_code for answer in refused] == [500, 500]
    assert (await client.get(attachment)).status_code == 200


def takes_read_log(dependant: Dependant) -> bool:
    noting = get_args(ReadLogDep)[1].dependency
    return any(part.call is noting or takes_read_log(part) for part in dependant.dependencies)


def test_every_route_that_hands_out_mail_or_orders_tells_of_it_or_is_known_not_to(app: FastAPI):
    """A new route either takes the read log or stands in the list with its reason; only changes, which the audit log tells, need neither."""
    silent = {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute)
        and opens_mail(route)
        and not takes_read_log(route.original_route.dependant)
        for method in route.methods or ()
    }

    assert {each for each in silent if each.startswith("GET ")} == set(NOT_TOLD)


async def test_months_end_when_all_of_them_is_twelve_months_old(
    owner_sessions: Sessions, sessions: Sessions, signed_in: SignedIn
):
    """# S: read audit: kept 12 months"""

    def id_of(at: datetime) -> UUID:
        return UUID(int=int(at.timestamp() * 1000) << 80)

    now = datetime.now(UTC)
    ages = {"young": 300, "just over": 366, "old": 800}
    async with owner_sessions.begin() as session:
        for months in (27, 26):
            begin = f"date_trunc('month', now(), 'UTC') - interval '{months} months'"
            await session.execute(
                text(
                    "DO $$ BEGIN EXECUTE format('CREATE TABLE read_log_m%s PARTITION OF read_log FOR VALUES FROM (%L) TO (%L)',"
                    f" {months}, uuid_at({begin}), uuid_at({begin} + interval '1 month')); END $$"
                )
            )
        session.add_all(
            ReadEntry(
                id=id_of(now - timedelta(days=days)),
                account_id=signed_in.account.id,
                reader_kind="user",
                reader_id=signed_in.user.id,
                kind="search",
                found=days,
            )
            for days in ages.values()
        )
    async with sessions.begin() as session:
        waiting = await session.scalar(text("SELECT end_read_months()"))
        left = list(await session.scalars(select(ReadEntry.found)))
        left_months = await session.scalar(
            select(func.count()).select_from(text("partition_ranges() WHERE partition LIKE 'read_log_m%'"))
        )

    assert (waiting, left, left_months) == (0, [300], 0)
