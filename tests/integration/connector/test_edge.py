"""What the edge answers to bad requests, to a database that is away and to our own bugs."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr

from services.connector.app import create_app
from services.connector.http.middleware import MAX_BODY_BYTES
from services.connector.http.paths import API_PREFIX
from services.connector.settings import ConnectorSettings
from shared.metrics import render
from tests.integration.connector.conftest import PASSWORD, SignedIn, open_client
from tests.logs import WrittenLog, log_written

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    "body",
    [b"{", b"[" * 60_000, b"\xff\xfe", b'{"email": 1e999999'],
    ids=["cut off", "deep", "not UTF-8", "number"],
)
async def test_malformed_json_is_told_as_such(nobody: httpx2.AsyncClient, body: bytes):
    answer = await nobody.post(
        f"{API_PREFIX}/sessions", content=body, headers={"content-type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_mistakes_are_named_in_the_callers_language_and_never_repeated(nobody: httpx2.AsyncClient):
    answer = await nobody.post(
        f"{API_PREFIX}/sessions",
        json={"email": CANARY * 60, f"{CANARY} {CANARY}": 1, "extra": 2},
        headers={"Accept-Language": "de"},
    )

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert {(error["field"], error["code"], error["detail"]) for error in answer.json()["errors"]} == {
        ("email", "string_too_long", "Höchstens 254 Zeichen."),
        ("password", "missing", "Diese Angabe fehlt."),
        ("?", "extra_forbidden", "Dieses Feld ist hier nicht bekannt."),
        ("extra", "extra_forbidden", "Dieses Feld ist hier nicht bekannt."),
    }
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("path", "unknown"),
    [("conversations?updated_since=2026-11-01T00:00:00Z&status=open", ["updated_since"]),
     ("orders?page=2&status=Shipped&Limit=5", ["Limit", "page"]), ("integrations?limit=5&sort=name", ["sort"]), ("me?x", ["x"]),
     ("events?token=a", ["token"])],
)  # fmt: skip
async def test_a_parameter_that_is_not_known_is_refused_and_not_ignored(
    client: httpx2.AsyncClient, path: str, unknown: list[str]
):
    answer = await client.get(f"/api/v1/{path}")

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    errors = [(error["field"], error["code"]) for error in answer.json()["errors"]]
    assert errors == [(name, "extra_forbidden") for name in unknown]


@pytest.mark.parametrize("email", ["a\u0000@b.example", "\ud800@b.example"], ids=["NUL", "lone surrogate"])
async def test_text_that_cannot_be_stored_is_refused(nobody: httpx2.AsyncClient, email: str):
    content = json.dumps({"email": email, "password": "x"})

    answer = await nobody.post(
        f"{API_PREFIX}/sessions", content=content, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422


async def test_the_number_of_told_mistakes_is_bounded(nobody: httpx2.AsyncClient):
    answer = await nobody.post(f"{API_PREFIX}/sessions", json={f"field{number}": 1 for number in range(3000)})

    assert len(answer.json()["errors"]) == 20


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
async def test_a_request_that_is_too_large_is_refused(nobody: httpx2.AsyncClient, announced: bool):
    body = b'"' + b"a" * MAX_BODY_BYTES + b'"'

    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(body), 10_000):
            yield body[begin : begin + 10_000]

    answer = await nobody.post(
        f"{API_PREFIX}/sessions",
        content=body if announced else chunks(),
        headers={"content-type": "application/json"},
    )

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_request_that_never_ends_is_given_up(settings: ConnectorSettings):
    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    app = create_app(settings, body_seconds=0.05)
    async with app.router.lifespan_context(app), open_client(app) as client:
        answer = await client.post(
            f"{API_PREFIX}/sessions", content=drip(), headers={"content-type": "application/json"}
        )

    assert (answer.status_code, answer.json()["code"]) == (408, "request_too_slow")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_nobody_is_signed_in_by_another_site_s_form(
    signed_in, nobody: httpx2.AsyncClient, content_type
):
    """What a foreign page can send without asking first: never application/json."""
    body = json.dumps({"email": signed_in.user.email, "password": PASSWORD}).encode()
    headers = {"content-type": content_type} if content_type else {}

    answer = await nobody.post(f"{API_PREFIX}/sessions", content=body, headers=headers)

    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
async def test_a_limit_out_of_bounds_is_refused(client: httpx2.AsyncClient, limit: str):
    answer = await client.get(f"{API_PREFIX}/api-keys", params={"limit": limit})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "limit")


@pytest.mark.parametrize("cursor", ["x", "é", "W10", "bnVsbA", "a" * 5000])
async def test_a_cursor_that_is_not_ours_is_refused(client: httpx2.AsyncClient, cursor: str):
    answer = await client.get(f"{API_PREFIX}/api-keys", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_unknown_addresses_and_methods_are_problems_too(nobody: httpx2.AsyncClient):
    unknown = await nobody.get(
        f"{API_PREFIX}/nothing", headers={"Accept": "text/html", "Accept-Language": "de"}
    )
    method = await nobody.request("DELETE", f"{API_PREFIX}/me")

    assert (unknown.status_code, unknown.json()["title"]) == (404, "Nicht gefunden")
    assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
    assert method.headers["allow"] == "GET, OPTIONS, PATCH"


async def test_what_an_address_may_be_asked_is_told_to_everybody(nobody: httpx2.AsyncClient, app: FastAPI):
    """RFC 9110 section 9.3.7, for every address that there is."""
    told, there = dict[str, str](), dict[str, set[str]]()
    for route in iter_route_contexts(app.routes):
        path = re.sub(r"{[^}]*}", "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f", route.path or "")
        there.setdefault(path, {"OPTIONS"}).update(route.methods or ())
    for path in there:
        answer = await nobody.options(path)
        assert (answer.status_code, answer.content) == (204, b""), path
        told[path] = answer.headers["allow"]
    unknown = await nobody.options(f"{API_PREFIX}/nothing")
    no_page = await nobody.options("/nothing")

    # An address such as /conversations/counts is by its form a conversation's, too.
    assert [path for path in there if not there[path] <= set(told[path].split(", "))] == []
    assert told[f"{API_PREFIX}/webhooks"] == "GET, OPTIONS, POST"
    assert told["/sign-in"] == "GET, OPTIONS"
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert no_page.status_code == 404


@pytest.mark.parametrize("done", [0, 1, "true", "false", None])
async def test_true_and_false_are_taken_as_such_only(client: httpx2.AsyncClient, done: object):
    path = f"{API_PREFIX}/integrations/0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f/setup-steps/seller_profile/DE"
    answer = await client.put(path, json={"done": done})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "bool_type")


@pytest.mark.parametrize(("hours", "status"), [(24.0, 404), ("24", 422), (True, 422), (24.5, 422)])
async def test_a_whole_number_is_one_however_it_is_written(
    client: httpx2.AsyncClient, hours: object, status: int
):
    path = f"{API_PREFIX}/webhooks/0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f/secret"
    answer = await client.post(path, json={"overlap_hours": hours})

    assert answer.status_code == status


async def test_a_number_is_no_time(client: httpx2.AsyncClient):
    body = {"name": "Helpdesk", "permissions": {}, "expires_at": 4102444800}
    answer = await client.post(f"{API_PREFIX}/api-keys", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "datetime_parsing")


async def test_the_description_names_the_address_at_which_browsers_reach_us(settings: ConnectorSettings):
    app = create_app(settings.model_copy(update={"public_url": "https://app.example/amazon"}))
    async with app.router.lifespan_context(app), open_client(app) as client:
        described = (await client.get(f"{API_PREFIX}/openapi.json")).json()

    assert described["servers"] == [{"url": "https://app.example/amazon"}]


async def test_every_answer_has_safe_headers_and_an_id(nobody: httpx2.AsyncClient):
    answer = await nobody.get(f"{API_PREFIX}/me")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert len(answer.headers["x-request-id"]) == 32


async def test_a_slash_too_many_is_no_redirect(nobody: httpx2.AsyncClient):
    assert (await nobody.get(f"{API_PREFIX}/me/", headers={"Host": "evil.example"})).status_code == 404


async def test_requests_are_counted_by_template(app: FastAPI, client: httpx2.AsyncClient):
    await client.get(f"{API_PREFIX}/integrations/0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f?secret={CANARY}")

    metrics = render(app.state.connector.registry).decode()

    assert f'route="{API_PREFIX}/integrations/{{integration_id}}",status="4xx"}} 1.0' in metrics
    assert CANARY not in metrics


async def test_the_database_away_is_503_and_sign_in_works_again_afterwards(
    client: httpx2.AsyncClient, database
):
    database.postgres.stop()
    try:
        answer = await client.get(f"{API_PREFIX}/me")
        ready = await client.get("/readyz")
        alive = await client.get("/livez")
    finally:
        database.postgres.start_again()

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert (await client.get(f"{API_PREFIX}/me")).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nowhere.invalid"], ids=["refused", "no such host"])
async def test_a_database_that_cannot_be_reached_is_503(settings: ConnectorSettings, host: str):
    url = SecretStr(f"postgresql://somebody@{host}/replyco")
    app = create_app(settings.model_copy(update={"database_url": url}))
    async with app.router.lifespan_context(app), open_client(app, authorization="Bearer rk_x") as client:
        answer = await client.get(f"{API_PREFIX}/me")
        ready = await client.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert ready.status_code == 503


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[WrittenLog]:
    """What a process would write to its log."""
    with log_written(monkeypatch) as written:
        yield written


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(CANARY),
        FileNotFoundError(2, CANARY, CANARY),
        TimeoutError(CANARY),
        ConnectionResetError(CANARY),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_bug_is_500_and_its_text_is_in_no_log(
    app: FastAPI, nobody: httpx2.AsyncClient, logged: WrittenLog, error: Exception
):
    """A time-out and a broken connection, too, unless they are known to be the database's."""

    @app.get("/bug")
    async def bug() -> None:
        raise error

    answer = await nobody.get(f"/bug?secret={CANARY}", headers={"Accept-Language": "de"})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-content-type-options"] == "nosniff"
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["unexpected_error", "request"]
    assert lines[0]["exception"][0]["type"] == type(error).__name__
    assert lines[0]["exception"][0]["places"][-1].endswith(" bug")
    assert {line["request_id"] for line in lines} == {answer.headers["x-request-id"]}
    assert CANARY not in logged.getvalue()


async def test_the_line_of_a_request_says_who_asked_by_ids_alone(
    *,
    signed_in: SignedIn,
    api_key_client: Callable[..., Awaitable[httpx2.AsyncClient]],
    nobody: httpx2.AsyncClient,
    logged: WrittenLog,
):
    program = await api_key_client(inbox_messages="view")
    for client in (signed_in.client, program, nobody):
        await client.get(f"{API_PREFIX}/conversations?cursor={CANARY}")

    person, key, stranger = [
        json.loads(line) for line in logged.getvalue().splitlines() if '"request"' in line
    ]
    assert (person["account_id"], person["user_id"]) == (str(signed_in.account.id), str(signed_in.user.id))
    assert "api_key_id" not in person
    assert key["account_id"] == str(signed_in.account.id)
    assert str(UUID(key["api_key_id"])) == key["api_key_id"]
    assert "user_id" not in key
    assert not stranger.keys() & {"account_id", "user_id", "api_key_id"}
    assert {line["route"] for line in (person, key, stranger)} == {f"{API_PREFIX}/conversations"}
    assert all(line["milliseconds"] >= 0 for line in (person, key, stranger))
    assert CANARY not in logged.getvalue()
