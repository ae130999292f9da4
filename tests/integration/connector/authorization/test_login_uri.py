"""Amazon's own way in: what it sends to the login URI is kept, a person is asked, and only then a browser goes on to Amazon."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from services.connector.authorization.api import BROWSER_COOKIE
from services.connector.dependencies import SESSION_COOKIE
from services.connector.maintenance import jobs as housekeeping
from services.sandbox.login.login_uri import login_uri_call
from shared.database import Sessions
from shared.tables import AuditEntry, AuthorizationAttempt, Integration, LoginRequest
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    CASA_VERDE,
    LAMPENLADEN,
    Amazon,
    arrive,
    begin,
    connect,
    consent,
    outcome,
    query_of,
)
from tests.no_tls import NO_AUTHORITIES

SignInAs = Callable[..., Awaitable[SignedIn]]
NewClient = Callable[..., httpx2.AsyncClient]
EUROPE = "sellercentral-europe.amazon.com"


def amazon_sends(amazon: Amazon, seller_id: str = LAMPENLADEN, host: str = EUROPE) -> str:
    """Our login URI, as Amazon opens it for this seller."""
    return login_uri_call(amazon.state, host, amazon.state.sellers[seller_id])


async def asked_page(client: httpx2.AsyncClient, login_url: str) -> httpx2.Response:
    kept = await arrive(client, login_url)
    assert kept.status_code == 303, kept.text
    return await arrive(client, kept.headers["location"])


async def say_yes(client: httpx2.AsyncClient, asked: httpx2.Response, country: str = "DE") -> httpx2.Response:
    """Send the page's form, as a browser does: without a header of ours."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', asked.text)
    assert token is not None, asked.text
    return await send_form(client, str(asked.url), csrf_token=unescape(token[1]), country=country)


async def send_form(client: httpx2.AsyncClient, url: str, **fields: str) -> httpx2.Response:
    request = client.build_request("POST", url, data=fields)
    request.headers.pop("x-csrf-token", None)
    return await client.send(request)


async def go_over_amazon(client: httpx2.AsyncClient, sent_on: httpx2.Response) -> httpx2.Response:
    """From our redirect to Amazon and back to our callback."""
    async with httpx2.AsyncClient(verify=NO_AUTHORITIES) as browser:
        back = await browser.get(sent_on.headers["location"])
    assert back.status_code == 303, back.text
    return await arrive(client, back.headers["location"])


async def attempt_after(client: httpx2.AsyncClient, answer: httpx2.Response) -> dict[str, object]:
    """The attempt whose page the callback leads to."""
    path = urlsplit(answer.headers["location"]).path
    assert path.startswith("/connect/0"), path
    return await outcome(client, path.rpartition("/")[2])


async def how_many(sessions: Sessions, table: type) -> int:
    async with sessions.begin() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize("path", ["/amazon/login", "/amazon/callback"])
async def test_a_store_that_comes_from_amazon_is_connected(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon, path: str
):
    """# S: both shapes at both addresses"""
    asked = await asked_page(signed_in.client, amazon_sends(amazon).replace("/amazon/login", path))
    sent_on = await say_yes(signed_in.client, asked)
    answer = await go_over_amazon(signed_in.client, sent_on)

    connected = await attempt_after(signed_in.client, answer)
    assert (connected["status"], connected["country"], connected["hint"]) == ("connected", "DE", None)
    async with sessions.begin() as session:
        attempt = (await session.scalars(select(AuthorizationAttempt))).one()
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert (attempt.started_by, attempt.seller_id_expected) == ("amazon", LAMPENLADEN)
    assert actions == ["authorization_begun", "authorization_confirmed", "integration_connected"]


async def test_the_browser_is_sent_on_with_what_amazon_expects(signed_in: SignedIn, amazon: Amazon):
    login_url = amazon_sends(amazon)

    sent_on = await say_yes(signed_in.client, await asked_page(signed_in.client, login_url))

    target, sent = sent_on.headers["location"], query_of(sent_on.headers["location"])
    application_id = amazon.state.settings.application_id
    assert target.startswith(f"{amazon.url}/{EUROPE}/apps/authorize/confirm/{application_id}?")
    assert sent.keys() == {"redirect_uri", "amazon_state", "state"}
    assert sent["amazon_state"] == query_of(login_url)["amazon_state"]
    assert (sent_on.headers["referrer-policy"], sent_on.headers["cache-control"]) == (
        "no-referrer",
        "no-store",
    )


