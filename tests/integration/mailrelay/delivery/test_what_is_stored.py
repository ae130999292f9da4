"""What is stored of a mail, and what it does to its conversation: threads, orders, answer clock, quarantine."""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from services.mailrelay.delivery.service import Delivery, deliver_due
from services.mailrelay.parsing.mail import PARSER_VERSION, parse_mail
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.database import Sessions
from shared.jobs import Job
from shared.keyring import Keyring
from shared.search_words import word_keys
from shared.tables import (
    Attachment,
    Conversation,
    ConversationOrder,
    ConversationThread,
    EventRow,
    JobRow,
    Message,
    MutedKind,
)
from tests.integration.mailrelay.delivery.conftest import Accept, Store, mail, make_store
from tests.integration.mailrelay.delivery.test_delivery import (
    account_keys,
    all_conversations,
    all_messages,
    integration_of,
)

__all__ = ["account_keys"]

WORDING = Path(__file__).parents[3] / "mails"


async def deliver(delivery: Delivery, accept: Accept, *raws: bytes) -> list[Message]:
    """One after the other, each in a batch of its own."""
    for raw in raws:
        await accept(raw)
        await deliver_due(delivery)
    return await all_messages(delivery.sessions)


def buyers_mail(
    text: str = "Wann kommt meine Lampe?",
    *,
    buyer: str = "k3j4h5g6f7d8s9a",
    tag: str | None = None,
    order: str | None = None,
    auto_reply: bool = False,
) -> bytes:
    """A buyer's message as Amazon sends it, with these signs only."""
    sender = f"{buyer}+{tag}" if tag else buyer
    subject = f"Frage (Bestellung: {order})" if order else "Frage"
    return (
        f"From: Robin <{sender}@marketplace.amazon.de>\r\nSubject: {subject}\r\n"
        + ("Auto-Submitted: auto-replied\r\n" if auto_reply else "")
        + f"\r\n------------- Nachricht: -------------\r\n{text}\r\n------------- Ende der Nachricht -------------\r\n"
    ).encode()


TAG, OTHER_TAG = "4b0a5fef-c328-4e6b-8925-7bc535e3c5d2", "66c6514d-811f-44f1-86cb-90ed0b5cd0e8"
ORDER, OTHER_ORDER = "302-0000000-0000001", "302-0000000-0000002"


async def test_everything_that_was_understood_is_stored(
    delivery: Delivery, accept: Accept, account_keys: AccountKeys
):
    raw = mail("buyer-question")
    understood = parse_mail(raw)

    [message] = await deliver(delivery, accept, raw)

    def opened(column: str, sealed: Sealed | None) -> str | None:
        return (
            None if sealed is None else account_keys.open_text(Place("messages", column, message.id), sealed)
        )

    for column in ("order_ids", "asin", "country", "language", "failure_reason", "is_excerpt", "truncated"):
        expected = getattr(understood, column)
        assert getattr(message, column) == (list(expected) if isinstance(expected, tuple) else expected)
    assert message.parser_version == PARSER_VERSION
    assert opened("quoted_text", message.quoted_text) == understood.quoted_text
    assert opened("verification_code", message.verification_code) == understood.verification_code
    assert set(word_keys(account_keys, "mühle grob robin")) <= set(message.word_keys)
    assert message.thread_keys


async def test_what_was_found_out_about_the_sender_is_stored(
    delivery: Delivery, accept: Accept, account_keys: AccountKeys
):
    [message] = await deliver(delivery, accept, mail("lookalike-domain"))

    assert (message.authenticity, message.authenticity_reason) == ("forged", "lookalike_domain")
    assert message.authentication_results is not None
    place = Place("messages", "authentication_results", message.id)
    assert account_keys.open_text(place, message.authentication_results)


