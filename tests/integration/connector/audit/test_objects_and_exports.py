"""Entries name what they are about, and logs are exported as files."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, select

from services.connector.accounts.audit import audit_entry, system_audit_entry
from services.connector.accounts.callers import Caller
from services.connector.audit.alarm_mails import AlarmMails
from services.connector.audit.alarm_service import Alarms
from services.connector.audit.queries import AuditFilters
from services.connector.audit.service import export_entries
from services.connector.reads.queries import ReadFilters
from services.connector.reads.service import ReadLog, export_reads
from shared.crypto.envelope import Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.tables import AuditEntry, Notice, User, Webhook
from tests.factories import make_account, make_conversation, make_integration, make_message
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.inbox.conftest import counted_statements, inbox, worker

__all__ = ["inbox", "worker"]

LOG = "/api/v1/audit-log"
ORDER = "303-1234567-1234567"


def caller_of(who: SignedIn) -> Caller:
    return Caller(who.account.id, who.user.id, {}, session_id=who.session_id)


async def objects(client: httpx2.AsyncClient) -> dict[str, Any]:
    items = (await client.get(LOG)).json()["items"]
    return {item["action"]: item["object"] for item in items}


@pytest.fixture
async def ids(
    signed_in: SignedIn, owner_sessions: Sessions, keyring: Any, api_key_client: Any
) -> dict[str, UUID]:
    """An entry about one object of each kind, by its action."""
    await api_key_client()
    async with owner_sessions.begin() as session:
        store = await make_integration(session, signed_in.account.id, name="Lampen Europa")
        conversation = await make_conversation(session, keyring, store, order_id=ORDER)
        message = await make_message(session, keyring, conversation)
        webhook = Webhook(
            account_id=signed_in.account.id,
            url="https://helpdesk.example/?token=canary",
            kinds=["integration.changed"],
            secret=Sealed(b""),
        )
        session.add(webhook)
        await session.flush()
        made = {
            "integration_renamed": store.id,
            "conversation.closed": conversation.id,
            "message.released": message.id,
            "webhook_changed": webhook.id,
            "user_changed": signed_in.user.id,
            "session_confirmed": new_id(),
        }
        session.add_all(
            system_audit_entry(signed_in.account.id, action, subject) for action, subject in made.items()
        )
    return made | {"conversation": conversation.id}


async def test_each_entry_names_its_object(signed_in: SignedIn, ids: dict[str, UUID]):
    """# S: audit page names the object of each entry"""
    found = await objects(signed_in.client)

    assert found["session_confirmed"] is None
    assert {
        action: (about["kind"], about["name"], about["is_gone"]) for action, about in found.items() if about
    } == {
        "integration_renamed": ("integration", "Lampen Europa", False),
        "conversation.closed": ("conversation", ORDER, False),
        "message.released": ("message", ORDER, False),
        "webhook_changed": ("webhook", "helpdesk.example", False),
        "user_changed": ("user", signed_in.user.name, False),
    }
    assert found["message.released"]["conversation_id"] == str(ids["conversation"])


async def test_who_may_not_read_the_inbox_is_not_told_the_order(sign_in_as: Any, ids: dict[str, UUID]):
    admin = await sign_in_as(inbox_messages="none")

    answer = await admin.client.get(LOG)
    exported = await admin.client.get(f"{LOG}/export")

    for text in (answer.text, exported.text):
        assert ORDER not in text
        assert "Lampen Europa" in text


async def test_what_was_removed_is_said_to_be_gone(
    signed_in: SignedIn, owner_sessions: Sessions, ids: dict[str, UUID]
):
    async with owner_sessions.begin() as session:
        await session.execute(delete(Webhook).where(Webhook.id == ids["webhook_changed"]))
        session.add(system_audit_entry(signed_in.account.id, "conversation.merged", new_id()))

    found = await objects(signed_in.client)

    assert found["webhook_changed"]["is_gone"]
    assert found["conversation.merged"]["is_gone"]


async def test_whoever_was_removed_is_still_known_by_name(signed_in: SignedIn, sign_in_as: Any):
    """Who looks through the log of last month has to know whose permissions were changed."""
    leaver = await sign_in_as()
    made = {"name": "Helpdesk", "permissions": {}}
    key = (await signed_in.client.post("/api/v1/api-keys", json=made)).json()
    await signed_in.client.delete(f"/api/v1/api-keys/{key['id']}")
    answer = await signed_in.client.delete(f"/api/v1/users/{leaver.user.id}?programs=end")
    assert answer.status_code == 204

    found = await objects(signed_in.client)

    assert [
        (found[each]["name"], found[each]["is_gone"]) for each in ("user_removed", "api_key_revoked")
    ] == [
        (leaver.user.name, True),
        ("Helpdesk", True),
    ]


