"""Scenarios are listed, switched on for whom they are meant, and end as they should."""

import re
from pathlib import Path
from typing import Any

import httpx2

from services.sandbox.state.scenarios import API_ANSWERS, CALLBACK_URIS, SCENARIOS, TOKEN_ANSWERS
from tests.integration.sandbox.conftest import CASA_VERDE, EUROPE, LAMPENLADEN, Seller
from tests.integration.sandbox.scenarios import off, on, refresh


async def test_every_scenario_is_listed_with_a_sentence(seller: Seller) -> None:
    listed = (await seller.client.get("/control/scenarios")).json()

    assert [scenario["name"] for scenario in listed["scenarios"]] == list(SCENARIOS)
    assert all(scenario["description"].endswith(".") for scenario in listed["scenarios"])
    assert listed["on"] == []
    assert {*TOKEN_ANSWERS, *API_ANSWERS, *CALLBACK_URIS} <= set(SCENARIOS)


async def test_scenario_lasts_until_it_is_switched_off(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-invalid-grant")
    assert [(await refresh(seller, tokens)).status_code for _ in range(3)] == [400, 400, 400]

    await off(seller, "token-invalid-grant")

    assert (await refresh(seller, tokens)).status_code == 200


async def test_scenario_with_a_count_ends_by_itself(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-invalid-grant", count=1)

    assert [(await refresh(seller, tokens)).status_code for _ in range(2)] == [400, 200]
    assert (await seller.client.get("/control/scenarios")).json()["on"] == []


async def test_scenario_of_one_seller_leaves_the_others(seller: Seller) -> None:
    lampenladen, casa_verde = await seller.connect(), await seller.connect(CASA_VERDE)
    await on(seller, "token-503-html", seller_id=LAMPENLADEN)

    assert (await refresh(seller, lampenladen)).status_code == 503
    assert (await refresh(seller, casa_verde)).status_code == 200


async def test_scenario_of_one_operation_leaves_the_others(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "api-role-missing", operation="searchOrders")
    assert (await seller.participations(tokens["access_token"])).status_code == 200

    await on(seller, "api-role-missing", operation="getMarketplaceParticipations")

    assert (await seller.participations(tokens["access_token"])).status_code == 403


async def test_all_scenarios_can_be_switched_off_at_once(seller: Seller) -> None:
    await on(seller, "outage")
    await on(seller, "draft")

    left = (await seller.client.delete("/control/scenarios")).json()

    assert left["on"] == []
    assert (await seller.client.get(f"{EUROPE}/ap/signin")).status_code == 200


async def test_unknown_scenarios_and_sellers_are_not_found(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/control/scenarios/no-such")).status_code == 404
    assert (await client.delete("/control/scenarios/no-such")).status_code == 404
    limited = await client.post("/control/scenarios/outage", json={"seller_id": "A0NOBODY000000"})
    assert limited.status_code == 404
    assert (await client.post("/control/scenarios/outage", json={"count": 0})).status_code == 422


async def rows(seller: Seller, name: str) -> list[dict[str, Any]]:
    tokens = await seller.connect()
    await on(seller, name, seller_id=LAMPENLADEN)
    payload: list[dict[str, Any]] = (await seller.participations(tokens["access_token"])).json()["payload"]
    return payload


async def test_in_an_outage_everything_of_amazon_is_away_and_comes_back(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "outage")

    away = [
        await refresh(seller, tokens),
        await seller.participations(tokens["access_token"]),
        await seller.client.get(f"{EUROPE}/ap/signin"),
    ]
    assert [answer.status_code for answer in away] == [503, 503, 503]
    assert all(answer.headers["content-type"].startswith("text/html") for answer in away)
    assert (await seller.client.get("/livez")).status_code == 200

    await off(seller, "outage")
    assert (await refresh(seller, tokens)).status_code == 200


def test_documentation_tells_what_a_seller_sees_of_every_scenario() -> None:
    text = (Path(__file__).resolve().parents[4] / "docs" / "sandbox.md").read_text("utf-8")
    table = text.partition("## Scenarios")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]

    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row[1])} == set(SCENARIOS)
    assert all(row[3].strip() for row in rows)
