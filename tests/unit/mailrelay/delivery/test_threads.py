"""Which mails stand in one conversation."""

from dataclasses import replace
from pathlib import Path

from services.mailrelay.delivery.threads import thread_of
from services.mailrelay.parsing.mail import ParsedMail, parse_mail

MAILS = Path(__file__).parents[3] / "mails"


def parsed(name: str) -> ParsedMail:
    return parse_mail((MAILS / f"{name}.eml").read_bytes())


def test_same_buyer_with_the_same_order_is_one_conversation():
    assert thread_of(parsed("buyer-question")) == thread_of(parsed("buyer-question-quotes-markers"))


def test_the_first_order_is_the_conversations():
    assert thread_of(parsed("buyer-question-two-orders-tag-in-link")).order_id == "404-7654321-1234567"


def test_same_buyer_with_another_order_is_another_conversation():
    mail = parsed("buyer-question")

    assert thread_of(mail).name != thread_of(replace(mail, order_ids=("302-0000000-0000000",))).name


def test_another_buyer_with_the_same_order_is_another_conversation():
    mail = parsed("buyer-question")

    assert thread_of(mail).name != thread_of(replace(mail, buyer_address="z9@marketplace.amazon.de")).name


def test_without_an_order_the_tag_decides():
    mail = replace(parsed("buyer-question"), order_ids=())

    assert thread_of(mail) == thread_of(replace(mail, digest=bytes(32)))
    assert thread_of(mail).name != thread_of(replace(mail, thread_tag="A123456789")).name


def test_without_order_and_tag_a_mail_stays_alone():
    mail = replace(parsed("buyer-question"), order_ids=(), thread_tag=None)

    assert thread_of(mail).name != thread_of(replace(mail, digest=bytes(32))).name


def test_shared_address_of_amazon_business_is_no_buyer():
    assert thread_of(parsed("buyer-question-business-shared-address")).buyer_address is None


def test_notices_of_one_sender_stand_together():
    notice = parsed("order-notice")

    assert thread_of(notice) == thread_of(
        replace(notice, order_ids=("302-0000000-0000000",), digest=bytes(32))
    )


def test_a_strangers_mail_never_joins_a_buyers_conversation():
    stranger = replace(parsed("lookalike-domain"), order_ids=("302-7654321-1234567",))

    assert thread_of(stranger).name != thread_of(parsed("buyer-question")).name
    assert thread_of(stranger).order_id is None


def test_unparseable_mail_stays_alone():
    mail = parsed("not-a-mail")

    assert thread_of(mail).name != thread_of(replace(mail, digest=bytes(32))).name
