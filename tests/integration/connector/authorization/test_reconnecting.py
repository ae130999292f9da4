"""Reconnecting a store: the same one is reauthorized, another one changes nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from shared.database import Sessions
from shared.keyring import Keyring
from shared.metrics import render
from shared.tables import (
    Account,
    AuditEntry,
    EventRow,
    Grant,
    Integration,
    MarketplaceParticipation,
    ThrottleBucket,
)
from tests.factories import make_account, make_integration
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

SignInAs = Callable[..., Awaitable[SignedIn]]


async def begin_reconnect(signed_in: SignedIn, integration_id: str) -> dict[str, Any]:
    answer = await signed_in.client.post("/api/v1/authorizations", json={"integration_id": integration_id})
    assert answer.status_code == 201, answer.text
    attempt: dict[str, Any] = answer.json()
    return attempt


async def reconnect(signed_in: SignedIn, integration_id: str, seller_id: str) -> dict[str, Any]:
    attempt = await begin_reconnect(signed_in, integration_id)
    await arrive(signed_in.client, await consent(attempt["consent_url"], seller_id))
    return await outcome(signed_in.client, attempt["id"])


async def stored_grant(sessions: Sessions) -> Grant:
    async with sessions.begin() as session:
        return (await session.scalars(select(Grant))).one()


async def test_the_same_store_is_reauthorized(signed_in: SignedIn, sessions: Sessions):
    integration_id = await connect_named(signed_in)
    before = await stored_grant(sessions)

    attempt = await reconnect(signed_in, integration_id, LAMPENLADEN)

    assert (attempt["status"], attempt["integration_id"]) == ("reauthorized", integration_id)
    assert (attempt["reconnects"], attempt["country"], attempt["hint"]) == (integration_id, "DE", None)
    assert (await stored_grant(sessions)).version == before.version + 1


async def test_another_store_is_refused_and_the_old_grant_is_untouched(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    integration_id = await connect_named(signed_in)
    before, exchanged = await stored_grant(sessions), amazon.state.counters.token["authorization_code"]

    attempt = await reconnect(signed_in, integration_id, CASA_VERDE)

    assert (attempt["status"], attempt["problem"]["code"]) == ("failed", "wrong_account")
    assert attempt["hint"]["code"] == "sign_out_first"
    after = await stored_grant(sessions)
    assert (after.version, after.refresh_token) == (before.version, before.refresh_token)
    # The other seller's consent is not even redeemed.
    assert amazon.state.counters.token["authorization_code"] == exchanged
    async with sessions.begin() as session:
        failed = await session.scalar(select(AuditEntry).where(AuditEntry.action == "authorization_failed"))
        assert failed is not None
        assert failed.fields["problem"] == "wrong_account"


async def test_another_store_under_the_right_sellers_id_is_refused_by_its_name_and_countries(
    signed_in: SignedIn, sessions: Sessions
):
    """# S: seller id is browser input; name and countries of the store are compared at reconnect"""
    integration_id = await connect_named(signed_in)
    before = await stored_grant(sessions)
    attempt = await begin_reconnect(signed_in, integration_id)
    callback_url = await consent(attempt["consent_url"], CASA_VERDE)

    await arrive(signed_in.client, callback_url.replace(CASA_VERDE, LAMPENLADEN))

    failed = await outcome(signed_in.client, attempt["id"])
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "store_differs")
    after = await stored_grant(sessions)
    assert (after.version, after.refresh_token) == (before.version, before.refresh_token)
    shown = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert [country["country"] for country in shown["countries"]] == ["DE", "FR", "IT"]


@pytest.mark.parametrize("change", ["name", "countries", "more countries and name"])
async def test_a_store_that_is_renamed_or_sells_elsewhere_is_still_the_same(
    signed_in: SignedIn, sessions: Sessions, change: str
):
    integration_id = await connect_named(signed_in)
    async with sessions.begin() as session:
        if "name" in change:
            await session.execute(update(Integration).values(store_name="Lampen & mehr"))
        if "countries" in change:
            row = update(MarketplaceParticipation).where(MarketplaceParticipation.country == "IT")
            new = {"is_participating": False} if "more" in change else {"country": "SE"}
            await session.execute(row.values(new))

    attempt = await reconnect(signed_in, integration_id, LAMPENLADEN)

    assert attempt["status"] == "reauthorized"


async def test_an_integration_of_another_account_cannot_be_reconnected(
    signed_in: SignedIn, sessions: Sessions, keyring: Keyring
):
    async with sessions.begin() as session:
        stranger = await make_account(session, keyring, name="Somebody else")
        theirs = (await make_integration(session, stranger.id)).id

    answer = await signed_in.client.post("/api/v1/authorizations", json={"integration_id": str(theirs)})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("both", [True, False])
