"""The people of an account: what they may do, and what becomes of whoever leaves."""

import asyncio

import pytest
from sqlalchemy import func, select, update

from shared.database import Sessions
from shared.driver import new_id
from shared.tables import ApiKey, Integration, User, UserSession, Webhook
from tests.factories import make_account, make_integration, make_user

API = "/api/v1"


def _code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_people_are_listed_with_what_they_may(signed_in, sign_in_as):
    agent = await sign_in_as(general_admin="none")
    disabled = await sign_in_as(general_admin="none")
    await signed_in.client.post(f"{API}/users/{disabled.user.id}/disable")

    active = (await signed_in.client.get(f"{API}/users")).json()["items"]
    everybody = (await signed_in.client.get(f"{API}/users?with_disabled=true")).json()["items"]

    assert [each["id"] for each in active] == [str(signed_in.user.id), str(agent.user.id)]
    assert [each["status"] for each in everybody] == ["active", "active", "disabled"]
    assert active[1]["permissions"] == {
        "general.admin": "none",
        "general.programs": "none",
        "inbox.messages": "edit",
        "inbox.orders": "view",
    }
    assert active[1]["last_seen_at"] is not None
    assert active[1]["has_second_factor"] is False


async def test_what_is_taken_away_is_gone_with_the_next_request(signed_in, sign_in_as):
    agent = await sign_in_as(general_admin="view")
    read = await signed_in.client.get(f"{API}/users/{agent.user.id}")

    changed = await signed_in.client.patch(
        f"{API}/users/{agent.user.id}",
        json={"permissions": {"general.admin": "none"}},
        headers={"If-Match": read.headers["etag"]},
    )
    stale = await signed_in.client.patch(
        f"{API}/users/{agent.user.id}",
        json={"permissions": {"general.admin": "view"}},
        headers={"If-Match": read.headers["etag"]},
    )

    assert (changed.status_code, changed.json()["permissions"]["general.admin"]) == (200, "none")
    assert _code(stale) == (412, "precondition_failed")
    assert _code(await agent.client.get(f"{API}/integrations")) == (403, "permission_missing")


async def test_nobody_gives_more_than_they_have(sign_in_as):
    admin = await sign_in_as(general_programs="none", inbox_messages="view")
    agent = await sign_in_as(general_admin="none", inbox_messages="edit")
    path = f"{API}/users/{agent.user.id}"

    too_much = await admin.client.patch(path, json={"permissions": {"general.programs": "view"}})
    less = await admin.client.patch(path, json={"permissions": {"inbox.messages": "view"}})
    invited = await admin.client.post(
        f"{API}/invitations", json={"email": "new@seller.example", "permissions": {"inbox.messages": "edit"}}
    )

    assert _code(too_much) == (422, "level_too_high")
    assert less.status_code == 200
    assert _code(invited) == (422, "level_too_high")


async def test_a_disabled_user_is_out_at_once_and_comes_back(signed_in, sign_in_as, new_client):
    agent = await sign_in_as()
    key = (await agent.client.post(f"{API}/api-keys", json={"name": "K", "permissions": {}})).json()["key"]
    program = new_client(authorization=f"Bearer {key}")
    path = f"{API}/users/{agent.user.id}"

    assert (await signed_in.client.post(f"{path}/disable")).json()["status"] == "disabled"
    assert (await agent.client.get(f"{API}/me")).status_code == 401
    assert (await program.get(f"{API}/me")).status_code == 401

    assert (await signed_in.client.post(f"{path}/enable")).json()["status"] == "active"
    assert (await agent.client.get(f"{API}/me")).status_code == 401  # the session is gone
    assert (await program.get(f"{API}/me")).status_code == 200


@pytest.mark.parametrize("way", ["lower", "disable", "remove"])
async def test_the_last_admin_stays(signed_in, sign_in_as, way: str):
    await sign_in_as(general_admin="view")

    assert _code(await _leave(signed_in.client, signed_in.user.id, way)) == (409, "last_admin")
    assert (await signed_in.client.get(f"{API}/users")).status_code == 200


@pytest.mark.parametrize("way", ["lower", "disable", "remove"])
async def test_two_admins_who_leave_at_once_do_not_both_leave(
    signed_in, sign_in_as, sessions: Sessions, way: str
):
    other = await sign_in_as()

    answers = await asyncio.gather(
        _leave(signed_in.client, other.user.id, way), _leave(other.client, signed_in.user.id, way)
    )

    assert sorted(answer.status_code < 300 for answer in answers) == [False, True]
    async with sessions.begin() as session:
        left = (
            select(func.count())
            .select_from(User)
            .where(User.general_admin == "edit", User.disabled_at.is_(None))
        )
        assert await session.scalar(left) == 1


