"""The first walk, from "Authorize" to a connected store."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import func, select, text

from services.connector.authorization.api import BROWSER_COOKIE
from shared.database import Sessions
from shared.keyring import Keyring
from shared.marketplaces import BY_COUNTRY, countries_of
from shared.tables import AuditEntry, AuthorizationAttempt, Grant, Integration, MarketplaceParticipation
from tests.factories import make_account, make_user
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
    connect_named,
    consent,
    outcome,
    query_of,
)

SignInAs = Callable[..., Awaitable[SignedIn]]
ApiKeyClient = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.mark.parametrize(
    ("country", "seller_id", "sells_in"),
    [
        ("DE", LAMPENLADEN, {"DE", "FR", "IT"}),
        ("GB", CASA_VERDE, {"ES", "GB", "NL"}),
        ("US", BRIGHT_PORCH, {"US", "CA", "MX"}),
        ("AU", HARBOUR_LIGHTS, {"AU", "JP", "SG"}),
    ],
)
async def test_a_store_of_each_region_is_connected(
    signed_in: SignedIn, sessions: Sessions, country: str, seller_id: str, sells_in: set[str]
):
    attempt = await connect(signed_in.client, seller_id, country, agree=consent)

    assert attempt["status"] == "connected"
    assert attempt["problem"] is None
    assert attempt["consent_url"] is None
    answer = await signed_in.client.get(f"/api/v1/integrations/{attempt['integration_id']}")
    integration = answer.json()
    assert integration["region"] == BY_COUNTRY[country].region
    assert integration["home_country"] == country
    assert integration["name"] is None
    assert integration["address"] is None
    assert integration["lock"]["state"] == "pending"
    assert {c["country"] for c in integration["countries"]} == sells_in
    async with sessions.begin() as session:
        grant = (await session.scalars(select(Grant))).one()
        assert grant.seller_id == seller_id
        assert b"Atzr" not in grant.refresh_token.ciphertext


async def test_the_consent_url_names_only_what_amazon_expects(signed_in: SignedIn, amazon: Amazon):
    attempt = await begin(signed_in.client, "DE")

    url = attempt["consent_url"]
    assert url.startswith(f"{amazon.url}/sellercentral-europe.amazon.com/apps/authorize/consent?")
    assert query_of(url).keys() == {"application_id", "state", "redirect_uri"}
    assert len(query_of(url)["state"]) == 43
    assert [c["country"] for c in attempt["covers"]] == list(countries_of(BY_COUNTRY["DE"].region))


async def test_a_second_store_of_the_account_is_a_second_integration(signed_in: SignedIn):
    first = await connect(signed_in.client, LAMPENLADEN)
    second = await connect(signed_in.client, CASA_VERDE)

    assert second["status"] == "connected"
    assert second["integration_id"] != first["integration_id"]
    items = (await signed_in.client.get("/api/v1/integrations")).json()["items"]
    assert [item["account"]["store_name"] for item in items] == ["Lampenladen", "Casa Verde"]


async def test_the_same_store_again_is_reauthorized_and_keeps_what_it_has(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    first = await connect(signed_in.client, LAMPENLADEN, "DE")
    path = f"/api/v1/integrations/{first['integration_id']}"
    named = (await signed_in.client.patch(path, json={"name": "Europa"})).json()
    async with sessions.begin() as session:
        before = (await session.scalars(select(Grant))).one()

    second = await connect(signed_in.client, LAMPENLADEN, "FR")

    assert second["status"] == "reauthorized"
    assert second["integration_id"] == first["integration_id"]
    again = (await signed_in.client.get(path)).json()
    assert (again["name"], again["address"], again["home_country"]) == ("Europa", named["address"], "DE")
    async with sessions.begin() as session:
        after = (await session.scalars(select(Grant))).one()
    assert after.id == before.id
    assert after.version == before.version + 1
    assert after.refresh_token != before.refresh_token


async def test_two_users_connecting_the_same_store_at_once_make_one_integration(
    signed_in: SignedIn, sign_in_as
):
    other = await sign_in_as()
    attempts = [(user.client, await begin(user.client)) for user in (signed_in, other)]
    urls = [await consent(attempt["consent_url"], LAMPENLADEN) for _, attempt in attempts]

    await asyncio.gather(*(arrive(client, url) for (client, _), url in zip(attempts, urls, strict=True)))

    results = [await outcome(client, attempt["id"]) for client, attempt in attempts]
    assert {result["status"] for result in results} == {"connected", "reauthorized"}
    assert len({result["integration_id"] for result in results}) == 1


async def test_the_same_store_in_another_account_is_allowed_and_audited(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions, keyring: Keyring
):
    async with sessions.begin() as session:
        other_account = await make_account(session, keyring)
    other = await sign_in_as(of=other_account)
    await connect(signed_in.client)

    attempt = await connect(other.client)

    assert attempt["status"] == "connected"
    async with sessions.begin() as session:
        entries = (
            await session.scalars(
                select(AuditEntry.account_id).where(AuditEntry.action == "integration_connected")
            )
        ).all()
    assert set(entries) == {signed_in.account.id, other_account.id}


async def test_connecting_a_store_that_rests_restores_it(signed_in: SignedIn):
    first = await connect_named(signed_in)
    path = f"/api/v1/integrations/{first}"
    before = (await signed_in.client.get(path)).json()
    await signed_in.client.delete(path)

    second = await connect(signed_in.client)

    after = (await signed_in.client.get(path)).json()
    assert (second["status"], second["integration_id"]) == ("reauthorized", first)
    assert (after["name"], after["address"]) == (before["name"], before["address"])
    assert after["rests_until"] is None
    assert "grant_missing" not in [check["code"] for check in after["checks"]]


async def test_a_store_that_comes_back_to_a_taken_name_gets_a_number(signed_in: SignedIn):
    first = await connect_named(signed_in, "Europa")
    await signed_in.client.delete(f"/api/v1/integrations/{first}")
    await connect_named(signed_in, "Europa", CASA_VERDE)

    await connect(signed_in.client)

    assert (await signed_in.client.get(f"/api/v1/integrations/{first}")).json()["name"] == "Europa 2"


async def test_an_attempt_of_another_account_is_not_found(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions, keyring: Keyring
):
    attempt = await begin(signed_in.client)
    async with sessions.begin() as session:
        other_account = await make_account(session, keyring)
    other = await sign_in_as(of=other_account)

    answer = await other.client.get(f"/api/v1/authorizations/{attempt['id']}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


async def test_another_browser_sees_the_attempt_without_its_consent_url(
    signed_in: SignedIn, sign_in_as: SignInAs
):
    attempt = await begin(signed_in.client)
    colleague = await sign_in_as(general_admin="view")

    seen = await outcome(colleague.client, attempt["id"])

    assert seen["status"] == "waiting"
    assert seen["consent_url"] is None


@pytest.mark.parametrize("country", ["", "XX", "de", "UK", "CN"])
async def test_an_unknown_country_is_refused(signed_in: SignedIn, country: str):
    answer = await signed_in.client.post("/api/v1/authorizations", json={"country": country})

    assert answer.status_code == 400
    assert answer.json()["code"] == "unknown_country"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_program_cannot_begin_an_attempt(api_key_client: ApiKeyClient):
    program = await api_key_client()

    answer = await program.post("/api/v1/authorizations", json={"country": "DE"})

    assert answer.status_code == 403
    assert answer.json()["code"] == "browser_required"


def old_attempts(
    account_id: UUID, user_ids: Sequence[UUID], count: int, *, age: timedelta, ended: str | None = None
) -> list[AuthorizationAttempt]:
    """Attempts that were begun a while ago: a minute's limit of connecting does not hold them up."""
    begun = datetime.now(UTC) - age
    return [
        AuthorizationAttempt(
            account_id=account_id,
            user_id=user_ids[number % len(user_ids)],
            state_hash=bytes([number]) * 32,
            browser_hash=b"",
            country="DE",
            region="eu",
            created_at=begun,
            expires_at=begun + timedelta(minutes=10),
            consumed_at=begun if ended is not None else None,
            outcome=ended,
            problem_code="code_missing" if ended == "failed" else None,
        )
        for number in range(count)
    ]


