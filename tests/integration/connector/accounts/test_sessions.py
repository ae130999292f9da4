"""Signing in, staying signed in, signing out."""

import asyncio
from datetime import UTC, datetime, timedelta

import argon2
import httpx2
import pytest
from sqlalchemy import func, select, update

from services.connector.accounts.callers import NotSignedIn
from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.service import caller_of_session
from services.connector.accounts.sign_in_limits import email_key, network_key
from services.connector.dependencies import SESSION_COOKIE
from shared.database import Sessions
from shared.tables import AuditEntry, SignInFailures, User, UserSession
from tests.integration.connector.conftest import PASSWORD, SignedIn


async def _sign_in(client: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> httpx2.Response:
    return await client.post("/api/v1/sessions", json={"email": email, "password": password})


async def test_signing_in_sets_a_host_cookie_and_tells_who_one_is(signed_in: SignedIn, nobody):
    answer = await _sign_in(nobody, f"  {signed_in.user.email.upper()} ")

    assert answer.status_code == 201, answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    body = answer.json()
    assert body["account"]["id"] == str(signed_in.account.id)
    assert body["permissions"] == {"general.admin": "edit", "inbox.messages": "edit"}
    assert (await nobody.get("/api/v1/me")).json() == body


async def test_wrong_password_and_unknown_address_get_the_same_answer(signed_in: SignedIn, nobody):
    wrong = await _sign_in(nobody, signed_in.user.email, "not the password")
    unknown = await _sign_in(nobody, "nobody@seller.example", "not the password")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "invalid_credentials"


async def test_the_eleventh_attempt_for_an_address_is_refused_even_with_the_right_password(
    signed_in: SignedIn, new_client
):
    for number in range(10):
        client = new_client(address=f"192.0.2.{number}")
        assert (await _sign_in(client, signed_in.user.email, "wrong password")).status_code == 401

    answer = await _sign_in(new_client(address="192.0.2.99"), signed_in.user.email)

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_sign_ins")
    assert 0 < int(answer.headers["retry-after"]) <= 15 * 60


async def test_a_failed_sign_in_is_in_the_audit_log_with_where_it_came_from(
    signed_in: SignedIn, new_client, sessions: Sessions
):
    for number in range(14):
        await _sign_in(new_client(address=f"192.0.2.{number}"), signed_in.user.email, "canary-wrong")
    await _sign_in(new_client(), "nobody@seller.example", "canary-wrong")

    async with sessions.begin() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    # Not those that were refused before the password was looked at.
    assert [entry.fields for entry in entries] == [{"network": f"192.0.2.{n}/32"} for n in range(10)]
    assert {(entry.account_id, entry.actor_id, entry.action) for entry in entries} == {
        (signed_in.account.id, signed_in.user.id, "sign_in_failed")
    }


async def test_parallel_attempts_do_not_slip_through_together(signed_in: SignedIn, new_client):
    clients = [new_client(address=f"192.0.2.{number}") for number in range(14)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_sign_in(client, signed_in.user.email, "wrong")) for client in clients]

    statuses = sorted(task.result().status_code for task in tasks)

    assert statuses == [401] * 10 + [429] * 4


async def test_a_success_resets_the_count_of_the_address(signed_in: SignedIn, nobody):
    for _ in range(9):
        await _sign_in(nobody, signed_in.user.email, "wrong")
    assert (await _sign_in(nobody, signed_in.user.email)).status_code == 201

    for _ in range(9):
        assert (await _sign_in(nobody, signed_in.user.email, "wrong")).status_code == 401


async def test_a_network_is_refused_after_fifty_failures_whatever_the_address(sessions: Sessions, new_client):
    async with sessions.begin() as session:
        session.add(
            SignInFailures(
                key=network_key("2001:db8::1"),
                failures=50,
                window_ends_at=datetime.now(UTC) + timedelta(minutes=1),
            )
        )

    same = await _sign_in(new_client(address="2001:db8::ffff"), "a@seller.example", "wrong")
    other = await _sign_in(new_client(address="2001:db8:0:1::1"), "b@seller.example", "wrong")

    assert (same.status_code, other.status_code) == (429, 401)