async def _leave(client, user_id, way: str):
    path = f"{API}/users/{user_id}"
    if way == "lower":
        return await client.patch(path, json={"permissions": {"general.admin": "view"}})
    if way == "disable":
        return await client.post(f"{path}/disable")
    return await client.delete(f"{path}?programs=end")


@pytest.mark.parametrize("programs", ["end", "pass_on"])
async def test_what_a_leaver_has_made_ends_or_passes_on(
    signed_in, sign_in_as, new_client, sessions: Sessions, programs: str
):
    leaver = await sign_in_as()
    key = (await leaver.client.post(f"{API}/api-keys", json={"name": "K", "permissions": {}})).json()
    body = {"url": "https://helpdesk.example/", "kinds": ["webhook.disabled"]}
    assert (await leaver.client.post(f"{API}/webhooks", json=body)).status_code == 201
    async with sessions.begin() as session:
        store = await make_integration(session, signed_in.account.id)
        await session.execute(
            update(Integration).where(Integration.id == store.id).values(owner_id=leaver.user.id)
        )
    read = (await signed_in.client.get(f"{API}/users/{leaver.user.id}")).json()
    assert [read["integrations"], read["webhooks"], read["api_keys"]] == [1, 1, 1]

    answer = await signed_in.client.delete(f"{API}/users/{leaver.user.id}?programs={programs}")

    assert answer.status_code == 204
    async with sessions.begin() as session:
        gone = await session.get_one(User, leaver.user.id)
        owner = await session.scalar(select(Integration.owner_id).where(Integration.id == store.id))
        webhooks = (await session.scalars(select(Webhook.created_by))).all()
        key_of = await session.scalar(select(ApiKey.created_by))
        left = (await session.scalars(select(UserSession.user_id))).all()
    assert (gone.name, "@" in gone.email, gone.password_hash) == ("Test User", False, None)
    assert owner == signed_in.user.id
    assert leaver.user.id not in left
    program = new_client(authorization=f"Bearer {key['key']}")
    passed = programs == "pass_on"
    assert (await program.get(f"{API}/me")).status_code == (200 if passed else 401)
    assert webhooks == ([signed_in.user.id] if passed else [])
    assert key_of == (signed_in.user.id if passed else leaver.user.id)
    assert (await signed_in.client.get(f"{API}/users/{leaver.user.id}")).status_code == 404


async def test_whoever_takes_over_is_fit_for_it(signed_in, sign_in_as):
    leaver, viewer = await sign_in_as(), await sign_in_as(general_admin="view")

    for successor in (viewer.user.id, leaver.user.id, new_id()):
        answer = await signed_in.client.delete(
            f"{API}/users/{leaver.user.id}?programs=pass_on&successor_id={successor}"
        )
        assert _code(answer) == (422, "successor_unfit")


async def test_another_accounts_people_are_not_found(signed_in, sessions: Sessions, keyring):
    async with sessions.begin() as session:
        stranger = await make_user(session, (await make_account(session, keyring)).id)
    path = f"{API}/users/{stranger.id}"

    for answer in (
        await signed_in.client.get(path),
        await signed_in.client.patch(path, json={"permissions": {}}),
        await signed_in.client.post(f"{path}/disable"),
        await signed_in.client.post(f"{path}/enable"),
        await signed_in.client.delete(f"{path}?programs=end"),
    ):
        assert _code(answer) == (404, "not_found")


async def test_every_change_of_people_leaves_an_entry(signed_in, sign_in_as):
    agent = await sign_in_as(general_admin="none")
    path, invitations = f"{API}/users/{agent.user.id}", f"{API}/invitations"
    admin = signed_in.client
    await admin.patch(path, json={"permissions": {"inbox.messages": "view"}})
    await admin.post(f"{path}/disable")
    await admin.post(f"{path}/enable")
    await admin.delete(f"{path}?programs=end")
    invited = await admin.post(invitations, json={"email": "new@seller.example", "permissions": {}})
    await admin.post(f"{invitations}/{invited.json()['id']}/send")
    await admin.delete(f"{invitations}/{invited.json()['id']}")

    entries = (await admin.get(f"{API}/audit-log")).json()["items"]

    assert [entry["action"] for entry in reversed(entries)] == [
        "user_permissions_changed",
        "user_disabled",
        "user_enabled",
        "user_removed",
        "user_invited",
        "invitation_sent_again",
        "invitation_withdrawn",
    ]
