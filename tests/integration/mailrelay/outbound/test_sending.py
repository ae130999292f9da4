"""Replies on their way: what is sent, when, and what comes of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from services.mailrelay.outbound.sending import ReplySender
from shared import conversations
from shared.crypto.key_provider import KeyFile
from shared.keyring import Keyring
from shared.replies import Reply, change_state
from shared.tables import (
    AcceptedMail,
    Conversation,
    EventRow,
    Integration,
    Message,
    OutboundMessage,
    ReplyFile,
    ReplyState,
    Scan,
)
from tests.conftest import Keys
from tests.factories import make_reply_file
from tests.integration.mailrelay.outbound.conftest import ORDER, RAW, Senders, Shop, send_all
from tests.integration.mailrelay.outbound.peer import HANG_UP, STALL, Peer

OTHER_ORDER = "303-7654321-7654321"
TAGGED = "k3x9example0abc+A2TAGOFTHETHREAD@marketplace.amazon.de"


async def test_a_reply_that_is_due_is_handed_over(sender: ReplySender, shop: Shop, peer: Peer):
    reply = await shop.reply(await shop.question(), text="Grüße, sie kommt morgen.")

    await send_all(sender)

    [taken] = peer.mails
    mail = message_from_bytes(taken.raw, policy=policy.default)
    # The envelope's sender is the address without a tag: Amazon approves addresses.
    assert (taken.sender, taken.recipient) == (shop.sender_address, TAGGED)
    assert (mail["From"], mail["To"]) == (shop.sender_address, TAGGED)
    assert mail["Message-ID"] == f"<{reply.hex}.1@replyco.email>"
    assert mail["In-Reply-To"] == "<question@eu-west-1.amazonses.com>"
    assert mail["References"].split() == [
        "<first@eu-west-1.amazonses.com>",
        "<question@eu-west-1.amazonses.com>",
    ]
    assert mail["Subject"] == f"Re: Frage zur Lampe ({ORDER})"
    assert mail.get_content().split() == ["Grüße,", "sie", "kommt", "morgen."]
    row = await shop.row(reply)
    assert (row.state, row.transport, row.sent_from) == ("handed_over", "platform", shop.sender_address)
    assert None not in (row.data_sent_at, row.handed_over_at)
    assert row.claimed_until is None


async def test_a_handed_over_reply_stops_the_clock_and_is_announced(sender: ReplySender, shop: Shop):
    question = await shop.question()
    reply = await shop.reply(question)

    await send_all(sender)

    async with shop.sessions() as session:
        message = await session.scalar(select(Message).where(Message.id == question.id))
        conversation = await session.get_one(Conversation, question.conversation_id)
        kinds = set(
            await session.scalars(select(EventRow.kind).where(EventRow.ids["reply_id"].astext == str(reply)))
        )
    assert message is not None
    assert message.answered_by == reply
    assert message.answer_settled_at is not None
    assert conversation.answer_due_at is None
    assert conversation.status == "open"
    assert kinds == {"reply.handed_over"}


@pytest.mark.parametrize("state", ["queued", "scheduled", "delayed"])
async def test_what_is_not_due_yet_waits(sender: ReplySender, shop: Shop, peer: Peer, state: str):
    due_at = datetime.now(UTC) + timedelta(hours=1)
    reply = await shop.reply(await shop.question(), state=state, due_at=due_at)

    await send_all(sender)
    assert ((await shop.row(reply)).state, peer.mails) == (state, [])

    async with shop.sessions.begin() as session:
        await session.execute(update(OutboundMessage).values(due_at=datetime.now(UTC)))
    await send_all(sender)
    assert (await shop.row(reply)).state == "handed_over"


async def test_the_worker_looks_again_when_the_next_is_due(sender: ReplySender, shop: Shop):
    await shop.reply(await shop.question(), due_at=datetime.now(UTC) + timedelta(seconds=2))

    assert 0 < await sender.send_due() <= 2


async def test_the_newest_proven_message_is_answered(sender: ReplySender, shop: Shop, peer: Peer):
    """A thread that was used again for another order names that one; what is not proven to be the buyer's is not answered."""
    first = await shop.question()
    reply = await shop.reply(first)
    newest = await shop.another_question(
        first, raw=RAW.replace(b"<question@", b"<newest@"), order_ids=[OTHER_ORDER]
    )
    await shop.another_question(first, raw=RAW.replace(b"<question@", b"<forged@"), authenticity="forged")
    await shop.another_question(first, raw=RAW.replace(b"<question@", b"<notice@"), kind="auto_reply")

    await send_all(sender)

    mail = message_from_bytes(peer.mails[0].raw, policy=policy.default)
    assert mail["In-Reply-To"] == "<newest@eu-west-1.amazonses.com>"
    assert mail["Subject"] == f"Re: Frage zur Lampe ({OTHER_ORDER})"
    assert (await shop.row(reply)).answers_message_id == newest.id