async def test_an_inline_picture_keeps_the_name_that_the_text_shows_it_by(
    delivery: Delivery, accept: Accept, sessions: Sessions, account_keys: AccountKeys
):
    raw = (
        b"From: Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: Bild\r\n"
        b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src='cid:lampe@1'>\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <lampe@1>\r\nContent-Disposition: inline\r\n\r\n\x89PNG\r\n\x1a\n\r\n"
        b"--b--\r\n"
    )

    await deliver(delivery, accept, raw)

    async with sessions() as session:
        [attachment] = await session.scalars(select(Attachment))
    assert attachment.content_id is not None
    place = Place("attachments", "content_id", attachment.id)
    assert account_keys.open_text(place, attachment.content_id) == "lampe@1"
    assert attachment.sniffed_type == "image/png"


async def test_a_tag_alone_finds_the_conversation_of_the_order_that_it_came_with(
    delivery: Delivery, accept: Accept
):
    messages = await deliver(
        delivery,
        accept,
        buyers_mail(order=ORDER),
        buyers_mail("Und noch etwas", order=ORDER, tag=TAG),
        buyers_mail("Danke", tag=TAG),
        buyers_mail("Von wem anders", tag=TAG, buyer="z9y8x7w6v5u4t3s"),
    )

    assert len({message.conversation_id for message in messages[:3]}) == 1
    assert messages[3].conversation_id != messages[0].conversation_id


