"""Which mails stand together in one conversation: the rules as a table, and as the conversations that come of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from services.mailrelay.delivery.threads import buyer_of, order_of, threads_of
from services.mailrelay.parsing.mail import MailKind, ParsedMail, parse_mail
from shared.conversations import Threads, follow
from shared.driver import new_id

MAILS = Path(__file__).parents[3] / "mails"

ROBIN, KIM = "k3j4h5g6f7d8s9a@marketplace.amazon.de", "z9y8x7w6v5u4t3s@marketplace.amazon.de"
BUSINESS = "no-reply-amazon-iba-buyer@marketplace.amazon.de"
LAMP, MILL = "B0EXAMPLE1", "B0EXAMPLE2"
T1, T2 = "4b0a5fef-c328-4e6b-8925-7bc535e3c5d2", "A05297131SBQ5TZM1NQ0S"
O1, O2 = "302-0000000-0000001", "302-0000000-0000002"


def parsed(name: str) -> ParsedMail:
    return parse_mail((MAILS / f"{name}.eml").read_bytes())


def buyers_mail(
    buyer: str,
    *,
    tag: str | None = None,
    link: str | None = None,
    orders: Sequence[str] = (),
    product: str | None = None,
) -> ParsedMail:
    return replace(
        parsed("buyer-question"),
        buyer_address=buyer,
        thread_tag=tag,
        thread_id=link,
        order_ids=tuple(orders),
        asin=product,
    )


def notice(kind: MailKind, *orders: str, sender: str | None = "donotreply@amazon.de") -> ParsedMail:
    return replace(parsed("order-notice"), kind=kind, order_ids=orders, sender_address=sender)


# Everything that decides, and the threads that come of it, the surest first.
TABLE = [
    # a buyer's mail: tag, order, product
    (buyers_mail(ROBIN, tag=T1, orders=[O1], product=LAMP), [f"buyer {ROBIN} tag {T1}", f"buyer {ROBIN} order {O1}"]),
    (buyers_mail(ROBIN, tag=T1, orders=[O1]), [f"buyer {ROBIN} tag {T1}", f"buyer {ROBIN} order {O1}"]),
    (buyers_mail(ROBIN, tag=T1, orders=[O1, O2]), [f"buyer {ROBIN} tag {T1}", f"buyer {ROBIN} order {O1}"]),
    (buyers_mail(ROBIN, tag=T1, product=LAMP), [f"buyer {ROBIN} tag {T1}", f"buyer {ROBIN} product {LAMP}"]),
    (buyers_mail(ROBIN, tag=T1), [f"buyer {ROBIN} tag {T1}"]),
    (buyers_mail(ROBIN, orders=[O1], product=LAMP), [f"buyer {ROBIN} order {O1}"]),
    (buyers_mail(ROBIN, orders=[O1]), [f"buyer {ROBIN} order {O1}"]),
    (buyers_mail(ROBIN, product=LAMP), [f"buyer {ROBIN} product {LAMP}"]),
    (buyers_mail(ROBIN), []),
    (buyers_mail(ROBIN, tag=T1, link="L1", orders=[O1]), [f"buyer {ROBIN} tag {T1}", f"buyer {ROBIN} thread L1", f"buyer {ROBIN} order {O1}"]),
    (buyers_mail(ROBIN, link="L1", orders=[O1]), [f"buyer {ROBIN} thread L1", f"buyer {ROBIN} order {O1}"]),
    (buyers_mail(BUSINESS, link="L1", orders=[O1]), [f"buyer {BUSINESS} thread L1", f"buyer {BUSINESS} order {O1}"]),
    # the address that many buyers share: a product joins nobody
    (buyers_mail(BUSINESS, tag=T1, orders=[O1]), [f"buyer {BUSINESS} tag {T1}", f"buyer {BUSINESS} order {O1}"]),
    (buyers_mail(BUSINESS, tag=T1, product=LAMP), [f"buyer {BUSINESS} tag {T1}"]),
    (buyers_mail(BUSINESS, orders=[O1]), [f"buyer {BUSINESS} order {O1}"]),
    (buyers_mail(BUSINESS, product=LAMP), []),
    (buyers_mail(BUSINESS), []),
    # Amazon's own mails
    (notice(MailKind.CLAIM_NOTICE, O1), [f"notice claim_notice order {O1}"]),
    (notice(MailKind.CLAIM_NOTICE), ["sender claim_notice donotreply@amazon.de"]),
    (notice(MailKind.RETURN_NOTICE, O1, O2), [f"notice return_notice order {O1}"]),
    (notice(MailKind.ORDER_NOTICE, O1), ["sender order_notice donotreply@amazon.de"]),
    (notice(MailKind.DELIVERY_FAILURE, O1), ["reports delivery_failure"]),
    (notice(MailKind.DELIVERY_FAILURE, sender="mailer-daemon@mx.example"), ["reports delivery_failure"]),
    (notice(MailKind.REPLY_CONFIRMATION, O1), ["reports reply_confirmation"]),
    (notice(MailKind.VERIFICATION), ["sender verification donotreply@amazon.de"]),
    # strangers, and what nobody understands
    (notice(MailKind.OTHER, O1, sender="Who@Else.example"), ["sender other who@else.example"]),
    (notice(MailKind.OTHER, sender=None), []),
    (parsed("not-a-mail"), []),
]  # fmt: skip


@pytest.mark.parametrize(("mail", "threads"), TABLE)
def test_the_threads_of_a_mail(mail: ParsedMail, threads: list[str]):
    assert list(threads_of(mail)) == threads


def conversations(*mails: ParsedMail) -> list[int]:
    """The number of the conversation that each mail is in, counted as they open."""
    nobody = UUID(int=0)
    _, placed = follow(
        [
            Threads(nobody, nobody, tuple(name.encode() for name in threads_of(mail)), new_id())
            for mail in mails
        ]
    )
    numbers: dict[UUID, int] = {}
    return [numbers.setdefault(conversation, len(numbers) + 1) for conversation in placed]


@pytest.mark.parametrize(
    ("mails", "numbers"),
    [
        pytest.param(
            [buyers_mail(ROBIN, orders=[O1]), buyers_mail(ROBIN, tag=T1, orders=[O1]), buyers_mail(ROBIN, tag=T1)],
            [1, 1, 1],
            id="a tag finds the conversation of the order that it came with",
        ),
        pytest.param(
            [buyers_mail(ROBIN, link="L1", orders=[O1]), buyers_mail(ROBIN, link="L1", orders=[O2]), buyers_mail(KIM, link="L1")],
            [1, 1, 2],
            id="Amazon's own id of the thread decides before the order, and only for its buyer",
        ),
        pytest.param(
            [buyers_mail(BUSINESS, link="L1", orders=[O1]), buyers_mail(BUSINESS, link="L2", orders=[O2])],
            [1, 2],
            id="two business buyers with one address stay two",
        ),
        pytest.param(
            [buyers_mail(ROBIN, tag=T1, orders=[O1]), buyers_mail(ROBIN, tag=T2, orders=[O1]), buyers_mail(ROBIN, tag=T2)],
            [1, 1, 1],
            id="two tags about one order are one conversation",
        ),
        pytest.param(
            [
                buyers_mail(ROBIN, tag=T1, orders=[O1]),
                buyers_mail(ROBIN, tag=T1, orders=[O2]),
                buyers_mail(ROBIN, orders=[O2]),
            ],
            [1, 1, 1],
            id="one tag about two orders is one conversation, also for later mails about the second",
        ),
        pytest.param(
            [
                buyers_mail(ROBIN, tag=T1, orders=[O1]),
                buyers_mail(ROBIN, tag=T2, orders=[O2]),
                buyers_mail(ROBIN, tag=T1, orders=[O2]),
                buyers_mail(ROBIN, orders=[O2]),
            ],
            [1, 2, 1, 2],
            id="the tag decides where tag and order lead apart, and the order leads on to its own",
        ),
        pytest.param(
            [buyers_mail(ROBIN, tag=T1, orders=[O1, O2]), buyers_mail(ROBIN, orders=[O2])],
            [1, 2],
            id="an order that is only mentioned has no conversation yet",
        ),
        pytest.param(
            [
                buyers_mail(ROBIN, product=LAMP),
                buyers_mail(ROBIN, tag=T1, product=LAMP),
                buyers_mail(ROBIN, tag=T1, orders=[O1], product=LAMP),
                buyers_mail(ROBIN, orders=[O1]),
            ],
            [1, 1, 1, 1],
            id="a question before the order goes on in the order's conversation, by the tag",
        ),
        pytest.param(
            [
                buyers_mail(ROBIN, product=LAMP),
                buyers_mail(ROBIN, product=MILL),
                buyers_mail(ROBIN, orders=[O1], product=LAMP),
                buyers_mail(ROBIN, orders=[O2], product=LAMP),
            ],
            [1, 2, 3, 4],
            id="products are apart before the order, and orders of one product are apart",
        ),
        pytest.param(
            [buyers_mail(ROBIN, tag=T1, orders=[O1]), buyers_mail(KIM, tag=T1, orders=[O1])],
            [1, 2],
            id="another buyer is another conversation, whatever else is the same",
        ),
        pytest.param(
            [
                buyers_mail(BUSINESS, orders=[O1]),
                buyers_mail(BUSINESS, orders=[O2]),
                buyers_mail(BUSINESS, product=LAMP),
                buyers_mail(BUSINESS, product=LAMP),
                buyers_mail(BUSINESS, tag=T1, orders=[O1]),
            ],
            [1, 2, 3, 4, 1],
            id="the shared address joins by order or tag, never by itself",
        ),
        pytest.param([buyers_mail(ROBIN), buyers_mail(ROBIN)], [1, 2], id="without any sign mails stay alone"),
        pytest.param(
            [buyers_mail(ROBIN, orders=[O1]), notice(MailKind.CLAIM_NOTICE, O1), notice(MailKind.CLAIM_NOTICE, O1)],
            [1, 2, 2],
            id="notices about one order stand together, apart from the buyer",
        ),
    ],
)  # fmt: skip
def test_the_conversations_of_mails(mails: list[ParsedMail], numbers: list[int]):
    assert conversations(*mails) == numbers


def test_the_first_order_is_the_conversations():
    assert order_of(parsed("buyer-question-two-orders-tag-in-link")) == "404-7654321-1234567"


def test_a_strangers_mail_is_about_no_order_and_never_joins_a_buyers():
    stranger = replace(parsed("lookalike-domain"), order_ids=("302-7654321-1234567",))

    assert order_of(stranger) is None
    assert not set(threads_of(stranger)) & set(threads_of(parsed("buyer-question")))


def test_shared_address_of_amazon_business_is_no_buyer():
    assert buyer_of(parsed("buyer-question-business-shared-address")) is None
    assert buyer_of(parsed("buyer-question")) == ROBIN