async def test_an_invitation_is_open_or_not_any_more(signed_in: SignedIn):
    invited = {"email": "neu@seller.example", "permissions": {}}
    made = (await signed_in.client.post("/api/v1/invitations", json=invited)).json()

    open_one = (await objects(signed_in.client))["user_invited"]
    await signed_in.client.delete(f"/api/v1/invitations/{made['id']}")
    withdrawn = (await objects(signed_in.client))["user_invited"]

    assert [(each["kind"], each["name"], each["is_gone"]) for each in (open_one, withdrawn)] == [
        ("invitation", "neu@seller.example", False),
        ("invitation", None, True),
    ]


async def test_another_accounts_object_has_no_name_here(
    signed_in: SignedIn, sign_in_as: Any, owner_sessions: Sessions, keyring: Any
):
    async with owner_sessions.begin() as session:
        other = await make_account(session, keyring)
        store = await make_integration(session, other.id, name="Somebody else's")
        session.add(system_audit_entry(signed_in.account.id, "integration_renamed", store.id))

    assert (await objects(signed_in.client))["integration_renamed"]["name"] is None


async def test_a_full_page_is_named_in_as_many_statements_as_a_short_one(
    signed_in: SignedIn, app: FastAPI, owner_sessions: Sessions
):
    counts = []
    for more in (1, 60):
        async with owner_sessions.begin() as session:
            for number in range(more):
                store = await make_integration(session, signed_in.account.id, name=f"Store {more} {number}")
                session.add(system_audit_entry(signed_in.account.id, "integration_renamed", store.id))
        async with counted_statements(app) as sent:
            await signed_in.client.get(LOG, params={"limit": "100"})
        counts.append(len(sent))

    assert counts[0] == counts[1]


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


async def test_the_log_is_exported_with_its_filters_and_no_name_is_a_formula(
    signed_in: SignedIn, owner_sessions: Sessions
):
    """# S: audit log: export as CSV, bounded, streamed, formula-safe"""
    async with owner_sessions.begin() as session:
        store = await make_integration(session, signed_in.account.id, name="=HYPERLINK(1)")
        session.add(audit_entry(caller_of(signed_in), "integration_renamed", store.id, country="DE"))
        session.add(audit_entry(caller_of(signed_in), "signed_out", new_id()))

    answer = await signed_in.client.get(f"{LOG}/export", params={"action": "integration_renamed"})

    head, row = rows_of(answer.text)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-log.csv"'
    assert answer.headers["cache-control"] == "no-store, private"
    assert head[:4] == ["time", "actor_kind", "actor", "action"]
    assert row[1:] == [
        "user",
        signed_in.user.name,
        "integration_renamed",
        "integration",
        "'=HYPERLINK(1)",
        str(store.id),
        "country=DE",
    ]


async def test_an_export_goes_on_over_many_pages_and_ends_where_it_must(
    signed_in: SignedIn, sessions: Sessions
):
    caller = caller_of(signed_in)
    reads = ReadLog(sessions, CollectorRegistry())
    async with sessions.begin() as session:
        session.add_all(audit_entry(caller, "signed_out", new_id()) for _ in range(7))
    for number in range(7):
        await reads.search(caller, number)

    async def lines(most: int) -> list[list[list[str]]]:
        filters, read_filters = AuditFilters(), ReadFilters()
        return [
            rows_of("".join([part async for part in export]))
            for export in (
                export_entries(sessions, caller, filters, most=most, at_once=3),
                export_reads(sessions, caller, read_filters, most=most, at_once=3),
            )
        ]

    whole, cut = await lines(7), await lines(5)

    assert [len(rows) for rows in whole] == [8, 8]
    assert len({tuple(row) for row in whole[1]}) == 8
    assert [len(rows) for rows in cut] == [7, 7]
    assert {rows[-1][3] for rows in cut} == {"there are more entries; choose a shorter time"}


async def test_the_read_log_names_conversations_and_is_exported(
    signed_in: SignedIn, sign_in_as: Any, ids: dict[str, UUID]
):
    await signed_in.client.get(f"/api/v1/conversations/{ids['conversation']}")
    blind = await sign_in_as(inbox_messages="none")

    (entry,) = (await signed_in.client.get("/api/v1/read-log")).json()["items"]
    exported = rows_of((await signed_in.client.get("/api/v1/read-log/export")).text)
    unseen = (await blind.client.get("/api/v1/read-log")).json()["items"][0]["subject"]

    assert (entry["subject"]["kind"], entry["subject"]["name"]) == ("conversation", ORDER)
    assert exported[1][3:6] == ["conversation", ORDER, str(ids["conversation"])]
    assert (unseen["name"], unseen["conversation_id"], unseen["is_gone"]) == (None, None, False)


def alarms(sessions: Sessions, registry: CollectorRegistry) -> Alarms:
    return Alarms(sessions, registry, reads_an_hour=3, failed_sign_ins_an_hour=3)


async def read_much(who: SignedIn, sessions: Sessions, times: int, conversation: UUID | None = None) -> None:
    reads = ReadLog(sessions, CollectorRegistry(), again_seconds=0)
    for _ in range(times):
        await reads.conversation(caller_of(who), conversation or new_id())