async def test_a_buyers_mail_that_is_gone_is_answered_all_the_same(
    sender: ReplySender, shop: Shop, peer: Peer
):
    await shop.reply(await shop.question())
    async with shop.sessions.begin() as session:
        await session.execute(delete(AcceptedMail))

    await send_all(sender)

    mail = message_from_bytes(peer.mails[0].raw, policy=policy.default)
    assert mail["To"] == "k3x9example0abc@marketplace.amazon.de"
    assert mail["In-Reply-To"] is None


@pytest.mark.parametrize(
    "columns",
    [
        {"paused_at": datetime(2026, 11, 1, tzinfo=UTC)},
        {
            "disconnected_at": datetime(2026, 11, 1, tzinfo=UTC),
            "rests_until": datetime(2027, 1, 1, tzinfo=UTC),
        },
    ],
)
async def test_a_store_that_is_away_sends_nothing(
    sender: ReplySender, shop: Shop, peer: Peer, columns: dict[str, Any]
):
    reply = await shop.reply(await shop.question())
    async with shop.sessions.begin() as session:
        await session.execute(update(Integration).values(**columns))

    await send_all(sender)

    assert await failure_of(shop, reply) == "not_answerable"
    assert peer.mails == []


@pytest.mark.parametrize(
    "columns",
    [
        {"authenticity": "forged"},
        {"kind": "auto_reply"},
        {"sender_address": "no-reply@amazon.de"},
        {"sender_address": None},
    ],
)
async def test_nobody_who_is_no_proven_buyer_is_answered(
    sender: ReplySender, shop: Shop, peer: Peer, columns: dict[str, Any]
):
    reply = await shop.reply(await shop.question(raw=b"Subject: none\r\n\r\n", **columns))

    await send_all(sender)

    assert await failure_of(shop, reply) == "not_answerable"
    assert peer.mails == []


async def test_a_conversation_that_was_merged_meanwhile_is_answered_where_it_is_now(
    sender: ReplySender, shop: Shop, peer: Peer
):
    """The reply was claimed just before it was taken along."""
    source, target = await shop.question(), await shop.question(raw=RAW.replace(b"<question@", b"<target@"))
    await shop.reply(source)
    async with shop.sessions.begin() as session:
        await conversations.merge(session, source.conversation_id, target.conversation_id)

    await send_all(sender)

    mail = message_from_bytes(peer.mails[0].raw, policy=policy.default)
    assert mail["In-Reply-To"] == "<target@eu-west-1.amazonses.com>"


async def test_the_row_says_that_the_dot_is_coming_before_it_comes(
    sender: ReplySender, shop: Shop, peer: Peer
):
    reply = await shop.reply(await shop.question())
    peer.go_on["DATA"], peer.go_on["end"] = asyncio.Event(), asyncio.Event()

    sending = asyncio.create_task(send_all(sender))
    await peer.reached["DATA"].wait()
    before = await shop.row(reply)
    peer.go_on["DATA"].set()
    await peer.reached["end"].wait()
    after = await shop.row(reply)
    peer.go_on["end"].set()
    await sending

    assert (before.state, before.data_sent_at) == ("sending", None)
    assert (after.state, after.data_sent_at is None) == ("sending", False)
    assert (await shop.row(reply)).state == "handed_over"


