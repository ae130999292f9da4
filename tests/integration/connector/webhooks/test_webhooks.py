"""Webhooks over REST: made, read, changed, deleted, by whom it is allowed, and never their secrets twice."""

import itertools
import json

import pytest
from sqlalchemy import select, text

from services.connector.app import create_app
from services.connector.doctor.checks import examine
from services.connector.throttling.limits import WEBHOOK_PINGS, WEBHOOK_RESENDS
from services.connector.webhooks.service import MAX_WEBHOOKS
from shared.tables import AuditEntry
from tests.factories import make_account
from tests.integration.connector.conftest import open_client
from tests.integration.connector.webhooks.conftest import create, deliveries, send_webhooks

URL = "https://helpdesk.example/replyco?token=canary-query"


async def test_a_webhook_is_made_read_changed_and_deleted(client):
    made = await create(client, URL, "message.received", "integration.changed")
    path = f"/api/v1/webhooks/{made['id']}"
    secret = made.pop("secret")

    assert secret.startswith("whsec_")
    assert (await client.get(path)).json() == made
    assert (await client.get("/api/v1/webhooks")).json() == {"items": [made], "next_cursor": None}
    change = {"url": "https://other.example/x", "kinds": ["webhook.disabled"], "description": "Neu"}
    changed = (await client.patch(path, json=change)).json()
    assert {name: changed[name] for name in change} == change
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_the_secret_is_shown_once_and_is_sealed(client, sessions):
    made = await create(client, URL)

    for path in ("/api/v1/webhooks", f"/api/v1/webhooks/{made['id']}"):
        assert made["secret"] not in (await client.get(path)).text
    async with sessions() as session:
        stored = (await session.execute(text("SELECT webhooks::text FROM webhooks"))).scalar_one()
    assert made["secret"] not in stored
    assert made["secret"].removeprefix("whsec_").encode().hex() not in stored


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://helpdesk.example/", "url_invalid"),
        ("https://user:password@helpdesk.example/", "url_invalid"),
        ("https://helpdesk.example/#x", "url_invalid"),
        ("https://localhost/", "host_invalid"),
        ("https://10.0.0.7/", "host_invalid"),
        ("https://[::1]/", "host_invalid"),
        ("https://2130706433/", "host_invalid"),
        ("", "url_invalid"),
    ],
)
async def test_only_public_https_addresses_are_taken(client, url, code):
    """# S: webhooks out: https only"""
    made = await create(client, URL)

    created = await client.post("/api/v1/webhooks", json={"url": url, "kinds": ["integration.changed"]})
    changed = await client.patch(f"/api/v1/webhooks/{made['id']}", json={"url": url})

    assert (created.status_code, created.json()["code"]) == (422, code)
    assert (changed.status_code, changed.json()["code"]) == (422, code)


@pytest.fixture
def usual_ports(settings):
    """As without a word of the operator's."""
    return settings.model_copy(update={"outgoing_webhook_ports": "443,8443"})


async def test_a_webhook_speaks_to_ports_of_https_only(usual_ports, signed_in):
    """# S: webhooks go to 443 and 8443 unless an operator names others"""
    app = create_app(usual_ports)
    answers = {}
    async with app.router.lifespan_context(app), open_client(app, **signed_in.client.headers) as client:
        client.cookies = signed_in.client.cookies
        made = await create(client, "https://helpdesk.example:8443/")
        for port in (443, 8443, 22, 5432, 80):
            url = f"https://helpdesk.example:{port}/"
            created = await client.post(
                "/api/v1/webhooks", json={"url": url, "kinds": ["integration.changed"]}
            )
            changed = await client.patch(f"/api/v1/webhooks/{made['id']}", json={"url": url})
            answers[port] = (created.status_code, changed.status_code)
        elsewhere = {"url": "https://helpdesk.example:80/"}
        refused = (await client.patch(f"/api/v1/webhooks/{made['id']}", json=elsewhere)).json()

    assert answers == {443: (201, 200), 8443: (201, 200)} | dict.fromkeys((22, 5432, 80), (422, 422))
    assert (refused["code"], refused["ports"]) == ("url_port_not_allowed", "443, 8443")


