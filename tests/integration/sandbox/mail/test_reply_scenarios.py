"""What Amazon does with a reply that it has taken: nothing, later, or a mail that says why not, in the language of the country."""

import email
import email.policy
from email.message import EmailMessage

import pytest

from services.mailrelay.parsing.mail import parse_mail
from services.mailrelay.parsing.patterns import MailKind
from services.sandbox.mail.notices import LANGUAGES, compose_confirmation, compose_failure, wording
from services.sandbox.state.scenarios import FAILURE_REASONS
from services.sandbox.state.sellers import language_of, make_seller
from shared.marketplaces import MARKETPLACES, Marketplace
from tests.integration.sandbox.conftest import LAMPENLADEN, Mailbox, Seller, fixed_clock
from tests.integration.sandbox.replying import SENDER, approve, buyer_address, replies, reply_to, send
from tests.integration.sandbox.scenarios import on
from tests.integration.sandbox.writing import enter, first_order, write

A_MARKETPLACE_OF_EACH_LANGUAGE = sorted(
    {language_of(marketplace): marketplace for marketplace in MARKETPLACES}.items()
)


async def test_250_and_then_nothing(seller: Seller, smtp_port: int, mailbox: Mailbox) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, "reply-not-shown", seller_id=LAMPENLADEN, count=1)

    await send(smtp_port, reply_to(order))
    await send(smtp_port, reply_to(order, text="Die zweite"))

    first, second = await replies(seller, 2)
    assert (first["state"], second["state"]) == ("not_shown", "shown")
    [message] = (await seller.client.get(f"/control/threads/{order['order_id']}")).json()
    assert message["text"].strip() == "Die zweite"
    assert mailbox.envelopes == []


@pytest.mark.parametrize("reason", list(FAILURE_REASONS))
async def test_each_reason_comes_back_with_its_mail(
    seller: Seller, smtp_port: int, mailbox: Mailbox, reason: str
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, f"reply-fails-{reason.replace('_', '-')}", count=1)

    await send(smtp_port, reply_to(order, files={"liste.pdf": b"1"}))
    [reply] = await replies(seller)
    [notice] = await mailbox.wait_for(1)

    assert (reply["state"], reply["reason"]) == ("failed", reason)
    words = wording("de").reasons[reason].format(sender=SENDER, file="liste.pdf")
    assert words in notice.get_content()
    assert order["order_id"] in notice.get_content()
    [made] = (await seller.client.get("/control/mails")).json()
    assert (made["kind"], made["to"]) == ("delivery_failure", SENDER)


async def test_amazons_mails_can_name_the_reply(seller: Seller, smtp_port: int, mailbox: Mailbox) -> None:
    await on(seller, "notices-name-the-reply")

    await send(smtp_port, reply_to(await first_order(seller)))

    [notice] = await mailbox.wait_for(1)
    assert notice["in-reply-to"] == notice["references"] == "<reply-1@replyco.email>"


@pytest.mark.parametrize(
    ("scenario", "words", "told"),
    [
        ("reply-bounces", None, ("bounced", "failed", "5.1.1")),
        ("reply-bounces", "554 Transaction failed", ("bounced", "failed", "5.0.0")),
        ("reply-late-report", None, ("shown", "delayed", "4.4.1")),
    ],
)
async def test_delivery_reports(
    seller: Seller,
    smtp_port: int,
    mailbox: Mailbox,
    *,
    scenario: str,
    words: str | None,
    told: tuple[str, ...],
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, scenario, **({"words": words} if words else {}))

    await send(smtp_port, reply_to(order))
    [reply] = await replies(seller)
    [report] = await mailbox.wait_for(1)

    assert mailbox.envelopes[0].mail_from in {"", "<>"}
    assert report.get_content_type() == "multipart/report"
    _, delivery, header = report.iter_parts()
    assert isinstance(delivery, EmailMessage)
    recipient = delivery.get_payload(1)
    assert isinstance(recipient, EmailMessage)
    assert (reply["state"], recipient["action"], recipient["status"]) == told
    assert recipient["final-recipient"] == f"rfc822; {buyer_address(order)}"
    assert "<reply-1@replyco.email>" in header.get_payload()


