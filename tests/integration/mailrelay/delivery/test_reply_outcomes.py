"""What arriving mails say of replies: reports, Amazon's failure mails and confirmations, and the buyer's next mail."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from services.mailrelay.delivery.service import Delivery, deliver_due
from services.mailrelay.outbound.reply import message_id_of
from shared.crypto.envelope import AccountKeys, Place
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import (
    Conversation,
    EventRow,
    Integration,
    JobRow,
    Message,
    OutboundMessage,
    ReplyState,
    SetupStep,
)
from tests.factories import make_reply
from tests.integration.mailrelay.delivery.conftest import Accept, Store, deliver_in_each_lane
from tests.integration.mailrelay.delivery.test_delivery import account_keys
from tests.integration.mailrelay.delivery.test_what_is_stored import ORDER, OTHER_ORDER, buyers_mail

__all__ = ["account_keys"]

MakeReply = Callable[..., Awaitable[OutboundMessage]]
TAG = "4b0a5fef-c328-4e6b-8925-7bc535e3c5d2"


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    return owner_sessions


@pytest.fixture
def replied(delivery: Delivery, accept: Accept, owner: Sessions, keyring: Keyring) -> MakeReply:
    """A buyer has asked, and this reply was sent to them a minute ago."""

    async def make(*, order: str = ORDER, buyer: str = "k3j4h5g6f7d8s9a", **columns: Any) -> OutboundMessage:
        await accept(buyers_mail(order=order, buyer=buyer, tag=TAG))
        await deliver_in_each_lane(delivery)
        a_minute_ago = datetime.now(UTC) - timedelta(minutes=1)
        async with owner.begin() as session:
            message = (
                await session.scalars(
                    select(Message)
                    .where(Message.kind == "buyer_message")
                    .order_by(Message.id.desc())
                    .limit(1)
                )
            ).one()
            values: dict[str, Any] = {"state": "handed_over"}
            return await make_reply(
                session,
                keyring,
                message,
                **values
                | {
                    "order_id": order,
                    "country": "DE",
                    "data_sent_at": a_minute_ago,
                    "handed_over_at": a_minute_ago,
                }
                | columns,
            )

    return make


def report(message_id: str, *, status: str = "5.1.1", words: str = "550 5.1.1 mailbox unavailable") -> bytes:
    """A delivery status notification of some mail server (RFC 3464)."""
    return (
        "From: Mail Delivery System <MAILER-DAEMON@mx-out.example>\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\n\r\nNot delivered.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; kim@mx.example\r\nAction: failed\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {words}\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: Re: Frage\r\nMessage-ID: {message_id}\r\n\r\n--b--\r\n"
    ).encode()


def amazons(subject: str, text: str) -> bytes:
    """A notice of Amazon's, as it is signed by `accept`."""
    return (
        f"From: Amazon <donotreply@amazon.de>\r\nTo: x\r\nSubject: {subject}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


def failed(order: str, reason: str = "Absenderadresse x@replyco.email ist nicht genehmigt") -> bytes:
    return amazons(
        "Ihre E-Mail konnte nicht zugestellt werden", f"Bestellung {order}: wurde nicht zugestellt. {reason}."
    )


def confirmed(order: str) -> bytes:
    return amazons(
        "Ihre Nachricht wurde gesendet", f"Ihre Nachricht zu Bestellung {order} wurde dem Käufer zugestellt."
    )


async def now_is(owner: Sessions, reply: OutboundMessage) -> OutboundMessage:
    async with owner.begin() as session:
        return (await session.scalars(select(OutboundMessage).where(OutboundMessage.id == reply.id))).one()


async def conversations(owner: Sessions) -> list[Conversation]:
    async with owner.begin() as session:
        return list(await session.scalars(select(Conversation).order_by(Conversation.id)))


async def kinds(owner: Sessions) -> list[str]:
    async with owner.begin() as session:
        return list(await session.scalars(select(EventRow.kind).order_by(EventRow.id)))


async def integration(owner: Sessions) -> Integration:
    async with owner.begin() as session:
        return (await session.scalars(select(Integration))).one()


async def test_a_report_fails_the_reply_that_it_returns(
    delivery, accept, owner, replied, account_keys: AccountKeys
):
    reply = await replied()

    await accept(report(message_id_of(reply.id, 1, "replyco.email")))
    await deliver_in_each_lane(delivery)

    row = await now_is(owner, reply)
    assert (row.state, row.failure) == ("failed", "address_unknown")
    assert row.server_words is not None
    words = account_keys.open_text(Place("outbound_messages", "server_words", row.id), row.server_words)
    assert words == "smtp; 550 5.1.1 mailbox unavailable"
    [conversation] = await conversations(owner)
    assert conversation.message_count == 2
    assert "reply.failed" in await kinds(owner)


async def test_the_clock_goes_on_and_a_closed_conversation_opens_when_a_reply_fails(
    delivery, accept, owner, replied
):
    reply = await replied()
    async with owner.begin() as session:
        await session.execute(update(Message).values(answer_settled_at=func.now(), answered_by=reply.id))
        await session.execute(update(Conversation).values(answer_due_at=None, status="closed"))

    await accept(report(message_id_of(reply.id, 1, "replyco.email")))
    await deliver_in_each_lane(delivery)

    [conversation] = await conversations(owner)
    assert conversation.status == "open"
    assert conversation.answer_due_at is not None


async def test_what_another_reply_has_answered_stays_answered(delivery, accept, owner, replied):
    first = await replied()
    second = await replied()
    async with owner.begin() as session:
        await session.execute(update(OutboundMessage).values(answers_message_id=second.answers_message_id))
        await session.execute(update(Message).values(answer_settled_at=func.now(), answered_by=first.id))
        await session.execute(update(Conversation).values(answer_due_at=None))

    await accept(report(message_id_of(first.id, 1, "replyco.email")))
    await deliver_in_each_lane(delivery)
    [conversation] = await conversations(owner)
    assert ((await now_is(owner, first)).state, conversation.answer_due_at) == ("failed", None)
    await accept(report(message_id_of(second.id, 1, "replyco.email"), words="550 5.1.1 nor this one"))
    await deliver_in_each_lane(delivery)

    [conversation] = await conversations(owner)
    assert conversation.answer_due_at is not None


async def test_of_a_thread_the_newest_reply_is_meant(delivery, accept, owner, replied):
    older, newer = await replied(), await replied()
    named = " ".join(message_id_of(reply.id, 1, "replyco.email") for reply in (older, newer))

    # The server on the way gave the mail an id of its own.
    await accept(f"References: <first@x> {named}\r\n".encode() + report("<rewritten@mx.example>"))
    await deliver_in_each_lane(delivery)

    assert [(await now_is(owner, reply)).state for reply in (older, newer)] == ["handed_over", "failed"]


async def test_what_a_stranger_says_turns_no_direction_and_hides_nothing(
    delivery, accept, owner, replied, account_keys: AccountKeys
):
    reply = await replied()

    await accept(report(message_id_of(reply.id, 1, "replyco.email"), words="550 a\u202eb\u200b \u2028c\x07"))
    await deliver_in_each_lane(delivery)

    row = await now_is(owner, reply)
    assert row.server_words is not None
    words = account_keys.open_text(Place("outbound_messages", "server_words", row.id), row.server_words)
    assert words == "smtp; 550 a b c"


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed"])
async def test_a_report_of_no_failure_changes_no_reply_and_opens_nothing(
    delivery, accept, owner, replied, action: str
):
    reply = await replied()

    await accept(
        report(message_id_of(reply.id, 1, "replyco.email")).replace(
            b"Action: failed", f"Action: {action}".encode()
        )
    )
    await deliver_in_each_lane(delivery)

    assert (await now_is(owner, reply)).state == "handed_over"
    assert sorted(each.status for each in await conversations(owner)) == ["closed", "open"]


async def test_amazons_failure_mail_fails_the_newest_reply_about_its_order(delivery, accept, owner, replied):
    other = await replied(order=OTHER_ORDER, buyer="m3j4h5g6f7d8s9b")
    reply = await replied()

    await accept(failed(ORDER))
    await deliver_in_each_lane(delivery)

    row, untouched = await now_is(owner, reply), await now_is(owner, other)
    assert (row.state, row.failure) == ("failed", "sender_not_approved")
    assert untouched.state == "handed_over"
    assert (await integration(owner)).sender_refused_at is not None
    async with owner.begin() as session:
        assert "recompute_lock" in list(await session.scalars(select(JobRow.kind)))


@pytest.mark.parametrize(
    "case",
    [
        ("hat sich von Nachrichten abgemeldet", "buyer_opted_out"),
        ("Ihr Anhang x.exe ist nicht zulässig", "attachment_refused"),
        ("Ihre Nachrichtenfunktion ist eingeschränkt", "sender_restricted"),
        ("verstößt gegen unsere Kommunikationsrichtlinien", "guideline_blocked"),
        ("Die Höchstzahl an Nachrichten ist erreicht", "message_limit"),
        ("Diese Unterhaltung ist geschlossen", "conversation_closed"),
        ("Die Nachricht von heute ist zu groß", "too_large"),
        ("Warum, sagen wir nicht", "unknown"),
    ],
)
async def test_the_reason_is_amazons(delivery, accept, owner, replied, case: tuple[str, str]):
    words, failure = case
    reply = await replied()

    await accept(failed(ORDER, words))
    await deliver_in_each_lane(delivery)

    row = await now_is(owner, reply)
    assert (row.state, row.failure) == ("failed", failure)


async def test_amazons_notice_confirms_and_asks_nobody_to_read_it(delivery, accept, owner, replied):
    reply = await replied()
    async with owner.begin() as session:
        await session.execute(update(Conversation).values(is_unread=False, status="closed"))
    [before] = await conversations(owner)

    await accept(confirmed(ORDER))
    await deliver_in_each_lane(delivery)

    row = await now_is(owner, reply)
    [after] = await conversations(owner)
    assert (row.state, row.confirmed_at is not None) == ("confirmed", True)
    assert (after.is_unread, after.status, after.last_message_at, after.snippet_message_id) == (
        False,
        "closed",
        before.last_message_at,
        before.snippet_message_id,
    )
    assert after.message_count == 2
    assert (await integration(owner)).reply_confirmed_at is not None
    assert "reply.confirmed" in await kinds(owner)


@pytest.mark.parametrize("is_automatic", [False, True], ids=["a question", "an auto-reply"])
async def test_the_buyers_next_mail_confirms(delivery, accept, owner, replied, is_automatic: bool):
    reply = await replied()

    await accept(buyers_mail("Danke!", order=ORDER, tag=TAG, auto_reply=is_automatic))
    await deliver_in_each_lane(delivery)

    assert (await now_is(owner, reply)).state == "confirmed"


async def test_what_was_refused_before_is_over_when_a_later_reply_gets_through(
    delivery, accept, owner, replied
):
    refused = await replied()
    await accept(failed(ORDER))
    await deliver_in_each_lane(delivery)
    later = datetime.now(UTC)
    await replied(data_sent_at=later, handed_over_at=later)

    await accept(confirmed(ORDER))
    await deliver_in_each_lane(delivery)

    assert (await now_is(owner, refused)).state == "failed"
    assert (await integration(owner)).sender_refused_at is None


@pytest.mark.parametrize(
    "case",
    [
        ("handed_over", lambda reply: report(message_id_of(reply.id, 2, "replyco.email"))),
        ("handed_over", lambda reply: report("<0@somewhere.example>")),
        ("handed_over", lambda _: failed(OTHER_ORDER)),
        ("handed_over", lambda _: amazons("Ihre Nachricht wurde gesendet", "wurde dem Käufer zugestellt.")),
        ("perhaps_sent", lambda _: buyers_mail("Danke!", order=ORDER, tag=TAG)),
        ("queued", lambda _: failed(ORDER)),
        ("failed", lambda _: confirmed(ORDER)),
    ],
    ids=["another round", "no reply of ours", "another order", "no order", "perhaps sent", "not sent yet", "failed"],
)  # fmt: skip
async def test_what_a_mail_does_not_say_is_not_believed(
    delivery, accept, owner, replied, case: tuple[str, Any]
):
    state, raw = case
    reply = await replied(state=state, **({"failure": "unknown"} if state == "failed" else {}))

    await accept(raw(reply))
    await deliver_in_each_lane(delivery)

    assert (await now_is(owner, reply)).state == state


async def test_a_forged_notice_says_nothing(delivery, accept_forged: Accept, owner, replied):
    reply = await replied()

    await accept_forged(confirmed(ORDER))
    await accept_forged(failed(ORDER))
    await deliver_in_each_lane(delivery)

    assert (await now_is(owner, reply)).state == "handed_over"


async def test_another_stores_reply_is_not_found_by_its_id(delivery, accept, owner, replied):
    reply = await replied()
    async with owner.begin() as session:
        # As if it were another store's of the same account.
        other = Integration(
            account_id=reply.account_id, region="na", home_country="US", seller_id="A2OTHER", owner_id=None
        )
        session.add(other)
        await session.flush()
        await session.execute(update(OutboundMessage).values(integration_id=other.id))

    await accept(report(message_id_of(reply.id, 1, "replyco.email")))
    await deliver_in_each_lane(delivery)

    assert (await now_is(owner, reply)).state == "handed_over"


async def test_a_thousand_reports_open_no_conversation_and_send_nothing(
    delivery, accept_forged: Accept, owner, store: Store, replied
):
    reply = await replied()
    for number in range(120):
        await accept_forged(report(f"<{number}@lists.example>", words=f"550 5.1.1 {number}"))
        await accept_forged(
            report(message_id_of(reply.id, 1, "replyco.email"), words=f"550 5.1.1 again {number}")
        )
    while await deliver_in_each_lane(delivery):
        pass

    found = await conversations(owner)
    async with owner.begin() as session:
        replies = await session.scalar(select(func.count()).select_from(OutboundMessage))
        due = await session.scalar(
            select(func.count())
            .select_from(Message)
            .where(Message.kind == "delivery_failure", Message.answer_due_at.is_not(None))
        )
    assert [each.status for each in found if each.status == "open"] == ["open"]  # the buyer's
    assert sorted(each.status for each in found) == ["closed", "open"]
    assert (replies, due) == (1, 0)


async def test_no_report_is_asked_for_twice(delivery, accept, owner, replied):
    """A second failure mail about the same reply changes nothing any more."""
    reply = await replied()
    for words in ("550 5.1.1 first", "550 5.7.1 second"):
        await accept(report(message_id_of(reply.id, 1, "replyco.email"), words=words))
        await deliver_due(delivery)
        await deliver_in_each_lane(delivery)

    assert (await kinds(owner)).count("reply.failed") == 1
    assert (await now_is(owner, reply)).state == ReplyState.FAILED.value


async def test_the_step_of_the_approved_sender_ticks_itself(delivery, accept, owner, replied):
    await replied()

    await accept(confirmed(ORDER))
    await deliver_in_each_lane(delivery)

    async with owner.begin() as session:
        steps = list(await session.scalars(select(SetupStep).where(SetupStep.step == "approved_sender")))
    assert [(step.country, step.done_by) for step in steps] == [("DE", None)]
