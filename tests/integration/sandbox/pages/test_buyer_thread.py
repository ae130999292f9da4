"""The pages on which the buyer and the seller read and write one thread."""

from tests.integration.sandbox.conftest import EUROPE, LAMPENLADEN, Mailbox, Seller
from tests.integration.sandbox.replying import approve, replies, reply_to, send
from tests.integration.sandbox.writing import enter, first_order, write

MESSAGES = f"{EUROPE}/messaging/inbox"


async def test_the_buyer_reads_the_reply_with_its_file_and_answers(
    seller: Seller, smtp_port: int, mailbox: Mailbox
) -> None:
    order = await first_order(seller)
    await approve(seller)
    await enter(seller)
    await write(seller, order, text="Wo ist <b>sie</b>?")
    await send(smtp_port, reply_to(order, files={"Größe.html.pdf": b"%PDF <script>"}))
    await replies(seller)

    page = (await seller.client.get("/buyer/thread", params={"order_id": order["order_id"]})).text
    url = page.split('class="files"><li><a href="')[1].split('"')[0]
    file = await seller.client.get(url)
    form = {"seller_id": LAMPENLADEN, "country": "DE", "order_id": order["order_id"], "message": "Danke!"}
    sent = await seller.client.post("/buyer", data=form)

    assert page.index('data-author="buyer"') < page.index('data-author="seller_by_mail"')
    assert "Wo ist &lt;b&gt;sie&lt;/b&gt;?" in page
    assert "Die Lampe ist unterwegs. Grüße" in page
    assert 'name="quoting" value="yes">' in page
    assert file.content == b"%PDF <script>"
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.html.pdf"
    assert sent.status_code == 303
    answer = (await mailbox.wait_for(2))[1]
    assert answer["in-reply-to"] == "<reply-1@replyco.email>"
    after = await seller.client.get(sent.headers["location"])
    assert f"/buyer/thread?order_id={order['order_id']}" in after.text


async def test_thread_and_files_of_nobody_are_not_found(seller: Seller) -> None:
    order = await first_order(seller)

    empty = await seller.client.get("/buyer/thread", params={"order_id": order["order_id"]})
    assert 'id="no-messages"' in empty.text
    assert (await seller.client.get("/buyer/thread?order_id=1")).status_code == 404
    assert (await seller.client.get(f"/buyer/files/{order['order_id']}/x/0")).status_code == 404


async def test_the_seller_answers_in_seller_central(seller: Seller, mailbox: Mailbox) -> None:
    order = await first_order(seller)
    await enter(seller)
    await write(seller, order, text="Wo ist sie?")
    await seller.sign_in()

    listed = await seller.client.get(MESSAGES)
    opened = await seller.client.get(
        f"{MESSAGES}?fi=caseId&ss={order['thread_tag']}&cc={order['thread_tag']}"
    )
    form = {"ss": order["thread_tag"], "message": "Morgen.\r\nGrüße"}
    answered = await seller.client.post(MESSAGES, data=form)
    shown = await seller.client.get(answered.headers["location"])

    assert f"ss={order['thread_tag']}" in listed.text
    assert "Wo ist sie?" in opened.text
    assert "Morgen.\nGrüße" in shown.text
    assert 'data-author="seller_central"' in shown.text
    assert len(await mailbox.wait_for(1)) == 1  # no mail comes of it
    buyers = await seller.client.get("/buyer/thread", params={"order_id": order["order_id"]})
    assert 'name="quoting" value="yes" checked>' in buyers.text
    write_back = {"seller_id": LAMPENLADEN, "country": "DE", "order_id": order["order_id"]}
    await seller.client.post("/buyer", data={**write_back, "message": "Danke!", "quoting": "yes"})
    body = (await mailbox.wait_for(2))[1].get_body(("plain",))
    assert body is not None
    assert "> Morgen." in body.get_content()


async def test_seller_central_takes_no_empty_answer_and_none_to_others_buyers(seller: Seller) -> None:
    order, spanish = await first_order(seller), await first_order(seller, "ES", "A2CASAVERDE34K")
    await seller.sign_in()

    empty = await seller.client.post(MESSAGES, data={"ss": order["thread_tag"], "message": " "})
    others = await seller.client.post(MESSAGES, data={"ss": spanish["thread_tag"], "message": "x"})

    assert (empty.status_code, others.status_code) == (422, 404)
