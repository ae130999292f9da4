"""Back, reload, double callbacks, other browsers, expired attempts, missing codes, wrong states: each ends on its page."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import func, select, text, update

from deploy.demo.postgres import OWNER
from services.connector.amazon.access import create_amazon
from services.connector.authorization.api import BROWSER_COOKIE
from shared.database import Sessions, create_engine
from shared.tables import AuthorizationAttempt, Grant, Integration
from tests.conftest import Database
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    LAMPENLADEN,
    Amazon,
    answering,
    arrive,
    begin,
    connect,
    consent,
    http_answer,
    outcome,
    query_of,
)

SignInAs = Callable[..., Awaitable[SignedIn]]


async def nothing_was_connected(sessions: Sessions) -> bool:
    async with sessions.begin() as session:
        integrations = await session.scalar(select(func.count()).select_from(Integration))
        grants = await session.scalar(select(func.count()).select_from(Grant))
    return (integrations, grants) == (0, 0)


def problem_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 303
    location: str = answer.headers["location"]
    assert location.startswith("/connect/problem/")
    return location.removeprefix("/connect/problem/").partition("?")[0]


async def test_the_redirect_leaves_no_trace(signed_in: SignedIn):
    """# S: 303 to a clean address; no referrer, no store, no frames"""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)

    answer = await arrive(signed_in.client, callback_url)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/connect/{attempt['id']}"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-opener-policy"].startswith("same-origin")


async def test_after_cancel_the_attempt_expires(signed_in: SignedIn, sessions: Sessions):
    attempt = await begin(signed_in.client)

    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "waiting"
    await let_time_pass(sessions, timedelta(minutes=10))

    later = await outcome(signed_in.client, attempt["id"])
    assert later["status"] == "expired"
    assert later["consent_url"] is None


async def test_a_reload_shows_the_first_outcome(signed_in: SignedIn, amazon: Amazon):
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    first = await arrive(signed_in.client, callback_url)

    second = await arrive(signed_in.client, callback_url)

    assert second.headers["location"] == first.headers["location"]
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "connected"
    assert amazon.state.counters.token["authorization_code"] == 1


async def test_of_parallel_callbacks_one_wins_and_all_show_its_outcome(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    """# S: consumed by one atomic statement; a second callback shows the first one's outcome"""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)

    answers = await asyncio.gather(*(arrive(signed_in.client, callback_url) for _ in range(5)))

    assert {answer.headers["location"] for answer in answers} == {f"/connect/{attempt['id']}"}
    assert amazon.state.counters.token["authorization_code"] == 1
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "connected"
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(Grant)) == 1


async def test_an_expired_attempt_is_not_completed(signed_in: SignedIn, sessions: Sessions, amazon: Amazon):
    """# S: ten minutes, checked by the statement that consumes"""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    await let_time_pass(sessions, timedelta(minutes=10))

    answer = await arrive(signed_in.client, callback_url)

    assert answer.headers["location"] == f"/connect/{attempt['id']}"
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "expired"
    assert amazon.state.counters.token.total() == 0


async def test_another_browser_is_sent_away_and_the_attempt_stays(signed_in: SignedIn):
    """# S: bound to the browser"""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    own_cookie = signed_in.client.cookies.get(BROWSER_COOKIE)
    assert own_cookie is not None
    signed_in.client.cookies.delete(BROWSER_COOKIE)

    elsewhere = await arrive(signed_in.client, callback_url)
    signed_in.client.cookies.set(BROWSER_COOKIE, own_cookie)
    here = await arrive(signed_in.client, callback_url)

    assert problem_of(elsewhere) == "other_browser"
    assert here.headers["location"] == f"/connect/{attempt['id']}"
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "connected"


async def test_who_has_signed_out_meanwhile_signs_in_again(
    signed_in: SignedIn, nobody: httpx2.AsyncClient, sessions: Sessions
):
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    nobody.cookies.set(BROWSER_COOKIE, signed_in.client.cookies[BROWSER_COOKIE])

    answer = await arrive(nobody, callback_url)

    assert problem_of(answer) == "sign_in_again"
    assert await nothing_was_connected(sessions)


async def test_another_user_in_the_same_browser_completes_nothing(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions
):
    """# S: the signed-in user at the callback is the one who began"""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    other = await sign_in_as()
    other.client.cookies.set(BROWSER_COOKIE, signed_in.client.cookies[BROWSER_COOKIE])

    answer = await arrive(other.client, callback_url)

    assert problem_of(answer) == "sign_in_again"
    assert await nothing_was_connected(sessions)


