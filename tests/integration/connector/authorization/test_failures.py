"""Whatever Amazon answers, an attempt ends with an outcome that says what to do, and nothing is half-written."""

from typing import Any

import pytest
from sqlalchemy import func, select

from shared.database import Sessions
from shared.tables import AuthorizationAttempt, Grant, Integration, MarketplaceParticipation
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    BRIGHT_PORCH,
    CASA_VERDE,
    HARBOUR_LIGHTS,
    LAMPENLADEN,
    Amazon,
    arrive,
    begin,
    connect,
    consent,
    outcome,
)

HTML = "<html><body>Service Unavailable</body></html>"


async def attempt_that_fails(
    signed_in: SignedIn, sessions: Sessions, seller_id: str = LAMPENLADEN
) -> dict[str, Any]:
    """The problem of a walk that must fail."""
    attempt = await connect(signed_in.client, seller_id)
    assert attempt["status"] == "failed"
    assert attempt["integration_id"] is None
    async with sessions.begin() as session:
        for table in (Integration, Grant, MarketplaceParticipation):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
    problem: dict[str, Any] = attempt["problem"]
    return problem


@pytest.mark.parametrize(
    ("seller_id", "region", "countries"),
    [(BRIGHT_PORCH, "na", ["US", "CA", "MX", "BR"]), (HARBOUR_LIGHTS, "fe", ["AU", "JP", "SG"])],
)
async def test_a_store_of_another_region_is_told_where_it_belongs(
    *,
    signed_in: SignedIn,
    sessions: Sessions,
    amazon: Amazon,
    seller_id: str,
    region: str,
    countries: list[str],
):
    problem = await attempt_that_fails(signed_in, sessions, seller_id)

    assert problem["code"] == "region_mismatch"
    assert problem["region"] == region
    assert [c["country"] for c in problem["countries"]] == countries
    assert amazon.state.counters.participations_refused["unauthorized"] <= 2


async def test_a_code_that_is_too_old_is_rejected(signed_in: SignedIn, sessions: Sessions, amazon: Amazon):
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    amazon.state.advance_clock(301)

    await arrive(signed_in.client, callback_url)

    failed = await outcome(signed_in.client, attempt["id"])
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "code_rejected")


@pytest.mark.parametrize(
    ("status", "body", "content_type", "code"),
    [
        (500, '{"error": "ServerError"}', "application/json", "amazon_unavailable"),
        (503, HTML, "text/html", "amazon_unavailable"),
        (429, '{"message": "slow down"}', "application/json", "amazon_unavailable"),
        (429, HTML, "text/html", "amazon_unavailable"),
        (200, HTML, "text/html", "amazon_unavailable"),
        (200, "{}", "application/json", "amazon_unavailable"),
        (200, "[]", "application/json", "amazon_unavailable"),
        (
            200,
            '{"access_token": "Atza|x", "token_type": "bearer", "expires_in": 3600}',
            "application/json",
            "amazon_unavailable",
        ),
        (400, '{"error": "invalid_grant"}', "application/json", "code_rejected"),
        (401, '{"error": "invalid_client"}', "application/json", "client_misconfigured"),
        (400, '{"error": "unauthorized_client"}', "application/json", "client_misconfigured"),
    ],
)
async def test_what_login_with_amazon_refuses_is_told_apart_and_never_tried_twice(
    *,
    signed_in: SignedIn,
    sessions: Sessions,
    amazon: Amazon,
    status: int,
    body: str,
    content_type: str,
    code: str,
):
    amazon.fail_tokens(status, body, content_type, count=5)

    problem = await attempt_that_fails(signed_in, sessions)

    assert problem["code"] == code
    assert problem["title"]
    assert problem["detail"]
    assert amazon.state.counters.token["authorization_code"] == 1


@pytest.mark.parametrize(
    ("status", "body", "content_type", "code"),
    [
        (500, '{"errors": []}', "application/json", "amazon_unavailable"),
        (503, HTML, "text/html", "amazon_unavailable"),
        (200, HTML, "text/html", "amazon_unavailable"),
        (200, '{"payload": {"not": "a list"}}', "application/json", "amazon_unavailable"),
        (200, '{"payload": []}', "application/json", "no_participation"),
        (
            429,
            '{"errors": [{"code": "QuotaExceeded", "message": "m"}]}',
            "application/json",
            "amazon_unavailable",
        ),
        (
            403,
            '{"errors": [{"code": "Unauthorized", "message": "m", "details": ""}]}',
            "application/json",
            "role_missing",
        ),
        (
            403,
            '{"errors": [{"code": "Unauthorized", "message": "m", "details": "The LWA secret token you provided has expired."}]}',
            "application/json",
            "client_misconfigured",
        ),
        (
            400,
            '{"errors": [{"code": "InvalidInput", "message": "m"}]}',
            "application/json",
            "client_misconfigured",
        ),
    ],
)
async def test_what_the_sellers_api_refuses_is_told_apart(
    *,
    signed_in: SignedIn,
    sessions: Sessions,
    amazon: Amazon,
    status: int,
    body: str,
    content_type: str,
    code: str,
):
    amazon.fail_api(status, body, content_type, count=20)

    problem = await attempt_that_fails(signed_in, sessions)

    assert problem["code"] == code


async def test_one_failed_read_is_tried_again(signed_in: SignedIn, amazon: Amazon):
    amazon.fail_api(503, HTML, "text/html", count=1)

    assert (await connect(signed_in.client))["status"] == "connected"


async def test_a_store_that_sells_nowhere_is_told_so(signed_in: SignedIn, sessions: Sessions, amazon: Amazon):
    seller = amazon.state.sellers[CASA_VERDE]
    seller.not_participating = seller.countries

    assert (await attempt_that_fails(signed_in, sessions, CASA_VERDE))["code"] == "no_participation"


async def test_a_failed_attempt_keeps_its_first_outcome(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    amazon.fail_tokens(500, "{}")
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    await arrive(signed_in.client, callback_url)

    await arrive(signed_in.client, callback_url)

    assert (await outcome(signed_in.client, attempt["id"]))["problem"]["code"] == "amazon_unavailable"
    assert amazon.state.counters.token["authorization_code"] == 1
    async with sessions.begin() as session:
        assert (await session.scalars(select(AuthorizationAttempt.outcome))).all() == ["failed"]


async def test_the_problem_is_told_in_german(signed_in: SignedIn, amazon: Amazon):
    amazon.fail_tokens(500, "{}")
    attempt = await connect(signed_in.client)

    answer = await signed_in.client.get(
        f"/api/v1/authorizations/{attempt['id']}", headers={"accept-language": "de"}
    )

    assert answer.json()["problem"]["title"] == "Amazon hat nicht geantwortet"