async def test_a_window_that_is_over_counts_anew(sessions: Sessions, nobody):
    async with sessions.begin() as session:
        session.add(
            SignInFailures(
                key=email_key("a@seller.example"),
                failures=1000,
                window_ends_at=datetime.now(UTC) - timedelta(seconds=1),
            )
        )

    assert (await _sign_in(nobody, "a@seller.example", "wrong")).status_code == 401


async def test_signing_out_ends_the_session_at_once(signed_in: SignedIn, new_client):
    answer = await signed_in.client.delete("/api/v1/sessions/current")

    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    again = new_client()
    again.cookies.set(SESSION_COOKIE, signed_in.token)
    assert (await again.get("/api/v1/me")).status_code == 401


async def test_the_fifty_first_sign_in_ends_the_oldest_session(
    signed_in: SignedIn, nobody, sessions: Sessions
):
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        for number in range(49):
            session.add(
                UserSession(
                    account_id=signed_in.account.id,
                    user_id=signed_in.user.id,
                    token_hash=hash_secret(f"{number}"),
                    expires_at=now + timedelta(hours=1),
                )
            )
    assert (await signed_in.client.get("/api/v1/me")).status_code == 200

    assert (await _sign_in(nobody, signed_in.user.email)).status_code == 201

    assert (await signed_in.client.get("/api/v1/me")).status_code == 401
    assert (await nobody.get("/api/v1/me")).status_code == 200
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(UserSession)) == 50


async def test_a_disabled_user_is_out_at_once_and_cannot_come_back(
    signed_in: SignedIn, nobody, sessions: Sessions
):
    async with sessions.begin() as session:
        await session.execute(
            update(User).where(User.id == signed_in.user.id).values(disabled_at=datetime.now(UTC))
        )

    assert (await signed_in.client.get("/api/v1/me")).status_code == 401
    assert (await _sign_in(nobody, signed_in.user.email)).status_code == 401


async def test_a_session_slides_for_twelve_hours_but_ends_after_thirty_days(
    signed_in: SignedIn, sessions: Sessions
):
    begun = datetime.now(UTC)

    for hours in range(11, 30 * 24, 11):
        await caller_of_session(sessions, signed_in.token, begun + timedelta(hours=hours))

    with pytest.raises(NotSignedIn):
        await caller_of_session(sessions, signed_in.token, begun + timedelta(days=30, seconds=1))


async def test_an_idle_session_ends_after_twelve_hours(signed_in: SignedIn, sessions: Sessions):
    with pytest.raises(NotSignedIn):
        await caller_of_session(sessions, signed_in.token, datetime.now(UTC) + timedelta(hours=12, seconds=1))


async def test_the_database_holds_the_hash_of_the_token_only_and_an_audit_entry(
    signed_in: SignedIn, nobody, sessions: Sessions
):
    await _sign_in(nobody, signed_in.user.email)
    token = nobody.cookies[SESSION_COOKIE]

    async with sessions.begin() as session:
        hashes = (await session.scalars(select(UserSession.token_hash))).all()
        actions = (await session.scalars(select(AuditEntry.action))).all()

    assert hash_secret(token) in hashes
    assert all(token.encode() not in stored for stored in hashes)
    assert actions == ["signed_in"]


async def test_language_and_time_zone_can_be_changed(client: httpx2.AsyncClient):
    answer = await client.patch("/api/v1/me", json={"language": "en", "time_zone": "America/New_York"})

    assert answer.status_code == 200
    assert answer.json()["user"]["language"] == "en"
    assert answer.json()["user"]["time_zone"] == "America/New_York"
    wrong = await client.patch(
        "/api/v1/me", json={"time_zone": "Moon/Base"}, headers={"Accept-Language": "de-AT"}
    )
    assert wrong.json()["errors"] == [
        {
            "field": "time_zone",
            "code": "unknown_time_zone",
            "detail": "Das ist keine Zeitzone der IANA-Datenbank, wie etwa Europe/Berlin.",
        }
    ]


async def test_a_password_with_old_parameters_is_hashed_anew(signed_in: SignedIn, nobody, sessions: Sessions):
    of_user = User.id == signed_in.user.id
    older = argon2.PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    async with sessions.begin() as session:
        await session.execute(update(User).where(of_user).values(password_hash=older))

    await _sign_in(nobody, signed_in.user.email)

    async with sessions.begin() as session:
        stored = await session.scalar(select(User.password_hash).where(of_user))
    assert stored != older
    assert (await _sign_in(nobody, signed_in.user.email)).status_code == 201
