"""The list shows the first words of a conversation's newest message, sealed for the message that they are of."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import update

from services.mailrelay.delivery.service import Delivery, deliver_due
from services.mailrelay.reprocessing.service import Reprocessing, reprocess
from shared.crypto.envelope import AccountKeys, Place
from shared.database import Sessions
from shared.tables import AcceptedMail, Conversation, Message
from tests.integration.mailrelay.delivery.conftest import Accept, mail
from tests.integration.mailrelay.delivery.test_delivery import (
    account_keys,
    all_conversations,
    all_messages,
)
from tests.integration.mailrelay.delivery.test_what_is_stored import ORDER, buyers_mail, deliver
from tests.integration.mailrelay.reprocessing.test_reprocess import owner

__all__ = ["account_keys", "owner"]


def opened(conversations: Sequence[Conversation], keys: AccountKeys) -> list[str | None]:
    return [
        None
        if each.snippet is None or each.snippet_message_id is None
        else keys.open_text(Place("messages", "snippet", each.snippet_message_id), each.snippet)
        for each in conversations
    ]


async def test_a_conversation_shows_the_first_words_of_its_newest_message(
    delivery: Delivery, accept: Accept, sessions: Sessions, account_keys: AccountKeys
):
    first, second = await deliver(
        delivery, accept, buyers_mail("Wo ist sie?", order=ORDER), buyers_mail("Hallo?", order=ORDER)
    )
    after_two = opened(await all_conversations(sessions), account_keys)
    *_, third = await deliver(
        delivery, accept, buyers_mail("Danke,\r\n\r\nist da! " + "x" * 500, order=ORDER)
    )

    [conversation] = await all_conversations(sessions)
    assert first.conversation_id == second.conversation_id
    assert after_two == ["Hallo?"]
    assert conversation.snippet_message_id == third.id
    [snippet] = opened([conversation], account_keys)
    assert snippet == "Danke, ist da! " + "x" * 144 + "…"


async def test_an_older_mail_that_comes_late_does_not_take_the_newest_ones_place(
    delivery: Delivery, accept: Accept, sessions: Sessions, owner: Sessions, account_keys: AccountKeys
):
    late = await accept(buyers_mail("Wo ist sie?", order=ORDER))
    async with owner.begin() as session:
        waits = update(AcceptedMail).where(AcceptedMail.id == late)
        await session.execute(waits.values(next_attempt_at=AcceptedMail.next_attempt_at + timedelta(hours=1)))
    await deliver(delivery, accept, buyers_mail("Ist da!", order=ORDER))
    async with owner.begin() as session:
        due = update(AcceptedMail).where(AcceptedMail.id == late)
        await session.execute(due.values(next_attempt_at=AcceptedMail.accepted_at))
    await deliver_due(delivery)

    [conversation] = await all_conversations(sessions)
    assert conversation.message_count == 2
    assert opened([conversation], account_keys) == ["Ist da!"]


async def test_what_waits_in_quarantine_shows_its_own_words_only(
    delivery: Delivery, accept: Accept, accept_forged: Accept, sessions: Sessions, account_keys: AccountKeys
):
    await deliver(delivery, accept, buyers_mail("Wo ist sie?", order=ORDER))
    await accept_forged(buyers_mail("Bitte klicken Sie hier", order=ORDER))
    await deliver_due(delivery)

    conversations = await all_conversations(sessions)
    assert [each.status for each in conversations] == ["open", "quarantine"]
    assert opened(conversations, account_keys) == ["Wo ist sie?", "Bitte klicken Sie hier"]


async def test_a_mail_without_words_has_no_snippet(
    delivery: Delivery, accept: Accept, sessions: Sessions, account_keys: AccountKeys
):
    await deliver(delivery, accept, mail("not-a-mail"))
    [message] = await all_messages(sessions)
    text = account_keys.open_text(Place("messages", "body_text", message.id), message.body_text)

    assert text == ""
    assert opened(await all_conversations(sessions), account_keys) == [None]


@pytest.mark.parametrize("known", [True, False])
async def test_messages_from_before_there_were_snippets_get_theirs_from_reprocess(
    delivery: Delivery,
    accept: Accept,
    sessions: Sessions,
    owner: Sessions,
    account_keys: AccountKeys,
    *,
    known: bool,
):
    """Whether the conversation's own is that of a later mail, or has none yet."""
    await deliver(delivery, accept, buyers_mail("Wo ist sie?", order=ORDER))
    async with owner.begin() as session:
        await session.execute(update(Message).values(snippet=None, parser_version=2))
        await session.execute(update(Conversation).values(snippet=None, snippet_message_id=None))
    if known:
        await deliver(delivery, accept, buyers_mail("Ist da!", order=ORDER))
    again = Reprocessing(delivery.sessions, delivery.keyring, delivery.parser, delivery.blobs)

    report = await reprocess(again, dry_run=False, progress=lambda _: None)

    assert dict(report.fields) == {"snippet": 1}
    assert opened(await all_conversations(sessions), account_keys) == ["Ist da!" if known else "Wo ist sie?"]
    first, *_ = await all_messages(sessions)
    assert first.snippet is not None
    assert account_keys.open_text(Place("messages", "snippet", first.id), first.snippet) == "Wo ist sie?"
