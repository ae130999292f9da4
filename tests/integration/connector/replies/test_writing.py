"""A reply is written whole or not at all, to what its writer has read, and becomes what a mail worker sends."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select, text, update

from deploy.demo.postgres import MAIL_WORKER
from shared.channels import REPLY_CHANNEL
from shared.crypto.envelope import Place
from shared.driver import asyncpg_dsn
from shared.tables import AuditEntry, Conversation, EventRow, Integration, OutboundMessage, ReplyFile
from tests.factories import make_message, make_reply
from tests.integration.connector.replies.conftest import PDF, TAG, TEXT, Thread


async def count_rows(sessions, table: type[Any]) -> int:
    async with sessions.begin() as session:
        count: int = await session.scalar(select(func.count()).select_from(table))
        return count


async def test_a_reply_waits_to_be_sent_and_can_be_undone_meanwhile(
    client, signed_in, thread, sessions, keyring
):
    before = datetime.now(UTC)
    reply = await thread.reply(client, f"  {TEXT}\r\n")

    assert (reply["text"], reply["state"], reply["files"]) == (TEXT, "queued", [])
    assert reply["written_by"] == {"id": str(signed_in.user.id), "name": signed_in.user.name}
    assert (reply["order_id"], reply["country"], reply["failure"]) == ("303-1234567-1234567", "DE", None)
    left = datetime.fromisoformat(reply["undo_until"]) - before
    assert timedelta(seconds=9) < left < timedelta(seconds=60)
    async with sessions.begin() as session:
        row = await session.scalar(select(OutboundMessage))
        keys = await keyring.of(sessions, thread.account.id)
        assert keys.open_text(Place("outbound_messages", "body_text", row.id), row.body_text) == TEXT
        assert row.answers_message_id == thread.message.id
    assert await thread.replies(client) == [reply]
    assert (await client.get(f"/api/v1/replies/{reply['id']}")).json() == reply


async def test_its_words_are_nowhere_but_sealed(client, thread, sessions):
    await thread.upload(client, "Kanarienname.pdf", b"%PDF-Kanarienwort")
    await client.put(f"{thread.path}/draft", json={"text": "Kanarienwort"})
    await thread.reply(client, "Kanarienwort")

    async with sessions.begin() as session:
        rows = [
            str(row)
            for table in ("outbound_messages", "reply_files", "reply_drafts", "events", "audit_log")
            for row in await session.execute(text(f"SELECT t::text FROM {table} t"))
        ]
        actions = list(await session.scalars(select(AuditEntry.action)))
        kinds = list(await session.scalars(select(EventRow.kind).order_by(EventRow.id)))
    assert len(rows) >= 5
    assert not any("Kanarien" in row for row in rows)
    assert not any(b"Kanarienwort".hex() in row for row in rows)
    assert actions == ["reply_written"]
    assert kinds == ["reply.changed", "conversation.changed"]


@pytest.mark.parametrize("headers", [{}, {"If-Match": "*"}, {"If-Match": " * "}], ids=str)
async def test_without_the_version_nothing_is_sent(client, thread, sessions, headers: dict[str, str]):
    answer = await client.post(f"{thread.path}/replies", json={"text": TEXT}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (428, "if_match_required")
    assert await count_rows(sessions, OutboundMessage) == 0


async def test_a_buyers_message_meanwhile_is_told_and_nothing_is_sent(
    client, thread, sessions, owner_sessions, keyring
):
    version = await thread.version(client)
    async with owner_sessions.begin() as session:
        newer = await make_message(session, keyring, thread.conversation, authenticity="authentic")
        await session.execute(update(Conversation).values(last_message_at=newer.received_at, message_count=2))

    answer = await thread.post(client, headers={"If-Match": version})
    now = await thread.version(client)

    assert (answer.status_code, answer.json()["code"]) == (409, "conversation_changed")
    assert (answer.json()["messages"], answer.json()["replies"]) == ([str(newer.id)], [])
    assert answer.headers["ETag"].strip('"') == now.strip('"').partition(".")[0]
    assert await count_rows(sessions, OutboundMessage) == 0
    assert (await thread.post(client)).status_code == 201


async def test_a_version_that_was_answered_is_old_though_the_clock_went_back(client, thread, owner_sessions):
    ahead = datetime.now(UTC) + timedelta(hours=1)
    async with owner_sessions.begin() as session:
        await session.execute(update(Conversation).values(last_reply_at=ahead, answer_due_at=None))
    version = await thread.version(client)

    answers = [await thread.post(client, headers={"If-Match": version}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "conversation_changed"


async def test_of_two_agents_who_answer_at_once_one_is_warned(sign_in_as, thread, sessions):
    agents = [await sign_in_as(general_admin="none") for _ in range(2)]
    version = await thread.version(agents[0].client)

    answers = await asyncio.gather(
        *(thread.post(agent.client, headers={"If-Match": version}) for agent in agents)
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    taken, refused = sorted(answers, key=lambda answer: answer.status_code)
    assert refused.json()["code"] == "conversation_changed"
    assert refused.json()["replies"] == [taken.json()["id"]]
    assert await count_rows(sessions, OutboundMessage) == 1


async def test_ones_own_draft_does_not_change_the_version(client, thread):
    version = await thread.version(client)
    await client.put(f"{thread.path}/draft", json={"text": "Guten T"})
    await client.put(f"{thread.path}/typing")

    assert await thread.version(client) == version


async def test_the_same_request_sends_one_reply(client, thread, sessions):
    version, key = await thread.version(client), {"Idempotency-Key": "once"}

    first = await thread.post(client, headers={"If-Match": version, **key})
    again = await thread.post(client, headers={"If-Match": version, **key})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert await count_rows(sessions, OutboundMessage) == 1


async def test_one_account_alone_does_not_fill_the_queue(client, thread, sessions):
    version, now = await thread.version(client), datetime.now(UTC)
    async with sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO throttle_buckets (key, tokens, rate, burst, updated_at) VALUES (:key, 0, 10, 600, :later)"
            ),
            {"key": f"own:reply:{thread.account.id}", "later": now + timedelta(hours=1)},
        )

    answer = await thread.post(client, headers={"If-Match": version})

    assert (answer.status_code, answer.json()["code"]) == (429, "too_often")
    assert await count_rows(sessions, OutboundMessage) == 0


async def test_a_reply_can_wait_for_its_time(client, thread):
    at = datetime.now(UTC) + timedelta(days=2)

    reply = await thread.reply(client, send_at=at.isoformat())

    assert (reply["state"], reply["undo_until"]) == ("scheduled", None)
    assert datetime.fromisoformat(reply["send_at"]) == at


@pytest.mark.parametrize("ahead", [timedelta(seconds=-1), timedelta(days=367), timedelta(days=36_500)], ids=["past", "year", "century"])  # fmt: skip
async def test_a_time_that_is_none_is_refused(client, thread, sessions, ahead: timedelta):
    answer = await thread.post(client, send_at=(datetime.now(UTC) + ahead).isoformat())

    assert (answer.status_code, answer.json()["code"]) == (422, "send_at_impossible")
    assert await count_rows(sessions, OutboundMessage) == 0


BAD = {
    "empty": ("", 422, "reply_empty"),
    "blank": (" \n\t ", 422, "reply_empty"),
    "unseen": ("\u200b\u202e\ufeff", 422, "reply_empty"),
    "fillers": ("\u3164\u2800\ufe0f\u0301", 422, "reply_empty"),
    "quotes": ("> Wann kommt sie?\n>> Oder nie?", 422, "reply_empty"),
    "quotes_with_introduction": ("Am 3.12. schrieb Erika:\n\n> Wann kommt sie?\n", 422, "reply_empty"),
    "long": ("a" * 4_001, 422, "reply_too_long"),
    "longer": ("a" * 12_001, 422, "invalid_request"),
    "megabyte": ("a" * 1_000_000, 413, "body_too_large"),
    "nul": ("a\x00b", 422, "invalid_request"),
    "escape": ("\x1b[31m", 422, "invalid_request"),
    "placeholder": ("Hallo {{buyer_first_name}}", 422, "placeholders_missing"),
    "unknown_placeholder": ("Hallo {{ name }}", 422, "placeholders_missing"),
    "telephone": ("Rufen Sie an: 030 / 1234567", 422, "reply_warned"),
}


@pytest.mark.parametrize("case", sorted(BAD))
async def test_a_bad_text_is_refused_with_the_draft_untouched(client, thread, sessions, case: str):
    words, status, code = BAD[case]
    await client.put(f"{thread.path}/draft", json={"text": "Guten Tag"})

    answer = await thread.post(client, words)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await count_rows(sessions, OutboundMessage) == 0
    assert (await client.get(f"{thread.path}/draft")).json()["text"] == "Guten Tag"


async def test_what_is_blank_around_a_text_does_not_count(client, thread):
    words = "\n" + "a" * 4_000 + "\n"

    checked = (await client.post(f"{thread.path}/replies/check", json={"text": words})).json()
    reply = await thread.reply(client, words)

    assert (checked["characters"], checked["blocked"]) == (4_000, [])
    assert reply["text"] == words.strip()


async def test_a_file_goes_without_words_however_they_are_blank(client, thread):
    file = (await thread.upload(client)).json()

    quoted = await thread.post(client, "> Wann kommt sie?", file_ids=[file["id"]])
    reply = await thread.reply(client, " \n\u200b", file_ids=[file["id"]])

    assert quoted.json()["code"] == "reply_empty"
    assert [each["id"] for each in reply["files"]] == [file["id"]]


async def test_a_reply_that_was_taken_back_is_no_news(client, thread):
    version = await thread.version(client)
    reply = await thread.reply(client)
    await client.post(f"/api/v1/replies/{reply['id']}/cancel")

    refused = await thread.post(client, headers={"If-Match": version})

    assert (refused.status_code, refused.json()["replies"]) == (409, [])


async def test_half_a_character_is_no_text(client, thread, sessions):
    answer = await client.post(
        f"{thread.path}/replies",
        content=b'{"text": "\\ud800"}',
        headers={"If-Match": '"1"', "Content-Type": "application/json"},
    )

    assert answer.status_code in {400, 422}
    assert await count_rows(sessions, OutboundMessage) == 0


async def test_what_may_break_a_rule_is_sent_when_it_is_confirmed(client, thread):
    words = "Rufen Sie an: 030 / 1234567"
    warned = (await thread.post(client, words)).json()["warnings"]
    german = await thread.post(client, words, headers={"Accept-Language": "de"})

    reply = await thread.reply(client, words, confirmed_warnings=[each["code"] for each in warned])

    assert [each["code"] for each in warned] == ["phone_number"]
    [excerpt] = warned[0]["excerpts"]
    assert words[excerpt["start"] : excerpt["end"]] == excerpt["text"] == "030 / 1234567"
    assert "Telefonnummern" in german.json()["warnings"][0]["rule"]
    assert reply["state"] == "queued"


async def test_checking_says_what_sending_would_say(client, thread):
    file = (await thread.upload(client)).json()

    answer = await client.post(
        f"{thread.path}/replies/check",
        json={"text": "Hallo {{order_id}}, mehr auf lampenladen.de", "file_ids": [file["id"]]},
    )

    checked = answer.json()
    assert [each["code"] for each in checked["warnings"]] == ["link_outside_amazon"]
    assert [each["code"] for each in checked["blocked"]] == ["placeholders_missing"]
    assert (checked["characters"], checked["most_characters"]) == (43, 4_000)
    assert (checked["files_bytes"], checked["most_files_bytes"]) == (len(PDF), 10_000_000)


async def test_files_go_with_the_reply_in_the_order_of_the_choice(client, thread, sessions):
    first = (await thread.upload(client, "a.pdf")).json()
    second = (await thread.upload(client, "b.txt", "Größe".encode())).json()

    reply = await thread.reply(client, "", file_ids=[second["id"], first["id"]])

    assert [file["filename"] for file in reply["files"]] == ["b.txt", "a.pdf"]
    assert (await client.get(f"{thread.path}/draft")).json()["files"] == []
    async with sessions.begin() as session:
        owners = set(await session.scalars(select(ReplyFile.outbound_message_id)))
    assert {str(owner) for owner in owners} == {reply["id"]}


async def test_a_file_goes_with_one_reply_only(client, sign_in_as, thread):
    file = (await thread.upload(client)).json()
    colleague = await sign_in_as()
    theirs = await thread.post(colleague.client, file_ids=[file["id"]])
    twice = await thread.post(client, file_ids=[file["id"], file["id"]])
    await thread.reply(client, file_ids=[file["id"]])
    again = await thread.post(client, file_ids=[file["id"]])

    assert [answer.json()["code"] for answer in (theirs, twice, again)] == ["reply_file_unknown"] * 3


NOT_ANSWERABLE: dict[str, dict[str, Any]] = {
    "paused": {"paused_at": datetime.now(UTC)},
    "disconnected": {"disconnected_at": datetime.now(UTC), "rests_until": datetime.now(UTC)},
    "erased": {
        "disconnected_at": datetime.now(UTC),
        "rests_until": datetime.now(UTC),
        "removed_at": datetime.now(UTC),
    },
}


@pytest.mark.parametrize("reason", sorted(NOT_ANSWERABLE))
async def test_a_store_that_is_away_answers_nobody(client, thread, owner_sessions, reason: str):
    async with owner_sessions.begin() as session:
        await session.execute(update(Integration).values(NOT_ANSWERABLE[reason]))

    answer = await thread.post(client)
    shown = (await client.get(thread.path)).json()["not_answerable"]

    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (
        409,
        "not_answerable",
        reason,
    )
    assert shown["reason"] == reason
    assert answer.json()["detail"] == f"{shown['title']} {shown['cure']}"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [({"status": "quarantine"}, "quarantine"), ({}, "no_address")],
    ids=["quarantine", "no_address"],
)
async def test_what_is_not_proven_to_be_a_buyers_is_not_answered(
    client, thread, owner_sessions, columns: dict[str, Any], reason: str
):
    async with owner_sessions.begin() as session:
        await session.execute(text("UPDATE messages SET authenticity = 'stranger'"))
        await session.execute(text("UPDATE conversations SET answer_due_at = NULL"))
        if columns:
            await session.execute(update(Conversation).values(columns))

    answer = await thread.post(client)

    assert (answer.status_code, answer.json().get("reason")) == (409, reason), answer.text


async def test_a_buyer_who_can_be_answered_is_told_so_and_where_amazon_has_the_thread(client, thread):
    conversation = (await client.get(thread.path)).json()

    assert conversation["not_answerable"] is None
    assert conversation["seller_central_url"] == (
        f"https://sellercentral-europe.amazon.com/messaging/inbox?fi=caseId&ss={TAG}&cc={TAG}"
    )
    assert conversation["last_reply_at"] is None
    reply = await thread.reply(client)
    assert (await client.get(thread.path)).json()["last_reply_at"] == reply["created_at"]


async def test_another_accounts_conversations_and_replies_are_not_there(
    client, foreign_thread: Thread, owner_sessions, keyring
):
    async with owner_sessions.begin() as session:
        reply = await make_reply(session, keyring, foreign_thread.message)
    path, theirs = foreign_thread.path, f"/api/v1/replies/{reply.id}"
    answers = [
        await client.post(f"{path}/replies", json={"text": TEXT}, headers={"If-Match": '"1"'}),
        await client.post(f"{path}/replies/check", json={"text": TEXT}),
        await client.get(f"{path}/replies"),
        await client.get(f"{path}/draft"),
        await client.put(f"{path}/draft", json={"text": TEXT}),
        await client.delete(f"{path}/draft"),
        await client.put(f"{path}/typing"),
        await foreign_thread.upload(client),
        await client.get(theirs),
        *[await client.post(f"{theirs}/{wish}") for wish in ("cancel", "send-now", "send-again", "dismiss")],
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert (await client.get("/api/v1/replies")).json()["items"] == []


async def test_a_program_answers_without_a_draft_of_its_own(api_key_client, thread):
    program = await api_key_client()
    file = (await thread.upload(program)).json()

    reply = await thread.reply(program, file_ids=[file["id"]])
    draft = await program.get(f"{thread.path}/draft")

    assert (reply["written_by"], len(reply["files"])) == (None, 1)
    assert (draft.status_code, draft.json()["code"]) == (403, "browser_required")


async def test_a_mail_worker_hears_of_it_when_it_is_committed(client, thread, database):
    heard = asyncio.Event()
    listener = await asyncpg.connect(asyncpg_dsn(database.url(MAIL_WORKER)))
    await listener.add_listener(REPLY_CHANNEL, lambda *_: heard.set())
    await thread.reply(client)
    async with asyncio.timeout(60):
        await heard.wait()
    await listener.close()


@pytest.mark.parametrize(("close", "status"), [(True, "open"), (False, "snoozed")])
async def test_only_a_reply_that_closes_ends_that_a_conversation_is_snoozed(client, thread, close, status):
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    await client.patch(thread.path, json={"snoozed_until": until})

    await thread.reply(client, close=close)

    assert (await client.get(thread.path)).json()["status"] == status
