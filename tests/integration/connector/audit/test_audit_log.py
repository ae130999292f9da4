"""The audit log over REST: who did what, and when; newest first, of one's own account, by name."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select

from services.connector.accounts.audit import audit_entry, system_audit_entry
from services.connector.accounts.callers import Caller
from shared.driver import new_id
from shared.tables import AuditEntry
from tests.factories import make_account
from tests.integration.connector.conftest import PASSWORD, SignedIn
from tests.statements import sent_statements

LOG = "/api/v1/audit-log"


def caller_of(who: SignedIn) -> Caller:
    return Caller(who.account.id, who.user.id, {}, session_id=who.session_id)


async def actions(client: httpx2.AsyncClient, **query: str) -> list[str]:
    answer = await client.get(LOG, params=query)
    assert answer.status_code == 200, answer.text
    return [item["action"] for item in answer.json()["items"]]


async def test_what_a_person_and_a_program_did_is_told_with_their_names(signed_in, api_key_client):
    """# S: audit log: who, what, when"""
    program = await api_key_client()
    body = {"url": "https://helpdesk.example/", "kinds": ["integration.changed"]}
    webhook_id = (await program.post("/api/v1/webhooks", json=body)).json()["id"]
    await signed_in.client.delete(f"/api/v1/webhooks/{webhook_id}")

    deleted, created = (await signed_in.client.get(LOG)).json()["items"]

    user = signed_in.user
    assert deleted["actor"] == {"kind": "user", "id": str(user.id), "name": user.name}
    assert (deleted["action"], deleted["subject_id"]) == ("webhook_deleted", webhook_id)
    assert (created["actor"]["kind"], created["actor"]["name"]) == ("api_key", "Helpdesk")
    assert datetime.fromisoformat(created["at"]) <= datetime.fromisoformat(deleted["at"])


async def test_what_nobody_asked_for_has_no_actor(signed_in, sessions):
    subject_id = new_id()
    async with sessions.begin() as session:
        session.add(system_audit_entry(signed_in.account.id, "webhook_disabled", subject_id, reason="gone"))

    (entry,) = (await signed_in.client.get(LOG)).json()["items"]

    assert entry["actor"] == {"kind": "system", "id": None, "name": None}
    assert (entry["subject_id"], entry["fields"]) == (str(subject_id), {"reason": "gone"})


async def test_another_accounts_entries_are_not_seen(signed_in, sessions, keyring):
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
        session.add(system_audit_entry(other.id, "account_created", other.id))

    assert await actions(signed_in.client) == []


async def test_entries_are_filtered_by_actor_subject_action_and_time(signed_in, sign_in_as, sessions):
    second, subject_id, now = await sign_in_as(), new_id(), datetime.now(UTC)
    async with sessions.begin() as session:
        session.add(audit_entry(caller_of(signed_in), "integration_named", subject_id))
        session.add(audit_entry(caller_of(second), "integration_renamed", subject_id))
        old = audit_entry(caller_of(second), "integration_paused", new_id())
        old.id, old.at = (
            UUID(int=int((now - timedelta(days=400)).timestamp() * 1000) << 80),
            now - timedelta(days=400),
        )
        session.add(old)

    client = signed_in.client
    assert await actions(client, actor_id=str(signed_in.user.id)) == ["integration_named"]
    assert sorted(await actions(client, subject_id=str(subject_id))) == [
        "integration_named",
        "integration_renamed",
    ]
    assert await actions(client, action="integration_renamed") == ["integration_renamed"]
    yesterday = (now - timedelta(days=1)).isoformat()
    assert len(await actions(client, since=yesterday)) == 2
    assert await actions(client, until=yesterday) == ["integration_paused"]
    assert await actions(client, since=(now + timedelta(days=1)).isoformat()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("since", "x"),
        ("since", "1764115200"),
        ("until", "2026-11-24T09:30:00"),
        ("action", "A b"),
    ],
)
async def test_impossible_filters_are_refused(client, name, value):
    answer = await client.get(LOG, params={name: value})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("name", "value"),
    [("since", "0001-01-01T00:00:00+14:00"), ("until", "9999-12-31T00:00:00-12:00")],
)
async def test_a_time_outside_of_all_entries_excludes_none(signed_in, name, value):
    await signed_in.client.patch("/api/v1/me", json={"language": "en"})

    assert await actions(signed_in.client, **{name: value}) == ["user_changed"]


async def test_the_log_is_read_page_by_page_in_one_statement(signed_in, app, sessions):
    async with sessions.begin() as session:
        session.add_all(audit_entry(caller_of(signed_in), "integration_renamed", new_id()) for _ in range(5))

    pages, cursor = [], None
    async with sent_statements(app.state.connector.sessions.kw["bind"].sync_engine) as statements:
        for _ in range(3):
            query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = (await signed_in.client.get(LOG, params=query)).json()
            pages.append([item["id"] for item in page["items"]])
            cursor = page["next_cursor"]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert cursor is None
    ids = [entry_id for page in pages for entry_id in page]
    assert ids == sorted(set(ids), reverse=True)
    assert len([statement for statement in statements if "audit_log" in statement]) == 3


async def test_what_happens_to_accounts_is_in_the_log(sign_in_as, nobody):
    """Every change that the accounts room makes leaves an entry, in its own transaction."""
    admin, leaving = await sign_in_as(), await sign_in_as()
    await nobody.post("/api/v1/sessions", json={"email": admin.user.email, "password": PASSWORD})
    key = (await admin.client.post("/api/v1/api-keys", json={"name": "K", "permissions": {}})).json()
    await admin.client.delete(f"/api/v1/api-keys/{key['id']}")
    await admin.client.patch("/api/v1/me", json={"language": "en"})
    await leaving.client.delete("/api/v1/sessions/current")

    assert await actions(admin.client) == [
        "signed_out",
        "user_changed",
        "api_key_revoked",
        "api_key_created",
        "signed_in",
    ]


async def test_what_is_rolled_back_leaves_no_entry(signed_in, sessions):
    body = {"name": "K", "permissions": {}, "expires_at": "2001-01-01T00:00:00Z"}
    assert (await signed_in.client.post("/api/v1/api-keys", json=body)).status_code == 422

    async with sessions() as session:
        assert (await session.scalars(select(AuditEntry))).all() == []