async def test_a_draft_is_sent_on_as_one(signed_in: SignedIn, amazon: Amazon):
    login_url = str(httpx2.URL(amazon_sends(amazon)).copy_set_param("version", "beta"))

    sent_on = await say_yes(signed_in.client, await asked_page(signed_in.client, login_url))

    assert query_of(sent_on.headers["location"])["version"] == "beta"


async def test_reauthorizing_from_manage_your_apps_renews_the_store_that_is_there(
    signed_in: SignedIn, amazon: Amazon
):
    first = await connect(signed_in.client, LAMPENLADEN, "FR")

    asked = await asked_page(signed_in.client, amazon_sends(amazon))
    assert '<option value="FR" selected>' in asked.text
    assert "known here already" in asked.text
    answer = await go_over_amazon(signed_in.client, await say_yes(signed_in.client, asked, "FR"))

    again = await attempt_after(signed_in.client, answer)
    assert (again["status"], again["integration_id"]) == ("reauthorized", first["integration_id"])


async def test_the_page_says_who_connects_what_to_which_account(signed_in: SignedIn, amazon: Amazon):
    """# S: explicit confirmation, "connect seller A to account B as user C", before anything leads to Amazon"""
    kept = await arrive(signed_in.client, amazon_sends(amazon))
    await arrive(signed_in.client, kept.headers["location"])
    asked = await arrive(signed_in.client, kept.headers["location"])

    shown = unescape(asked.text)
    assert asked.status_code == 200
    assert LAMPENLADEN in shown
    assert signed_in.account.name in shown
    assert signed_in.user.email in shown
    assert "selected" not in shown
    # Nothing that a link could lead to, and nothing of Amazon's.
    assert "amazon_state" not in shown
    assert 'href="http' not in shown
    policy = asked.headers["content-security-policy"]
    assert f"form-action 'self' {amazon.url};" in policy
    assert "frame-ancestors 'none'" in policy


