"""The security checklist's lines about the start of an authorization and its callback that no other test is about."""

import hashlib
from collections.abc import Callable

import httpx2
import pytest
from sqlalchemy import select, update

from services.connector.authorization.api import BROWSER_COOKIE
from services.connector.dependencies import SESSION_COOKIE
from shared.database import Sessions
from shared.tables import AuthorizationAttempt
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    LAMPENLADEN,
    PUBLIC_URL,
    Amazon,
    arrive,
    begin,
    connect,
    consent,
    outcome,
    query_of,
)

NewClient = Callable[..., httpx2.AsyncClient]


async def test_only_a_post_with_the_csrf_token_begins_an_attempt(signed_in: SignedIn, sessions: Sessions):
    """# S: POST starts the flow, with CSRF protection"""
    by_get = await signed_in.client.get("/api/v1/authorizations")
    del signed_in.client.headers["X-CSRF-Token"]
    without_token = await signed_in.client.post("/api/v1/authorizations", json={"country": "DE"})

    # A GET tells of attempts that wait, and begins none.
    assert by_get.json()["items"] == []
    assert (without_token.status_code, without_token.json()["code"]) == (403, "csrf_token_wrong")
    async with sessions.begin() as session:
        assert (await session.scalars(select(AuthorizationAttempt))).all() == []


async def test_an_attempt_is_stored_with_hashes_only(signed_in: SignedIn, sessions: Sessions):
    """# S: the row of an attempt: account, user, hashes of state and browser, country, region, intent, times"""
    integration_id = (await connect(signed_in.client))["integration_id"]
    answer = await signed_in.client.post("/api/v1/authorizations", json={"integration_id": integration_id})
    state = query_of(answer.json()["consent_url"])["state"]
    browser = signed_in.client.cookies[BROWSER_COOKIE]

    async with sessions.begin() as session:
        newest = select(AuthorizationAttempt).order_by(AuthorizationAttempt.id.desc()).limit(1)
        row = (await session.scalars(newest)).one()
    assert (row.account_id, row.user_id) == (signed_in.account.id, signed_in.user.id)
    assert row.state_hash == hashlib.sha256(state.encode()).digest()
    assert row.browser_hash == hashlib.sha256(browser.encode()).digest()
    assert (row.country, row.region, str(row.reconnects)) == ("DE", "eu", integration_id)
    assert (row.expires_at - row.created_at).total_seconds() == 600


async def test_hosts_come_from_our_table_and_our_settings_never_from_the_request(
    signed_in: SignedIn, amazon: Amazon
):
    """# S: the consent URL's host and redirect_uri are never built from what the request says"""
    answer = await signed_in.client.post(
        "/api/v1/authorizations",
        json={"country": "DE"},
        headers={
            "host": "evil.example",
            "x-forwarded-host": "evil.example",
            "forwarded": "host=evil.example",
        },
    )

    url = answer.json()["consent_url"]
    assert url.startswith(f"{amazon.url}/sellercentral-europe.amazon.com/apps/authorize/consent?")
    assert query_of(url)["redirect_uri"] == f"{PUBLIC_URL}/amazon/callback"
    assert "evil" not in url


async def test_where_the_callback_leads_is_never_taken_from_the_query(signed_in: SignedIn):
    """# S: the address after the callback is one of ours, whatever the query names"""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    more = "".join(
        f"&{name}=https://evil.example" for name in ("next", "return_to", "redirect_uri", "region")
    )

    answer = await arrive(signed_in.client, callback_url + more)

    assert answer.headers["location"] == f"/connect/{attempt['id']}"
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "connected"


async def test_to_an_anonymous_visitor_every_state_looks_the_same(
    signed_in: SignedIn, new_client: NewClient, sessions: Sessions
):
    """# S: unknown, expired, consumed and foreign states have codes of their own, and the same look to an anonymous visitor"""
    waiting, used, over = [await begin(signed_in.client) for _ in range(3)]
    await arrive(signed_in.client, await consent(used["consent_url"], LAMPENLADEN))
    async with sessions.begin() as session:
        of_over = update(AuthorizationAttempt).where(AuthorizationAttempt.id == over["id"])
        await session.execute(of_over.values(expires_at=AuthorizationAttempt.created_at))
    states = ["x" * 43, *(query_of(attempt["consent_url"])["state"] for attempt in (waiting, used, over))]

    seen = []
    for client in (new_client(), signed_in.client):
        for state in states:
            parameters = {"state": state, "spapi_oauth_code": "code", "selling_partner_id": "A" * 65}
            answer = await client.get("/amazon/callback", params=parameters)
            seen.append((answer.status_code, answer.headers["location"], answer.text))

    assert len(set(seen[:4])) == 1
    assert len(set(seen[4:])) == 4


@pytest.mark.parametrize("parameter", ["state", "spapi_oauth_code", "selling_partner_id"])
async def test_what_is_too_long_is_not_taken(signed_in: SignedIn, amazon: Amazon, parameter: str):
    """# S: a largest length for every parameter"""
    attempt = await begin(signed_in.client)
    callback_url = httpx2.URL(await consent(attempt["consent_url"], LAMPENLADEN))

    await arrive(signed_in.client, str(callback_url.copy_set_param(parameter, "a" * 3000)))

    assert (await outcome(signed_in.client, attempt["id"]))["status"] in {"waiting", "failed"}
    assert amazon.state.counters.token.total() == 0


async def test_a_stolen_callback_is_worth_nothing_in_another_session(
    signed_in: SignedIn, new_client: NewClient, amazon: Amazon
):
    """# S: code injection: state, cookie and user together are the defence"""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    with_session_only, with_browser_only = new_client(), new_client()
    with_session_only.cookies.set(SESSION_COOKIE, signed_in.token)
    with_browser_only.cookies.set(BROWSER_COOKIE, signed_in.client.cookies[BROWSER_COOKIE])

    thieves = ((with_session_only, "other_browser?country=DE"), (with_browser_only, "sign_in_again"))
    for thief, problem in thieves:
        answer = await arrive(thief, callback_url)
        assert answer.headers["location"] == f"/connect/problem/{problem}"

    assert amazon.state.counters.token.total() == 0
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "waiting"