async def told(sessions: Sessions) -> list[tuple[str, UUID | None, str]]:
    async with sessions.begin() as session:
        rows = await session.scalars(
            select(AuditEntry).where(AuditEntry.action.in_(["mass_reading", "failed_sign_ins"]))
        )
        return [(row.action, row.subject_id, row.fields["count"]) for row in rows]


async def test_who_reads_unusually_much_is_told_of_once_a_day(
    signed_in: SignedIn, sign_in_as: Any, sessions: Sessions
):
    """# S: alarms: mass reading"""
    registry, now = CollectorRegistry(), datetime.now(UTC)
    diligent = await sign_in_as(general_admin="none")
    await read_much(signed_in, sessions, 3)
    await read_much(diligent, sessions, 2)
    await read_much(diligent, sessions, 5, new_id())

    for _ in range(2):
        await alarms(sessions, registry := CollectorRegistry()).watch(now)

    # The second reader has opened two others, and one of them again and again: three in all.
    assert sorted(await told(sessions)) == sorted(
        [("mass_reading", signed_in.user.id, "3"), ("mass_reading", diligent.user.id, "3")]
    )
    assert registry.get_sample_value("replyco_alarms_total", {"kind": "mass_reading"}) == 0
    async with sessions.begin() as session:
        notices = list(await session.scalars(select(Notice)))
    assert {(notice.kind, notice.user_id) for notice in notices} == {("mass_reading", signed_in.user.id)}


async def test_less_than_that_or_longer_ago_is_nothing_unusual(signed_in: SignedIn, sessions: Sessions):
    registry = CollectorRegistry()
    looking = alarms(sessions, registry)
    await read_much(signed_in, sessions, 2)
    await looking.watch(datetime.now(UTC))
    await read_much(signed_in, sessions, 1)
    await looking.watch(datetime.now(UTC) + timedelta(minutes=61))

    assert await told(sessions) == []
    assert registry.get_sample_value("replyco_alarms_total", {"kind": "mass_reading"}) == 0


async def test_many_failed_sign_ins_are_told(signed_in: SignedIn, sessions: Sessions):
    """# S: alarms: failed sign-ins"""
    registry = CollectorRegistry()
    async with sessions.begin() as session:
        session.add_all(
            system_audit_entry(signed_in.account.id, "sign_in_failed", signed_in.user.id) for _ in range(3)
        )

    await alarms(sessions, registry).watch(datetime.now(UTC))

    assert await told(sessions) == [("failed_sign_ins", signed_in.account.id, "3")]
    assert registry.get_sample_value("replyco_alarms_total", {"kind": "failed_sign_ins"}) == 1


async def test_a_new_api_key_is_told_to_all_who_may_change_the_account(
    signed_in: SignedIn, sign_in_as: Any, sessions: Sessions
):
    """# S: alarms: new keys"""
    second, viewer = await sign_in_as(), await sign_in_as(general_admin="view")
    answer = await signed_in.client.post(
        "/api/v1/api-keys", json={"name": "Helpdesk", "permissions": {"inbox.messages": "view"}}
    )
    assert answer.status_code == 201, answer.text

    async with sessions.begin() as session:
        notices = list(await session.scalars(select(Notice)))

    assert {notice.user_id for notice in notices} == {signed_in.user.id, second.user.id}
    assert viewer.user.id not in {notice.user_id for notice in notices}
    assert {notice.fields["occasion"] for notice in notices} == {answer.json()["id"]}


@pytest.mark.parametrize("language", ["de", "en"])
async def test_the_mails_name_who_it_was_and_lead_to_what_it_was(
    language: str, signed_in: SignedIn, sessions: Sessions
):
    await read_much(signed_in, sessions, 3)
    async with sessions.begin() as session:
        user = await session.get_one(User, signed_in.user.id)
        user.language = language
        session.add_all(
            system_audit_entry(signed_in.account.id, "sign_in_failed", signed_in.user.id) for _ in range(3)
        )
    await signed_in.client.post("/api/v1/api-keys", json={"name": "Helpdesk", "permissions": {}})
    await alarms(sessions, CollectorRegistry()).watch(datetime.now(UTC))
    async with sessions.begin() as session:
        notices = {notice.kind: notice for notice in await session.scalars(select(Notice))}
    composers = AlarmMails(sessions, "https://replyco.example").composers()

    texts = {}
    for kind, compose in composers.items():
        mail = await compose(notices[kind.value], "no-reply@replyco.email", datetime.now(UTC))
        assert mail is not None
        texts[kind.value] = f"{mail['Subject']}\n{mail.get_content()}"

    assert signed_in.user.name in texts["mass_reading"].splitlines()[0]
    assert f"/settings/read-log?reader_id={signed_in.user.id}" in texts["mass_reading"]
    assert "/settings/audit-log?action=sign_in_failed" in texts["failed_sign_ins"]
    assert "Helpdesk" in texts["api_key_created"]
    assert signed_in.user.name in texts["api_key_created"]
    assert "?" not in "".join(texts["mass_reading"].replace("?reader_id", ""))