async def test_nothing_is_begun_before_the_person_says_yes(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    await asked_page(signed_in.client, amazon_sends(amazon))

    assert await how_many(sessions, AuthorizationAttempt) == 0
    assert amazon.state.counters.token.total() == 0


@pytest.mark.parametrize("token", ["", "wrong", None])
async def test_a_yes_from_a_foreign_page_counts_for_nothing(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon, token: str | None
):
    """# S: the yes needs the token that only our page knows"""
    asked = await asked_page(signed_in.client, amazon_sends(amazon))
    fields = {"country": "DE"} | ({} if token is None else {"csrf_token": token})

    answer = await send_form(signed_in.client, str(asked.url), **fields)

    assert (answer.status_code, answer.headers["location"]) == (303, urlsplit(str(asked.url)).path)
    assert await how_many(sessions, AuthorizationAttempt) == 0
    assert await how_many(sessions, LoginRequest) == 1


@pytest.mark.parametrize("country", ["", "XX", "de"])
async def test_without_a_country_it_asks_again(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon, country: str
):
    asked = await asked_page(signed_in.client, amazon_sends(amazon))

    answer = await say_yes(signed_in.client, asked, country)

    assert answer.headers["location"] == urlsplit(str(asked.url)).path
    assert await how_many(sessions, AuthorizationAttempt) == 0


async def test_the_country_is_chosen_already_where_the_host_tells_it(signed_in: SignedIn, amazon: Amazon):
    asked = await asked_page(signed_in.client, amazon_sends(amazon, host="sellercentral.amazon.nl"))

    assert '<option value="NL" selected>' in asked.text


async def test_what_amazon_sent_survives_our_own_sign_in(
    signed_in: SignedIn, nobody: httpx2.AsyncClient, amazon: Amazon
):
    """# S: what Amazon sent is kept on the server through our sign-in, not in the address"""
    login_url = amazon_sends(amazon)
    kept = await arrive(nobody, login_url)
    to_sign_in = await arrive(nobody, kept.headers["location"])

    location = to_sign_in.headers["location"]
    assert location == f"/sign-in?{urlencode({'next': kept.headers['location']})}"
    for value in query_of(login_url).values():
        assert value not in location

    nobody.cookies.set(SESSION_COOKIE, signed_in.token)
    asked = await arrive(nobody, query_of(location)["next"])
    answer = await go_over_amazon(nobody, await say_yes(nobody, asked))
    assert (await attempt_after(nobody, answer))["status"] == "connected"


async def test_only_the_browser_that_amazon_opened_may_say_yes(
    signed_in: SignedIn, nobody: httpx2.AsyncClient, sessions: Sessions, amazon: Amazon
):
    """# S: a prepared link attaches nothing: what Amazon sent belongs to one browser"""
    of_attacker = await arrive(nobody, amazon_sends(amazon, CASA_VERDE))
    await begin(signed_in.client)

    answer = await arrive(signed_in.client, of_attacker.headers["location"])

    assert answer.headers["location"] == "/connect/problem/attempt_expired"
    assert await how_many(sessions, AuthorizationAttempt) == 1


async def test_it_is_good_once(signed_in: SignedIn, sessions: Sessions, amazon: Amazon):
    asked = await asked_page(signed_in.client, amazon_sends(amazon))

    answers = await asyncio.gather(*(say_yes(signed_in.client, asked) for _ in range(5)))

    targets = [answer.headers["location"] for answer in answers]
    assert sum(target.startswith(amazon.url) for target in targets) == 1
    assert targets.count("/connect/problem/attempt_expired") == 4
    assert await how_many(sessions, AuthorizationAttempt) == 1


async def test_after_ten_minutes_it_is_over(signed_in: SignedIn, sessions: Sessions, amazon: Amazon):
    asked = await asked_page(signed_in.client, amazon_sends(amazon))
    async with sessions.begin() as session:
        await session.execute(
            update(LoginRequest).values(expires_at=datetime.now(UTC) - timedelta(minutes=1))
        )

    answer = await say_yes(signed_in.client, asked)

    assert answer.headers["location"] == "/connect/problem/attempt_expired"
    await housekeeping.keep_house(sessions, datetime.now(UTC) + timedelta(seconds=1))
    assert await how_many(sessions, LoginRequest) == 0


async def test_of_one_browser_a_few_are_kept(signed_in: SignedIn, sessions: Sessions, amazon: Amazon):
    answers = [await arrive(signed_in.client, amazon_sends(amazon)) for _ in range(8)]

    assert await how_many(sessions, LoginRequest) == 5
    assert (await arrive(signed_in.client, answers[-1].headers["location"])).status_code == 200


async def test_who_may_not_connect_stores_is_told_so(sign_in_as: SignInAs, amazon: Amazon):
    colleague = await sign_in_as(general_admin="view")

    answer = await asked_page(colleague.client, amazon_sends(amazon))

    assert answer.headers["location"] == "/connect/problem/permission_missing"


async def test_another_seller_than_the_one_shown_is_refused(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    """# S: the seller whom the person has confirmed is the only one whose consent is taken"""
    prepared = str(
        httpx2.URL(amazon_sends(amazon, CASA_VERDE)).copy_set_param("selling_partner_id", LAMPENLADEN)
    )
    sent_on = await say_yes(signed_in.client, await asked_page(signed_in.client, prepared))
    answer = await go_over_amazon(signed_in.client, sent_on)

    failed = await attempt_after(signed_in.client, answer)
    assert failed["status"] == "failed"
    assert isinstance(failed["problem"], dict)
    assert failed["problem"]["code"] == "other_seller"
    assert isinstance(failed["hint"], dict)
    assert failed["hint"]["code"] == "sign_out_first"
    assert amazon.state.counters.token.total() == 0
    assert await how_many(sessions, Integration) == 0


@pytest.mark.parametrize("path", ["/amazon/login", "/amazon/callback"])
async def test_a_consent_of_ours_that_returns_this_way_ends_the_attempt_that_waits(
    signed_in: SignedIn, sessions: Sessions, path: str
):
    attempt = await begin(signed_in.client, "IT")
    without_state = str(httpx2.URL(attempt["consent_url"]).copy_remove_param("state"))
    login_url = await consent(without_state, LAMPENLADEN)
    assert "amazon_callback_uri" in query_of(login_url)

    asked = await asked_page(signed_in.client, login_url.replace("/amazon/login", path))
    assert '<option value="IT" selected>' in asked.text
    answer = await go_over_amazon(signed_in.client, await say_yes(signed_in.client, asked, "IT"))

    assert answer.headers["location"] == f"/connect/{attempt['id']}"
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "connected"
    assert await how_many(sessions, AuthorizationAttempt) == 1


async def test_a_reconnect_that_waits_is_not_taken_over_by_another_seller(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    first = await connect(signed_in.client, LAMPENLADEN)
    begun = await signed_in.client.post(
        "/api/v1/authorizations", json={"integration_id": first["integration_id"]}
    )
    asked = await asked_page(signed_in.client, amazon_sends(amazon, CASA_VERDE))
    answer = await go_over_amazon(signed_in.client, await say_yes(signed_in.client, asked))

    other = await attempt_after(signed_in.client, answer)
    assert other["status"] == "connected"
    assert other["integration_id"] != first["integration_id"]
    assert (await outcome(signed_in.client, begun.json()["id"]))["status"] == "waiting"


@pytest.mark.parametrize(
    "change",
    [
        {"amazon_callback_uri": "https://sellercentral.amazon.com.evil.example{path}"},
        {"amazon_callback_uri": "https://evil.example#@sellercentral.amazon.com{path}"},
        {"amazon_callback_uri": "//evil.example{path}"},
        {"amazon_callback_uri": "https://user@sellercentral.amazon.com{path}"},
        {"amazon_callback_uri": "https://sellercentral.amazon.com:8443{path}"},
        {"amazon_callback_uri": "https://xn--sellercentral.amazon.com{path}"},
        {"amazon_callback_uri": "https://[{path}"},
        {
            "amazon_callback_uri": "https://sellercentral.amazon.com/apps/authorize/confirm/amzn1.sp.solution.other"
        },
        {"amazon_callback_uri": ""},
        {"selling_partner_id": ""},
        {"selling_partner_id": "A1<script>"},
        {"selling_partner_id": "A" * 65},
        {"amazon_state": ""},
        {"amazon_state": "x" * 2049},
        {"amazon_state": "line\nbreak"},
        {"version": "gamma"},
    ],
)
async def test_what_amazon_cannot_have_sent_is_refused_with_a_page_and_kept_nowhere(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon, change: dict[str, str]
):
    """# S: amazon_callback_uri that is not genuine: 400, not redirected"""
    path = f"/apps/authorize/confirm/{amazon.state.settings.application_id}"
    parameters = query_of(amazon_sends(amazon)) | {n: v.format(path=path) for n, v in change.items()}

    answer = await signed_in.client.get("/amazon/login", params=parameters)

    assert (answer.status_code, "location" in answer.headers) == (400, False)
    assert "This link is not from Amazon" in answer.text
    assert "evil" not in answer.text
    assert await how_many(sessions, LoginRequest) == 0


async def test_a_parameter_that_comes_twice_is_refused(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    login_url = f"{amazon_sends(amazon)}&selling_partner_id={CASA_VERDE}"

    assert (await arrive(signed_in.client, login_url)).status_code == 400
    assert await how_many(sessions, LoginRequest) == 0


async def test_an_id_that_is_none_of_ours_is_not_found(signed_in: SignedIn, app: FastAPI):
    await begin(signed_in.client)

    answer = await arrive(signed_in.client, "/amazon/confirm/0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f")

    assert answer.headers["location"] == "/connect/problem/attempt_expired"
    signed_in.client.cookies.delete(BROWSER_COOKIE)
    answer = await arrive(signed_in.client, "/amazon/confirm/0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f")
    assert answer.headers["location"] == "/connect/problem/other_browser"
