"""Replies on their way: claimed, sent, and what comes of it."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

from services.mailrelay.outbound.sending import ReplySender
from tests.integration.mailrelay.outbound.conftest import ORDER, Shop, send_all
from tests.integration.mailrelay.outbound.peer import Peer


async def test_a_reply_that_is_due_is_handed_over(sender: ReplySender, shop: Shop, peer: Peer):
    question = await shop.question()
    reply = await shop.reply(question, text="Grüße, sie kommt morgen.")

    await send_all(sender)

    [taken] = peer.mails
    mail = message_from_bytes(taken.raw, policy=policy.default)
    assert (taken.sender, taken.recipient) == (
        shop.sender_address, "k3x9example0abc+A2TAGOFTHETHREAD@marketplace.amazon.de"
    )  # fmt: skip
    assert mail["From"] == shop.sender_address
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
    assert row.data_sent_at is not None
    assert row.handed_over_at is not None
    assert row.claimed_until is None


async def test_what_is_not_due_yet_waits(sender: ReplySender, shop: Shop, peer: Peer):
    reply = await shop.reply(await shop.question(), due_at=datetime.now(UTC) + timedelta(hours=1))

    await send_all(sender)

    assert peer.mails == []
    assert (await shop.row(reply)).state == "queued"
