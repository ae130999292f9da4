"""The buyer's mail, as it arrives at the address that a seller entered."""

import base64
import email
import email.policy
import re
from email.message import EmailMessage
from html import unescape
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiosmtpd.smtp import Envelope

from services.sandbox.mail.mail_templates import MAIL_TEMPLATES
from tests.integration.sandbox.conftest import EUROPE, Mailbox, Seller
from tests.integration.sandbox.writing import enter, first_order, write

PREFERENCES = f"{EUROPE}/notifications/preferences"


def parse(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


def words(mail: EmailMessage, kind: str) -> str:
    """The text of one of the two bodies."""
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


async def test_mail_goes_nowhere_before_an_address_is_entered(seller: Seller, mailbox: Mailbox) -> None:
    order = await first_order(seller)

    answer = await write(seller, order)

    assert answer.status_code == 409
    assert mailbox.envelopes == []


async def test_mail_goes_only_to_the_address_of_the_orders_country(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller, "german@replyco.email", "DE")
    await enter(seller, "french@replyco.email", "FR")

    await write(seller, await first_order(seller, "FR"))

    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [["french@replyco.email"]]


async def test_mail_has_amazons_shape(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    order = await first_order(seller)
    text = "Guten Tag,\n\ndie Lampe <3 flackert & summt.\n\nGrüße"

    answer = await write(seller, order, text=text, kind="return")

    mail = parse(mailbox.envelopes[0])
    buyer = f"{order['buyer_local']}+{order['thread_tag']}@marketplace.amazon.de"
    assert re.fullmatch(r"\d{3}-\d{7}-\d{7}", order["order_id"])
    assert 14 <= len(order["buyer_local"]) <= 15
    assert mail["from"].addresses[0].addr_spec == mail["reply-to"].addresses[0].addr_spec == buyer
    assert mail["to"] == "aaabbbccc@replyco.email"
    assert mail["subject"] == (
        f"Rückgabe-Anfrage von Amazon-Kunde {order['buyer_name']} (Bestellung: {order['order_id']})"
    )
    assert mail["x-space-notification-type"] == "BBC_MESSAGE_SENT_TO_MERCHANT"
    assert mail["x-marketplace-id"] == "A1PA6795UKMFR9"
    assert re.fullmatch(
        r"<0102[0-9a-f]{12}-[0-9a-f-]{36}-000000@eu-west-1\.amazonses\.com>", mail["message-id"]
    )
    assert mail["date"] == "Mon, 02 Nov 2026 08:15:01 +0000"
    between = words(mail, "plain").split("------------- Nachricht: -------------")[1]
    assert between.split("------------- Ende der Nachricht -------------")[0].strip() == text
    pre = re.findall(r"<pre[^>]*>(.*?)</pre>", words(mail, "html"), re.DOTALL)
    assert [unescape(found) for found in pre] == [text]
    assert answer.json()["mails"][0]["state"] == "delivered"


async def test_two_mails_about_one_order_share_the_thread_tag(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    order = await first_order(seller)

    await write(seller, order)
    await write(seller, order)

    first, second = map(parse, mailbox.envelopes)
    assert first["from"] == second["from"]
    assert first["message-id"] != second["message-id"]
    assert second["in-reply-to"] is None
    one, other = (_named_in_link(words(mail, "plain")) for mail in (first, second))
    assert one.keys() == other.keys() == {"t", "m", "c", "mp", "s"}
    assert {name for name in one if one[name] != other[name]} == {"m"}


def _named_in_link(text: str) -> dict[str, str]:
    """What the link that names thread and message names."""
    found = re.search(r"no-response-needed\?(\S+)", text)
    assert found is not None
    return dict(parse_qsl(found[1]))


@pytest.mark.parametrize("language", MAIL_TEMPLATES)
async def test_every_language_has_a_frame(seller: Seller, mailbox: Mailbox, language: str) -> None:
    await enter(seller)

    await write(seller, await first_order(seller), language=language, text="x")

    plain = words(parse(mailbox.envelopes[0]), "plain")
    assert f"------------- {MAIL_TEMPLATES[language].begin} -------------\n\nx\n" in plain


async def test_attachments_arrive_as_they_were(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    content = bytes(range(256))
    attachment = {
        "filename": "Rechnung Größe L.pdf",
        "content_type": "application/pdf",
        "base64": base64.b64encode(content).decode(),
    }

    await write(seller, await first_order(seller), attachments=[attachment])

    (part,) = parse(mailbox.envelopes[0]).iter_attachments()
    assert part.get_filename() == "Rechnung Größe L.pdf"
    assert part.get_content() == content


@pytest.mark.parametrize(
    "fields",
    [
        {"text": " "},
        {"text": "x" * 4_001},
        {"text": "a\x00b"},
        {"subject": "a\r\nBcc: someone@example.com"},
        {"language": "tlh"},
        {"attachments": [{"filename": "a\nb", "base64": ""}]},
        {"attachments": [{"filename": "a", "base64": "not base64!"}]},
        {"attachments": [{"filename": "a", "content_type": "x", "base64": ""}]},
        {"unknown": 1},
    ],
)
async def test_impossible_messages_are_refused(
    seller: Seller, mailbox: Mailbox, fields: dict[str, Any]
) -> None:
    await enter(seller)

    answer = await write(seller, await first_order(seller), **fields)

    assert answer.status_code == 422
    assert mailbox.envelopes == []


async def test_removed_address_gets_nothing(seller: Seller, mailbox: Mailbox) -> None:
    await seller.sign_in()
    await enter(seller)

    form = {"country": "DE", "action": "remove", "address": "aaabbbccc@replyco.email"}
    await seller.client.post(PREFERENCES, data=form)
    answer = await write(seller, await first_order(seller))

    assert answer.status_code == 409


async def test_profile_address_alone_gets_no_mail(seller: Seller) -> None:
    await seller.sign_in()
    profile = f"{EUROPE}/sw/AccountInfo/SellerProfileView/step/SellerProfileView"
    form = {"country": "DE", "service_email": "a@replyco.email", "reply_email": "b@replyco.email"}

    saved = await seller.client.post(profile, data=form)
    shown = await seller.client.get(profile)
    answer = await write(seller, await first_order(seller))

    assert saved.status_code == 303
    assert 'value="b@replyco.email"' in shown.text
    assert answer.status_code == 409