@pytest.mark.parametrize("column", ["paused_at", "disconnected_at"])
async def test_a_store_that_went_while_its_reply_was_on_its_way_sends_no_dot(
    sender: ReplySender, shop: Shop, peer: Peer, column: str
):
    reply = await shop.reply(await shop.question())
    peer.go_on["DATA"] = asyncio.Event()

    sending = asyncio.create_task(sender.send_due())
    await peer.reached["DATA"].wait()
    values = {column: datetime.now(UTC)} | (
        {"rests_until": datetime(2027, 1, 1, tzinfo=UTC)} if column == "disconnected_at" else {}
    )
    async with shop.sessions.begin() as session:
        await session.execute(update(Integration).values(values))
    peer.go_on["DATA"].set()
    await sending
    await sender.settle(30)
    assert (peer.mails, (await shop.row(reply)).data_sent_at) == ([], None)
    async with shop.sessions.begin() as session:
        await session.execute(update(OutboundMessage).values(claimed_until=datetime(2026, 1, 1, tzinfo=UTC)))
    await sender.recover()
    await send_all(sender)

    row = await shop.row(reply)
    assert (row.state, row.failure, peer.mails) == ("failed", "not_answerable", [])


@pytest.mark.parametrize(
    ("step", "answer", "becomes"),
    [
        ("greeting", "421 4.3.2 later", "delayed"),
        ("greeting", HANG_UP, "delayed"),
        ("EHLO", HANG_UP, "delayed"),
        ("MAIL", "451 4.3.0 later", "delayed"),
        ("MAIL", HANG_UP, "delayed"),
        ("RCPT", "450 4.2.1 later", "delayed"),
        ("RCPT", "550 5.1.1 no such user", "failed: address_unknown"),
        ("RCPT", "451 5.7.1 for good", "failed: unknown"),
        ("DATA", "452 4.3.1 full", "delayed"),
        ("DATA", "554 5.6.0 no", "failed: unknown"),
        ("DATA", HANG_UP, "delayed"),
        ("end", "451 4.3.0 later", "delayed"),
        ("end", "421 4.3.2 closing", "delayed"),
        ("end", "554 5.7.1 Sender is not approved", "failed: sender_not_approved"),
        ("end", "552 5.3.4 too large", "failed: too_large"),
        ("end", HANG_UP, "perhaps_sent"),
        ("end", STALL, "perhaps_sent"),
        ("end", "what", "perhaps_sent"),
        # Answers to something else than was asked, and codes that SMTP does not have.
        ("greeting", "999 no", "delayed"),
        ("MAIL", "354 go on", "delayed"),
        ("RCPT", "999 5.7.1 no", "delayed"),
        ("DATA", "250 2.0.0 taken", "delayed"),
        ("DATA", "354 go on\r\n250 2.0.0 taken", "delayed"),
        ("DATA", "250-5.7.1\r\n" * 3_000 + "250 ok", "delayed"),
        ("end", "354 go on", "perhaps_sent"),
        ("end", "999 5.7.1 no", "perhaps_sent"),
        ("end", "250-taken\r\n" * 30_000 + "250 ok", "perhaps_sent"),
    ],
)
async def test_what_a_server_does_decides(  # noqa: PLR0917 - three of them are fixtures
    senders: Senders, shop: Shop, peer: Peer, step: str, answer: str, becomes: str
):
    state, _, failure = becomes.partition(": ")
    # Little for the answer that never comes, enough for the others on any machine.
    sender = senders(peer.server(), end_seconds=0.3 if answer == STALL else 60)
    question = await shop.question()
    reply = await shop.reply(question)
    peer.answers[step].append(answer)

    await send_all(sender)

    row = await shop.row(reply)
    assert (row.state, row.failure) == (state, failure or None)
    assert (row.attempts, row.claimed_until) == (1, None)
    assert row.first_attempt_at is not None
    if state == "delayed":
        assert row.due_at > datetime.now(UTC)
        assert row.data_sent_at is None
    async with shop.sessions() as session:
        message = await session.scalar(select(Message).where(Message.id == question.id))
    assert message is not None
    assert message.answer_settled_at is None  # nothing but a hand-over stops the clock
    # It is never sent again by itself where the buyer may have it, or never will.
    async with shop.sessions.begin() as session:
        await session.execute(
            update(OutboundMessage).where(OutboundMessage.state == "delayed").values(due_at=datetime.now(UTC))
        )
    mails = len(peer.mails)
    await send_all(sender)
    assert len(peer.mails) == mails + (state == "delayed")
    assert (await shop.row(reply)).state == ("handed_over" if state == "delayed" else state)


