"""Which reply goes first, who has it in hand, and what becomes of it when its worker dies."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, update

from services.mailrelay.outbound import queue
from services.mailrelay.outbound.queue import Claim, Room
from services.mailrelay.outbound.sending import ReplySender
from shared.tables import OutboundMessage, ReplyFailure
from tests.integration.mailrelay.outbound.conftest import Senders, Shop, send_all, send_once
from tests.integration.mailrelay.outbound.peer import HANG_UP, Peer

NOW = datetime.now(UTC)
EARLIER, LATER = NOW - timedelta(minutes=2), NOW + timedelta(hours=2)
ROOM = Room(most=10, of_platform=10, of_store=10, busy=[])


async def claimed(senders: Senders, room: Room = ROOM) -> list[Claim]:
    async with senders.sessions.begin() as session:
        return await queue.claim(session, room, now=senders.clock(), lease=timedelta(seconds=30))


async def claimed_ids(senders: Senders, room: Room = ROOM) -> list[UUID]:
    return [claim.id for claim in await claimed(senders, room)]


@pytest.mark.parametrize(
    ("first", "second", "goes"),
    [
        # Written one after the other: the earlier one, alone.
        ({"due_at": EARLIER}, {"due_at": EARLIER}, "first"),
        # A reply for tomorrow holds up none of today.
        ({"state": "scheduled", "due_at": LATER}, {"due_at": EARLIER}, "second"),
        # Due now at its time, it goes before what was written meanwhile.
        ({"state": "scheduled", "due_at": EARLIER}, {"due_at": NOW}, "first"),
        # What waits for its next attempt holds up the next one, also when that was due before.
        ({"state": "delayed", "first_attempt_at": EARLIER, "due_at": LATER}, {"due_at": EARLIER}, None),
        ({"due_at": EARLIER}, {"state": "delayed", "first_attempt_at": EARLIER, "due_at": NOW}, "second"),
        # Being sent.
        ({"state": "sending", "claimed_until": LATER, "due_at": NOW}, {"due_at": EARLIER}, None),
        # Two that were tried, of conversations that were merged: the one that was tried first.
        (
            {"state": "delayed", "first_attempt_at": NOW, "due_at": EARLIER},
            {"state": "delayed", "first_attempt_at": EARLIER, "due_at": EARLIER},
            "second",
        ),
        *(
            # What has ended holds up nothing.
            ({"state": state, "due_at": EARLIER} | columns, {"due_at": EARLIER}, "second")
            for state, columns in (
                ("failed", {"failure": ReplyFailure.UNKNOWN.value}),
                ("perhaps_sent", {}),
                ("handed_over", {}),
                ("confirmed", {}),
                ("canceled", {}),
            )
        ),
    ],
)
async def test_in_a_conversation_one_goes_after_the_other(
    senders: Senders, shop: Shop, first: dict[str, Any], second: dict[str, Any], goes: str | None
):
    question = await shop.question()
    ids = {"first": await shop.reply(question, **first), "second": await shop.reply(question, **second)}

    assert await claimed_ids(senders) == ([] if goes is None else [ids[goes]])


async def test_other_conversations_wait_for_nobody(senders: Senders, shop: Shop):
    held = await shop.question()
    await shop.reply(held, state="delayed", due_at=LATER, first_attempt_at=EARLIER)
    await shop.reply(held)
    others = [await shop.reply(await shop.question(), due_at=NOW - timedelta(seconds=n)) for n in (1, 3, 2)]

    # What is due longest goes first.
    assert await claimed_ids(senders) == [others[1], others[2], others[0]]


async def test_two_workers_never_have_the_same_reply(senders: Senders, shop: Shop):
    replies = {await shop.reply(await shop.question()) for _ in range(12)}

    both = await asyncio.gather(*(claimed_ids(senders, ROOM._replace(most=8)) for _ in range(2)))

    assert sorted(both[0] + both[1]) == sorted(set(both[0] + both[1]))
    assert set(both[0] + both[1] + await claimed_ids(senders)) == replies


async def test_replies_of_a_conversation_arrive_in_order_whatever_happens(
    sender: ReplySender, senders: Senders, shop: Shop, peer: Peer
):
    question = await shop.question()
    replies = [await shop.reply(question) for _ in range(5)]
    peer.answers["RCPT"] = ["450 4.2.1 later", "250 ok", "451 4.3.0 later"]

    for _ in range(4):
        await send_all(sender)
        senders.clock.ahead += timedelta(minutes=2)

    assert [mail.raw.partition(b"Message-ID: <")[2][:32].decode() for mail in peer.mails] == [
        reply.hex for reply in replies
    ]


async def test_after_an_hour_without_a_smarthost_all_arrive_once_and_in_order(
    senders: Senders, shop: Shop, peer: Peer
):
    """The clock is moved to each time at which something is due."""
    server, replies = peer.server(), []
    for _ in range(5):
        question = await shop.question()
        replies.append([await shop.reply(question) for _ in range(3)])
    peer.always["greeting"] = HANG_UP
    sender = senders(server)
    async with asyncio.timeout(50):
        while any(row.state != "handed_over" for row in await shop.rows()):
            if senders.clock.ahead > timedelta(hours=1):
                peer.always.clear()
            await send_all(sender)
            waiting = [row.due_at for row in await shop.rows() if row.state in {"queued", "delayed"}]
            senders.clock.ahead = max(
                senders.clock.ahead,
                max((due_at - datetime.now(UTC) for due_at in waiting), default=timedelta(0)),
            )

    assert timedelta(hours=1) < senders.clock.ahead < timedelta(hours=2)
    arrived = [UUID(hex=mail.raw.partition(b"Message-ID: <")[2][:32].decode()) for mail in peer.mails]
    assert len(arrived) == len(set(arrived)) == 15
    for of_conversation in replies:
        assert [reply for reply in arrived if reply in of_conversation] == of_conversation


async def end_claims(shop: Shop, **columns: Any) -> None:
    async with shop.sessions.begin() as session:
        await session.execute(
            update(OutboundMessage)
            .where(OutboundMessage.state == "sending")
            .values(claimed_until=func.now() - timedelta(seconds=1), **columns)
        )


async def test_a_worker_that_died_before_the_dot_has_sent_nothing(senders: Senders, shop: Shop, peer: Peer):
    reply = await shop.reply(await shop.question())
    await claimed(senders)
    await end_claims(shop)
    other = senders(peer.server())

    await other.recover()
    assert ((await shop.row(reply)).state, (await shop.row(reply)).attempts) == ("delayed", 1)
    await send_all(other)

    assert (await shop.row(reply)).state == "handed_over"
    assert len(peer.mails) == 1


async def test_a_worker_that_died_after_the_dot_has_perhaps_sent_it(senders: Senders, shop: Shop, peer: Peer):
    reply = await shop.reply(await shop.question())
    await claimed(senders)
    await end_claims(shop, data_sent_at=func.now())
    other = senders(peer.server())

    await other.recover()
    await send_all(other)

    assert (await shop.row(reply)).state == "perhaps_sent"
    assert peer.mails == []


async def test_a_claim_that_is_alive_is_nobody_elses(senders: Senders, shop: Shop, peer: Peer):
    reply = await shop.reply(await shop.question())
    await claimed(senders)

    await senders(peer.server()).recover()

    assert (await shop.row(reply)).state == "sending"


async def test_a_reply_that_kills_its_workers_is_tried_less_and_less_and_then_given_up(
    senders: Senders, shop: Shop, peer: Peer
):
    reply = await shop.reply(await shop.question())
    waits = []
    async with asyncio.timeout(30):
        while (row := await shop.row(reply)).state != "failed":
            waits.append(row.due_at - senders.clock())
            senders.clock.ahead = max(row.due_at - datetime.now(UTC), senders.clock.ahead)
            assert await claimed_ids(senders) == [reply]
            await end_claims(shop)
            await senders(peer.server()).recover()

    assert row.failure == "temporary"
    assert len(waits) < 40
    assert waits[2] < timedelta(seconds=1) < waits[6] < waits[9]


async def test_who_has_lost_the_claim_sends_no_dot(senders: Senders, shop: Shop, peer: Peer):
    """A worker that was stopped for minutes wakes up with the mail half sent: another one has the reply by then."""
    first, second = senders(peer.server()), senders(peer.server())
    reply = await shop.reply(await shop.question())
    peer.go_on["DATA"] = asyncio.Event()
    sending = asyncio.create_task(send_once(first))
    await peer.reached["DATA"].wait()

    await end_claims(shop)
    await second.recover()
    peer.go_on["DATA"].set()
    await sending
    assert peer.mails == []
    await send_all(second)

    assert (await shop.row(reply)).state == "handed_over"
    assert len(peer.mails) == 1


async def test_a_word_of_the_server_that_is_stored_late_still_counts(
    senders: Senders, shop: Shop, peer: Peer
):
    first, second = senders(peer.server()), senders(peer.server())
    reply = await shop.reply(await shop.question())
    peer.go_on["end"] = asyncio.Event()
    sending = asyncio.create_task(send_once(first))
    await peer.reached["end"].wait()

    await end_claims(shop)
    await second.recover()
    assert (await shop.row(reply)).state == "perhaps_sent"
    peer.go_on["end"].set()
    await sending

    assert (await shop.row(reply)).state == "handed_over"


async def test_a_late_word_says_nothing_of_the_next_round(senders: Senders, shop: Shop, peer: Peer):
    first, second = senders(peer.server()), senders(peer.server())
    reply = await shop.reply(await shop.question())
    peer.go_on["end"] = asyncio.Event()
    sending = asyncio.create_task(send_once(first))
    await peer.reached["end"].wait()
    await end_claims(shop)
    await second.recover()

    async with shop.sessions.begin() as session:  # an agent sends it again
        await session.execute(
            update(OutboundMessage).values(state="queued", round=2, attempts=0, first_attempt_at=None)
        )
    peer.answers["end"].append(HANG_UP)
    peer.go_on["end"].set()
    await sending

    row = await shop.row(reply)
    assert (row.state, row.round) == ("queued", 2)


async def test_claims_are_kept_alive_as_long_as_a_reply_is_in_hand(senders: Senders, shop: Shop, peer: Peer):
    # Renewed four times while it lasts.
    lease = timedelta(seconds=2)
    sender, other = senders(peer.server(), lease=lease), senders(peer.server(), lease=lease)
    reply = await shop.reply(await shop.question())
    peer.go_on["end"], stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    await peer.reached["end"].wait()
    claimed_until = (await shop.row(reply)).claimed_until
    assert claimed_until is not None

    async with asyncio.timeout(60):
        while ((await shop.row(reply)).claimed_until or NOW) < claimed_until + lease:
            await other.recover()
            await asyncio.sleep(0.1)
    peer.go_on["end"].set()
    stop.set()
    await running

    assert (await shop.row(reply)).state == "handed_over"


async def test_no_way_takes_more_than_its_share_and_a_busy_one_nothing(
    senders: Senders, shop: Shop, own_shop: Shop
):
    """A server that hangs holds up the replies of its store, and of no other."""
    own = [await own_shop.reply(await own_shop.question(), due_at=EARLIER) for _ in range(3)]
    replies = [await shop.reply(await shop.question(), due_at=EARLIER) for _ in range(6)]
    room = Room(most=10, of_platform=2, of_store=1, busy=[])

    assert await claimed_ids(senders, room) == [own[0], *replies[:2]]
    assert await claimed_ids(senders, room._replace(of_platform=0)) == [own[1]]
    assert await claimed_ids(senders, room._replace(busy=[own_shop.integration.id])) == replies[2:4]
