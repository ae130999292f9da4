"""getMarketplaceParticipations, region by region."""

import pytest

from tests.integration.sandbox.conftest import USER_AGENT, Seller

EU = "/sellingpartnerapi-eu.amazon.com"


async def test_participations_of_a_european_store_with_a_row_that_is_not_amazon(seller: Seller) -> None:
    tokens = await seller.connect()

    answer = await seller.participations(tokens["access_token"])

    assert answer.status_code == 200
    assert answer.headers["x-amzn-ratelimit-limit"] == "0.016"
    assert answer.headers["x-amzn-requestid"]
    rows = answer.json()["payload"]
    assert [row["marketplace"]["countryCode"] for row in rows] == ["DE", "FR", "IT", "DE"]
    assert [row["marketplace"]["name"] for row in rows][-1] == "Non-Amazon"
    assert {row["storeName"] for row in rows} == {"Lampenladen"}


async def test_the_sellers_region_decides_whatever_host_he_consented_on(seller: Seller) -> None:
    tokens = await seller.connect("A3BRIGHTPORCH9", "/sellercentral-europe.amazon.com")

    europe = await seller.participations(tokens["access_token"], "eu")
    america = await seller.participations(tokens["access_token"], "na")

    assert europe.status_code == 403
    assert [row["marketplace"]["countryCode"] for row in america.json()["payload"]] == ["US", "CA", "MX"]


@pytest.mark.parametrize(
    ("token", "details"),
    [
        ("", "Access token is missing in the request header."),
        ("Atza|wrong", "The access token you provided is revoked, malformed or invalid."),
    ],
)
async def test_bad_token_is_forbidden(seller: Seller, token: str, details: str) -> None:
    answer = await seller.participations(token)

    assert answer.status_code == 403
    message = "Access to requested resource is denied."
    assert answer.json() == {"errors": [{"code": "Unauthorized", "message": message, "details": details}]}
    assert "x-amzn-ratelimit-limit" not in answer.headers


async def test_access_token_expires_after_an_hour(seller: Seller) -> None:
    tokens = await seller.connect()
    await seller.client.post("/control/clock/advance", json={"seconds": 3600})

    answer = await seller.participations(tokens["access_token"])

    assert answer.json()["errors"][0]["details"] == "The access token you provided has expired."


async def test_unknown_operation_is_forbidden_not_missing(seller: Seller) -> None:
    answer = await seller.client.get(f"{EU}/orders/v0/orders", headers={"user-agent": USER_AGENT})

    assert (answer.status_code, answer.json()["errors"][0]["details"]) == (403, "")


@pytest.mark.parametrize("user_agent", ["", "python-httpx2/2.16", "Replyco/0.1", "Replyco/0.1 (" + "x" * 500])
async def test_user_agent_must_name_the_application(seller: Seller, user_agent: str) -> None:
    tokens = await seller.connect()

    answer = await seller.client.get(
        f"{EU}/sellers/v1/marketplaceParticipations",
        headers={"x-amz-access-token": tokens["access_token"], "user-agent": user_agent},
    )

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "InvalidInput")


async def test_sixteenth_call_is_throttled_until_the_bucket_refills(seller: Seller) -> None:
    tokens = await seller.connect()
    statuses = [(await seller.participations(tokens["access_token"])).status_code for _ in range(16)]
    assert statuses == [200] * 15 + [429]

    await seller.client.post("/control/clock/advance", json={"seconds": 63})
    refilled = await seller.participations(tokens["access_token"])
    refused = await seller.participations(tokens["access_token"])

    assert refilled.status_code == 200
    assert refused.json()["errors"][0]["code"] == "QuotaExceeded"


async def test_throttling_can_be_switched_off(seller: Seller) -> None:
    tokens = await seller.connect()
    await seller.client.post("/control/scenarios/throttling", json={"enabled": False})

    statuses = {(await seller.participations(tokens["access_token"])).status_code for _ in range(20)}

    assert statuses == {200}


async def test_planned_api_failure_hits_one_seller(seller: Seller) -> None:
    tokens = await seller.connect()
    other = await seller.connect("A2CASAVERDE34K")
    await seller.client.post(
        "/control/scenarios/api-failures", json={"count": 1, "status": 500, "seller_id": "A1LAMPENLADEN7"}
    )

    assert (await seller.participations(other["access_token"])).status_code == 200
    assert (await seller.participations(tokens["access_token"])).status_code == 500
    assert (await seller.participations(tokens["access_token"])).status_code == 200