async def test_twenty_unfinished_attempts_an_hour_are_enough(signed_in: SignedIn, sessions: Sessions):
    """# S: cap on pending attempts of a user"""
    async with sessions.begin() as session:
        session.add_all(old_attempts(signed_in.account.id, [signed_in.user.id], 15, age=timedelta(minutes=1)))
    answers = await asyncio.gather(
        *(signed_in.client.post("/api/v1/authorizations", json={"country": "DE"}) for _ in range(8))
    )

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * 5 + [429] * 3
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "too_many_attempts"
    assert 3500 < int(refused.headers["retry-after"]) <= 3600


async def test_the_users_of_an_account_together_may_leave_a_hundred_unfinished(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions, keyring: Keyring
):
    """# S: cap on pending attempts of an account"""
    async with sessions.begin() as session:
        colleagues = [await make_user(session, signed_in.account.id) for _ in range(10)]
        other_account = await make_account(session, keyring)
        user_ids = [colleague.id for colleague in colleagues]
        session.add_all(old_attempts(signed_in.account.id, user_ids, 99, age=timedelta(minutes=30)))
    elsewhere = await sign_in_as(of=other_account)

    await begin(signed_in.client)
    refused = await signed_in.client.post("/api/v1/authorizations", json={"country": "DE"})

    assert (refused.status_code, refused.json()["code"]) == (429, "account_attempts_full")
    assert 1500 < int(refused.headers["retry-after"]) <= 1800
    await begin(elsewhere.client)


