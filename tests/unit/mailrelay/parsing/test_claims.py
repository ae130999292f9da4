"""Which senders say that they are Amazon."""

import pytest

from services.mailrelay.parsing.claimed_sender import claimed_sender
from services.mailrelay.parsing.claims import SenderClaim


def claim_of(*senders: str) -> SenderClaim | None:
    head = "".join(f"From: {sender}\r\n" for sender in senders)
    return claimed_sender(f"{head}Subject: x\r\n\r\nx\r\n".encode()).claim


@pytest.mark.parametrize(
    "sender",
    [
        "Kim <kim@marketplace.amazon.de>",
        "donotreply@amazon.com.tr",
        "kim@m.marketplace.amazon.co.jp",
        "x@Notifications.Amazon.Com",
    ],
)
def test_a_domain_of_amazons_is_claimed(sender: str):
    assert claim_of(sender) is SenderClaim.FROM_DOMAIN


@pytest.mark.parametrize(
    "senders",
    [
        ("kim@marketplace.amazon.de", "info@evil.example"),
        ("info@evil.example", "kim@marketplace.amazon.de"),
        ("kim@marketplace.amazon.de, info@evil.example",),
        ("<kim@amazon.de> <info@evil.example>",),
        ("kim@amazon.de <info@evil.example",),
        ("Team: kim@amazon.de;",),
        ("kim@marketplace.amazon.de", "kim@marketplace.amazon.de"),
        ("kim@amazon-de.example, info@evil.example",),
    ],
)
def test_two_readings_of_which_one_is_amazon_are_two_senders(senders: tuple[str, ...]):
    assert claim_of(*senders) is SenderClaim.TWO_SENDERS


@pytest.mark.parametrize(
    "sender",
    [
        '"buyer@marketplace.amazon.com" <info@evil.example>',
        "Amazon <info@evil.example>",
        "AMAZON.DE Kundenservice <info@evil.example>",
        "=?utf-8?Q?Am=D0=B0zon?= <info@evil.example>",
        "=?utf-8?Q?Ama=E2=80=8Bzon?= <info@evil.example>",
        "Àmâzon <info@evil.example>",
        "\uff21\uff4d\uff41\uff5a\uff4f\uff4e <info@evil.example>",
        "Amazonのカスタマー <info@evil.example>",
        "info@evil.example (kim@amazon.de)",
        "Amazon Seller Support",
        "AmazonSellerCentral <info@evil.example>",
        "A m a z o n <info@evil.example>",
        '"A.m.a.z.o.n" <info@evil.example>',
        '"kim@amazonseller.example" <info@evil.example>',
    ],
)
def test_a_name_that_speaks_of_amazon_claims_it(sender: str):
    assert claim_of(sender) is SenderClaim.DISPLAY_NAME


@pytest.mark.parametrize(
    "domain",
    [
        "marketplace.amazon.de.evil.example",
        "amazon-de.example",
        "sellercentral-amazon.example",
        "amazon.example",
        "xn--amzon-5ve.example",
        "marketplace.amaz0n.de",
        "arnazon.de",
        "AMAZ0N.example",
        "amazonseller.example",
        "notamazon.de",
        "a-m-a-z-o-n.example",
        "ama-zon.example",
        "xn--mazon-3ve.example",
    ],
)
def test_a_domain_that_reads_amazon_is_a_lookalike(domain: str):
    assert claim_of(f"Kim <kim@{domain}>") is SenderClaim.LOOKALIKE_DOMAIN


@pytest.mark.parametrize(
    "sender",
    [
        "Kim <kim@mail.example>",
        "amazon@shop.example",
        "Shop <amazon@shop.example>",
        "Amazonas Reisen <info@reisen.example>",
        "kim@amazonas.example",
        "Diana Mazon <kim@amazonite-jewels.example>",
        "Ama Zongo <kim@mamazone.example>",
        "kim@xn--zzzzzzzzzzzz99999999.example",
        "MAILER-DAEMON@mx.example",
        "",
    ],
)
def test_a_stranger_claims_nothing(sender: str):
    assert claim_of(sender) is None


def test_only_one_sender_has_a_domain_to_be_checked():
    def domain_of(head: str) -> str | None:
        return claimed_sender(f"{head}\r\n\r\nx".encode()).domain

    assert domain_of("From: Kim <a@Mail.Example>") == "mail.example"
    assert domain_of("From: a@mail.example, b@mail.example") is None
    assert domain_of("From: a@mail.example\r\nFrom: a@mail.example") is None
    assert domain_of("Subject: x") is None
