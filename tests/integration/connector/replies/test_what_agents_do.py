"""Replies are taken back, sent now, sent again or left; the row's state decides who comes too late."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from shared.events import EventKind
from shared.replies import Reply, change_state
from shared.tables import AuditEntry, EventRow, Integration, OutboundMessage, ReplyFailure, ReplyState
from tests.factories import make_reply
from tests.integration.connector.replies.conftest import TEXT, Thread

STATES = [state for state in ReplyState if state is not ReplyState.SENDING]
ALLOWED = {
    "cancel": {ReplyState.SCHEDULED, ReplyState.QUEUED, ReplyState.DELAYED},
    "send-now": {ReplyState.SCHEDULED},
    "send-again": {ReplyState.FAILED, ReplyState.PERHAPS_SENT},
    "dismiss": {ReplyState.FAILED, ReplyState.PERHAPS_SENT},
}


async def in_state(owner_sessions, keyring, thread: Thread, state: ReplyState, **columns: Any) -> str:
    """The path of a reply in this state."""
    given: dict[str, Any] = {"failure": "unknown"} if state is ReplyState.FAILED else {}
    if state is ReplyState.SENDING:
        given = {"claimed_until": datetime.now(UTC) + timedelta(minutes=1)}
    async with owner_sessions.begin() as session:
        reply = await make_reply(
            session, keyring, thread.message, text=TEXT, state=state.value, **given, **columns
        )
    return f"/api/v1/replies/{reply.id}"


@pytest.mark.parametrize("wish", sorted(ALLOWED))
async def test_a_wish_that_comes_too_late_is_told_the_state(
    client, thread, owner_sessions, keyring, wish: str
):
    for state in ReplyState:
        path = await in_state(owner_sessions, keyring, thread, state)

        answer = await client.post(f"{path}/{wish}")

        if state in ALLOWED[wish]:
            assert answer.status_code == 200, (state, answer.text)
        else:
            assert (answer.status_code, answer.json()["code"]) == (409, "reply_state"), state
            assert answer.json()["state"] == state.value
            assert (await client.get(path)).json()["state"] == state.value


async def test_undone_text_and_files_are_a_draft_again(client, thread, sessions):
    file = (await thread.upload(client)).json()
    reply = await thread.reply(client, file_ids=[file["id"]])
    await client.put(f"{thread.path}/draft", json={"text": "Noch etwas"})

    canceled = (await client.post(f"/api/v1/replies/{reply['id']}/cancel")).json()

    draft = (await client.get(f"{thread.path}/draft")).json()
    assert canceled["state"] == "canceled"
    assert draft["text"] == f"{TEXT}\n\nNoch etwas"
    assert [each["id"] for each in draft["files"]] == [file["id"]]
    assert await thread.replies(client) == []
    async with sessions.begin() as session:
        actions = list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert actions == ["reply_written", "reply_canceled"]
    again = await thread.reply(client, draft["text"], file_ids=[file["id"]])
    assert [each["id"] for each in again["files"]] == [file["id"]]


async def test_a_reply_that_a_colleague_takes_back_is_its_writers_draft(sign_in_as, thread):
    writer, colleague = await sign_in_as(), await sign_in_as()
    reply = await thread.reply(writer.client)

    await colleague.client.post(f"/api/v1/replies/{reply['id']}/cancel")

    assert (await writer.client.get(f"{thread.path}/draft")).json()["text"] == TEXT
    assert (await colleague.client.get(f"{thread.path}/draft")).json()["text"] == ""


async def test_undoing_and_sending_at_once_end_in_one_of_both(client, thread, owner_sessions):
    for _ in range(5):
        reply = await thread.reply(client)
        named = Reply(*[(await row_of(owner_sessions, reply["id"]))[n] for n in range(4)])

        async def claim(reply: Reply = named) -> bool:
            async with owner_sessions.begin() as session:
                return await change_state(
                    session, reply, ReplyState.SENDING, claimed_until=datetime.now(UTC) + timedelta(minutes=1)
                )

        canceled, is_claimed = await asyncio.gather(
            client.post(f"/api/v1/replies/{reply['id']}/cancel"), claim()
        )

        assert (canceled.status_code == 200) != is_claimed
        draft = (await client.get(f"{thread.path}/draft")).json()["text"]
        assert draft == ("" if is_claimed else TEXT)
        await client.delete(f"{thread.path}/draft")


async def row_of(owner_sessions, reply_id: str) -> Any:
    async with owner_sessions.begin() as session:
        found = await session.execute(
            select(
                OutboundMessage.id,
                OutboundMessage.account_id,
                OutboundMessage.integration_id,
                OutboundMessage.conversation_id,
            ).where(OutboundMessage.id == reply_id)
        )
        return found.one()


async def test_sent_again_twice_at_once_it_goes_once(client, thread, owner_sessions, keyring, sessions):
    path = await in_state(
        owner_sessions, keyring, thread, ReplyState.FAILED, attempts=3, server_words="550 no",
        first_attempt_at=datetime.now(UTC), dismissed_at=datetime.now(UTC),
    )  # fmt: skip

    answers = await asyncio.gather(*(client.post(f"{path}/send-again") for _ in range(2)))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    async with sessions.begin() as session:
        row = await session.scalar(select(OutboundMessage))
    assert (row.state, row.round, row.attempts, row.failure) == ("queued", 2, 0, None)
    assert (row.first_attempt_at, row.server_words, row.dismissed_at, row.data_sent_at) == (None,) * 4
    assert row.due_at <= datetime.now(UTC)


async def test_to_a_store_that_is_paused_nothing_is_sent_again(client, thread, owner_sessions, keyring):
    path = await in_state(owner_sessions, keyring, thread, ReplyState.FAILED)
    async with owner_sessions.begin() as session:
        await session.execute(update(Integration).values(paused_at=datetime.now(UTC)))

    answer = await client.post(f"{path}/send-again")

    assert (answer.status_code, answer.json()["reason"]) == (409, "paused")
    assert (await client.get(path)).json()["state"] == "failed"


async def test_what_somebody_leaves_is_counted_no_more_and_told_as_no_failure(
    client, thread, owner_sessions, keyring, sessions
):
    path = await in_state(owner_sessions, keyring, thread, ReplyState.FAILED)
    await in_state(owner_sessions, keyring, thread, ReplyState.PERHAPS_SENT)
    await in_state(owner_sessions, keyring, thread, ReplyState.DELAYED)
    before = (await client.get("/api/v1/replies/counts")).json()

    left = (await client.post(f"{path}/dismiss")).json()

    listed = await client.get("/api/v1/replies", params={"state": "failed", "undismissed": True})
    assert before == {"failed": 1, "perhaps_sent": 1, "scheduled": 0, "delayed": 1}
    assert (left["state"], left["dismissed_at"] is None) == ("failed", False)
    assert (await client.get("/api/v1/replies/counts")).json()["failed"] == 0
    assert listed.json()["items"] == []
    async with sessions.begin() as session:
        assert set(await session.scalars(select(EventRow.kind))) == {EventKind.REPLY_CHANGED.value}


@pytest.mark.parametrize("failure", list(ReplyFailure), ids=lambda failure: failure.value)
async def test_a_failure_says_what_happened_and_what_helps(
    client, thread, owner_sessions, keyring, failure: ReplyFailure
):
    async with owner_sessions.begin() as session:
        reply = await make_reply(
            session, keyring, thread.message, state="failed", failure=failure.value, server_words="550 no",
            country="IT", sent_from="aaabbbccc@replyco.email",
        )  # fmt: skip
    path = f"/api/v1/replies/{reply.id}"

    english = (await client.get(path)).json()["failure"]
    german = (await client.get(path, headers={"Accept-Language": "de"})).json()

    assert english["server_words"] == "550 no"
    for name in ("title", "text", "cure"):
        assert english[name] != german["failure"][name]
    if failure is ReplyFailure.SENDER_NOT_APPROVED:
        assert english["link"].startswith("https://sellercentral-europe.amazon.com/messaging/permissions")
        assert (english["countries"], german["sent_from"]) == (["IT"], "aaabbbccc@replyco.email")


async def test_replies_are_listed_by_state_and_store_newest_first(client, thread, owner_sessions, keyring):
    paths = [await in_state(owner_sessions, keyring, thread, ReplyState.FAILED) for _ in range(3)]
    await in_state(owner_sessions, keyring, thread, ReplyState.CONFIRMED)
    asked = {"state": "failed", "integration_id": str(thread.integration.id), "limit": 2}

    first = (await client.get("/api/v1/replies", params=asked)).json()
    second = (await client.get("/api/v1/replies", params=asked | {"cursor": first["next_cursor"]})).json()

    ids = [reply["id"] for reply in first["items"] + second["items"]]
    assert [f"/api/v1/replies/{reply_id}" for reply_id in ids] == paths[::-1]
    assert second["next_cursor"] is None
