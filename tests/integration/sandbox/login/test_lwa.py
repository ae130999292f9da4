"""The token endpoint and the Sellers API: what an application meets after the consent."""

import pytest

from tests.integration.sandbox.conftest import CALLBACK, Seller

TOKEN = "/api.amazon.com/auth/o2/token"


async def test_code_gives_tokens(seller: Seller) -> None:
    answer = await seller.exchange(await seller.code())

    assert answer.status_code == 200
    body = answer.json()
    assert body["access_token"].startswith("Atza|")
    assert body["refresh_token"].startswith("Atzr|")
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


async def test_code_works_once(seller: Seller) -> None:
    code = await seller.code()
    await seller.exchange(code)

    answer = await seller.exchange(code)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["error_description"] == "The request has an invalid grant parameter : code"
    assert answer.json()["request_id"]


async def test_code_expires_after_five_minutes(seller: Seller) -> None:
    early = await seller.code()
    await seller.client.post("/control/clock/advance", json={"seconds": 299})
    assert (await seller.exchange(early)).status_code == 200
    late = await seller.code()
    await seller.client.post("/control/clock/advance", json={"seconds": 300})

    answer = await seller.exchange(late)

    assert answer.json()["error"] == "invalid_grant"


async def test_code_is_bound_to_its_redirect_uri(seller: Seller) -> None:
    code = await seller.code()

    answer = await seller.token(grant_type="authorization_code", code=code, redirect_uri=f"{CALLBACK}?x=1")

    assert answer.json()["error"] == "invalid_grant"


async def test_refresh_does_not_rotate(seller: Seller) -> None:
    tokens = await seller.connect()

    answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    assert answer.json()["refresh_token"] == tokens["refresh_token"]
    assert answer.json()["access_token"] != tokens["access_token"]


async def test_refresh_token_lives_a_year(seller: Seller) -> None:
    tokens = await seller.connect()
    await seller.client.post("/control/clock/advance", json={"seconds": 365 * 86_400})

    answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    assert answer.json()["error"] == "invalid_grant"


async def test_grantless_token_comes_without_refresh_token(seller: Seller) -> None:
    allowed = await seller.token(grant_type="client_credentials", scope="sellingpartnerapi::notifications")
    refused = await seller.token(grant_type="client_credentials", scope="sellingpartnerapi::migration")

    assert "refresh_token" not in allowed.json()
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "Atzr|wrong"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "client_id": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "client_secret": ""}, 400, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, 400, "invalid_request"),
    ],
)
async def test_errors_have_amazons_status_and_name(
    seller: Seller, fields: dict[str, str], status: int, error: str
) -> None:
    answer = await seller.token(**fields)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description", "request_id"}


async def test_only_forms_are_read(seller: Seller) -> None:
    answer = await seller.client.post(TOKEN, json={"grant_type": "refresh_token"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_secret_in_the_authorization_header_is_not_read(seller: Seller) -> None:
    secret = seller.settings.client_secret.get_secret_value()

    answer = await seller.client.post(
        TOKEN, data={"grant_type": "refresh_token"}, auth=(seller.settings.client_id, secret)
    )

    assert answer.json()["error_description"] == "The request is missing a required parameter : client_id"


async def test_revoked_seller_gets_no_more_tokens(seller: Seller) -> None:
    tokens = await seller.connect()
    await seller.client.post("/control/scenarios/revoke", json={"seller_id": "A1LAMPENLADEN7"})

    refreshed = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    called = await seller.participations(tokens["access_token"])

    assert refreshed.json()["error"] == "invalid_grant"
    assert called.json()["errors"][0]["details"].endswith("is revoked, malformed or invalid.")


async def test_new_consent_after_revocation_works(seller: Seller) -> None:
    await seller.connect()
    await seller.client.post("/control/scenarios/revoke", json={"seller_id": "A1LAMPENLADEN7"})

    tokens = await seller.connect()

    assert (await seller.participations(tokens["access_token"])).status_code == 200


async def test_planned_failures_hit_the_next_calls_only(seller: Seller) -> None:
    code = await seller.code()
    await seller.client.post(
        "/control/scenarios/token-failures",
        json={"count": 2, "status": 503, "body": "<html>busy</html>", "grant_type": "authorization_code"},
    )

    first = await seller.exchange(code)
    second = await seller.exchange(code)
    third = await seller.exchange(code)

    assert [first.status_code, second.status_code, third.status_code] == [503, 503, 200]
    assert first.headers["content-type"].startswith("text/html")


async def test_token_calls_are_counted_by_grant(seller: Seller) -> None:
    tokens = await seller.connect()
    await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    await seller.participations(tokens["access_token"])

    counters = (await seller.client.get("/control/counters")).json()

    assert counters["token"] == {"authorization_code": 1, "refresh_token": 1}
    assert counters["refreshes"] == {"A1LAMPENLADEN7": 1}
    assert counters["operations"] == {"getMarketplaceParticipations": 1}
    assert counters["participations"] == {"A1LAMPENLADEN7": 1}
    assert counters["consents"] == {"A1LAMPENLADEN7": 1}
