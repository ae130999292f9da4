"""A seller's own SMTP server over REST."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx2
import pytest
from sqlalchemy import select

from deploy.demo.postgres import OWNER
from services.connector.http.paths import API_PREFIX
from shared.crypto.envelope import Place
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.tables import Account, AuditEntry, Integration, SmtpConfiguration
from tests.conftest import Database
from tests.factories import make_account, make_integration
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.smtp.conftest import PASSWORD, SENDER, USER, SellersServer
from tests.integration.shared.outgoing.conftest import HOST, Names


async def _audited(sessions: Sessions, integration: Integration) -> list[str]:
    async with sessions.begin() as session:
        rows = await session.scalars(
            select(AuditEntry).where(AuditEntry.subject_id == integration.id).order_by(AuditEntry.id)
        )
        return [row.action for row in rows]


async def _stored_password(
    sessions: Sessions, keyring: Keyring, account: Account, integration: Integration
) -> str:
    async with sessions.begin() as session:
        row = await session.get_one(SmtpConfiguration, integration.id)
        keys = await keyring.of(sessions, account.id)
    return keys.open_text(Place("smtp_configurations", "password", integration.id), row.password)


async def test_a_configuration_is_stored_tested_and_deleted(
    client: httpx2.AsyncClient,
    url: str,
    sellers_server: SellersServer,
    sessions: Sessions,
    integration: Integration,
):
    assert (await client.get(url)).status_code == 404

    stored = await client.put(url, json=sellers_server.body())
    assert (stored.status_code, stored.headers["etag"]) == (200, '"1"')
    assert stored.json() == {
        "host": HOST,
        "port": sellers_server.port,
        "tls_mode": "starttls",
        "username": USER,
        "sender_address": SENDER,
        "check": None,
        "updated_at": stored.json()["updated_at"],
    }

    tested = await client.post(f"{url}/test", headers={"Accept-Language": "de"})
    assert tested.status_code == 200
    assert (tested.json()["result"], tested.json()["title"]) == ("ok", "Der Server funktioniert")
    assert (await client.get(url, headers={"Accept-Language": "de"})).json()["check"] == tested.json()

    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 404
    assert (await client.delete(url)).status_code == 404
    assert await _audited(sessions, integration) == [
        "smtp_configured",
        "smtp_tested",
        "smtp_configuration_deleted",
    ]


async def test_the_password_is_never_shown_and_lies_sealed(
    client: httpx2.AsyncClient,
    url: str,
    sellers_server: SellersServer,
    database: Database,
    capsys: pytest.CaptureFixture[str],
):
    """# S: password write-only"""
    answers = [
        await client.put(url, json=sellers_server.body()),
        await client.get(url),
        await client.post(f"{url}/test"),
        await client.post(f"{url}/test", json=sellers_server.body(sender_address="x")),
        await client.put(url, json=sellers_server.body(port="x")),
    ]
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    rows = await connection.fetch(
        "SELECT c::text FROM smtp_configurations c UNION SELECT a::text FROM audit_log a"
    )
    await connection.close()

    seen = "".join([*(answer.text for answer in answers), *(row[0] for row in rows), *capsys.readouterr()])
    assert [answer.status_code for answer in answers] == [200, 200, 200, 422, 422]
    assert PASSWORD not in seen
    assert PASSWORD.encode().hex() not in seen


async def test_a_configuration_without_password_keeps_the_stored_one(
    *,
    client: httpx2.AsyncClient,
    url: str,
    sellers_server: SellersServer,
    sessions: Sessions,
    keyring: Keyring,
    account: Account,
    integration: Integration,
):
    await client.put(url, json=sellers_server.body())
    body = sellers_server.body(sender_address="other@seller.example", tls_mode="tls")
    del body["password"]

    changed = await client.put(url, json=body)

    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (changed.json()["sender_address"], changed.json()["tls_mode"]) == ("other@seller.example", "tls")
    assert await _stored_password(sessions, keyring, account, integration) == PASSWORD


@pytest.mark.parametrize("change", [{"host": "evil.example"}, {"port": 587}, {"username": "other"}])
async def test_another_server_or_user_needs_the_password_again(
    client: httpx2.AsyncClient, url: str, sellers_server: SellersServer, names: Names, change: dict[str, Any]
):
    """# S: changing the SMTP host requires the password again"""
    await client.put(url, json=sellers_server.body())
    body = sellers_server.body(**change)
    del body["password"]

    answers = [await client.put(url, json=body), await client.post(f"{url}/test", json=body)]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(422, "password_required")] * 2
    assert names.asked == []
    assert (await client.get(url)).json()["host"] == HOST


