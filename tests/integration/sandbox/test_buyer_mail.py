"""A buyer writes, and the mail reaches the address entered in Seller Central, in Amazon's shape."""

import base64
import email
import email.policy
import hashlib
import re
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope

from services.sandbox.mail.frames import FRAMES
from tests.integration.sandbox.conftest import EUROPE, Mailbox, Seller

LAMPENLADEN = "A1LAMPENLADEN7"
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


async def first_order(seller: Seller, country: str = "DE", seller_id: str = LAMPENLADEN) -> dict[str, Any]:
    sellers = (await seller.client.get("/control/sellers")).json()
    orders = next(known["orders"] for known in sellers if known["seller_id"] == seller_id)
    order: dict[str, Any] = next(order for order in orders if order["country"] == country)
    return order


async def enter(
    seller: Seller,
    address: str = "aaabbbccc@replyco.email",
    country: str = "DE",
    seller_id: str = LAMPENLADEN,
) -> None:
    answer = await seller.client.post(
        f"/control/sellers/{seller_id}/notification-addresses", json={"country": country, "address": address}
    )
    assert answer.status_code == 201


async def write(seller: Seller, order: dict[str, Any], **fields: Any) -> Any:
    mail = {"seller_id": LAMPENLADEN, "order_id": order["order_id"], "text": "Hallo?", **fields}
    return await seller.client.post("/control/mails", json=mail)


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


async def test_bytes_on_the_wire_are_the_bytes_told(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    text = ".\r\n..\n.leading dot\n" + "x" * 1_500

    sent = (await write(seller, await first_order(seller), text=text)).json()["mails"][0]

    content = mailbox.envelopes[0].original_content
    assert isinstance(content, bytes)
    assert hashlib.sha256(content).hexdigest() == sent["sha256"]
    assert sent["reply_code"] == 250
    assert sent["reply"] == "2.0.0 Accepted"
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    raw = await seller.client.get(f"/control/mails/{sent['mail_id']}/raw")
    assert raw.content == content


async def test_two_mails_about_one_order_share_the_thread_tag(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    order = await first_order(seller)

    await write(seller, order)
    await write(seller, order)

    first, second = map(parse, mailbox.envelopes)
    assert first["from"] == second["from"]
    assert first["message-id"] != second["message-id"]
    assert second["in-reply-to"] is None


@pytest.mark.parametrize("language", FRAMES)
async def test_every_language_has_a_frame(seller: Seller, mailbox: Mailbox, language: str) -> None:
    await enter(seller)

    await write(seller, await first_order(seller), language=language, text="x")

    plain = words(parse(mailbox.envelopes[0]), "plain")
    assert f"------------- {FRAMES[language].begin} -------------\n\nx\n" in plain


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


async def test_temporary_refusal_is_tried_again_with_the_same_bytes(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    mailbox.replies = ["451 4.3.0 later", "451 4.3.0 later"]

    sent = (await write(seller, await first_order(seller))).json()["mails"][0]
    assert (sent["state"], sent["reply_code"]) == ("retrying", 451)
    done = (await seller.client.get(f"/control/mails/{sent['mail_id']}?wait_seconds=20")).json()

    assert (done["state"], done["attempts"], done["sha256"]) == ("delivered", 3, sent["sha256"])


async def test_final_refusal_is_not_tried_again(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    mailbox.replies = ["550 5.1.1 unknown"]

    sent = (await write(seller, await first_order(seller))).json()["mails"][0]

    assert (sent["state"], sent["reply"], sent["attempts"]) == ("refused", "5.1.1 unknown", 1)


async def test_retries_end(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    mailbox.replies = ["451 later"] * 20

    sent = (await write(seller, await first_order(seller))).json()["mails"][0]
    done = (await seller.client.get(f"/control/mails/{sent['mail_id']}?wait_seconds=20")).json()

    assert (done["state"], done["attempts"]) == ("given_up", 8)


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


# --- pages -----------------------------------------------------------------------------------------------------------


async def test_seller_enters_the_address_and_a_buyer_writes_on_the_pages(
    seller: Seller, mailbox: Mailbox
) -> None:
    order = await first_order(seller)
    await seller.sign_in()
    before = await seller.client.get(f"/buyer?seller_id={LAMPENLADEN}&country=DE")
    assert 'id="no-address"' in before.text
    form = {"country": "DE", "action": "add", "address": " aaabbbccc@replyco.email "}
    await seller.client.post(PREFERENCES, data=form)

    sent = await seller.client.post(
        "/buyer",
        data={
            "seller_id": LAMPENLADEN,
            "country": "DE",
            "order_id": order["order_id"],
            "kind": "order",
            "message": "Wo ist\r\nmeine Lampe?",
        },
        files={"attachment": ("foto.jpg", b"\xff\xd8\xff", "image/jpeg")},
    )

    assert sent.status_code == 303
    result = await seller.client.get(sent.headers["location"])
    assert 'data-state="delivered"' in result.text
    assert "250 2.0.0 Accepted" in result.text
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [["aaabbbccc@replyco.email"]]
    (part,) = parse(mailbox.envelopes[0]).iter_attachments()
    assert part.get_filename() == "foto.jpg"


async def test_page_without_address_keeps_the_text_and_says_what_to_do(seller: Seller) -> None:
    order = await first_order(seller)

    answer = await seller.client.post(
        "/buyer",
        data={"seller_id": LAMPENLADEN, "country": "DE", "order_id": order["order_id"], "message": "Wo?"},
    )

    assert answer.status_code == 409
    assert f"{PREFERENCES}?country=DE" in answer.text
    assert ">Wo?</textarea>" in answer.text


@pytest.mark.parametrize(
    "address", ["", "mailto:a@replyco.email", "Kim <a@replyco.email>", "a@b", "a b@c.de", "a@c.de, b@c.de"]
)
async def test_preferences_take_one_bare_address(seller: Seller, address: str) -> None:
    await seller.sign_in()

    answer = await seller.client.post(
        PREFERENCES, data={"country": "DE", "action": "add", "address": address}
    )

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


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


async def test_countries_of_another_host_are_linked_not_edited(seller: Seller) -> None:
    await seller.sign_in("A3BRIGHTPORCH9", "/sellercentral.amazon.com")

    shown = await seller.client.get("/sellercentral.amazon.com/notifications/preferences?country=CA")
    refused = await seller.client.post(
        "/sellercentral.amazon.com/notifications/preferences",
        data={"country": "CA", "action": "add", "address": "a@replyco.email"},
    )

    assert "/sellercentral.amazon.ca/notifications/preferences?country=CA" in shown.text
    assert refused.status_code == 422


async def test_report_columns_are_remembered(seller: Seller) -> None:
    await seller.sign_in()
    path = f"{EUROPE}/order-reports-and-feeds/column-picker"

    await seller.client.post(path, data={"column": ["is-prime", "ioss-number", "invented"]})

    shown = (await seller.client.get(path)).text
    assert shown.count(" checked>") == 2
    assert "invented" not in shown
