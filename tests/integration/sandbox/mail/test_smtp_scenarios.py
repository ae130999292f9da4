"""What can go wrong with Amazon's mail server while it takes a reply."""

import asyncio
import smtplib
from typing import Any

import aiosmtplib
import pytest

from tests.integration.sandbox.conftest import CASA_VERDE, LAMPENLADEN, Seller
from tests.integration.sandbox.replying import (
    SENDER,
    approve,
    buyer_address,
    connection,
    replies,
    reply_to,
    send,
    traffic,
    trusting,
)
from tests.integration.sandbox.scenarios import on
from tests.integration.sandbox.writing import first_order


async def refused(port: int, order: dict[str, Any]) -> str:
    """What the server says to a reply that it does not take."""
    try:
        await send(port, reply_to(order))
    except aiosmtplib.SMTPRecipientsRefused as error:
        return f"{error.recipients[0].code} {error.recipients[0].message}"
    except aiosmtplib.SMTPResponseException as error:
        return f"{error.code} {error.message}"
    return "taken"


@pytest.mark.parametrize("step", ["sender", "recipient", "mail"])
async def test_refused_at_each_step_with_words_of_the_scenario(
    seller: Seller, smtp_port: int, step: str
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, f"smtp-refuses-{step}", words="554 5.2.3 No such luck", count=1)

    assert await refused(smtp_port, order) == "554 5.2.3 No such luck"
    assert await refused(smtp_port, order) == "taken"

    await on(seller, f"smtp-refuses-{step}")
    assert await refused(smtp_port, order) == "550 5.7.1 Message rejected"
    await replies(seller, 1)


@pytest.mark.parametrize("step", ["sender", "recipient", "mail"])
async def test_deferred_a_number_of_times_then_taken(seller: Seller, smtp_port: int, step: str) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, f"smtp-defers-{step}", count=3)

    answers = [await refused(smtp_port, order) for _ in range(4)]

    assert [answer[:9] for answer in answers] == ["451 4.3.0"] * 3 + ["taken"]
    [reply] = await replies(seller, 1)
    assert reply["connection"] == 4


@pytest.mark.parametrize("step", ["sender", "recipient", "mail"])
async def test_one_sellers_scenario_leaves_the_others(seller: Seller, smtp_port: int, step: str) -> None:
    await approve(seller)
    await approve(seller, "other@replyco.email", "ES", seller_id=CASA_VERDE)
    spanish = await first_order(seller, "ES", CASA_VERDE)
    await on(seller, f"smtp-refuses-{step}", seller_id=LAMPENLADEN)

    assert await refused(smtp_port, await first_order(seller)) == "550 5.7.1 Message rejected"
    assert await send(smtp_port, reply_to(spanish, sender="other@replyco.email")) == "2.0.0 OK"


@pytest.mark.parametrize("words", ["250 2.0.0 OK", "550", "550 a\r\nb", "5xx words", ""])
async def test_words_are_one_line_that_refuses(seller: Seller, words: str) -> None:
    answer = await seller.client.post("/control/scenarios/smtp-refuses-mail", json={"words": words})

    assert answer.status_code == 422


async def test_starttls_can_be_demanded(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, "smtp-requires-tls")

    assert (await refused(smtp_port, order)).startswith("530 5.7.0")
    await send(smtp_port, reply_to(order), start_tls=True, tls_context=await trusting(seller))

    [reply] = await replies(seller)
    assert reply["tls"] is not None


async def test_starttls_can_be_missing(seller: Seller, smtp_port: int) -> None:
    await on(seller, "smtp-without-tls", count=1)

    async with connection(smtp_port) as smtp:
        await smtp.ehlo()
        assert not smtp.supports_extension("starttls")
    async with connection(smtp_port) as smtp:
        await smtp.ehlo()
        assert smtp.supports_extension("starttls")


async def test_connection_can_be_closed_before_the_greeting(seller: Seller, smtp_port: int) -> None:
    await on(seller, "smtp-closes", count=1)

    with pytest.raises(aiosmtplib.SMTPConnectError):
        await connection(smtp_port).connect()
    async with connection(smtp_port) as smtp:
        assert (await smtp.noop()).code == 250


@pytest.mark.parametrize(("how", "taken"), [("after-taking", 1), ("without-taking", 0)])
async def test_connection_closed_at_the_final_dot(
    seller: Seller, smtp_port: int, how: str, taken: int
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, f"smtp-closes-{how}", count=1)

    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(smtp_port, reply_to(order))
    await send(smtp_port, reply_to(order, message_id="<second@replyco.email>"))
    await replies(seller, taken + 1)

    counted = await traffic(seller)
    assert counted["taken_by_message_id"].get("<reply-1@replyco.email>", 0) == taken
    assert [(one["is_taken"], one["answer"]) for one in counted["transactions"]] == [
        (bool(taken), None),
        (True, "250 2.0.0 OK"),
    ]


@pytest.mark.parametrize(("how", "code", "taken"), [("after-taking", 250, 1), ("without-taking", 451, 0)])
async def test_final_dot_is_answered_when_it_is_released(
    seller: Seller, smtp_port: int, how: str, code: int, taken: int
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, f"smtp-stalls-{how}", count=1)

    sending = asyncio.create_task(refused(smtp_port, order))
    assert (await traffic(seller, 1))["answers"] == {"none": 1}
    assert not sending.done()
    released = await seller.client.post("/control/smtp/release")

    assert released.json() == {"released": 1}
    assert (await sending)[:3] == ("tak" if code == 250 else "451")
    assert (await traffic(seller))["taken"] == taken


async def test_a_client_may_give_up_on_the_final_dot(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, "smtp-stalls-after-taking", count=1)

    impatient = connection(smtp_port)
    await impatient.connect()
    sending = asyncio.create_task(impatient.send_message(reply_to(order)))
    assert (await traffic(seller, 1))["answers"] == {"none": 1}
    impatient.close()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await sending
    await replies(seller)

    assert await refused(smtp_port, order) == "taken"


async def test_after_a_refusal_the_connection_goes_on(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, "smtp-defers-mail", count=1)

    def two_mails() -> list[int]:
        with smtplib.SMTP("127.0.0.1", smtp_port, timeout=20) as smtp:
            codes = []
            for _ in range(2):
                smtp.ehlo_or_helo_if_needed()
                smtp.mail(SENDER)
                smtp.rcpt(buyer_address(order))
                codes.append(smtp.data(reply_to(order).as_bytes())[0])
            return codes

    assert await asyncio.to_thread(two_mails) == [451, 250]
    counted = await traffic(seller)
    assert (counted["connections"], counted["answers"]) == (1, {"451": 1, "250": 1})
