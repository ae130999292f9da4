"""The sellers of the control API."""

import httpx2

from tests.integration.sandbox.conftest import Seller


async def test_seeded_sellers_are_the_same_each_time(seller: Seller) -> None:
    before = (await seller.client.get("/control/sellers")).json()
    await seller.client.post("/control/reset")
    after = (await seller.client.get("/control/sellers")).json()

    assert before == after
    orders = [order for known in before for order in known["orders"]]
    assert len({order["order_id"] for order in orders}) == len(orders) == 36
    assert {(known["region"], tuple(known["countries"])) for known in before} == {
        ("eu", ("DE", "FR", "IT")),
        ("eu", ("ES", "GB", "NL")),
        ("na", ("US", "CA", "MX")),
        ("fe", ("AU", "JP", "SG")),
    }


async def test_new_seller_can_be_connected(seller: Seller) -> None:
    new = {"store_name": "Neu", "region": "eu", "countries": ["DE", "PL"], "not_participating": ["PL"]}

    created = (await seller.client.post("/control/sellers", json=new)).json()
    tokens = await seller.connect(created["seller_id"])

    rows = (await seller.participations(tokens["access_token"])).json()["payload"]
    assert [row["participation"]["isParticipating"] for row in rows] == [True, False, True]


async def test_seller_with_a_country_of_another_region_is_refused(client: httpx2.AsyncClient) -> None:
    new = {"store_name": "Neu", "region": "eu", "countries": ["US"]}

    assert (await client.post("/control/sellers", json=new)).status_code == 422