async def test_a_first_configuration_needs_a_password(
    client: httpx2.AsyncClient, url: str, sellers_server: SellersServer
):
    body = sellers_server.body()
    del body["password"]

    for answer in (await client.put(url, json=body), await client.post(f"{url}/test", json=body)):
        assert (answer.status_code, answer.json()["code"]) == (422, "password_required")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"host": "127.0.0.1"}, "host_invalid"),
        ({"host": "[::ffff:10.0.0.1]"}, "host_invalid"),
        ({"host": "2130706433"}, "host_invalid"),
        ({"host": "0x7f.1"}, "host_invalid"),
        ({"host": "localhost"}, "host_invalid"),
        ({"port": 25}, "port_not_allowed"),
        ({"port": 22}, "port_not_allowed"),
        ({"port": 0}, "invalid_request"),
        ({"tls_mode": "none"}, "invalid_request"),
        ({"sender_address": "shop@seller.example\r\nBcc: x@y.example"}, "sender_invalid"),
        ({"sender_address": "shop"}, "sender_invalid"),
        ({"username": "a\0b"}, "invalid_request"),
        ({"username": ""}, "invalid_request"),
        ({"password": "a\r\nb"}, "invalid_request"),
        ({"password": ""}, "invalid_request"),
        ({"password": "x" * 1001}, "invalid_request"),
        ({"verify": False}, "invalid_request"),
    ],
)
async def test_what_cannot_be_right_is_refused_before_anything_is_asked(
    *,
    client: httpx2.AsyncClient,
    url: str,
    sellers_server: SellersServer,
    names: Names,
    change: dict[str, Any],
    code: str,
):
    """# S: SMTP ports, TLS mandatory, no literal IPs, CR/LF rejected"""
    body = sellers_server.body(**change)

    for answer in (await client.put(url, json=body), await client.post(f"{url}/test", json=body)):
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert names.asked == []


async def test_what_was_entered_is_tested_before_it_is_stored(
    client: httpx2.AsyncClient, url: str, sellers_server: SellersServer
):
    await client.put(url, json=sellers_server.body())

    tested = await client.post(f"{url}/test", json=sellers_server.body(password="other"))

    assert tested.json()["result"] == "auth"
    assert (await client.get(url)).json()["check"] is None


async def test_a_change_forgets_the_last_test(
    client: httpx2.AsyncClient, url: str, sellers_server: SellersServer
):
    await client.put(url, json=sellers_server.body())
    await client.post(f"{url}/test")

    assert (await client.put(url, json=sellers_server.body())).json()["check"] is None


async def test_without_a_configuration_there_is_nothing_to_test(client: httpx2.AsyncClient, url: str):
    answer = await client.post(f"{url}/test")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_change_may_insist_on_a_version(
    client: httpx2.AsyncClient, url: str, sellers_server: SellersServer
):
    await client.put(url, json=sellers_server.body())
    current = (await client.get(url)).headers["etag"]
    await client.put(url, json=sellers_server.body(), headers={"If-Match": current})

    late = [
        await client.put(url, json=sellers_server.body(), headers={"If-Match": current}),
        await client.delete(url, headers={"If-Match": current}),
    ]

    assert [(a.status_code, a.json()["code"]) for a in late] == [(412, "precondition_failed")] * 2


async def test_changes_at_the_same_time_come_one_after_the_other(
    client: httpx2.AsyncClient, url: str, sellers_server: SellersServer
):
    answers = await asyncio.gather(*(client.put(url, json=sellers_server.body()) for _ in range(5)))

    assert sorted(answer.headers["etag"] for answer in answers) == [f'"{n}"' for n in range(1, 6)]


async def test_a_user_tests_five_times_a_minute(
    client: httpx2.AsyncClient, url: str, sellers_server: SellersServer
):
    """# S: SMTP test 5/min/user"""
    await client.put(url, json=sellers_server.body())
    results = [await client.post(f"{url}/test") for _ in range(6)]

    assert [answer.status_code for answer in results] == [200] * 5 + [429]
    assert results[-1].json()["code"] == "too_often"
    assert 1 <= int(results[-1].headers["retry-after"]) <= 12
    assert len(sellers_server.senders) == 5


async def test_an_account_tests_twenty_times_an_hour(
    sign_in_as: Callable[..., Awaitable[SignedIn]], url: str, sellers_server: SellersServer
):
    """# S: SMTP test 20/h/account"""
    statuses = []
    for _ in range(5):
        user = await sign_in_as()
        await user.client.put(url, json=sellers_server.body())
        statuses += [(await user.client.post(f"{url}/test")).status_code for _ in range(5)]

    assert statuses == [200] * 20 + [429] * 5


async def test_another_accounts_configuration_is_not_found(
    client: httpx2.AsyncClient, sellers_server: SellersServer, sessions: Sessions, keyring: Keyring
):
    async with sessions.begin() as session:
        stranger = await make_account(session, keyring)
        theirs = await make_integration(session, stranger.id)
    url = f"{API_PREFIX}/integrations/{theirs.id}/smtp-configuration"

    answers = [
        await client.get(url),
        await client.put(url, json=sellers_server.body()),
        await client.delete(url),
        await client.post(f"{url}/test", json=sellers_server.body()),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert sellers_server.hellos == []
