"""The sandbox's mails are signed as Amazon's are, and what is forged is not signed."""

import pytest

from services.mailrelay.parsing.claimed_sender import claimed_sender
from services.mailrelay.parsing.mail import parse_mail
from tests.integration.sandbox.conftest import LAMPENLADEN, Mailbox, Seller
from tests.integration.sandbox.writing import enter, first_order, write


async def test_a_buyers_mail_is_signed_by_the_store_and_by_amazons_mail_service(
    seller: Seller, mailbox: Mailbox
) -> None:
    await enter(seller)

    await write(seller, await first_order(seller))

    raw = mailbox.envelopes[0].original_content
    assert isinstance(raw, bytes)
    assert raw.count(b"DKIM-Signature:") == 2
    assert b"d=amazon.de;" in raw
    assert b"d=amazonses.com;" in raw


@pytest.mark.parametrize(
    ("forgery", "claim"), [("unsigned", "from_domain"), ("lookalike", "lookalike_domain")]
)
async def test_a_forgery_is_not_signed(seller: Seller, mailbox: Mailbox, forgery: str, claim: str) -> None:
    await enter(seller)

    answer = await write(seller, await first_order(seller), forgery=forgery)

    assert answer.status_code == 201
    raw = mailbox.envelopes[0].original_content
    assert isinstance(raw, bytes)
    assert b"DKIM-Signature:" not in raw
    assert claimed_sender(raw).claim == claim


@pytest.mark.parametrize("country", ["DE", "FR"])
async def test_a_verification_mail_tells_the_code(seller: Seller, mailbox: Mailbox, country: str) -> None:
    await enter(seller, country=country)

    answer = await seller.client.post(
        "/control/verification-mails", json={"seller_id": LAMPENLADEN, "country": country}
    )

    raw = mailbox.envelopes[0].original_content
    assert isinstance(raw, bytes)
    assert b"DKIM-Signature:" in raw
    mail = parse_mail(raw)
    assert mail.kind == "verification"
    assert mail.verification_code == answer.json()["code"]


async def test_a_verification_mail_goes_nowhere_before_an_address_is_entered(seller: Seller) -> None:
    wanted = {"seller_id": LAMPENLADEN, "country": "DE"}

    assert (await seller.client.post("/control/verification-mails", json=wanted)).status_code == 409
    page = await seller.client.post("/buyer/verification", data=wanted)
    assert (page.status_code, 'id="no-address"' in page.text) == (409, True)


async def test_a_forwarded_mail_is_signed_and_names_the_mailbox_that_forwards(
    seller: Seller, mailbox: Mailbox
) -> None:
    await enter(seller)

    answer = await write(seller, await first_order(seller), forgery="forwarded")

    assert answer.status_code == 201
    raw = mailbox.envelopes[0].original_content
    assert isinstance(raw, bytes)
    assert raw.count(b"DKIM-Signature:") == 2
    assert b"\r\nTo: shop@mailbox.example\r\n" in raw
    assert claimed_sender(raw).claim == "from_domain"
