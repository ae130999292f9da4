"""The page on which a person is the buyer."""

from tests.integration.sandbox.conftest import EUROPE, LAMPENLADEN, Mailbox, Seller, parse
from tests.integration.sandbox.writing import enter, first_order

PREFERENCES = f"{EUROPE}/notifications/preferences"


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


async def test_the_page_sends_forgeries_and_verification_mails(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    order = await first_order(seller)
    store = {"seller_id": LAMPENLADEN, "country": "DE"}
    form = {**store, "order_id": order["order_id"], "kind": "other", "message": "Hallo?"}

    shown = await seller.client.get("/buyer", params=store)
    assert 'id="forgery"' in shown.text
    assert (await seller.client.post("/buyer", data={**form, "forgery": "unsigned"})).status_code == 303
    assert (await seller.client.post("/buyer/verification", data=store)).status_code == 303

    assert [b"DKIM-Signature:" in (e.original_content or b"") for e in mailbox.envelopes] == [False, True]