async def test_a_late_reply_comes_when_the_clock_is_moved(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await approve(seller)
    await on(seller, "reply-delayed", seconds=3_600, count=1)
    await send(smtp_port, reply_to(order))
    [held] = await replies(seller)
    assert held["state"] == "held"

    await seller.client.post("/control/clock/advance", json={"seconds": 3_599})
    assert len(await replies(seller, state="held")) == 1
    await seller.client.post("/control/clock/advance", json={"seconds": 1})

    [shown] = await replies(seller, state="shown")
    assert shown["reply_id"] == held["reply_id"]


async def test_a_late_reply_comes_when_it_is_released(seller: Seller, smtp_port: int) -> None:
    await approve(seller)
    await on(seller, "reply-delayed", count=1)
    await send(smtp_port, reply_to(await first_order(seller)))
    await replies(seller, state="held")

    released = await seller.client.post("/control/replies/release")

    assert released.json() == {"released": 1}
    await replies(seller, state="shown")


async def test_a_buyer_who_opted_out_gets_answers_to_their_own_messages(
    seller: Seller, smtp_port: int, mailbox: Mailbox
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await enter(seller)
    await on(seller, "buyer-opted-out")

    await send(smtp_port, reply_to(order))
    await replies(seller, state="failed")
    [failure] = await mailbox.wait_for(1)
    await write(seller, order)
    await send(smtp_port, reply_to(order))

    [shown] = await replies(seller, state="shown")
    assert shown["order_id"] == order["order_id"]
    assert len(await mailbox.wait_for(2)) == 2
    assert wording("de").reasons["buyer_opted_out"] in failure.get_content()


async def test_what_the_seller_wrote_in_seller_central_is_answered_and_quoted(
    seller: Seller, mailbox: Mailbox
) -> None:
    order = await first_order(seller)
    await enter(seller)
    entry = {"country": "DE", "address": SENDER, "notification": "confirmations"}
    await seller.client.post(f"/control/sellers/{LAMPENLADEN}/notification-addresses", json=entry)

    url = f"/control/threads/{order['order_id']}/answers"
    [message] = (await seller.client.post(url, json={"text": "Sie kommt morgen.\nGrüße"})).json()
    [confirmation] = await mailbox.wait_for(1)
    await write(seller, order, text="Danke!", quoting=True)
    answer = (await mailbox.wait_for(2))[1]

    assert message["author"] == "seller_central"
    assert "Sie kommt morgen.\r\nGrüße" in confirmation.get_content()
    assert answer["in-reply-to"] == message["message_id"]
    body = answer.get_body(("plain",))
    assert body is not None
    quoted = [
        "Danke!",
        "",
        "Am 02.11.2026 um 08:15 schrieb Lampenladen:",
        "> Sie kommt morgen.",
        "> Grüße",
        "",
    ]
    assert "\r\n".join(quoted) in body.get_content()


def test_there_are_words_in_the_language_of_every_country() -> None:
    assert {language_of(marketplace) for marketplace in MARKETPLACES} == set(LANGUAGES)
    for language in LANGUAGES:
        assert set(wording(language).reasons) == set(FAILURE_REASONS)


@pytest.mark.parametrize("reason", sorted(FAILURE_REASONS))
@pytest.mark.parametrize(("language", "marketplace"), A_MARKETPLACE_OF_EACH_LANGUAGE)
def test_our_parser_understands_the_mail_in_every_language(
    language: str, marketplace: Marketplace, reason: str
) -> None:
    order = make_seller("A1LAMPENLADEN7", "L", marketplace.region, (marketplace.country,)).orders[0]

    raw = compose_failure(
        order,
        reason,
        sender=SENDER,
        file="liste.zip",
        to=SENDER,
        message_id="0102@eu-west-1.amazonses.com",
        now=fixed_clock(),
        about=None,
    )
    parsed = parse_mail(raw)

    assert parsed.kind is MailKind.DELIVERY_FAILURE
    assert order.order_id in str(parsed)
    assert parsed.failure_reason == reason


@pytest.mark.parametrize(("language", "marketplace"), A_MARKETPLACE_OF_EACH_LANGUAGE)
def test_our_parser_understands_a_confirmation_in_every_language(
    language: str, marketplace: Marketplace
) -> None:
    order = make_seller("A1LAMPENLADEN7", "L", marketplace.region, (marketplace.country,)).orders[0]

    raw = compose_confirmation(
        order,
        "Hallo,\r\n.\r\nGrüße",
        to=SENDER,
        message_id="0102@x.example",
        now=fixed_clock(),
        about="<r@replyco.email>",
    )

    assert parse_mail(raw).kind is MailKind.REPLY_CONFIRMATION
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["references"] == "<r@replyco.email>"
    assert order.order_id in mail.get_content()
