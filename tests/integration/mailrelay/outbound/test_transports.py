"""The ways on which replies leave: connections that are used again, within bounds, and what each server offers."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from services.mailrelay.outbound.transports import Bounds, Outgoing, Transport
from shared.outgoing.connections import OutgoingConnections
from shared.outgoing.smtp import SmtpSession, open_session
from shared.tables import Conversation, JobRow, OutboundMessage, SmtpConfiguration
from tests.factories import make_reply, make_reply_file
from tests.integration.connector.smtp.conftest import (
    PASSWORD,
    SENDER,
    USER,
    SellersServer,
    sellers_server,
    sellers_tls_server,
)
from tests.integration.mailrelay.outbound.conftest import Senders, Shop, give_own_server, send_all, send_once
from tests.integration.mailrelay.outbound.peer import HANG_UP, STALL, Peer, listening
from tests.integration.shared.outgoing.conftest import HOST, Names, certificate, names, outgoing

__all__ = ["certificate", "names", "outgoing", "sellers_server", "sellers_tls_server"]

ONE = Bounds(connections=1, mails_per_second=10_000)


async def replies(shop: Shop, count: int) -> None:
    for _ in range(count):
        await shop.reply(await shop.question())


async def states(shop: Shop) -> set[str]:
    return {row.state for row in await shop.rows()}


async def test_one_connection_takes_many_replies(senders: Senders, shop: Shop, peer: Peer):
    await replies(shop, 8)

    await send_all(senders(peer.server(), bounds=ONE))

    assert (len(peer.mails), peer.connections) == (8, 1)


async def test_no_more_connections_are_open_than_may_be(senders: Senders, shop: Shop, peer: Peer):
    await replies(shop, 12)

    await send_all(senders(peer.server(), bounds=Bounds(connections=3, mails_per_second=10_000)))

    assert len(peer.mails) == 12
    assert peer.most_open <= 3


async def test_a_connection_is_left_after_so_many_mails(senders: Senders, shop: Shop, peer: Peer):
    await replies(shop, 7)
    bounds = Bounds(connections=1, mails_per_second=10_000, mails_per_connection=3)

    await send_all(senders(peer.server(), bounds=bounds))

    assert (len(peer.mails), peer.connections) == (7, 3)
    assert [mail.connection for mail in peer.mails] == [1, 1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize("how", ["hung up unseen", "421"])
async def test_a_connection_that_the_server_has_left_is_replaced_and_no_attempt(
    senders: Senders, shop: Shop, peer: Peer, how: str
):
    sender = senders(peer.server(), bounds=ONE)
    await replies(shop, 1)
    await send_all(sender)

    peer.answers["MAIL"].append(HANG_UP if how == "hung up unseen" else "421 4.4.2 timeout")
    await replies(shop, 1)
    await send_all(sender)

    assert peer.connections == 2
    assert {(row.state, row.attempts) for row in await shop.rows()} == {("handed_over", 1)}


async def test_an_idle_connection_is_left(senders: Senders, shop: Shop, peer: Peer):
    sender = senders(peer.server(), bounds=Bounds(1, 10_000, idle_seconds=0.0))
    await replies(shop, 1)
    await send_all(sender)
    upkeep = asyncio.create_task(sender.keep_up())

    async with asyncio.timeout(60):
        await peer.reached["QUIT"].wait()
    upkeep.cancel()


async def test_a_way_that_is_retired_keeps_no_connection_that_was_in_use(peer: Peer):
    async def connect() -> SmtpSession:
        tls = ssl.create_default_context()
        return await open_session(peer.server(), hello_name="mx1.replyco.email", tls_context=tls)

    async def compose(eight_bit: bool) -> bytes:
        return b"Subject: x\r\n\r\nx\r\n"

    async def nothing() -> None:
        """Nobody has to know when the dot comes."""

    way = Transport(connect, ONE)
    peer.go_on["end"] = asyncio.Event()
    giving = asyncio.create_task(way.give(Outgoing("a@replyco.email", "b@peer.example", compose, nothing)))
    await peer.reached["end"].wait()

    way.retire()
    assert not peer.left.is_set()
    peer.go_on["end"].set()
    await giving

    await asyncio.wait_for(peer.left.wait(), 10)
    assert way.is_idle


async def test_mails_are_given_no_faster_than_the_rate(senders: Senders, shop: Shop, peer: Peer):
    await replies(shop, 5)
    loop = asyncio.get_running_loop()
    began = loop.time()

    await send_all(senders(peer.server(), bounds=Bounds(connections=4, mails_per_second=20)))

    assert len(peer.mails) == 5
    assert loop.time() - began >= 4 / 20


async def test_a_server_that_is_away_is_not_asked_for_each_who_waits(
    senders: Senders, shop: Shop, peer: Peer
):
    await replies(shop, 20)
    peer.always["greeting"] = "421 4.3.2 away"

    await send_once(senders(peer.server(), bounds=ONE))

    # Who has begun to wait before the failure learns of it with whoever met it.
    assert peer.connections < 20
    assert await states(shop) == {"delayed"}


async def test_a_mail_that_the_server_says_is_too_large_is_not_begun(
    senders: Senders, shop: Shop, peer: Peer
):
    peer.always["EHLO"] = "250-peer.example\r\n250 SIZE 200"
    await replies(shop, 1)

    await send_all(senders(peer.server()))

    [row] = await shop.rows()
    assert (row.state, row.failure) == ("failed", "too_large")
    assert not [command for command in peer.commands if command.startswith("MAIL")]


async def test_a_size_that_no_number_holds_is_no_bound(senders: Senders, shop: Shop, peer: Peer):
    peer.always["EHLO"] = f"250-peer.example\r\n250 SIZE {'9' * 5_000}"
    await replies(shop, 1)

    await send_all(senders(peer.server()))

    assert await states(shop) == {"handed_over"}


async def test_a_server_that_answers_twice_is_not_believed_for_the_next_mail(
    senders: Senders, shop: Shop, peer: Peer
):
    await replies(shop, 2)
    peer.answers["end"].append("250 2.0.0 taken\r\n250 2.0.0 taken")
    sender = senders(peer.server(), bounds=ONE)

    await send_all(sender)
    assert await states(shop) == {"handed_over", "delayed"}
    senders.clock.ahead += timedelta(minutes=1)
    await send_all(sender)

    assert await states(shop) == {"handed_over"}
    assert (len(peer.mails), peer.connections) == (2, 2)


@pytest.mark.parametrize(
    ("offers", "encoding", "options"),
    [
        ("250-peer.example\r\n250-SIZE 100000\r\n250 8BITMIME", b"8bit", {"SIZE", "BODY"}),
        ("250-peer.example\r\n250 8BITMIME", b"8bit", {"BODY"}),
        ("250 peer.example", b"quoted-printable", set()),
    ],
)
async def test_what_the_server_offers_is_used(  # noqa: PLR0917 - three of them are fixtures
    senders: Senders, shop: Shop, peer: Peer, offers: str, encoding: bytes, options: set[str]
):
    peer.always["EHLO"] = offers
    await shop.reply(await shop.question(), text="Grüße")

    await send_all(senders(peer.server()))

    [mail] = peer.mails
    assert b"Content-Transfer-Encoding: " + encoding in mail.raw
    [command] = [command for command in peer.commands if command.startswith("MAIL")]
    assert {word.partition("=")[0] for word in command.split()[2:]} == options
    if "SIZE" in options:
        assert f"SIZE={len(mail.raw)}" in command


@pytest.mark.parametrize("text", [".", "..", "a\n.\nb", ".\n.\n.", "From me\n.end", "x" * 3000, ""])
async def test_dots_arrive_as_they_were_written(senders: Senders, shop: Shop, peer: Peer, text: str):
    await shop.reply(await shop.question(), text=text)

    await send_all(senders(peer.server()))

    [mail] = peer.mails
    assert await states(shop) == {"handed_over"}
    assert b"\r\n.\r\n" not in mail.raw


async def test_a_stores_server_that_hangs_holds_up_no_other_stores_files(
    senders: Senders, shop: Shop, own_shop: Shop, peer: Peer, outgoing: OutgoingConnections
):
    hanging = Peer(always={"greeting": STALL})
    async with listening(hanging):
        async with own_shop.sessions.begin() as session:
            await session.execute(update(SmtpConfiguration).values(host=HOST, port=hanging.port))
        for each in [own_shop] * 4 + [shop]:
            question = await each.question()
            async with each.sessions.begin() as session:
                conversation = await session.get_one(Conversation, question.conversation_id)
                reply = await make_reply(session, each.keyring, question)
                await make_reply_file(
                    session, each.keyring, conversation, reply=reply, content=b"%PDF-1.7" + bytes(300_000)
                )
        sender = senders(peer.server(), outgoing=outgoing)

        await sender.send_due()
        await peer.until_mails(1)

        assert len(peer.mails) == 1
        await sender.close()


@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_a_stores_own_server_takes_its_replies(  # noqa: PLR0917 - fixtures
    senders: Senders,
    shop: Shop,
    peer: Peer,
    outgoing: OutgoingConnections,
    sellers_server: SellersServer,
    sellers_tls_server: SellersServer,
    mode: str,
):
    server = sellers_server if mode == "starttls" else sellers_tls_server
    await give_own_server(shop, **configuration(server), tls_mode=mode)
    reply = await shop.reply(await shop.question())

    await send_all(senders(peer.server(), outgoing=outgoing))

    row = await shop.row(reply)
    assert (row.state, row.transport, row.sent_from) == ("handed_over", "own", SENDER)
    assert (server.mails, server.senders, peer.connections) == (1, [SENDER], 0)


@pytest.mark.parametrize("wrong", ["password", "sender_address"])
async def test_a_stores_own_server_that_refuses_it_is_told_and_so_is_the_lock(  # noqa: PLR0917 - fixtures
    senders: Senders,
    shop: Shop,
    peer: Peer,
    outgoing: OutgoingConnections,
    sellers_server: SellersServer,
    wrong: str,
):
    await give_own_server(shop, **configuration(sellers_server) | {wrong: "other@seller.example"})
    reply = await shop.reply(await shop.question())

    await send_all(senders(peer.server(), outgoing=outgoing))

    row = await shop.row(reply)
    assert (row.state, row.failure) == ("failed", "smtp_refused")
    assert await shop.server_words(reply)
    stored = await the_configuration(shop)
    assert None not in (stored.refused_since, stored.refused_at)
    assert "recompute_lock" in await jobs(shop)


async def test_what_is_sent_next_clears_the_refusal(
    senders: Senders, shop: Shop, peer: Peer, outgoing: OutgoingConnections, sellers_server: SellersServer
):
    now = datetime.now(UTC)
    await give_own_server(shop, **configuration(sellers_server), refused_since=now, refused_at=now)
    await shop.reply(await shop.question())

    await send_all(senders(peer.server(), outgoing=outgoing))

    stored = await the_configuration(shop)
    assert (stored.refused_since, stored.refused_at) == (None, None)
    assert "recompute_lock" in await jobs(shop)


@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_a_certificate_of_another_name_gets_no_password_and_no_mail(  # noqa: PLR0917 - fixtures
    senders: Senders,
    shop: Shop,
    peer: Peer,
    names: Names,
    outgoing: OutgoingConnections,
    sellers_server: SellersServer,
    sellers_tls_server: SellersServer,
    mode: str,
):
    names.say("other.seller.example", ["127.0.0.1"])
    server = sellers_server if mode == "starttls" else sellers_tls_server
    await give_own_server(shop, **configuration(server) | {"host": "other.seller.example", "tls_mode": mode})
    reply = await shop.reply(await shop.question())

    await send_all(senders(peer.server(), outgoing=outgoing))

    assert (await shop.row(reply)).state == "delayed"
    assert server.senders == []
    assert "certificate" in (await shop.server_words(reply) or "").lower() or "mismatch" in (
        await shop.server_words(reply) or ""
    )


async def test_a_name_that_leads_inside_is_never_connected_to(
    senders: Senders, shop: Shop, peer: Peer, names: Names
):
    """The seller's entry was checked when it was made; what the name says now is checked anew."""
    await give_own_server(shop, host=HOST, port=peer.port)
    reply = await shop.reply(await shop.question())
    strict = OutgoingConnections(resolve=names.resolve)

    await send_all(senders(None, outgoing=strict))

    assert (await shop.row(reply)).state == "delayed"
    assert peer.connections == 0