async def test_pings_and_repeated_deliveries_of_an_account_are_limited(client, sign_in_as, sessions, keyring):
    """# S: whoever presses the button again and again connects us no more often"""
    first, second = await create(client, URL), await create(client, URL)
    async with sessions.begin() as session:
        other_account = await make_account(session, keyring)
    other = await sign_in_as(of=other_account)
    elsewhere = await create(other.client, URL)

    pings = await _until_refused(
        client, *(f"/api/v1/webhooks/{webhook['id']}/ping" for webhook in (first, second))
    )
    delivery = (await deliveries(client, first))[0]["id"]
    again = await _until_refused(client, f"/api/v1/webhooks/{first['id']}/deliveries/{delivery}/resend")

    # A bucket fills a little meanwhile.
    assert WEBHOOK_PINGS.most <= pings < 2 * WEBHOOK_PINGS.most
    assert WEBHOOK_RESENDS.most <= again < 2 * WEBHOOK_RESENDS.most
    assert (await other.client.post(f"/api/v1/webhooks/{elsewhere['id']}/ping")).status_code == 202


async def _until_refused(client, *paths) -> int:
    """How often these were taken, in turn."""
    for taken in itertools.count():
        answer = await client.post(paths[taken % len(paths)])
        if answer.status_code != 202:
            assert (answer.status_code, answer.json()["code"]) == (429, "too_often")
            assert int(answer.headers["retry-after"]) >= 1
            break
    return taken


async def test_nobody_has_told_to_a_program_what_he_may_not_see(sign_in_as):
    admin = await sign_in_as(general_admin="edit", inbox_messages="none")
    made = await create(admin.client, URL)

    body = {"url": URL, "kinds": ["message.received"]}
    created = await admin.client.post("/api/v1/webhooks", json=body)
    changed = await admin.client.patch(f"/api/v1/webhooks/{made['id']}", json={"kinds": body["kinds"]})

    assert (created.status_code, created.json()["permission"]) == (403, "inbox.messages")
    assert changed.status_code == 403


async def test_who_may_not_see_what_a_webhook_is_told_sends_it_nowhere_else(client, sign_in_as):
    made = await create(client, URL, "message.received")
    path = f"/api/v1/webhooks/{made['id']}"
    admin = await sign_in_as(general_admin="edit", inbox_messages="none")

    moved = await admin.client.patch(path, json={"url": "https://other.example/x"})
    more = await admin.client.patch(path, json={"kinds": ["message.received", "integration.changed"]})
    less = await admin.client.patch(
        path, json={"url": "https://other.example/x", "kinds": ["integration.changed"]}
    )
    again = await admin.client.patch(path, json={"kinds": ["message.received"]})

    assert (moved.status_code, moved.json()["permission"]) == (403, "inbox.messages")
    assert (more.status_code, more.json()["url"]) == (200, URL)
    assert less.status_code == 200
    assert again.status_code == 403


async def test_a_change_that_insists_on_an_old_version_is_refused(client):
    answer = await client.post("/api/v1/webhooks", json={"url": URL, "kinds": ["integration.changed"]})
    path, etag = f"/api/v1/webhooks/{answer.json()['id']}", answer.headers["etag"]

    first = await client.patch(path, json={"description": "A"}, headers={"If-Match": etag})
    second = await client.patch(path, json={"description": "B"}, headers={"If-Match": etag})

    assert (first.status_code, second.status_code) == (200, 412)
    assert first.headers["etag"] != etag
    read = (await client.get(path)).headers["etag"]
    assert (
        await client.patch(path, json={"description": "C"}, headers={"If-Match": read})
    ).status_code == 200
    assert second.json()["code"] == "precondition_failed"


async def test_the_audit_log_names_what_was_changed_and_not_to_what(client):
    made = await create(client, URL)

    await client.patch(
        f"/api/v1/webhooks/{made['id']}", json={"url": f"{URL}?key=canary", "kinds": ["webhook.disabled"]}
    )

    entry = (await client.get("/api/v1/audit-log?action=webhook_changed")).json()["items"][0]
    assert entry["fields"] == {"changed": "url kinds"}