async def test_who_has_lost_the_permission_meanwhile_connects_nothing(
    signed_in: SignedIn, sessions: Sessions
):
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    async with sessions.begin() as session:
        await session.execute(text("UPDATE users SET general_admin = 'view'"))

    await arrive(signed_in.client, callback_url)

    assert await nothing_was_connected(sessions)


@pytest.mark.parametrize("state", ["", "short", "A" * 43, "é" * 43, "A" * 5000])
async def test_a_state_that_is_not_ours_is_unknown(signed_in: SignedIn, amazon: Amazon, state: str):
    await begin(signed_in.client)

    answer = await signed_in.client.get(
        "/amazon/callback",
        params={"state": state, "spapi_oauth_code": "code", "selling_partner_id": LAMPENLADEN},
    )

    assert problem_of(answer) == "attempt_unknown"
    assert amazon.state.counters.token.total() == 0


async def test_a_state_that_comes_twice_is_unknown(signed_in: SignedIn):
    """# S: duplicate parameters are refused"""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)

    answer = await arrive(signed_in.client, f"{callback_url}&state={query_of(callback_url)['state']}")

    assert problem_of(answer) == "attempt_unknown"


async def test_a_callback_with_nothing_in_it_says_that_the_code_is_missing(signed_in: SignedIn):
    answer = await signed_in.client.get("/amazon/callback")

    assert problem_of(answer) == "code_missing"


@pytest.mark.parametrize("missing", ["spapi_oauth_code", "selling_partner_id"])
async def test_a_callback_without_code_or_seller_fails_the_attempt(
    signed_in: SignedIn, amazon: Amazon, missing: str
):
    attempt = await begin(signed_in.client)
    parameters = query_of(await consent(attempt["consent_url"], LAMPENLADEN))
    del parameters[missing]

    answer = await signed_in.client.get("/amazon/callback", params=parameters)

    assert answer.headers["location"] == f"/connect/{attempt['id']}"
    failed = await outcome(signed_in.client, attempt["id"])
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "code_missing")
    assert amazon.state.counters.token.total() == 0


@pytest.mark.parametrize("seller_id", ["A1", "A" * 65, "A1<script>", "A1 B2 C3", "'; DROP TABLE grants"])
async def test_a_seller_id_of_impossible_shape_is_not_taken(
    signed_in: SignedIn, sessions: Sessions, seller_id: str
):
    """# S: selling_partner_id has a conservative charset and length"""
    attempt = await begin(signed_in.client)
    parameters = query_of(await consent(attempt["consent_url"], LAMPENLADEN))

    await signed_in.client.get("/amazon/callback", params={**parameters, "selling_partner_id": seller_id})

    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "failed"
    assert await nothing_was_connected(sessions)


async def test_an_attempt_whose_process_died_is_interrupted_after_two_minutes(
    signed_in: SignedIn, sessions: Sessions
):
    attempt = await begin(signed_in.client)
    async with sessions.begin() as session:
        await session.execute(update(AuthorizationAttempt).values(consumed_at=func.now()))
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "completing"

    async with sessions.begin() as session:
        await session.execute(
            update(AuthorizationAttempt).values(consumed_at=func.now() - timedelta(minutes=2, seconds=1))
        )

    interrupted = await outcome(signed_in.client, attempt["id"])
    assert (interrupted["status"], interrupted["problem"]["code"]) == ("failed", "interrupted")


async def test_a_failure_in_the_middle_of_connecting_leaves_nothing_half_written(
    signed_in: SignedIn, sessions: Sessions, database: Database
):
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    owner = create_engine(database.url(OWNER), application_name="tests")
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE jobs RENAME TO away"))

    answer = await arrive(signed_in.client, callback_url)

    assert answer.status_code == 500
    assert await nothing_was_connected(sessions)
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "completing"
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO jobs"))
    await owner.dispose()
    again = await arrive(signed_in.client, callback_url)
    assert again.headers["location"] == f"/connect/{attempt['id']}"
    assert (await connect(signed_in.client))["status"] == "connected"


async def test_the_login_address_takes_a_callback_too(signed_in: SignedIn):
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)

    answer = await arrive(signed_in.client, callback_url.replace("/amazon/callback", "/amazon/login"))

    assert answer.headers["location"] == f"/connect/{attempt['id']}"
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "connected"


async def test_a_second_attempt_leaves_the_first_one_alone(signed_in: SignedIn):
    """# S: parallel tabs work"""
    first, second = await begin(signed_in.client, "DE"), await begin(signed_in.client, "FR")

    callback_url = await consent(first["consent_url"], LAMPENLADEN)
    await arrive(signed_in.client, callback_url)

    assert (await outcome(signed_in.client, first["id"]))["status"] == "connected"
    waiting = await outcome(signed_in.client, second["id"])
    assert waiting["status"] == "waiting"
    assert waiting["consent_url"] == second["consent_url"]


