"""Each scenario of the sandbox that concerns a consent, walked through as a seller does: what he is told at its end.

`docs/sandbox.md` promises the same in words.
"""

from typing import Any

import httpx2
import pytest

from services.sandbox.state.scenarios import API_ANSWERS, PAGE_CODES, TOKEN_ANSWERS
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    CASA_VERDE,
    LAMPENLADEN,
    Amazon,
    arrive,
    begin,
    connect,
    connect_named,
    consent,
    outcome,
)
from tests.no_tls import NO_AUTHORITIES

EUROPE = "sellercentral-europe.amazon.com"
FAILURES = {
    "code-missing": "code_missing",
    "code-expired": "code_rejected",
    "other-region": "region_mismatch",
    "token-429-json": "amazon_unavailable",
    "token-429-html": "amazon_unavailable",
    "token-503-html": "amazon_unavailable",
    "token-server-error": "amazon_unavailable",
    "token-empty": "amazon_unavailable",
    "token-no-refresh-token": "amazon_unavailable",
    "token-invalid-client": "client_misconfigured",
    "token-unauthorized-client": "client_misconfigured",
    "api-token-expired": "amazon_unavailable",
    "api-token-revoked": "amazon_unavailable",
    "api-role-missing": "role_missing",
    "api-secret-expired": "client_misconfigured",
    "api-security-token-expired": "amazon_unavailable",
    "api-429": "amazon_unavailable",
    "api-429-without-rate": "amazon_unavailable",
    "api-500": "amazon_unavailable",
    "api-503-html": "amazon_unavailable",
    "api-empty": "amazon_unavailable",
    "participations-empty": "no_participation",
    "participations-none": "no_participation",
    "participations-other-region": "no_participation",
}


async def cancel(consent_url: str) -> httpx2.Response:
    """Sign in as the Lampenladen and press Cancel."""
    url = httpx2.URL(consent_url)
    async with httpx2.AsyncClient(verify=NO_AUTHORITIES, trust_env=False) as browser:
        sign_in = url.copy_with(path=f"/{EUROPE}/ap/signin", query=b"")
        await browser.post(sign_in, data={"seller_id": LAMPENLADEN})
        data = {**dict(url.params), "action": "cancel"}
        return await browser.post(url.copy_with(query=b""), data=data)


@pytest.mark.parametrize(("scenario", "code"), FAILURES.items())
async def test_a_consent_that_fails_ends_with_words_and_a_cure(
    signed_in: SignedIn, amazon: Amazon, scenario: str, code: str
):
    amazon.state.scenarios.switch_on(scenario)

    failed = await connect(signed_in.client)

    assert (failed["status"], failed["problem"]["code"]) == ("failed", code)
    assert failed["problem"]["title"]
    assert failed["problem"]["detail"]
    assert (await signed_in.client.get("/api/v1/integrations")).json()["items"] == []


@pytest.mark.parametrize(
    "scenario", ["code-expired", "token-503-html", "api-503-html", "participations-none"]
)
async def test_after_a_failure_the_next_attempt_connects(signed_in: SignedIn, amazon: Amazon, scenario: str):
    amazon.state.scenarios.switch_on(scenario)
    assert (await connect(signed_in.client))["status"] == "failed"
    amazon.state.scenarios.switch_all_off()

    assert (await connect(signed_in.client))["status"] == "connected"


def test_every_answer_of_the_sandbox_that_does_not_hang_is_walked_through():
    quick = {name for name, answer in (TOKEN_ANSWERS | API_ANSWERS).items() if not answer.hangs}

    assert quick <= set(FAILURES)


async def test_a_refusal_that_leads_back_is_told_as_one(signed_in: SignedIn, amazon: Amazon):
    amazon.state.scenarios.switch_on("access-denied")
    attempt = await begin(signed_in.client)

    back = await cancel(attempt["consent_url"])
    await arrive(signed_in.client, back.headers["location"])

    failed = await outcome(signed_in.client, attempt["id"])
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "code_missing")


async def test_after_a_cancel_that_leads_nowhere_the_attempt_waits(signed_in: SignedIn):
    attempt = await begin(signed_in.client)

    back = await cancel(attempt["consent_url"])

    assert back.status_code == 200
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "waiting"


async def test_while_amazon_shows_an_error_of_its_own_the_attempt_waits(signed_in: SignedIn, amazon: Amazon):
    attempt = await begin(signed_in.client)
    url = httpx2.URL(attempt["consent_url"])

    async with httpx2.AsyncClient(verify=NO_AUTHORITIES, trust_env=False) as browser:
        sign_in = url.copy_with(path=f"/{EUROPE}/ap/signin", query=b"")
        await browser.post(sign_in, data={"seller_id": LAMPENLADEN})
        for code in PAGE_CODES:
            amazon.state.scenarios.switch_on(f"page-{code}", count=1)
            assert code in (await browser.get(url)).text

    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "waiting"


@pytest.mark.parametrize("scenario", ["store-renamed", "listings-suspended", "token-new-refresh-token"])
async def test_a_store_that_is_only_unusual_is_connected(signed_in: SignedIn, amazon: Amazon, scenario: str):
    amazon.state.scenarios.switch_on(scenario)

    assert (await connect(signed_in.client))["status"] == "connected"


async def test_a_consent_for_another_store_connects_that_one_and_never_replaces_the_first(
    signed_in: SignedIn, amazon: Amazon
):
    first = await connect_named(signed_in)
    amazon.state.scenarios.switch_on("other-seller")

    second = await connect(signed_in.client)

    assert second["status"] == "connected"
    assert second["integration_id"] != first


@pytest.mark.parametrize(
    ("scenario", "code"),
    [("other-seller", "wrong_account"), ("participations-other-store", "store_differs")],
)
async def test_another_store_on_a_reconnect_is_refused(
    signed_in: SignedIn, amazon: Amazon, scenario: str, code: str
):
    integration_id = await connect_named(signed_in)
    amazon.state.scenarios.switch_on(scenario, seller_id=LAMPENLADEN)
    body = {"integration_id": integration_id}
    attempt = (await signed_in.client.post("/api/v1/authorizations", json=body)).json()

    await arrive(signed_in.client, await consent(attempt["consent_url"], LAMPENLADEN))

    failed = await outcome(signed_in.client, attempt["id"])
    assert (failed["status"], failed["problem"]["code"]) == ("failed", code)
    assert CASA_VERDE not in str(failed)


async def test_while_all_of_amazon_is_away_our_own_pages_answer(signed_in: SignedIn, amazon: Amazon):
    await connect_named(signed_in)
    amazon.state.scenarios.switch_on("outage")

    listed: dict[str, Any] = (await signed_in.client.get("/api/v1/integrations")).json()

    assert listed["items"][0]["lock"]["state"] == "pending"  # the first mail has not come yet