async def test_another_accounts_webhook_is_not_found(client, sign_in_as, sessions, keyring):
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
    made = await create((await sign_in_as(of=other)).client, URL)
    path = f"/api/v1/webhooks/{made['id']}"
    delivery = (await (await sign_in_as(of=other)).client.post(f"{path}/ping")).json()

    for method, suffix, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/secret", {}),
        ("POST", "/ping", None),
        ("GET", "/deliveries", None),
        ("POST", f"/deliveries/{delivery['id']}/resend", None),
    ):
        answer = await client.request(method, path + suffix, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, suffix)


async def test_a_delivery_is_found_under_its_own_webhook_only(client):
    first, second = await create(client, URL), await create(client, URL)
    delivery = (await client.post(f"/api/v1/webhooks/{first['id']}/ping")).json()

    answer = await client.post(f"/api/v1/webhooks/{second['id']}/deliveries/{delivery['id']}/resend")

    assert answer.status_code == 404


async def test_to_a_disabled_webhook_nothing_is_sent(client, webhook_sender, receiver):
    made = await create(client, receiver.url)
    path = f"/api/v1/webhooks/{made['id']}"
    waiting = (await client.post(f"{path}/ping")).json()
    disabled = (await client.patch(path, json={"enabled": False})).json()
    await send_webhooks(webhook_sender)

    ping, resent = (
        await client.post(f"{path}/ping"),
        await client.post(f"{path}/deliveries/{waiting['id']}/resend"),
    )

    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "by_user")
    assert (ping.json()["code"], resent.json()["code"]) == ("webhook_disabled", "webhook_disabled")
    (still,) = await deliveries(client, made)
    assert (still["state"], still["next_attempt_at"], receiver.requests) == ("waiting", None, [])


async def test_an_account_has_a_bounded_number_of_webhooks(client):
    for _ in range(MAX_WEBHOOKS):
        await create(client, URL)

    answer = await client.post("/api/v1/webhooks", json={"url": URL, "kinds": ["integration.changed"]})

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")


async def test_webhooks_and_deliveries_are_read_page_by_page(client):
    made = [await create(client, URL) for _ in range(3)]
    for _ in range(3):
        await client.post(f"/api/v1/webhooks/{made[0]['id']}/ping")

    for path in ("/api/v1/webhooks", f"/api/v1/webhooks/{made[0]['id']}/deliveries"):
        first = (await client.get(path, params={"limit": 2})).json()
        second = (await client.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
        ids = [item["id"] for item in first["items"] + second["items"]]
        assert (len(set(ids)), ids, second["next_cursor"]) == (3, sorted(ids, reverse=True), None)


async def test_a_program_may_make_webhooks_too(api_key_client):
    program = await api_key_client(general_admin="edit")

    assert (await create(program, URL))["enabled"]


async def test_every_change_is_in_the_audit_log_without_address_and_secret(client, sessions):
    made = await create(client, URL)
    path = f"/api/v1/webhooks/{made['id']}"
    delivery = (await client.post(f"{path}/ping")).json()
    await client.post(f"{path}/deliveries/{delivery['id']}/resend")
    await client.patch(path, json={"description": "Neu"})
    await client.post(f"{path}/secret", json={})
    await client.delete(path)

    async with sessions() as session:
        entries = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [entry.action for entry in entries] == [
        "webhook_created",
        "webhook_pinged",
        "webhook_delivery_resent",
        "webhook_changed",
        "webhook_secret_rotated",
        "webhook_deleted",
    ]
    assert {entry.subject_id for entry in entries} == {entries[0].subject_id}
    assert "helpdesk.example" not in json.dumps([entry.fields for entry in entries])


async def test_the_doctor_counts_webhooks_to_which_nothing_is_sent_any_more(client, settings):
    for url in (
        "https://helpdesk.example/a:1/",
        "https://helpdesk.example:8443/",
        "https://helpdesk.example:9443/x",
        "https://helpdesk.example:9443/?y",
    ):
        await create(client, url)
    off = await create(client, "https://helpdesk.example:9444/")
    await client.patch(f"/api/v1/webhooks/{off['id']}", json={"enabled": False})
    usual = {"outgoing_webhook_ports": "443,8443", "amazon_base_url": "http://127.0.0.1:9"}

    findings = [finding.text for finding in await examine(settings.model_copy(update=usual))]

    assert [text.partition(". ")[0] for text in findings if "REPLYCO_OUTGOING_WEBHOOK_PORTS" in text] == [
        "Webhooks at port 9443 are sent nothing any more (2 of them)"
    ]
