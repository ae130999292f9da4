"""A caller who sends too much is told so, and nobody else notices."""

from collections.abc import Awaitable, Callable

import httpx2
import pytest

from services.connector.settings import ConnectorSettings
from tests.integration.connector.conftest import SignedIn


@pytest.fixture
def settings(settings: ConnectorSettings) -> ConnectorSettings:
    return settings.model_copy(update={"requests_per_minute": 3, "anonymous_requests_per_minute": 2})


async def test_a_user_who_sends_too_much_is_told_how_long_to_wait(
    sign_in_as: Callable[..., Awaitable[SignedIn]],
):
    busy, other = await sign_in_as(), await sign_in_as()
    answers = [await busy.client.get("/api/v1/me") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"caller";q=3;w=60'
    assert answers[0].headers["ratelimit"] == '"caller";r=2;t=20'
    refused = answers[3]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "rate_limited"
    assert 0 < int(refused.headers["retry-after"]) <= 20
    assert refused.headers["ratelimit"].startswith('"caller";r=0;')
    assert (await other.client.get("/api/v1/me")).status_code == 200


async def test_a_second_session_of_a_user_brings_no_second_quota_but_an_api_key_has_its_own(
    signed_in: SignedIn, api_key_client: Callable[..., Awaitable[httpx2.AsyncClient]]
):
    program = await api_key_client()
    for _ in range(4):
        await signed_in.client.get("/api/v1/me")

    assert (await program.get("/api/v1/me")).headers["ratelimit"].startswith('"caller";r=2;')


async def test_who_is_not_signed_in_is_counted_by_address(new_client: Callable[..., httpx2.AsyncClient]):
    guessing = new_client(address="192.0.2.7", authorization="Bearer rk_wrong")
    nobody, elsewhere = new_client(address="192.0.2.7"), new_client(address="192.0.2.8")

    assert (await guessing.get("/api/v1/me")).status_code == 401
    assert (await nobody.get("/api/v1/me")).status_code == 401
    refused = await guessing.get("/api/v1/me")
    assert refused.status_code == 429
    assert refused.headers["ratelimit-policy"] == '"address";q=2;w=60'
    assert (await elsewhere.get("/api/v1/me")).status_code == 401


async def test_a_customer_with_thousands_of_networks_is_counted_as_one(
    new_client: Callable[..., httpx2.AsyncClient],
):
    """# S: the /48 of an IPv6 address, at four times as many as a /64"""
    answers = [await new_client(address=f"2001:db8:0:{number}::1").get("/api/v1/me") for number in range(9)]
    other = await new_client(address="2001:db8:1::1").get("/api/v1/me")

    assert [answer.status_code for answer in answers] == [401] * 8 + [429]
    assert answers[-1].headers["ratelimit-policy"] == '"network";q=8;w=60'
    assert other.status_code == 401
