"""Calls of the application for one seller, and orders made by the control API."""

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.integration.sandbox.conftest import LAMPENLADEN, USER_AGENT, Seller

API = "/sellingpartnerapi-eu.amazon.com"
ORDERS = f"{API}/orders/2026-01-01/orders"
REPORTS = f"{API}/reports/2021-06-30"
DE = "A1PA6795UKMFR9"


@dataclass
class Application:
    """The application with a seller's access token."""

    client: httpx2.AsyncClient
    token: str

    async def get(self, path: str, **query: str) -> httpx2.Response:
        return await self.call("GET", path, params=query)

    async def call(self, method: str, path: str, token: str = "", **given: Any) -> httpx2.Response:
        headers = {"x-amz-access-token": token or self.token, "user-agent": USER_AGENT}
        return await self.client.request(method, path, headers=headers, **given)

    async def control(self, path: str, **body: Any) -> Any:
        answer = await self.client.post(f"/control/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def advance(self, seconds: float) -> None:
        await self.control("clock/advance", seconds=seconds)

    async def buy(self, **fields: Any) -> list[str]:
        """The ids of new orders."""
        made = await self.control("orders", **{"seller_id": LAMPENLADEN, "country": "DE", **fields})
        return [order["order_id"] for order in made]

    async def order(self, order_id: str) -> dict[str, Any]:
        answer = await self.get(f"{ORDERS}/{order_id}", includedData="FULFILLMENT,PACKAGES,CANCELLATION")
        order: dict[str, Any] = answer.json()["order"]
        return order


async def application(seller: Seller) -> Application:
    """The application, connected with Lampenladen."""
    return Application(seller.client, (await seller.connect())["access_token"])
