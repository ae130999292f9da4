"""Old messages are understood anew: better than before, and without touching what an agent decided."""

import asyncio
import os
import re
from base64 import b64encode
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select, update

from deploy.demo.postgres import MAIL_WORKER
from services.mailrelay.delivery.service import (
    ATTEMPTS_TO_PARSE,
    Delivery,
    deliver_due,
)
from services.mailrelay.parsing.mail import PARSER_VERSION
from services.mailrelay.reprocessing.service import MAX_BATCH, Report, Reprocessing, reprocess, retry_held
from shared.crypto.envelope import AccountKeys, Place
from shared.database import Sessions
from shared.tables import AcceptedMail, Attachment, Conversation, MailState, Message
from tests.conftest import Database, Keys
from tests.integration.mailrelay.delivery.conftest import Accept, Store, deliver_in_each_lane, mail
from tests.integration.mailrelay.delivery.test_delivery import (
    account_keys,
    all_conversations,
    all_messages,
    state_of,
)
from tests.integration.mailrelay.delivery.test_large_mail import accept_large
from tests.integration.mailrelay.delivery.test_what_is_stored import ORDER, TAG, buyers_mail, deliver
from tests.processes import command
from tests.signing import signed

__all__ = ["account_keys"]


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    return owner_sessions


@pytest.fixture
def again(delivery: Delivery) -> Reprocessing:
    """With the mail worker's rights."""
    return Reprocessing(delivery.sessions, delivery.keyring, delivery.parser, delivery.blobs)


def unheard(_report: Report) -> None:
    """Nobody waits for progress."""


async def run(again: Reprocessing, *, dry_run: bool = False) -> Report:
    return await reprocess(again, dry_run=dry_run, progress=unheard)


async def spoil(owner: Sessions, account_keys: AccountKeys, message: Message, **columns: Any) -> None:
    """As if an older version had understood less of it."""
    less = {
        "parser_version": 0,
        "kind": "other",
        "order_ids": [],
        "is_excerpt": False,
        "word_keys": [],
        "body_text": account_keys.seal_text(
            Place("messages", "body_text", message.id), "frame and words in one"
        ),
        "quoted_text": None,
    }
    async with owner.begin() as session:
        await session.execute(update(Message).where(Message.id == message.id).values(less | columns))


def shown(message: Message, account_keys: AccountKeys) -> tuple[object, ...]:
    text = account_keys.open_text(Place("messages", "body_text", message.id), message.body_text)
    return (
        message.kind,
        message.order_ids,
        message.is_excerpt,
        sorted(message.word_keys),
        text,
        message.parser_version,
        message.conversation_id,
        message.received_at,
    )