async def let_time_pass(sessions: Sessions, time: timedelta) -> None:
    """Move every attempt into the past."""
    async with sessions.begin() as session:
        await session.execute(
            update(AuthorizationAttempt).values(
                created_at=AuthorizationAttempt.created_at - time,
                expires_at=AuthorizationAttempt.expires_at - time,
            )
        )


async def test_connecting_again_after_an_expired_attempt_works(signed_in: SignedIn, sessions: Sessions):
    await begin(signed_in.client)
    await let_time_pass(sessions, timedelta(minutes=10))

    assert (await connect(signed_in.client))["status"] == "connected"


async def test_a_callback_while_the_database_is_away_is_taken_by_a_reload(
    signed_in: SignedIn, database: Database
):
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    signed_in.client.headers.update({"Accept": "text/html", "Accept-Language": "de"})

    database.postgres.stop()
    try:
        away = await arrive(signed_in.client, callback_url)
    finally:
        database.postgres.start_again()
    reloaded = await arrive(signed_in.client, callback_url)

    assert away.status_code == 503
    assert away.headers["content-type"].startswith("text/html")
    assert "Noch einmal versuchen" in away.text
    assert query_of(callback_url)["spapi_oauth_code"] not in away.text
    assert (away.headers["referrer-policy"], away.headers["cache-control"]) == ("no-referrer", "no-store")
    assert "form-action 'none'" in away.headers["content-security-policy"]
    assert reloaded.headers["location"] == f"/connect/{attempt['id']}"
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "connected"


REFUSED = http_answer(400, '{"error": "invalid_grant"}')
GIVEN = http_answer(
    200, '{"access_token": "Atza|a", "refresh_token": "Atzr|r", "token_type": "bearer", "expires_in": 3600}'
)
SELLS_IN_GERMANY = http_answer(
    200,
    '{"payload": [{"marketplace": {"id": "A1PA6795UKMFR9"}, "storeName": "Lampenladen",'
    ' "participation": {"isParticipating": true, "hasSuspendedListings": false}}]}',
)


@pytest.mark.parametrize(
    ("answers", "status"), [([REFUSED], "failed"), ([GIVEN, SELLS_IN_GERMANY], "connected")]
)
async def test_a_database_lost_after_the_attempt_was_consumed_is_waited_for(
    signed_in: SignedIn, app: FastAPI, database: Database, answers: list[bytes], status: str
):
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    left, lost = list(answers), asyncio.Event()

    async def answer_and_lose_the_database(_request: bytes) -> bytes:
        answer = left.pop(0)
        if not left:
            await asyncio.to_thread(database.postgres.stop)
            lost.set()
        return answer

    async def bring_it_back() -> None:
        await lost.wait()
        await asyncio.to_thread(database.postgres.start_again)

    async with answering(answer_and_lose_the_database) as address:
        away_in_between = create_amazon("client", SecretStr("secret"), amazon_base_url=address)
        app.state.connector = replace(app.state.connector, amazon=away_in_between)
        arrived, _ = await asyncio.gather(arrive(signed_in.client, callback_url), bring_it_back())
        await away_in_between.close()

    assert arrived.headers["location"] == f"/connect/{attempt['id']}"
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == status


async def test_more_than_thirty_callbacks_a_minute_from_one_address_are_put_off(
    new_client: Callable[..., httpx2.AsyncClient],
):
    """# S: rate limit of the callback: 30 a minute for an address"""
    flood, neighbour = new_client(address="192.0.2.1"), new_client(address="192.0.2.2")
    answered = 0
    # On a slow machine a place or two come free meanwhile.
    while (answer := await flood.get("/amazon/callback")).status_code == 303:
        answered += 1

    assert answered >= 30
    assert (answer.status_code, answer.json()["code"]) == (429, "too_often")
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    assert (await neighbour.get("/amazon/callback")).status_code == 303


async def test_strangers_in_the_same_network_put_off_nobody_who_is_signed_in(
    signed_in: SignedIn, new_client: Callable[..., httpx2.AsyncClient]
):
    """# S: all clients have one address where no proxy tells it"""
    while (await new_client().get("/amazon/callback")).status_code != 429:
        pass

    assert (await connect(signed_in.client))["status"] == "connected"


async def test_a_customer_with_thousands_of_networks_is_put_off_too(
    new_client: Callable[..., httpx2.AsyncClient],
):
    """# S: the /48 of an IPv6 address, at four times as many as a /64"""
    statuses = [
        (await new_client(address=f"2001:db8:0:{number}::1").get("/amazon/callback")).status_code
        for number in range(140)
    ]

    assert set(statuses[:120]) == {303}
    assert 429 in statuses[120:]