async def test_the_servers_words_are_kept_sealed(sender: ReplySender, shop: Shop, peer: Peer):
    reply = await shop.reply(await shop.question())
    peer.answers["RCPT"].append("550-5.7.1 canary one\r\n550 5.7.1 canary two")

    await send_all(sender)

    assert await shop.server_words(reply) == "550 5.7.1 canary one canary two"
    words = (await shop.row(reply)).server_words
    assert words is not None
    assert b"canary" not in words.ciphertext


async def test_what_a_server_has_decided_is_stored_though_its_words_cannot_be_sealed(
    senders: Senders, shop: Shop, peer: Peer, keys: Keys
):
    provider = KeyFile.load(keys.key_file)
    senders.keyring = Keyring(provider, reread_seconds=0)
    sender = senders(peer.server())
    reply = await shop.reply(await shop.question())
    peer.answers["end"].append("550 5.7.1 no")
    peer.go_on["end"] = asyncio.Event()

    sending = asyncio.create_task(send_all(sender))
    await peer.reached["end"].wait()
    # A new data key is made meanwhile, and what wraps it is not here, or away.
    key = await Keyring(provider).new_key(shop.integration.account_id, "seal")
    key.wrapping_key_id, key.retired_at = "k9", datetime.now(UTC)
    async with shop.sessions.begin() as session:
        session.add(key)
    peer.go_on["end"].set()
    await sending
    await sender.close()

    row = await shop.row(reply)
    assert (row.state, row.server_words) == ("failed", None)


async def test_a_sender_that_amazon_refuses_is_noted_with_its_store(
    sender: ReplySender, shop: Shop, peer: Peer
):
    await shop.reply(await shop.question())
    peer.answers["end"].append("554 5.7.1 Sender is not approved")

    await send_all(sender)

    async with shop.sessions() as session:
        assert (await session.get_one(Integration, shop.integration.id)).sender_refused_at is not None


async def test_after_four_hours_of_trying_it_has_failed(
    sender: ReplySender, senders: Senders, shop: Shop, peer: Peer
):
    reply = await shop.reply(await shop.question())
    peer.always["MAIL"] = "451 4.3.0 later"
    attempts = 0

    async with asyncio.timeout(30):
        while (row := await shop.row(reply)).state != "failed":
            senders.clock.ahead = max(row.due_at - datetime.now(UTC), timedelta(0))
            await send_all(sender)
            attempts += 1
            assert attempts < 40

    assert row.failure == "temporary"
    assert row.first_attempt_at is not None
    assert timedelta(hours=3, minutes=59) < senders.clock.ahead < timedelta(hours=4, minutes=1)
    assert await shop.server_words(reply) == "451 4.3.0 later"
    assert 15 < attempts < 35


@pytest.mark.parametrize("smarthost", ["refuses the sign-in", "is not set", "is not there"])
async def test_a_smarthost_that_does_not_work_is_no_sellers_fault(
    senders: Senders, shop: Shop, peer: Peer, smarthost: str
):
    reply = await shop.reply(await shop.question())
    peer.always["AUTH"] = "535 5.7.8 no"
    peer.always["EHLO"] = "250-peer.example\r\n250 AUTH PLAIN"
    server = peer.server(username="us") if smarthost == "refuses the sign-in" else None
    if smarthost == "is not there":
        peer.port = 1
        server = peer.server()
    sender = senders(server)

    await send_all(sender)

    row = await shop.row(reply)
    assert (row.state, row.failure) == ("delayed", None)
    assert senders.registry.get_sample_value("replyco_smarthost_away") == 1


async def test_files_are_sent_with_their_names(sender: ReplySender, shop: Shop, peer: Peer):
    reply = await with_file(shop, content=b"%PDF-1.7 manual", filename="Anleitung für Grün.pdf")

    await send_all(sender)

    mail = message_from_bytes(peer.mails[0].raw, policy=policy.default)
    [attached] = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("Anleitung für Grün.pdf", b"%PDF-1.7 manual")
    assert (await shop.row(reply)).state == "handed_over"


