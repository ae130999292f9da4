"""What the list of conversations is narrowed to and sorted by, and how many there are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from services.connector.http.paging import ListTooSlow
from services.connector.inbox import listing
from tests.factories import make_conversation, make_integration
from tests.integration.connector.inbox.conftest import counted_statements

_START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
_LIST = "/api/v1/conversations"


@pytest.fixture
async def six(inbox, owner_sessions, keyring):
    """Conversations by name, "closed" the oldest; the one that `inbox` has is "plain" and the newest."""
    now = datetime.now(UTC)
    kinds: dict[str, dict[str, Any]] = {
        "closed": {"status": "closed", "is_unread": False},
        "quarantined": {"status": "quarantine"},
        "late": {"answer_due_at": now - timedelta(hours=1)},
        "soon": {"answer_due_at": now + timedelta(hours=1), "is_unread": False},
        "notice": {"kind": "return_notice", "country": "FR"},
    }
    async with owner_sessions.begin() as session:
        made = {
            name: await make_conversation(
                session,
                keyring,
                inbox.integration,
                last_message_at=_START + timedelta(hours=number),
                **columns,
            )
            for number, (name, columns) in enumerate(kinds.items())
        }
    return {str(row.id): name for name, row in made.items()} | {str(inbox.conversation.id): "plain"}


async def _names(client: httpx2.AsyncClient, six: dict[str, str], **params: str) -> list[str]:
    answer = await client.get(_LIST, params=params)
    assert answer.status_code == 200, answer.text
    return [six[item["id"]] for item in answer.json()["items"]]


async def test_filters_narrow_the_list(client, six):
    for params, found in (
        ({}, ["plain", "notice", "soon", "late", "closed"]),
        ({"status": "open"}, ["plain", "notice", "soon", "late"]),
        ({"status": "closed"}, ["closed"]),
        ({"status": "quarantine"}, ["quarantined"]),
        ({"kind": "return_notice"}, ["notice"]),
        ({"country": "FR"}, ["notice"]),
        ({"country": "SE"}, []),
        ({"unread": "true"}, ["plain", "notice", "late"]),
        ({"unread": "true", "status": "quarantine"}, ["quarantined"]),
        ({"due": "true"}, ["soon", "late"]),
        ({"sort": "due"}, ["late", "soon"]),
        ({"sort": "due", "unread": "true"}, ["late"]),
        ({"unread": "true", "country": "DE", "kind": "buyer_message"}, ["plain", "late"]),
    ):
        assert await _names(client, six, **params) == found, params


async def test_filters_hold_within_one_integration(client, six, inbox, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        other = await make_integration(session, inbox.account.id, name="Amazon USA", region="na")
        await make_conversation(session, keyring, other)

    for params, found in (
        ({}, ["plain", "notice", "soon", "late", "closed"]),
        ({"status": "closed"}, ["closed"]),
        ({"status": "quarantine"}, ["quarantined"]),
        ({"unread": "true"}, ["plain", "notice", "late"]),
        ({"sort": "due"}, ["late", "soon"]),
    ):
        assert await _names(client, six, integration_id=str(inbox.integration.id), **params) == found


@pytest.mark.parametrize("sort", ["newest", "due"])
async def test_pages_go_through_all_rows_once_in_both_sorts(client, inbox, owner_sessions, keyring, sort):
    async with owner_sessions.begin() as session:
        made = [
            await make_conversation(
                session,
                keyring,
                inbox.integration,
                # Several share a moment: the id decides then.
                last_message_at=_START + timedelta(seconds=number // 3),
                answer_due_at=_START + timedelta(seconds=number // 3),
            )
            for number in range(10)
        ]
    wanted = [str(row.id) for row in made]

    seen, cursor = [], None
    while True:
        params = {"sort": sort, "due": "true", "limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(_LIST, params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == (wanted if sort == "due" else wanted[::-1])


async def test_a_filter_that_there_is_not_is_refused(client):
    for params in (
        {"status": "resting"},
        {"sort": "oldest"},
        {"kind": "x; DROP"},
        {"country": "de"},
        {"country": "DEU"},
        {"unread": "perhaps"},
        {"integration_id": "1"},
    ):
        answer = await client.get(_LIST, params=params)

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), params


async def test_counts_tell_what_waits(client, six):
    answer = await client.get(f"{_LIST}/counts")

    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "open": 4,
        "mine": 0,
        "unassigned": 4,
        "unread": 3,
        "due": 2,
        "overdue": 1,
        "failed": 0,
        "snoozed": 0,
        "quarantine": 1,
    }


async def test_counts_end_where_nobody_reads_on(app, client, inbox, six):
    async with app.state.connector.sessions.reading() as reader:
        counts = await listing.count_conversations(
            reader, inbox.integration.account_id, None, datetime.now(UTC), most=2
        )
    async with counted_statements(app) as statements:
        await client.get(f"{_LIST}/counts")

    assert counts == listing.Counts(
        open=2, mine=0, unassigned=2, unread=2, due=2, overdue=1, failed=0, snoozed=0, quarantine=1
    )
    assert len(statements) == 2  # the caller, and all counts


async def test_another_accounts_conversations_are_not_counted(client, foreign_inbox):
    assert (await client.get(f"{_LIST}/counts")).json()["open"] == 0


@pytest.mark.parametrize(
    "params",
    [{}, {"sort": "due"}, {"country": "DE", "kind": "buyer_message"}, {"unread": "true", "status": "open"}],
)
async def test_a_filtered_list_costs_the_same_number_of_statements_with_any_number_of_rows(
    *, app, client, inbox, owner_sessions, keyring, params
):
    await client.get(_LIST)  # the account's keys are opened once a process
    async with counted_statements(app) as with_one:
        await client.get(_LIST, params=params)
    async with owner_sessions.begin() as session:
        for number in range(30):
            due_at = _START + timedelta(hours=number)
            await make_conversation(session, keyring, inbox.integration, answer_due_at=due_at)
    async with counted_statements(app) as with_many:
        assert len((await client.get(_LIST, params=params)).json()["items"]) >= 30

    assert len(with_one) == len(with_many)


async def test_a_list_that_takes_too_long_says_so(app, inbox, owner_sessions):
    async with owner_sessions.begin() as blocking:
        # Whoever reads the table waits for this transaction, as for a long way along an index.
        await blocking.execute(text("LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE"))

        async with app.state.connector.sessions.begin() as session:
            with pytest.raises(ListTooSlow):
                await listing.list_conversations(
                    session,
                    inbox.integration.account_id,
                    listing.ConversationFilters(country="SE"),
                    listing.Sort.NEWEST,
                    limit=1,
                    after=None,
                    seconds=0.1,
                )
