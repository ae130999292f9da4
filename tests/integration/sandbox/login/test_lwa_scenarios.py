"""What a scenario makes of the token endpoint."""

import asyncio

import pytest

from services.sandbox.settings import SandboxSettings
from services.sandbox.state.scenarios import TOKEN_ANSWERS
from tests.integration.sandbox.conftest import LAMPENLADEN, Seller
from tests.integration.sandbox.scenarios import on, refresh


@pytest.mark.parametrize("name", [name for name, answer in TOKEN_ANSWERS.items() if not answer.hangs])
async def test_token_endpoint_answers_as_the_scenario_says(seller: Seller, name: str) -> None:
    tokens = await seller.connect()
    await on(seller, name, count=1)

    answer = await refresh(seller, tokens)

    assert (answer.status_code, answer.text) == (TOKEN_ANSWERS[name].status, TOKEN_ANSWERS[name].body)
    assert answer.headers["content-type"].startswith(TOKEN_ANSWERS[name].content_type)
    assert (await refresh(seller, tokens)).status_code == 200


async def test_token_scenario_can_be_limited_to_a_grant_type(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-429-json", operation="authorization_code")

    assert (await refresh(seller, tokens)).status_code == 200
    assert (await seller.exchange(await seller.code())).status_code == 429


@pytest.mark.parametrize("settings", [SandboxSettings(hang_seconds=0.2)], ids=["hangs 0.2 s"])
async def test_hanging_amazon_answers_late_and_with_nothing_useful(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-hangs")
    await on(seller, "api-hangs")
    started = asyncio.get_running_loop().time()

    token, call = await asyncio.gather(refresh(seller, tokens), seller.participations(tokens["access_token"]))

    assert asyncio.get_running_loop().time() - started >= 0.2
    assert (token.status_code, call.status_code) == (503, 503)


async def test_code_can_bring_no_refresh_token(seller: Seller) -> None:
    await on(seller, "token-no-refresh-token", count=1)

    assert set((await seller.exchange(await seller.code())).json()) == {
        "access_token",
        "token_type",
        "expires_in",
    }


async def test_refresh_can_bring_a_new_refresh_token_and_end_the_old_one(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-new-refresh-token", count=1)

    renewed = (await refresh(seller, tokens)).json()

    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert (await refresh(seller, tokens)).json()["error"] == "invalid_grant"
    assert (await refresh(seller, renewed)).status_code == 200


async def test_invalid_grant_for_good_ends_with_a_new_consent_only_when_it_is_a_revocation(
    seller: Seller,
) -> None:
    tokens = await seller.connect()
    await on(seller, "token-invalid-grant", seller_id=LAMPENLADEN)

    assert (await refresh(seller, tokens)).json()["error"] == "invalid_grant"
    assert (await seller.exchange(await seller.code())).status_code == 200