async def test_mails_of_one_batch_that_know_each_other_only_through_a_third_are_one_conversation(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    for raw in (
        buyers_mail("1", tag=TAG),
        buyers_mail("2", tag=TAG, order=ORDER),
        buyers_mail("3", order=ORDER),
    ):
        await accept(raw)

    assert await deliver_due(delivery) == 3

    [conversation] = await all_conversations(sessions)
    assert (conversation.message_count, conversation.order_id) == (3, ORDER)


async def test_a_conversation_is_found_by_every_order_of_its_mails(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    [message] = await deliver(
        delivery, accept, buyers_mail(f"Wie bei {OTHER_ORDER}, doppelt", order=ORDER, tag=TAG)
    )

    async with sessions() as session:
        orders = await session.scalars(
            select(ConversationOrder.order_id).where(
                ConversationOrder.conversation_id == message.conversation_id
            )
        )
    assert set(orders) == {ORDER, OTHER_ORDER}


async def named_orders(sessions: Sessions) -> set[tuple[str, bool]]:
    """The orders that mails name, and whether a proven one does."""
    async with sessions() as session:
        rows = await session.execute(select(ConversationOrder.order_id, ConversationOrder.is_proven))
        return {(row.order_id, row.is_proven) for row in rows}


async def asked_for(owner: Sessions) -> list[UUID]:
    """The conversations for whose orders the connector's worker asks Amazon."""
    async with owner() as session:
        jobs = select(JobRow.subject_id).where(JobRow.kind == Job.FETCH_ORDERS_OF_CONVERSATION)
        return list(await session.scalars(jobs))


async def test_what_a_proven_mail_names_is_asked_for_at_once(
    delivery: Delivery, accept: Accept, sessions: Sessions, owner_sessions: Sessions
):
    [message] = await deliver(delivery, accept, buyers_mail(order=ORDER))

    assert await named_orders(sessions) == {(ORDER, True)}
    assert await asked_for(owner_sessions) == [message.conversation_id]


async def test_a_stranger_who_names_an_order_is_given_none(
    delivery: Delivery, accept: Accept, sessions: Sessions, owner_sessions: Sessions
):
    """Whoever knows a number could look into a store's order through whoever answers them."""
    stranger = f"From: Kim <kim@else.example>\r\nSubject: {ORDER}\r\n\r\nWhere is {ORDER}?\r\n".encode()

    await deliver(delivery, accept, stranger)

    assert await named_orders(sessions) == {(ORDER, False)}
    assert await asked_for(owner_sessions) == []


async def test_a_forged_mail_is_given_none(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions, owner_sessions: Sessions
):
    await deliver(delivery, accept_forged, buyers_mail(order=ORDER))

    assert await named_orders(sessions) == {(ORDER, False)}
    assert await asked_for(owner_sessions) == []


async def test_a_conversation_that_begins_before_the_order_is_the_orders(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    await deliver(delivery, accept, buyers_mail(tag=TAG))
    await deliver(delivery, accept, buyers_mail("Jetzt bestellt", tag=TAG, order=ORDER))

    [conversation] = await all_conversations(sessions)
    assert (conversation.message_count, conversation.order_id) == (2, ORDER)


async def test_a_buyers_message_waits_a_day_for_its_answer(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    first, _ = await deliver(delivery, accept, buyers_mail(order=ORDER), buyers_mail("?", order=ORDER))

    [conversation] = await all_conversations(sessions)
    assert first.answer_due_at == first.received_at + timedelta(hours=24)
    assert conversation.answer_due_at == first.answer_due_at


@pytest.mark.parametrize(
    "raw", [mail("order-notice"), mail("not-a-mail"), buyers_mail(order=ORDER, auto_reply=True)]
)
async def test_nothing_else_waits_for_an_answer(
    delivery: Delivery, accept: Accept, sessions: Sessions, raw: bytes
):
    [message] = await deliver(delivery, accept, raw)

    [conversation] = await all_conversations(sessions)
    assert (message.answer_due_at, conversation.answer_due_at) == (None, None)


async def test_a_message_after_the_answer_waits_anew(delivery: Delivery, accept: Accept, sessions: Sessions):
    await deliver(delivery, accept, buyers_mail(order=ORDER))
    async with sessions.begin() as session:
        await session.execute(update(Message).values(answer_settled_at=func.now()))
        await session.execute(update(Conversation).values(answer_due_at=None, is_unread=False))

    _, second = await deliver(delivery, accept, buyers_mail("Immer noch nicht da", order=ORDER))

    [conversation] = await all_conversations(sessions)
    assert conversation.answer_due_at == second.received_at + timedelta(hours=24)
    assert conversation.is_unread


@pytest.mark.parametrize(("auto_reply", "status"), [(False, "open"), (True, "closed")])
async def test_a_closed_conversation_opens_again_unless_a_machine_wrote(
    delivery: Delivery, accept: Accept, sessions: Sessions, *, auto_reply: bool, status: str
):
    await deliver(delivery, accept, buyers_mail(order=ORDER))
    async with sessions.begin() as session:
        await session.execute(update(Conversation).values(status="closed"))

    await deliver(delivery, accept, buyers_mail("Bin verreist", order=ORDER, auto_reply=auto_reply))

    [conversation] = await all_conversations(sessions)
    assert (conversation.status, conversation.is_unread) == (status, True)


async def test_a_conversation_with_a_buyers_message_is_a_buyers_whatever_comes_after(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    await deliver(delivery, accept, buyers_mail(order=ORDER, auto_reply=True))
    assert (await all_conversations(sessions))[0].kind == "auto_reply"
    await deliver(delivery, accept, buyers_mail("Wann?", order=ORDER))
    await deliver(delivery, accept, buyers_mail("Bin verreist", order=ORDER, auto_reply=True))

    assert (await all_conversations(sessions))[0].kind == "buyer_message"


async def test_what_claims_to_be_amazons_and_is_not_is_in_quarantine_and_moves_nothing(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store
):
    await deliver(delivery, accept, mail("lookalike-domain"), mail("lookalike-display-name"))

    conversations = await all_conversations(sessions)
    assert [(each.status, each.message_count, each.answer_due_at) for each in conversations] == [
        ("quarantine", 1, None),
        ("quarantine", 1, None),
    ]
    integration = await integration_of(sessions, store)
    assert (integration.first_authentic_mail_at, integration.last_message_at) == (None, None)
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(ConversationThread)) == 0
        # The quarantine has changed; no message has come.
        assert set(await session.scalars(select(EventRow.kind))) == {"conversation.changed"}


async def test_conversations_of_two_stores_are_apart(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store, keyring: Keyring
):
    [message] = await deliver(delivery, accept, buyers_mail(order=ORDER, tag=TAG))

    async with sessions() as session:
        threads = list(await session.scalars(select(ConversationThread)))
    assert {thread.integration_id for thread in threads} == {store.integration.id}
    assert {thread.conversation_id for thread in threads} == {message.conversation_id}
    assert len(threads) == 2
    assert isinstance(message.id, UUID)


async def mute(sessions: Sessions, store: Store, *kinds: str) -> None:
    async with sessions.begin() as session:
        session.add_all([MutedKind(account_id=store.account_id, kind=kind) for kind in kinds])


async def test_a_muted_kind_arrives_closed_and_read_and_a_buyer_never_does(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store
):
    await mute(sessions, store, "claim_notice", "auto_reply")

    await deliver(delivery, accept, mail("claim-notice"), mail("order-notice"), buyers_mail())

    assert {
        each.kind: (each.status, each.is_unread, each.message_count)
        for each in await all_conversations(sessions)
    } == {
        "claim_notice": ("closed", False, 1),
        "order_notice": ("open", True, 1),
        "buyer_message": ("open", True, 1),
    }


async def test_a_muted_mail_leaves_its_conversation_as_it_is_and_does_not_hide_the_buyers_one_beside_it(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store
):
    await mute(sessions, store, "auto_reply")
    await deliver(delivery, accept, buyers_mail(order=ORDER))
    await set_all(sessions, status="closed", is_unread=False)

    await deliver(delivery, accept, buyers_mail("Bin verreist", order=ORDER, auto_reply=True))
    [conversation] = await all_conversations(sessions)
    assert (conversation.status, conversation.is_unread, conversation.message_count) == ("closed", False, 2)

    # Both in one batch.
    await accept(buyers_mail("Bin noch verreist", order=ORDER, auto_reply=True))
    await accept(buyers_mail("Wann?", order=ORDER))
    await deliver_due(delivery)
    [conversation] = await all_conversations(sessions)
    assert (conversation.status, conversation.is_unread, conversation.message_count) == ("open", True, 4)


async def test_what_one_account_mutes_arrives_in_another_as_ever(
    delivery: Delivery, accept: Accept, sessions: Sessions, keyring: Keyring
):
    other = await make_store(sessions, keyring, local_part="tirgonwel")
    await mute(sessions, other, "order_notice")

    await deliver(delivery, accept, mail("order-notice"))

    [conversation] = await all_conversations(sessions)
    assert (conversation.status, conversation.is_unread) == ("open", True)


async def test_a_forged_mail_of_a_muted_kind_is_in_quarantine_and_unread(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions, store: Store
):
    await mute(sessions, store, "claim_notice")

    await accept_forged(mail("claim-notice"))
    await deliver_due(delivery)

    [conversation] = await all_conversations(sessions)
    assert (conversation.status, conversation.is_unread) == ("quarantine", True)


@pytest.mark.parametrize(
    ("auto_reply", "status", "is_snoozed"), [(False, "open", False), (True, "snoozed", True)]
)
async def test_a_snoozed_conversation_opens_when_its_buyer_writes(
    delivery: Delivery, accept: Accept, sessions: Sessions, *, auto_reply: bool, status: str, is_snoozed: bool
):
    await deliver(delivery, accept, buyers_mail(order=ORDER))
    await set_all(sessions, status="snoozed", snoozed_until=datetime.now(UTC) + timedelta(days=1))

    await deliver(delivery, accept, buyers_mail("Nachtrag", order=ORDER, auto_reply=auto_reply))

    [conversation] = await all_conversations(sessions)
    assert (conversation.status, conversation.snoozed_until is not None) == (status, is_snoozed)


async def test_a_conversation_that_has_files_says_so(delivery: Delivery, accept: Accept, sessions: Sessions):
    await deliver(delivery, accept, buyers_mail(order=ORDER))
    [conversation] = await all_conversations(sessions)
    assert not conversation.has_files

    with_file = EmailMessage()
    with_file["From"], with_file["Subject"] = (
        "Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>",
        f"Bild (Bestellung: {ORDER})",
    )
    with_file.set_content("Hier ein Bild.")
    with_file.add_attachment(b"\x89PNG\r\n\x1a\n", maintype="image", subtype="png", filename="lampe.png")
    await deliver(delivery, accept, with_file.as_bytes(policy=SMTP), buyers_mail("Danke", order=ORDER))

    [conversation] = await all_conversations(sessions)
    assert (conversation.has_files, conversation.message_count) == (True, 3)


async def set_all(sessions: Sessions, **columns: object) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Conversation).values(**columns))
