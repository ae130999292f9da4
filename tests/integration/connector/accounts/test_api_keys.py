"""API keys: made once, bounded by their creator, revoked at once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import select, update

from services.connector.accounts.callers import NotSignedIn
from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE, column_of
from services.connector.accounts.service import caller_of_api_key
from shared.database import Sessions
from shared.permissions import Level, Permission
from shared.tables import Account, ApiKey, AuditEntry, User
from tests.integration.connector.conftest import SignedIn

VIEW = {
    "general.admin": "view",
    "general.programs": "none",
    "inbox.messages": "view",
    "inbox.orders": "none",
    "inbox.replies": "none",
}


async def _create(client: httpx2.AsyncClient, **body: object) -> httpx2.Response:
    return await client.post("/api/v1/api-keys", json={"name": "Helpdesk", "permissions": VIEW} | body)


async def test_a_new_key_is_shown_once_and_works(client: httpx2.AsyncClient, new_client, sessions: Sessions):
    made = (await _create(client)).json()
    key = made.pop("key")

    assert key.startswith("rk_")
    assert len(key) == 46
    assert made["hint"] == key[-4:]
    listed = (await client.get("/api/v1/api-keys")).json()
    assert listed == {"items": [made], "next_cursor": None}
    me = (await new_client(authorization=f"Bearer {key}").get("/api/v1/me")).json()
    assert (me["user"], me["permissions"], me["csrf_token"]) == (None, VIEW, None)
    async with sessions.begin() as session:
        assert (await session.scalar(select(ApiKey.secret_hash))) == hash_secret(key)


async def test_a_revoked_key_stops_at_once(client: httpx2.AsyncClient, new_client, sessions: Sessions):
    made = (await _create(client)).json()
    program = new_client(authorization=f"Bearer {made['key']}")
    assert (await program.get("/api/v1/me")).status_code == 200

    for _ in range(2):
        assert (await client.delete(f"/api/v1/api-keys/{made['id']}")).status_code == 204

    assert (await program.get("/api/v1/me")).status_code == 401
    async with sessions.begin() as session:
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert actions == ["api_key_created", "api_key_revoked"]


async def test_nobody_gives_away_more_than_he_has(sign_in_as):
    user = await sign_in_as(inbox_messages="none")

    answer = await _create(user.client)

    assert (answer.status_code, answer.json()["code"]) == (422, "level_too_high")


async def test_a_key_ends_with_its_creator_and_shrinks_with_him(
    signed_in: SignedIn, new_client, sessions: Sessions
):
    key = (await _create(signed_in.client)).json()["key"]
    program = new_client(authorization=f"Bearer {key}")

    async with sessions.begin() as session:
        await session.execute(update(User).values(general_admin="none"))
    assert (await program.get("/api/v1/integrations")).status_code == 403
    async with sessions.begin() as session:
        await session.execute(update(User).values(disabled_at=datetime.now(UTC)))
    assert (await program.get("/api/v1/me")).status_code == 401


async def test_each_level_of_a_key_and_of_its_creator_is_told_from_the_others(
    client: httpx2.AsyncClient, sessions: Sessions
):
    key = (await _create(client)).json()["key"]

    async def levels_with(of_key: Mapping[Permission, str], of_creator: Mapping[Permission, str]):
        async with sessions.begin() as session:
            for table, levels in ((ApiKey, of_key), (User, of_creator)):
                await session.execute(
                    update(table).values({column_of(name): levels[name] for name in levels})
                )
        caller = await caller_of_api_key(sessions, key, datetime.now(UTC))
        return {name for name, level in caller.levels.items() if level is not Level.NONE}

    every: dict[Permission, str] = dict.fromkeys(Permission, "view")
    of_people: dict[Permission, str] = dict.fromkeys(PERMISSIONS_OF_PEOPLE, "view")
    none, nobody = dict.fromkeys(every, "none"), dict.fromkeys(of_people, "none")
    for name in every:
        assert await levels_with(none | {name: "view"}, of_people) == {name}
    for name in of_people:
        beside = {Permission.INBOX_REPLIES} if name is Permission.INBOX_MESSAGES else set[Permission]()
        assert await levels_with(every, nobody | {name: "view"}) == {name} | beside


async def test_a_key_expires(client: httpx2.AsyncClient, sessions: Sessions):
    now = datetime.now(UTC)
    key = (await _create(client, expires_at=(now + timedelta(hours=1)).isoformat())).json()["key"]

    await caller_of_api_key(sessions, key, now + timedelta(minutes=59))
    with pytest.raises(NotSignedIn):
        await caller_of_api_key(sessions, key, now + timedelta(minutes=61))


async def test_a_key_that_would_be_expired_is_not_made(client: httpx2.AsyncClient):
    answer = await _create(client, expires_at="2020-01-01T00:00:00Z")

    assert (answer.status_code, answer.json()["code"]) == (422, "expiry_past")


async def test_a_time_that_cannot_be_stored_is_refused(client: httpx2.AsyncClient):
    answer = await _create(client, expires_at="9999-12-31T23:59:59-05:00")

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "impossible_time")


async def test_keys_come_in_pages(client: httpx2.AsyncClient):
    ids = [(await _create(client)).json()["id"] for _ in range(5)]

    seen, cursor = [], None
    while True:
        page = (
            await client.get("/api/v1/api-keys", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == ids[::-1]


async def test_an_account_has_a_hundred_keys_at_most_and_may_replace_one(
    client: httpx2.AsyncClient, account: Account, signed_in: SignedIn, sessions: Sessions
):
    async with sessions.begin() as session:
        for number in range(98):
            session.add(
                ApiKey(
                    account_id=account.id,
                    name=f"Key {number}",
                    hint="abcd",
                    secret_hash=hash_secret(f"{number}"),
                    general_admin="none",
                    inbox_messages="none",
                    created_by=signed_in.user.id,
                )
            )

    answers = await asyncio.gather(*(_create(client) for _ in range(4)))
    made = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer.json() for answer in answers if answer.status_code != 201]
    await client.delete(f"/api/v1/api-keys/{made[0]['id']}")
    instead = await _create(client)

    assert len(made) == 2
    assert {(problem["status"], problem["code"]) for problem in refused} == {(409, "too_many_api_keys")}
    assert instead.status_code == 201
