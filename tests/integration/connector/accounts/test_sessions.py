"""Signing in, staying signed in, signing out."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import argon2
import httpx2
import pytest
from sqlalchemy import func, select, update

from services.connector.accounts.callers import Caller, NotSignedIn
from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.revalidation import is_still_allowed
from services.connector.accounts.service import caller_of_session
from services.connector.dependencies import BACKGROUND_HEADER, KNOWN_BROWSER_COOKIE, SESSION_COOKIE
from shared.database import Sessions
from shared.tables import Account, AuditEntry, User, UserSession
from tests.integration.connector.conftest import PASSWORD, SignedIn


async def _sign_in(client: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> httpx2.Response:
    return await client.post("/api/v1/sessions", json={"email": email, "password": password})


async def test_signing_in_sets_a_host_cookie_and_tells_who_one_is(signed_in: SignedIn, nobody):
    answer = await _sign_in(nobody, f"  {signed_in.user.email.upper()} ")

    assert answer.status_code == 201, answer.text
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == [SESSION_COOKIE, KNOWN_BROWSER_COOKIE]
    for cookie in cookies:
        for attribute in ("__Host-", "HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert attribute in cookie
        assert "Domain" not in cookie
    body = answer.json()
    assert body["account"]["id"] == str(signed_in.account.id)
    assert body["permissions"] == {
        "general.admin": "edit",
        "general.programs": "edit",
        "inbox.messages": "edit",
        "inbox.orders": "view",
        "inbox.replies": "edit",
    }
    assert (await nobody.get("/api/v1/me")).json() == body


async def test_wrong_password_and_unknown_address_get_the_same_answer(signed_in: SignedIn, nobody):
    wrong = await _sign_in(nobody, signed_in.user.email, "not the password")
    unknown = await _sign_in(nobody, "nobody@seller.example", "not the password")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "invalid_credentials"


async def test_signing_out_ends_the_session_at_once(signed_in: SignedIn, new_client):
    answer = await signed_in.client.delete("/api/v1/sessions/current")

    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    again = new_client()
    again.cookies.set(SESSION_COOKIE, signed_in.token)
    assert (await again.get("/api/v1/me")).status_code == 401


async def test_signing_in_again_ends_the_session_that_it_replaces(
    signed_in: SignedIn, sign_in_as, new_client, sessions: Sessions
):
    other = await sign_in_as()
    browser, elsewhere = new_client(), new_client()
    await _sign_in(browser, signed_in.user.email)
    replaced = browser.cookies[SESSION_COOKIE]
    async with sessions.begin() as session:
        replaced_id = await session.scalar(
            select(UserSession.id).where(UserSession.token_hash == hash_secret(replaced))
        )

    wrong = await _sign_in(browser, other.user.email, "wrong password")
    still = await browser.get("/api/v1/me")
    right = await _sign_in(browser, other.user.email)

    assert [answer.status_code for answer in (wrong, still, right)] == [401, 200, 201]
    elsewhere.cookies.set(SESSION_COOKIE, replaced)
    assert (await elsewhere.get("/api/v1/me")).status_code == 401
    # The same person's sessions in other browsers go on.
    assert (await signed_in.client.get("/api/v1/me")).status_code == 200
    async with sessions.begin() as session:
        ended = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "signed_out"))).one()
    assert (ended.actor_id, ended.subject_id) == (signed_in.user.id, replaced_id)


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


async def test_a_session_slides_for_twelve_hours_but_ends_after_thirty_days(sign_in_as, sessions: Sessions):
    agent = await sign_in_as(general_admin="view")
    begun = datetime.now(UTC)

    for hours in range(11, 30 * 24, 11):
        await caller_of_session(sessions, agent.token, begun + timedelta(hours=hours))

    with pytest.raises(NotSignedIn):
        await caller_of_session(sessions, agent.token, begun + timedelta(days=30, seconds=1))


async def test_an_idle_session_ends_after_twelve_hours(sign_in_as, sessions: Sessions):
    agent = await sign_in_as(general_admin="view")
    with pytest.raises(NotSignedIn):
        await caller_of_session(sessions, agent.token, datetime.now(UTC) + timedelta(hours=12, seconds=1))


async def _as_by_default(sessions: Sessions, account_id: UUID) -> None:
    async with sessions.begin() as session:
        await session.execute(
            update(Account)
            .where(Account.id == account_id)
            .values(admin_session_hours=12, admin_idle_minutes=30)
        )


async def test_an_admins_session_ends_after_half_an_hour_without_use(signed_in: SignedIn, sessions: Sessions):
    await _as_by_default(sessions, signed_in.account.id)
    begun = datetime.now(UTC)

    await caller_of_session(sessions, signed_in.token, begun + timedelta(minutes=29))
    await caller_of_session(sessions, signed_in.token, begun + timedelta(minutes=58))

    with pytest.raises(NotSignedIn):
        await caller_of_session(sessions, signed_in.token, begun + timedelta(minutes=89))


async def test_an_admins_session_ends_after_twelve_hours_of_work(signed_in: SignedIn, sessions: Sessions):
    await _as_by_default(sessions, signed_in.account.id)
    begun = datetime.now(UTC)

    for minutes in range(20, 12 * 60, 20):
        await caller_of_session(sessions, signed_in.token, begun + timedelta(minutes=minutes))

    with pytest.raises(NotSignedIn):
        await caller_of_session(sessions, signed_in.token, begun + timedelta(hours=12, seconds=1))


async def test_what_a_page_asks_by_itself_keeps_nobody_signed_in(signed_in: SignedIn, sessions: Sessions):
    await _as_by_default(sessions, signed_in.account.id)
    begun = datetime.now(UTC)
    for minutes in range(5, 30, 5):
        await caller_of_session(
            sessions, signed_in.token, begun + timedelta(minutes=minutes), is_background=True
        )

    with pytest.raises(NotSignedIn):
        await caller_of_session(sessions, signed_in.token, begun + timedelta(minutes=31))


@pytest.mark.parametrize(
    ("headers", "is_prolonged"),
    [({}, True), ({BACKGROUND_HEADER: "1"}, False), ({"Accept": "text/event-stream"}, False)],
    ids=["a person", "a page by itself", "an event stream"],
)
async def test_a_request_says_whether_a_person_is_there(
    signed_in: SignedIn, sessions: Sessions, headers: dict[str, str], is_prolonged: bool
):
    of_session = UserSession.id == signed_in.session_id
    before = datetime.now(UTC) - timedelta(minutes=9)
    async with sessions.begin() as session:
        await session.execute(update(UserSession).where(of_session).values(last_seen_at=before))

    await signed_in.client.get("/api/v1/me", headers=headers)

    async with sessions.begin() as session:
        seen = await session.scalar(select(UserSession.last_seen_at).where(of_session))
    assert (seen != before) is is_prolonged


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


async def _caller(sessions: Sessions, who: SignedIn) -> Caller:
    return await caller_of_session(sessions, who.token, datetime.now(UTC))


async def test_a_stream_ends_with_its_session(signed_in: SignedIn, sessions: Sessions):
    await _as_by_default(sessions, signed_in.account.id)
    caller, now = await _caller(sessions, signed_in), datetime.now(UTC)

    assert await is_still_allowed(sessions, caller, now + timedelta(minutes=29))
    assert not await is_still_allowed(sessions, caller, now + timedelta(minutes=31))
    await signed_in.client.delete("/api/v1/sessions/current")
    assert not await is_still_allowed(sessions, caller, now)


async def test_a_stream_ends_when_a_second_factor_is_demanded(signed_in: SignedIn, sessions: Sessions):
    caller, now = await _caller(sessions, signed_in), datetime.now(UTC)
    async with sessions.begin() as session:
        await session.execute(update(Account).values(second_factor="everybody"))

    assert not await is_still_allowed(sessions, caller, now)


async def test_ones_sessions_are_listed_and_ended(signed_in: SignedIn, nobody, new_client, sign_in_as):
    firefox = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"}
    telephone = new_client(address="203.0.113.7", **firefox)
    await _sign_in(telephone, signed_in.user.email)
    await _sign_in(nobody, signed_in.user.email)
    stranger = await sign_in_as()

    listed = (await signed_in.client.get("/api/v1/sessions")).json()["items"]
    of_telephone = next(each for each in listed if each["browser"] == "Firefox, Windows")
    foreign = await stranger.client.delete(f"/api/v1/sessions/{of_telephone['id']}")
    ended = await signed_in.client.delete(f"/api/v1/sessions/{of_telephone['id']}")

    assert of_telephone["network"] == "203.0.113.7/32"
    assert [each["is_current"] for each in listed].count(True) == 1
    assert len(listed) == 3
    assert (foreign.status_code, ended.status_code) == (404, 204)
    assert (await telephone.get("/api/v1/me")).status_code == 401
    assert (await nobody.get("/api/v1/me")).status_code == 200

    assert (await signed_in.client.delete("/api/v1/sessions")).status_code == 204

    assert (await nobody.get("/api/v1/me")).status_code == 401
    assert (await signed_in.client.get("/api/v1/me")).status_code == 200
    assert (await stranger.client.get("/api/v1/me")).status_code == 200
