"""A POST with an Idempotency-Key is done once, and its repetition is answered as it was."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import func, select, text

from services.connector.maintenance.jobs import keep_house
from shared.database import Sessions
from shared.tables import ApiKey, AuthorizationAttempt, IdempotencyKey
from tests.integration.connector.conftest import SignedIn

API_KEY = {"name": "Helpdesk", "permissions": {"general.admin": "view", "inbox.messages": "none"}}
MakeClient = Callable[..., Awaitable[httpx2.AsyncClient]]


async def _count(sessions: Sessions, table: type) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def _make_key(client: httpx2.AsyncClient, key: str, body: object = API_KEY) -> httpx2.Response:
    return await client.post("/api/v1/api-keys", json=body, headers={"Idempotency-Key": key})


async def test_a_repeated_request_is_done_once_and_answered_alike(
    client: httpx2.AsyncClient, sessions: Sessions
):
    first = await _make_key(client, "k1")
    again = await _make_key(client, "k1")

    assert first.status_code == again.status_code == 201
    # The secret that is shown once is shown again to who repeats the request, so that a lost answer loses no key.
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await _count(sessions, ApiKey) == 1


async def test_requests_at_the_same_moment_are_done_once(client: httpx2.AsyncClient, sessions: Sessions):
    answers = await asyncio.gather(*(_make_key(client, "k1") for _ in range(8)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "idempotency_in_progress"
            assert answer.headers["retry-after"] == "1"
    assert await _count(sessions, ApiKey) == 1


async def test_a_cookie_that_the_first_answer_set_is_set_again(signed_in: SignedIn, sessions: Sessions):
    headers = {"Idempotency-Key": "connect-1"}
    first = await signed_in.client.post("/api/v1/authorizations", json={"country": "DE"}, headers=headers)
    signed_in.client.cookies.delete("__Host-replyco_browser")
    again = await signed_in.client.post("/api/v1/authorizations", json={"country": "DE"}, headers=headers)

    assert first.status_code == again.status_code == 201
    assert again.headers["set-cookie"] == first.headers["set-cookie"]
    assert await _count(sessions, AuthorizationAttempt) == 1


@pytest.mark.parametrize("body", [API_KEY | {"name": "Other"}, {}])
async def test_another_request_with_the_same_key_is_refused(client: httpx2.AsyncClient, body: object):
    await _make_key(client, "k1")
    answer = await _make_key(client, "k1", body)

    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"


async def test_the_same_key_at_another_address_is_refused(signed_in: SignedIn):
    await _make_key(signed_in.client, "k1")
    answer = await signed_in.client.post(
        "/api/v1/authorizations", json={"country": "DE"}, headers={"Idempotency-Key": "k1"}
    )

    assert answer.json()["code"] == "idempotency_key_reused"


async def test_each_caller_has_his_own_keys(
    sign_in_as: Callable[..., Awaitable[SignedIn]], sessions: Sessions
):
    one, other = await sign_in_as(), await sign_in_as()

    assert (await _make_key(one.client, "k1")).status_code == 201
    assert (await _make_key(other.client, "k1")).status_code == 201
    assert await _count(sessions, ApiKey) == 2


async def test_a_failure_is_not_kept_so_that_the_key_can_be_used_for_the_request_put_right(
    client: httpx2.AsyncClient,
):
    wrong = await _make_key(client, "k1", {"name": ""})
    right = await _make_key(client, "k1")

    assert wrong.status_code == 422
    assert wrong.json()["code"] == "invalid_request"
    assert right.status_code == 201


async def test_what_a_dead_process_had_claimed_is_done_when_its_claim_has_ended(
    client: httpx2.AsyncClient, sessions: Sessions
):
    await _make_key(client, "k1")
    async with sessions.begin() as session:
        await session.execute(text("UPDATE idempotency_keys SET status = NULL, answer = NULL"))

    assert (await _make_key(client, "k1")).json()["code"] == "idempotency_in_progress"
    async with sessions.begin() as session:
        await session.execute(text("UPDATE idempotency_keys SET locked_until = now() - interval '1 second'"))
    assert (await _make_key(client, "k1", API_KEY | {"name": "x"})).json()["code"] == "idempotency_key_reused"
    assert (await _make_key(client, "k1")).status_code == 201


async def test_after_a_day_a_key_is_forgotten(client: httpx2.AsyncClient, sessions: Sessions):
    first = await _make_key(client, "k1")
    async with sessions.begin() as session:
        await session.execute(text("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'"))
    second = await _make_key(client, "k1")
    assert second.json()["id"] != first.json()["id"]

    async with sessions() as session:
        expires_at = await session.scalar(select(IdempotencyKey.expires_at))
        created_at = await session.scalar(select(IdempotencyKey.created_at))
    assert expires_at is not None
    assert created_at is not None
    assert 86_000 < (expires_at - created_at).total_seconds() < 86_500
    await keep_house(sessions, expires_at)
    assert await _count(sessions, IdempotencyKey) == 1
    await keep_house(sessions, expires_at.replace(year=expires_at.year + 1))
    assert await _count(sessions, IdempotencyKey) == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "käse", "a\tb"])
async def test_an_unusable_key_is_refused(client: httpx2.AsyncClient, sessions: Sessions, key: str):
    answer = await client.post("/api/v1/api-keys", json=API_KEY, headers=[(b"Idempotency-Key", key.encode())])

    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_invalid"
    assert await _count(sessions, ApiKey) == 0


async def test_the_kept_answer_lies_sealed(client: httpx2.AsyncClient, sessions: Sessions):
    shown = (await _make_key(client, "k1")).json()["key"]

    async with sessions() as session:
        row = (await session.execute(text("SELECT i::text FROM idempotency_keys i"))).scalar_one()
        answer = (await session.execute(text("SELECT answer FROM idempotency_keys"))).scalar_one()
    assert shown not in row
    assert shown.encode() not in answer


async def test_who_may_not_do_it_claims_nothing(api_key_client: MakeClient, sessions: Sessions):
    viewer = await api_key_client(general_admin="view")

    assert (await _make_key(viewer, str(uuid4()))).status_code == 403
    assert await _count(sessions, IdempotencyKey) == 0


async def test_a_request_without_a_key_is_done_each_time(client: httpx2.AsyncClient, sessions: Sessions):
    for _ in range(2):
        await client.post("/api/v1/api-keys", json=API_KEY)

    assert await _count(sessions, ApiKey) == 2