async def test_a_changed_password_is_used_at_once(
    senders: Senders, shop: Shop, peer: Peer, outgoing: OutgoingConnections, sellers_server: SellersServer
):
    sender = senders(peer.server(), outgoing=outgoing)
    await give_own_server(shop, **configuration(sellers_server) | {"password": "wrong"})
    await shop.reply(await shop.question())
    await send_all(sender)
    async with shop.sessions.begin() as session:
        await session.delete(await session.get_one(SmtpConfiguration, shop.integration.id))
    await give_own_server(shop, **configuration(sellers_server))
    async with shop.sessions.begin() as session:
        await session.execute(update(OutboundMessage).values(state="queued", failure=None, round=2))

    await send_all(sender)

    assert await states(shop) == {"handed_over"}


def configuration(server: SellersServer) -> dict[str, Any]:
    return {
        "host": HOST,
        "port": server.port,
        "username": USER,
        "password": PASSWORD,
        "sender_address": SENDER,
    }


async def the_configuration(shop: Shop) -> SmtpConfiguration:
    async with shop.sessions() as session:
        return await session.get_one(SmtpConfiguration, shop.integration.id)


async def jobs(shop: Shop) -> set[str]:
    async with shop.sessions() as session:
        return set(await session.scalars(select(JobRow.kind)))