async def test_failed_attempts_count_too_and_finished_ones_do_not(signed_in: SignedIn, sessions: Sessions):
    assert (await connect(signed_in.client))["status"] == "connected"
    failed = old_attempts(
        signed_in.account.id, [signed_in.user.id], 12, age=timedelta(minutes=1), ended="failed"
    )
    async with sessions.begin() as session:
        session.add_all(failed)
    for _ in range(8):
        attempt = await begin(signed_in.client)
        without_code = {"state": query_of(attempt["consent_url"])["state"], "selling_partner_id": LAMPENLADEN}
        await signed_in.client.get("/amazon/callback", params=without_code)

    answer = await signed_in.client.post("/api/v1/authorizations", json={"country": "DE"})

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")


async def test_the_browser_cookie_is_bound_to_this_host_and_hidden_from_scripts(signed_in: SignedIn):
    """# S: the cookie is __Host-, Secure, HttpOnly, SameSite=Lax, Path=/"""
    answer = await signed_in.client.post("/api/v1/authorizations", json={"country": "DE"})

    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(BROWSER_COOKIE))
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"httponly", "secure", "samesite=lax", "path=/"}


async def test_each_marketplace_is_listed_with_what_its_consent_covers(client: httpx2.AsyncClient):
    answer = await client.get("/api/v1/marketplaces", headers={"accept-language": "de"})

    items = {item["country"]: item for item in answer.json()["items"]}
    assert items.keys() == BY_COUNTRY.keys()
    assert items["DE"]["name"] == "Deutschland"
    assert [c["country"] for c in items["US"]["covers"]] == ["US", "CA", "MX", "BR"]
    assert {"name": "Japan", "country": "JP"} in items["AU"]["covers"]


async def test_connecting_enqueues_the_first_refresh_the_first_reports_and_what_amazon_tells(
    signed_in: SignedIn, sessions: Sessions
):
    await connect(signed_in.client)

    async with sessions.begin() as session:
        jobs = (await session.execute(text("SELECT kind FROM jobs"))).scalars().all()
    assert sorted(jobs) == ["follow_order_reports", "refresh_participations", "subscribe_to_notices"]


async def test_participations_are_kept_for_known_marketplaces_only(signed_in: SignedIn, sessions: Sessions):
    await connect(signed_in.client)

    async with sessions.begin() as session:
        countries = (await session.scalars(select(MarketplaceParticipation.country))).all()
        assert await session.scalar(select(func.count()).select_from(Integration)) == 1
    assert sorted(countries) == ["DE", "FR", "IT"]
