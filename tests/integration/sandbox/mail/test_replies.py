"""Sellers' mails to buyers, as they come without a scenario: who may send, what is taken, and what the buyer has then."""

import asyncio
import hashlib
import smtplib
import ssl
from dataclasses import asdict
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import pytest

from services.sandbox.mail.passing_on import failure_reason
from services.sandbox.mail.received_replies import ReceivedReply
from services.sandbox.state.sellers import seeded_sellers
from tests.integration.sandbox.conftest import LAMPENLADEN, Mailbox, Seller, fixed_clock
from tests.integration.sandbox.replying import (
    SENDER,
    WAIT_SECONDS,
    approve,
    buyer_address,
    connection,
    replies,
    reply_to,
    send,
    traffic,
    trusting,
)
from tests.integration.sandbox.writing import enter, first_order, write


async def thread(seller: Seller, order: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (await seller.client.get(f"/control/threads/{order['order_id']}")).json()
    return messages


async def test_the_buyer_has_a_reply_from_an_approved_sender(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)
    mail = reply_to(order, files={"Größe L.pdf": b"%PDF-1.7"})

    answer = await send(smtp_port, mail)
    [reply] = await replies(seller)

    assert answer == "2.0.0 OK"
    assert reply["envelope"]["from"] == SENDER
    assert reply["envelope"]["to"] == buyer_address(order)
    assert (reply["state"], reply["reason"]) == ("shown", None)
    assert (reply["seller_id"], reply["country"], reply["order_id"]) == (LAMPENLADEN, "DE", order["order_id"])
    assert (reply["message_id"], reply["subject"]) == ("<reply-1@replyco.email>", "Re: Frage")
    assert (reply["tls"], reply["connection"]) == (None, 1)
    [file] = reply["files"]
    sha256 = hashlib.sha256(b"%PDF-1.7").hexdigest()
    assert (file["filename"], file["size"], file["sha256"]) == ("Größe L.pdf", 8, sha256)
    content = await seller.client.get(f"/control/replies/{reply['reply_id']}/files/0")
    assert content.content == b"%PDF-1.7"
    raw = await seller.client.get(f"/control/replies/{reply['reply_id']}/raw")
    assert hashlib.sha256(raw.content).hexdigest() == reply["sha256"]
    [message] = await thread(seller, order)
    assert (message["author"], message["text"].strip()) == (
        "seller_by_mail",
        "Die Lampe ist unterwegs. Grüße",
    )
    assert message["files"] == reply["files"]


async def test_the_registered_customer_service_address_may_send_without_approval(
    seller: Seller, smtp_port: int
) -> None:
    registered = {"country": "DE", "service_email": SENDER}
    await seller.client.post(f"/control/sellers/{LAMPENLADEN}/profile", json=registered)

    await send(smtp_port, reply_to(await first_order(seller)))
    await send(smtp_port, reply_to(await first_order(seller, "FR")))

    german, french = await replies(seller, 2)
    assert (german["state"], french["reason"]) == ("shown", "sender_not_approved")


async def test_a_sender_that_is_not_approved_gets_amazons_mail(
    seller: Seller, smtp_port: int, mailbox: Mailbox
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await approve(seller, approved=False)

    answer = await send(smtp_port, reply_to(order))
    [reply] = await replies(seller)
    [notice] = await mailbox.wait_for(1)

    assert answer == "2.0.0 OK"
    assert (reply["state"], reply["reason"]) == ("failed", "sender_not_approved")
    assert mailbox.envelopes[0].rcpt_tos == [SENDER]
    assert notice["from"] == "Amazon <donotreply@amazon.de>"
    assert "konnte nicht zugestellt werden" in notice["subject"]
    assert order["order_id"] in notice.get_content()
    assert SENDER in notice.get_content()
    assert (notice["in-reply-to"], notice["references"]) == (None, None)
    assert await thread(seller, order) == []


@pytest.mark.parametrize(
    ("envelope", "header"),
    [
        ("aaabbbccc+x@replyco.email", "aaabbbccc+x@replyco.email"),
        (SENDER, "someone@else.example"),
        ("someone@else.example", SENDER),
        (SENDER, f"{SENDER}, someone@else.example"),
        ("", SENDER),
    ],
)
async def test_envelope_and_from_are_the_approved_address_and_nothing_else(
    seller: Seller, smtp_port: int, envelope: str, header: str
) -> None:
    order = await first_order(seller)
    await approve(seller)
    mail = reply_to(order, sender=header)

    async with connection(smtp_port) as smtp:
        await smtp.sendmail(envelope, [buyer_address(order)], mail.as_bytes())

    [reply] = await replies(seller)
    assert (reply["state"], reply["reason"]) == ("failed", "sender_not_approved")


async def test_nobody_is_told_if_the_envelope_has_no_sender(
    seller: Seller, smtp_port: int, mailbox: Mailbox
) -> None:
    order = await first_order(seller)

    async with connection(smtp_port) as smtp:
        await smtp.sendmail("", [buyer_address(order)], reply_to(order).as_bytes())
    await replies(seller)
    await send(smtp_port, reply_to(order))  # a second one, whose notice would come after that of the first

    await mailbox.wait_for(1)
    assert (await seller.client.get("/control/counters")).json()["mails"]["made"] == 1


@pytest.mark.parametrize(("more", "reason"), [(0, None), (1, "too_large")])
async def test_files_have_ten_megabytes_together(more: int, reason: str | None) -> None:
    lampenladen = seeded_sellers()[0]
    lampenladen.set_permission("DE", SENDER, approved=True)
    files = {"a.pdf": b"a" * 5_000_000, "b.pdf": b"b" * (5_000_000 + more)}
    order = lampenladen.orders_in("DE")[0]
    raw = reply_to(asdict(order), files=files).as_bytes()
    reply = ReceivedReply(lampenladen, order, fixed_clock(), 1, None, SENDER, (), "", raw)

    assert failure_reason(reply, is_unwanted=False) == reason


@pytest.mark.parametrize("filename", ["list.zip", "program.exe", "page.html", "pdf", "photo.jpg.js", ""])
async def test_a_kind_of_file_that_amazon_does_not_take_comes_back(
    seller: Seller, smtp_port: int, mailbox: Mailbox, filename: str
) -> None:
    order = await first_order(seller)
    await approve(seller)

    await send(smtp_port, reply_to(order, files={"photo.JPG": b"1", filename: b"2"}))

    [reply] = await replies(seller)
    assert reply["reason"] == "attachment_refused"
    [notice] = await mailbox.wait_for(1)
    assert filename in notice.get_content()


async def test_an_address_of_no_buyer_is_refused_at_once(seller: Seller, smtp_port: int) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = SENDER, "nobodyknowsme1+tag@marketplace.amazon.de"

    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(smtp_port, mail)

    assert refused.value.recipients[0].code == 550
    assert (await traffic(seller))["commands_refused"] == {"RCPT 550": 1}


@pytest.mark.parametrize(
    "change", [str.upper, lambda address: address.replace(address.split("+")[1].split("@")[0], "x")]
)
async def test_the_buyer_is_found_without_regard_to_case_and_tag(
    seller: Seller, smtp_port: int, change: Any
) -> None:
    order = await first_order(seller)
    await approve(seller)

    async with connection(smtp_port) as smtp:
        await smtp.sendmail(SENDER, [change(buyer_address(order))], reply_to(order).as_bytes())

    [reply] = await replies(seller)
    assert (reply["order_id"], reply["state"]) == (order["order_id"], "shown")


async def test_other_mail_is_kept_in_the_inbox_and_is_no_reply(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)

    async with connection(smtp_port) as smtp:
        await smtp.sendmail(SENDER, [buyer_address(order), "ada@shop.example"], reply_to(order).as_bytes())

    [reply] = await replies(seller)
    [other] = (await seller.client.get("/control/inbox")).json()
    assert reply["envelope"]["to"] == buyer_address(order)
    assert other["envelope"]["to"] == ["ada@shop.example"]


async def test_confirmation_goes_to_the_addresses_for_confirmations(
    seller: Seller, smtp_port: int, mailbox: Mailbox
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await send(smtp_port, reply_to(order))
    await replies(seller)
    entry = {"country": "DE", "address": SENDER, "notification": "confirmations"}
    await seller.client.post(f"/control/sellers/{LAMPENLADEN}/notification-addresses", json=entry)

    await send(smtp_port, reply_to(order, text="Noch etwas."))
    [notice] = await mailbox.wait_for(1)

    assert notice["subject"] == f"Ihre Nachricht wurde gesendet (Bestellung {order['order_id']})"
    assert order["order_id"] in notice.get_content()
    assert "Noch etwas." in notice.get_content()
    [made] = (await seller.client.get("/control/mails")).json()
    assert (made["kind"], made["to"]) == ("confirmation", SENDER)


async def test_the_buyers_answer_is_in_the_thread(seller: Seller, smtp_port: int, mailbox: Mailbox) -> None:
    order = await first_order(seller)
    await approve(seller)
    await enter(seller)
    asked = (await write(seller, order, text="Wo ist sie?")).json()["mails"][0]["message_id"]
    await send(smtp_port, reply_to(order))
    await replies(seller)

    await write(seller, order, text="Danke!")
    await write(seller, order, text="Etwas anderes", answering=False)

    question, answer, other = await mailbox.wait_for(3)
    assert answer["in-reply-to"] == "<reply-1@replyco.email>"
    assert answer["references"] == f"<{asked}> <reply-1@replyco.email>"
    assert answer["from"] == question["from"]
    assert (question["in-reply-to"], other["in-reply-to"]) == (None, None)
    authors = [message["author"] for message in await thread(seller, order)]
    assert authors == ["buyer", "seller_by_mail", "buyer", "buyer"]


async def test_tls_is_offered_with_a_certificate_that_can_be_checked(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)

    await send(smtp_port, reply_to(order), start_tls=True, tls_context=await trusting(seller))
    with pytest.raises(ssl.SSLCertVerificationError):
        await send(smtp_port, reply_to(order), start_tls=True)

    [reply] = await replies(seller)
    assert reply["tls"] == "TLSv1.3"
    assert (await traffic(seller))["tls_connections"] == 1


async def test_each_mail_is_counted_by_connection_and_message_id(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)

    async with connection(smtp_port) as smtp:
        for number in (1, 2, 2):
            await smtp.send_message(reply_to(order, message_id=f"<r{number}@replyco.email>"))
    await send(smtp_port, reply_to(order, message_id="<r3@replyco.email>"))

    counted = await traffic(seller)
    assert (counted["connections"], counted["taken"], counted["answers"]) == (2, 4, {"250": 4})
    assert counted["taken_by_connection"] == {"1": 3, "2": 1}
    assert counted["taken_by_message_id"] == {
        "<r1@replyco.email>": 1,
        "<r2@replyco.email>": 2,
        "<r3@replyco.email>": 1,
    }
    assert [one["message_id"] for one in counted["transactions"]][-1] == "<r3@replyco.email>"
    found = await replies(seller, 2, message_id="r2@replyco.email", brief=True)
    assert {reply["connection"] for reply in found} == {1}

    await seller.client.post("/control/reset")
    assert (await traffic(seller))["taken"] == 0
    assert (await seller.client.get("/control/replies")).json() == []


async def test_a_client_of_the_standard_library_is_understood_too(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)
    context = await trusting(seller)

    def send_mail() -> None:
        with smtplib.SMTP("127.0.0.1", smtp_port, timeout=WAIT_SECONDS) as smtp:
            smtp.starttls(context=context)
            smtp.send_message(reply_to(order))

    await asyncio.to_thread(send_mail)

    [reply] = await replies(seller)
    assert (reply["state"], reply["tls"]) == ("shown", "TLSv1.3")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n\r\n",
        b"no header at all\r\n",
        b"From: \xff\x00 <>\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n",
        b"From: =?utf-8?q?=FF?= <a@b.de\r\nContent-Type: text/plain; charset=no-such\r\n\r\n\xff\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\r\n--x--\r\n",
    ],
)
async def test_what_is_no_mail_holds_up_nothing(seller: Seller, smtp_port: int, raw: bytes) -> None:
    order = await first_order(seller)
    await approve(seller)

    async with connection(smtp_port) as smtp:
        await smtp.sendmail(SENDER, [buyer_address(order)], raw)
        await smtp.send_message(reply_to(order))

    broken, right = await replies(seller, 2)
    assert (broken["reason"], right["state"]) == ("sender_not_approved", "shown")


async def test_a_hundred_replies_on_one_connection_come_in_order(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)

    async with connection(smtp_port) as smtp:
        for number in range(100):
            await smtp.send_message(reply_to(order, message_id=f"<{number}@replyco.email>"))

    found = await replies(seller, 100, brief=True)
    assert [reply["message_id"] for reply in found] == [f"<{number}@replyco.email>" for number in range(100)]
    assert {reply["connection"] for reply in found} == {1}
    assert (await traffic(seller, 100))["taken_by_connection"] == {"1": 100}