async def test_either_a_country_or_an_integration_is_given(signed_in: SignedIn, both: bool):
    body = {"country": "DE", "integration_id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f"} if both else {}

    answer = await signed_in.client.post("/api/v1/authorizations", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "country_integration_or_link"


async def test_the_hint_to_sign_out_first_comes_before_the_second_store_and_after_a_surprise(
    signed_in: SignedIn,
):
    first = await begin(signed_in.client)
    assert first["hint"] is None
    await connect(signed_in.client, LAMPENLADEN)

    second = await begin(signed_in.client)
    assert second["hint"]["code"] == "sign_out_first"
    surprise = await connect(signed_in.client, LAMPENLADEN)

    assert (surprise["status"], surprise["hint"]["code"]) == ("reauthorized", "sign_out_first")
    assert (await connect(signed_in.client, CASA_VERDE))["hint"] is None


async def test_the_only_store_is_reconnected_or_restored_without_the_hint_to_sign_out_first(
    signed_in: SignedIn,
):
    integration_id = await connect_named(signed_in)
    path, again = f"/api/v1/integrations/{integration_id}", {"integration_id": integration_id}

    reconnecting = (await signed_in.client.post("/api/v1/authorizations", json=again)).json()
    await signed_in.client.delete(path)
    await signed_in.client.post(f"{path}/restoration", json={})
    restored = (await signed_in.client.post("/api/v1/authorizations", json=again)).json()
    anew = await begin(signed_in.client)
    await connect(signed_in.client, CASA_VERDE)
    beside_another = (await signed_in.client.post("/api/v1/authorizations", json=again)).json()

    assert [each["hint"] for each in (reconnecting, restored, anew)] == [None, None, None]
    assert beside_another["hint"]["code"] == "sign_out_first"


async def test_a_store_that_another_account_connects_is_not_cut_off_and_nothing_is_written_to_the_first_one(
    app: FastAPI, signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions, keyring: Keyring
):
    """# S: uniqueness of a seller per account, not over all: nobody can squat on a seller's id, nor use it to write elsewhere"""
    await connect_named(signed_in)
    before = await stored_grant(sessions)
    async with sessions.begin() as session:
        other_account = await make_account(session, keyring)
    other = await sign_in_as(of=other_account)
    written_before = await _written_to(sessions, signed_in.account)

    attempt = await connect(other.client)

    assert attempt["status"] == "connected"
    # The seller's id came through the browser, and may be anybody's.
    assert await _written_to(sessions, signed_in.account) == written_before
    async with sessions.begin() as session:
        grants = (await session.scalars(select(Grant).order_by(Grant.id))).all()
    assert (grants[0].version, grants[0].refresh_token) == (before.version, before.refresh_token)
    metrics = render(app.state.connector.registry).decode()
    assert "replyco_sellers_known_elsewhere_total 1.0" in metrics
    # Connected again by the second account: it is known by then, and counted once.
    await connect(other.client)
    assert "replyco_sellers_known_elsewhere_total 1.0" in render(app.state.connector.registry).decode()


async def test_a_forged_sellers_id_writes_nothing_into_the_account_that_has_it(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions, keyring: Keyring
):
    """# S: the consent of one's own store, with the id of somebody else's. Nor does it take of their share of Amazon's limits."""
    await connect_named(signed_in)
    limits_before = await _limits_of(sessions, signed_in.account)
    async with sessions.begin() as session:
        other_account = await make_account(session, keyring)
    other = await sign_in_as(of=other_account)
    written_before = await _written_to(sessions, signed_in.account)

    attempt = await begin(other.client)
    callback = httpx2.URL(await consent(attempt["consent_url"], CASA_VERDE))
    await arrive(other.client, str(callback.copy_set_param("selling_partner_id", LAMPENLADEN)))

    assert (await outcome(other.client, attempt["id"]))["status"] == "connected"
    assert await _limits_of(sessions, signed_in.account) == limits_before != []
    assert await _written_to(sessions, signed_in.account) == written_before


async def _limits_of(sessions: Sessions, account: Account) -> list[tuple[str, float]]:
    """What is left of the account's share of Amazon's limits."""
    bucket = ThrottleBucket
    async with sessions.begin() as session:
        rows = await session.execute(
            select(bucket.key, bucket.tokens).where(bucket.key.contains(str(account.id)))
        )
        return [(row.key, row.tokens) for row in rows if row.key.startswith("sp-api:")]


async def _written_to(sessions: Sessions, account: Account) -> list[int]:
    """How many entries its audit log has, and how many events it was told."""
    async with sessions.begin() as session:
        return [
            (
                await session.execute(
                    select(func.count()).select_from(table).where(table.account_id == account.id)
                )
            ).scalar_one()
            for table in (AuditEntry, EventRow)
        ]


async def test_more_than_ten_attempts_a_minute_by_one_user_are_put_off(
    signed_in: SignedIn, sign_in_as: SignInAs
):
    """# S: rate limit of connecting: 10 a minute for a user"""
    colleague = await sign_in_as()
    for _ in range(10):
        await begin(signed_in.client)

    answer = await signed_in.client.post("/api/v1/authorizations", json={"country": "DE"})

    assert (answer.status_code, answer.json()["code"]) == (429, "too_often")
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 6
    assert (await begin(colleague.client))["status"] == "waiting"
