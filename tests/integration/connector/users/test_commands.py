"""The operators' commands for people and API keys."""

import httpx2
import pytest
from sqlalchemy import select

from deploy.demo.postgres import CONNECTOR
from shared.database import Sessions
from shared.tables import Notice, NoticeKind
from tests.commands import run_here
from tests.conftest import Database, Keys


@pytest.fixture
def environment(database: Database, keys: Keys) -> dict[str, str]:
    return {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_PUBLIC_URL": "https://app.example",
    }


async def test_the_first_api_key_needs_no_browser(signed_in, new_client, environment, sessions: Sessions):
    made = ["--user", signed_in.user.email, "--name", "Helpdesk", "--permission", "inbox.messages=view"]
    code, output = await run_here(environment, "api-keys", "create", *made)
    key_id, key = (line.partition(" ")[2] for line in output.splitlines())
    program: httpx2.AsyncClient = new_client(authorization=f"Bearer {key}")

    assert code == 0
    async with sessions.begin() as session:
        told = await session.execute(select(Notice.kind, Notice.user_id))
        assert told.all() == [(NoticeKind.API_KEY_CREATED, signed_in.user.id)]
    assert (await program.get("/api/v1/me")).json()["permissions"]["inbox.messages"] == "view"
    _, listed = await run_here(environment, "api-keys", "list", "--account", str(signed_in.account.id))
    assert key_id in listed
    assert key not in listed
    assert (await run_here(environment, "api-keys", "revoke", key_id))[0] == 0
    assert (await program.get("/api/v1/me")).status_code == 401


async def test_links_that_are_printed_are_good_once(signed_in, nobody, environment):
    account = str(signed_in.account.id)
    who = ["--account", account, "--email", "erika@seller.example", "--permission", "inbox.messages=edit"]
    code, link = await run_here(environment, "users", "invite", *who)
    address, _, token = link.strip().partition("#")
    body = {"token": token, "name": "Erika", "password": "vier Lampen im Keller"}
    answers = [await nobody.post("/api/v1/invitations/accept", json=body) for _ in range(2)]

    assert (code, address) == (0, "https://app.example/invitation")
    assert [answer.status_code for answer in answers] == [204, 409]
    _, reset = await run_here(environment, "users", "reset-password", "--email", "erika@seller.example")
    body = {"token": reset.strip().partition("#")[2], "new": "sieben Lampen im Keller"}
    answers = [await nobody.post("/api/v1/password-resets/use", json=body) for _ in range(2)]
    assert answers[0].status_code == 204
    assert answers[1].status_code != 204
    _, listed = await run_here(environment, "users", "list", "--account", account)
    assert "erika@seller.example\tErika\tactive" in listed
    assert account in (await run_here(environment, "accounts", "list"))[1]


async def test_somebody_is_disabled_and_enabled_and_the_last_admin_stays(signed_in, sign_in_as, environment):
    agent = await sign_in_as(general_admin="view")

    assert (await run_here(environment, "users", "disable", "--email", agent.user.email))[0] == 0
    assert (await agent.client.get("/api/v1/me")).status_code == 401
    assert (await run_here(environment, "users", "enable", "--email", agent.user.email))[0] == 0
    code, output = await run_here(environment, "users", "disable", "--email", signed_in.user.email)
    assert code == 1
    assert "Somebody has to stay" in output
    code, output = await run_here(environment, "users", "disable", "--email", "nobody@seller.example")
    assert (code, "Not found" in output) == (1, True)


async def test_a_permission_that_is_none_is_refused_in_plain_words(environment):
    code, output = await run_here(
        environment, "api-keys", "create", "--user", "a@b.example", "--name", "K", "--permission", "all"
    )

    assert code == 2
    assert "general.admin=view" in output
