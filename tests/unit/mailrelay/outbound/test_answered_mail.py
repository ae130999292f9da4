"""Where a buyer's mail wants its answer, and by which ids its thread is known."""

import pytest

from services.mailrelay.outbound.answered_mail import AnsweredMail, read_answered_mail

PLAIN, TAGGED = "k3x9example0abc@marketplace.amazon.de", "k3x9example0abc+TAG123@marketplace.amazon.de"


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (f"From: Erika <{PLAIN}>\r\nReply-To: <{TAGGED}>", TAGGED),
        (f"From: Erika <{TAGGED}>\r\nReply-To: <{PLAIN}>", TAGGED),
        (f"From: {PLAIN}", PLAIN),
        (f"From: Amazon <no-reply@amazon.de>\r\nReply-To: {TAGGED}", TAGGED),
        # Whom else it names is not the buyer.
        (f"From: {PLAIN}\r\nReply-To: <k3x9example0abc+TAG123@evil.example>", PLAIN),
        (f"From: {PLAIN}\r\nReply-To: <other1example2+TAG123@marketplace.amazon.de>", PLAIN),
        (f"From: {PLAIN}\r\nReply-To: {TAGGED}, <other@x.example>", PLAIN),
        (f"From: {PLAIN}\r\nReply-To: {TAGGED}\r\nReply-To: {TAGGED}", PLAIN),
        ("From: somebody@elsewhere.example", None),
        ("Subject: none", None),
    ],
)
def test_the_answer_goes_to_the_buyer_with_the_tag(header: str, address: str | None):
    assert read_answered_mail(f"{header}\r\n\r\n".encode()).buyer_address == address


@pytest.mark.parametrize(
    ("header", "message_id", "references"),
    [
        ("Message-ID: <a@b>\r\nReferences: <1@b>\r\n <2@b>", "<a@b>", ("<1@b>", "<2@b>")),
        ("Message-ID: <a@b>\r\nIn-Reply-To: <1@b>", "<a@b>", ("<1@b>",)),
        ("Message-ID: <a@b> <c@d>", None, ()),
        ("Subject: none", None, ()),
    ],
)
def test_the_thread_is_known_by_its_ids(header: str, message_id: str | None, references: tuple[str, ...]):
    found = read_answered_mail(f"{header}\r\n\r\n".encode())

    assert (found.message_id, found.references) == (message_id, references)


def test_nothing_of_it_is_in_a_representation():
    assert "canary" not in repr(AnsweredMail("<canary@x>", ("<canary@y>",), "canary@z"))