async def test_a_file_that_cannot_be_fetched_now_costs_no_attempt(
    sender: ReplySender, shop: Shop, peer: Peer, keys: Keys
):
    reply = await with_file(shop, content=b"x")
    async with shop.sessions.begin() as session:
        await session.execute(
            update(ReplyFile).values(
                content=None, blob_key="20261128/019acd00-0000-7000-8000-000000000000", blob_digest=b"x" * 32
            )
        )
    blob = keys.blob_folder / "20261128"
    blob.mkdir(parents=True, exist_ok=True)
    # A folder where the file should be: the store fails. It is gone afterwards, because other tests look through the same store.
    no_file = blob / "019acd00-0000-7000-8000-000000000000"
    no_file.mkdir()

    await send_all(sender)
    no_file.rmdir()

    row = await shop.row(reply)
    assert (row.state, row.attempts, row.first_attempt_at) == ("delayed", 0, None)
    assert peer.mails == []


class SaysInfected:
    async def scan(self, content: bytes) -> Scan:
        return Scan.INFECTED if b"virus" in content else Scan.CLEAN


@pytest.mark.parametrize(("content", "state"), [(b"a virus", "failed"), (b"a manual", "handed_over")])
async def test_files_are_shown_to_the_scanner_before_they_leave(
    senders: Senders, shop: Shop, peer: Peer, content: bytes, state: str
):
    reply = await with_file(shop, content=content)

    await send_all(senders(peer.server(), scanner=SaysInfected()))

    row = await shop.row(reply)
    assert row.state == state
    assert row.failure == ("attachment_infected" if state == "failed" else None)
    assert len(peer.mails) == (state == "handed_over")


@pytest.mark.parametrize("has_written_again", [False, True])
async def test_send_and_close_closes_unless_the_buyer_has_written_again(
    sender: ReplySender, shop: Shop, peer: Peer, has_written_again: bool
):
    question = await shop.question()
    await shop.reply(question, closes_conversation=True)
    peer.go_on["end"] = asyncio.Event()

    sending = asyncio.create_task(send_all(sender))
    await peer.reached["end"].wait()
    if has_written_again:
        await shop.another_question(question)
    peer.go_on["end"].set()
    await sending

    async with shop.sessions() as session:
        conversation = await session.get_one(Conversation, question.conversation_id)
    assert conversation.status == ("open" if has_written_again else "closed")


async def test_send_and_close_leaves_alone_what_was_snoozed_after_the_reply_was_written(
    sender: ReplySender, shop: Shop
):
    question = await shop.question()
    await shop.reply(question, closes_conversation=True)
    async with shop.sessions.begin() as session:
        conversation = await session.get_one(Conversation, question.conversation_id)
        conversation.status, conversation.snoozed_until = "snoozed", datetime.now(UTC) + timedelta(days=2)

    await send_all(sender)

    async with shop.sessions() as session:
        assert (await session.get_one(Conversation, question.conversation_id)).status == "snoozed"


async def test_send_and_close_closes_although_amazons_notice_was_faster(
    sender: ReplySender, shop: Shop, peer: Peer
):
    question = await shop.question()
    reply_id = await shop.reply(question, closes_conversation=True)
    peer.go_on["end"] = asyncio.Event()

    sending = asyncio.create_task(send_all(sender))
    await peer.reached["end"].wait()
    async with shop.sessions.begin() as session:
        reply = Reply(reply_id, question.account_id, question.integration_id, question.conversation_id)
        assert await change_state(session, reply, ReplyState.CONFIRMED, confirmed_at=datetime.now(UTC))
    peer.go_on["end"].set()
    await sending

    async with shop.sessions() as session:
        conversation = await session.get_one(Conversation, question.conversation_id)
    assert (conversation.status, (await shop.row(reply_id)).state) == ("closed", "confirmed")


async def with_file(shop: Shop, **columns: Any) -> UUID:
    question = await shop.question()
    reply_id = await shop.reply(question)
    async with shop.sessions.begin() as session:
        conversation = await session.get_one(Conversation, question.conversation_id)
        reply = await session.get_one(OutboundMessage, reply_id)
        await make_reply_file(session, shop.keyring, conversation, reply=reply, **columns)
    return reply_id


async def failure_of(shop: Shop, reply_id: UUID) -> str | None:
    row = await shop.row(reply_id)
    assert row.state == "failed"
    return row.failure
