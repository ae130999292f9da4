"""What a scenario makes of the SP-API."""

from typing import Any

import httpx2
import pytest

from services.sandbox.state.scenarios import API_ANSWERS
from tests.integration.sandbox.conftest import LAMPENLADEN, USER_AGENT, Seller
from tests.integration.sandbox.scenarios import on


@pytest.mark.parametrize("name", [name for name, answer in API_ANSWERS.items() if not answer.hangs])
async def test_sp_api_answers_as_the_scenario_says(seller: Seller, name: str) -> None:
    tokens = await seller.connect()
    await on(seller, name, count=1)

    answer = await seller.participations(tokens["access_token"])

    assert (answer.status_code, answer.text) == (API_ANSWERS[name].status, API_ANSWERS[name].body)
    assert "x-amzn-requestid" in answer.headers
    assert ("x-amzn-ratelimit-limit" in answer.headers) == API_ANSWERS[name].rate_header
    assert (await seller.participations(tokens["access_token"])).status_code == 200


async def rows(seller: Seller, name: str) -> list[dict[str, Any]]:
    tokens = await seller.connect()
    await on(seller, name, seller_id=LAMPENLADEN)
    payload: list[dict[str, Any]] = (await seller.participations(tokens["access_token"])).json()["payload"]
    return payload


async def test_list_of_marketplaces_can_be_empty(seller: Seller) -> None:
    assert await rows(seller, "participations-empty") == []


async def test_store_can_sell_nowhere_any_more(seller: Seller) -> None:
    shown = await rows(seller, "participations-none")

    assert [row["participation"]["isParticipating"] for row in shown] == [False, False, False]


async def test_region_can_answer_with_another_ones_marketplaces(seller: Seller) -> None:
    shown = await rows(seller, "participations-other-region")

    assert {row["marketplace"]["countryCode"] for row in shown} == {"US", "CA"}


async def test_region_can_answer_with_another_store(seller: Seller) -> None:
    shown = await rows(seller, "participations-other-store")

    assert {row["storeName"] for row in shown} == {"Casa Verde"}
    assert {row["marketplace"]["countryCode"] for row in shown} == {"ES", "GB", "NL", "DE"}


async def test_store_can_be_renamed(seller: Seller) -> None:
    shown = await rows(seller, "store-renamed")

    assert {row["storeName"] for row in shown} == {"Lampenladen (renamed)"}


async def test_listings_can_be_suspended(seller: Seller) -> None:
    shown = await rows(seller, "listings-suspended")

    assert [row["participation"]["hasSuspendedListings"] for row in shown] == [True, True, True, False]


async def test_application_can_lack_the_role_for_buyers_data(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "personal-data-refused", seller_id=LAMPENLADEN, count=1)

    async def ask() -> httpx2.Response:
        return await seller.client.post(
            "/sellingpartnerapi-eu.amazon.com/tokens/2021-03-01/restrictedDataToken",
            headers={"x-amz-access-token": tokens["access_token"], "user-agent": USER_AGENT},
            json={
                "restrictedResources": [
                    {"method": "GET", "path": "/orders/v0/orders", "dataElements": ["buyerInfo"]}
                ]
            },
        )

    refused, given = await ask(), await ask()

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["message"].endswith("requested data elements: [buyerInfo]")
    assert given.json()["expiresIn"] == 3600
