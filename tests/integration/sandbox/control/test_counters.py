"""Resetting all or the counters alone, and what the control API has not."""

import httpx2

from tests.integration.sandbox.conftest import Seller


async def test_reset_forgets_tokens(seller: Seller) -> None:
    tokens = await seller.connect()

    await seller.client.post("/control/reset")

    answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.json()["error"] == "invalid_grant"


async def test_counters_reset_alone_keeps_tokens(seller: Seller) -> None:
    tokens = await seller.connect()

    cleared = (await seller.client.post("/control/counters/reset")).json()

    assert cleared["token"] == {}
    answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.status_code == 200


async def test_consent_cannot_be_given_through_control(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/control/consent", json={})).status_code == 404
