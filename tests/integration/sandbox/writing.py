"""What tests of mails share: a seller enters an address, and a buyer writes."""

from typing import Any

from tests.integration.sandbox.conftest import LAMPENLADEN, Seller


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