async def test_an_old_message_is_understood_as_a_new_one_is(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    [fresh] = await deliver(delivery, accept, mail("buyer-question"))
    await spoil(owner, account_keys, fresh)

    report = await run(again)

    [message] = await all_messages(delivery.sessions)
    assert shown(message, account_keys) == shown(fresh, account_keys)
    assert message.answer_due_at == fresh.answer_due_at
    [conversation] = await all_conversations(delivery.sessions)
    assert (conversation.kind, conversation.answer_due_at) == ("buyer_message", fresh.answer_due_at)
    assert (report.seen, report.changed, report.moved) == (1, 1, 0)
    assert dict(report.fields) == dict.fromkeys(
        ("kind", "order_ids", "is_excerpt", "word_keys", "body_text"), 1
    )
    assert "body_text" in report.summary(dry_run=False)
    assert "frame" not in report.summary(dry_run=False)


async def test_only_what_is_signed_of_a_proven_mail_is_read_anew(
    delivery: Delivery,
    accept_forged: Accept,
    again: Reprocessing,
    owner: Sessions,
    account_keys: AccountKeys,
):
    """Also below a signature that was found wrong then, and lists more than the right one."""
    true = signed(mail("buyer-question"))
    added = b"Auto-Submitted: auto-replied\r\n"
    listing = signed(added + mail("buyer-question"), b"auto-submitted").partition(added)[0]
    value = re.search(rb" b=([A-Za-z0-9+/=\s]+)\r\n\Z", listing)
    assert value is not None
    wrong = listing[: value.start(1)] + b64encode(bytes(64)) + b"\r\n"
    [fresh] = await deliver(delivery, accept_forged, wrong + added + true)
    await spoil(owner, account_keys, fresh)

    await run(again)

    [message] = await all_messages(delivery.sessions)
    assert (fresh.authenticity, message.kind) == ("authentic", "buyer_message")
    assert shown(message, account_keys) == shown(fresh, account_keys)


async def test_a_mail_of_which_only_the_header_was_read_is_parsed_after_all(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions
):
    await accept(buyers_mail(order=ORDER))
    async with owner.begin() as session:
        await session.execute(update(AcceptedMail).values(attempts=ATTEMPTS_TO_PARSE))
    await deliver_due(delivery)
    [before] = await all_messages(delivery.sessions)

    await run(again)

    [message] = await all_messages(delivery.sessions)
    assert (before.kind, message.kind, message.parser_version) == (
        "unparseable",
        "buyer_message",
        PARSER_VERSION,
    )
    assert message.answer_due_at is not None
    assert (await run(again)).seen == 0


async def test_what_is_understood_alike_only_gets_the_version(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions
):
    [fresh] = await deliver(delivery, accept, mail("buyer-question-cut-words-and-names"))
    async with owner.begin() as session:
        await session.execute(update(Message).values(parser_version=0))

    report = await run(again)

    [message] = await all_messages(delivery.sessions)
    assert (report.changed, message.parser_version) == (0, PARSER_VERSION)
    assert message.body_text.ciphertext == fresh.body_text.ciphertext
    assert (await run(again)).seen == 0


async def test_a_dry_run_counts_and_changes_nothing(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    [fresh] = await deliver(delivery, accept, mail("buyer-question"))
    await spoil(owner, account_keys, fresh)

    report = await run(again, dry_run=True)

    [message] = await all_messages(delivery.sessions)
    assert (report.changed, report.fields["kind"]) == (1, 1)
    assert (message.kind, message.parser_version) == ("other", 0)


async def test_a_run_that_was_broken_off_goes_on_where_it_was(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions
):
    for number in range(MAX_BATCH + 3):
        await accept(buyers_mail(f"Nummer {number}"))
    while await deliver_due(delivery):
        pass
    async with owner.begin() as session:
        await session.execute(update(Message).values(parser_version=0))

    def break_off(_report: Report) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await reprocess(again, dry_run=False, progress=break_off)

    assert (await run(again)).seen == 3


async def test_what_an_agent_decided_stays(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    await deliver(delivery, accept, buyers_mail(order=ORDER, tag=TAG), buyers_mail("Noch eine"))
    placed, other = await all_messages(delivery.sessions)
    agent = uuid4()
    async with owner.begin() as session:
        await session.execute(
            update(Message)
            .where(Message.id == placed.id)
            .values(conversation_id=other.conversation_id, placed_by=agent, answer_settled_at=func.now())
        )
        await session.execute(update(Conversation).values(status="closed", is_unread=False))
    await spoil(owner, account_keys, placed, thread_keys=[b"another"])

    report = await run(again)

    message = next(each for each in await all_messages(delivery.sessions) if each.id == placed.id)
    assert report.moved == 0
    assert (message.conversation_id, message.placed_by) == (other.conversation_id, agent)
    assert message.answer_settled_at is not None
    assert {(each.status, each.is_unread) for each in await all_conversations(delivery.sessions)} == {
        ("closed", False)
    }


async def test_a_message_whose_thread_was_not_seen_joins_its_conversation(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    """It stood alone, because the older version saw no sign in it."""
    [first] = await deliver(delivery, accept, buyers_mail(order=ORDER, tag=TAG))
    await accept(buyers_mail("Und noch etwas"))  # stands alone
    await deliver_due(delivery)
    [_, alone] = await all_messages(delivery.sessions)
    raw_of_first = (await state_of(delivery.sessions, first.accepted_mail_id))[0]
    assert raw_of_first == MailState.DELIVERED
    # The second message's raw mail now holds a tag that the older version could not read.
    await accept(buyers_mail("Danke", tag=TAG))
    await deliver_due(delivery)
    tagged = (await all_messages(delivery.sessions))[2]
    async with owner.begin() as session:
        await session.execute(
            update(Message)
            .where(Message.id == tagged.id)
            .values(conversation_id=alone.conversation_id, parser_version=0, thread_keys=[b"sender"])
        )
        await session.execute(
            update(Conversation).where(Conversation.id == alone.conversation_id).values(message_count=2)
        )
        await session.execute(
            update(Conversation).where(Conversation.id == first.conversation_id).values(message_count=1)
        )

    report = await run(again)

    messages = {message.id: message for message in await all_messages(delivery.sessions)}
    assert report.moved == 1
    assert messages[tagged.id].conversation_id == first.conversation_id
    counts = {each.id: each.message_count for each in await all_conversations(delivery.sessions)}
    assert counts == {first.conversation_id: 2, alone.conversation_id: 1}


async def test_a_conversation_that_loses_its_last_message_points_to_where_it_went(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    await deliver(delivery, accept, buyers_mail(order=ORDER), buyers_mail("Auch"))
    first, alone = await all_messages(delivery.sessions)
    async with owner.begin() as session:  # the two trade their mails, so that the one alone has the order
        for message, other in ((first, alone), (alone, first)):
            content_key = account_keys.open(Place("messages", "raw_key", other.id), other.raw_key)
            await session.execute(
                update(Message)
                .where(Message.id == message.id)
                .values(
                    accepted_mail_id=other.accepted_mail_id,
                    raw_key=account_keys.seal(Place("messages", "raw_key", message.id), content_key),
                    parser_version=0 if message is alone else PARSER_VERSION,
                )
            )

    report = await run(again)

    assert report.moved == 1
    conversations = {each.id: each for each in await all_conversations(delivery.sessions)}
    assert conversations[alone.conversation_id].merged_into == first.conversation_id
    assert conversations[first.conversation_id].message_count == 2


async def test_attachments_keep_their_ids(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    await deliver(delivery, accept, mail("buyer-question-cut-words-and-names"))
    async with owner.begin() as session:
        first, second = await session.scalars(select(Attachment).order_by(Attachment.position))
        await session.execute(
            update(Attachment)
            .where(Attachment.id == first.id)
            .values(
                sniffed_type=None,
                filename=account_keys.seal_text(Place("attachments", "filename", first.id), "old.bin"),
                scan="clean",
            )
        )
        await session.execute(delete(Attachment).where(Attachment.id == second.id))
        await session.execute(update(Message).values(parser_version=0))

    report = await run(again)

    async with owner() as session:
        kept, new = await session.scalars(select(Attachment).order_by(Attachment.position))
    names = [
        account_keys.open_text(Place("attachments", "filename", each.id), each.filename)
        for each in (kept, new)
    ]
    assert report.fields == {"attachments": 1}
    assert (kept.id, kept.scan, kept.sniffed_type) == (first.id, "clean", "image/jpeg")
    assert names == ["färg.jpg", "räkning fdp.exe"]
    assert new.content is not None
    assert account_keys.open(Place("attachments", "content", new.id), new.content) == b"%PDF-1.4\n"


async def test_a_message_in_quarantine_stays_there(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    [fresh] = await deliver(delivery, accept, mail("lookalike-domain"))
    await spoil(owner, account_keys, fresh, thread_keys=[])

    await run(again)

    [message] = await all_messages(delivery.sessions)
    [conversation] = await all_conversations(delivery.sessions)
    assert (conversation.status, message.conversation_id) == ("quarantine", conversation.id)
    assert message.authenticity == fresh.authenticity


async def test_a_strangers_mail_does_not_become_a_buyers_by_a_newer_parser(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    [fresh] = await deliver(delivery, accept, buyers_mail(order=ORDER))
    await spoil(owner, account_keys, fresh, authenticity="stranger", from_amazon_domain=False, thread_keys=[])

    report = await run(again)

    [message] = await all_messages(delivery.sessions)
    assert (message.kind, message.from_amazon_domain, message.parser_version) == ("other", False, 0)
    assert report.failures == {"never_proven": 1}


async def test_large_mail_is_understood_anew_too(  # noqa: PLR0917
    delivery: Delivery, again: Reprocessing, owner: Sessions, account_keys: AccountKeys, database: Database, keys: Keys, store: Store
):  # fmt: skip
    await accept_large(database, keys, store, delivery, mail("buyer-question"))
    await deliver_in_each_lane(delivery)
    [fresh] = await all_messages(delivery.sessions)
    await spoil(owner, account_keys, fresh)

    assert (await run(again)).changed == 1

    assert (await all_messages(delivery.sessions))[0].kind == "buyer_message"


async def test_a_message_whose_mail_is_gone_stays_as_it_is_and_holds_up_no_other(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    await deliver(delivery, accept, mail("buyer-question"), mail("buyer-question-quotes-markers"))
    gone, there = await all_messages(delivery.sessions)
    for message in (gone, there):
        await spoil(owner, account_keys, message)
    async with owner.begin() as session:
        await session.execute(delete(AcceptedMail).where(AcceptedMail.id == gone.accepted_mail_id))

    report = await run(again)

    kinds = {message.id: message.kind for message in await all_messages(delivery.sessions)}
    assert kinds == {gone.id: "other", there.id: "buyer_message"}
    assert report.failures == {"raw_mail_missing": 1}


async def test_it_runs_beside_workers(
    delivery: Delivery, accept: Accept, again: Reprocessing, owner: Sessions, account_keys: AccountKeys
):
    old = await deliver(delivery, accept, *(buyers_mail(f"{number}", order=ORDER) for number in range(10)))
    for message in old:
        await spoil(owner, account_keys, message)
    for number in range(60):
        await accept(buyers_mail(f"neu {number}", order=ORDER, tag=TAG))

    async def work() -> None:
        while await deliver_due(delivery):
            pass

    _, _, report = await asyncio.gather(work(), work(), run(again))

    [conversation] = await all_conversations(delivery.sessions)
    messages = await all_messages(delivery.sessions)
    assert (report.changed, report.failures) == (10, {})
    assert (conversation.message_count, len(messages)) == (70, 70)
    assert {message.kind for message in messages} == {"buyer_message"}


async def test_held_mail_is_tried_again(delivery: Delivery, accept: Accept, owner: Sessions):
    mail_id = await accept(mail("buyer-question"))
    async with owner.begin() as session:
        await session.execute(
            update(AcceptedMail).values(state="held", attempts=6, failure_code="seal_broken")
        )
    assert await deliver_due(delivery) == 0

    shown: list[tuple[int, int]] = []

    def progress(passed: int, held: int) -> None:
        shown.append((passed, held))

    assert await retry_held(delivery.sessions, dry_run=True, progress=progress) == 1
    assert await retry_held(delivery.sessions, dry_run=False, progress=progress) == 1
    assert shown == [(1, 1), (1, 1)]
    await deliver_due(delivery)

    assert await state_of(delivery.sessions, mail_id) == (MailState.DELIVERED, 0, None)
    assert isinstance(mail_id, UUID)


async def test_the_command_says_what_it_did_and_whether_all_went_well(  # noqa: PLR0917
    delivery: Delivery, accept: Accept, owner: Sessions, account_keys: AccountKeys, database: Database, keys: Keys
):  # fmt: skip
    await deliver(delivery, accept, mail("buyer-question"), mail("order-notice"))
    changed, gone = await all_messages(delivery.sessions)
    for message in (changed, gone):
        await spoil(owner, account_keys, message)
    async with owner.begin() as session:
        await session.execute(delete(AcceptedMail).where(AcceptedMail.id == gone.accepted_mail_id))

    process = await asyncio.create_subprocess_exec(
        *command("services.mailrelay", "reprocess"),
        env={
            "PATH": os.defpath,
            "REPLYCO_DATABASE_URL": database.url(MAIL_WORKER),
            "REPLYCO_KEY_FILE": str(keys.key_file),
            "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
            "REPLYCO_BLOB_URL": keys.blob_url,
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told = await asyncio.wait_for(process.stdout.read(), 50)

    assert await process.wait() == 1
    assert "2 messages of an older version, 1 changed, 0 moved" in told.decode()
    assert "raw_mail_missing: 1" in told.decode()
    assert (await all_messages(delivery.sessions))[0].kind == "buyer_message"
