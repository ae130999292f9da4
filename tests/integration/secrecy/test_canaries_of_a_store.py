"""The whole life of a store with canaries in every secret and every personal field: connecting, renewing, mail, an SMTP server,
a webhook, a red lock, reconnecting, disconnecting. They are in no log line, metric, answer, event or column that is not sealed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text, update

from services.connector.amazon.errors import GrantInvalid
from services.connector.authorization.api import BROWSER_COOKIE
from services.connector.events.kinds import STREAM_ONLY
from services.connector.settings import ConnectorSettings
from services.mailrelay.delivery.service import deliver_due
from shared.events import EventKind
from shared.metrics import render
from shared.tables import Grant
from tests.integration.connector.connecting import (
    CANARY_SECRET,
    LAMPENLADEN,
    Amazon,
    amazon,
    arrive,
    connect_named,
    consent,
    query_of,
)
from tests.integration.connector.integrations.test_owner_mails import mailbox, notice_mailer, revoke
from tests.integration.connector.smtp.conftest import (
    PASSWORD,
    SellersServer,
    app,
    certificate,
    checker,
    names,
    outgoing,
    sellers_server,
    serve,
)
from tests.integration.connector.webhooks.conftest import (
    deliveries,
    new_receiver,
    receiver,
    send_webhooks,
    webhook_sender,
)
from tests.integration.mailrelay.accepting import DOMAIN, running_relay
from tests.integration.secrecy.test_canaries import OF_THE_MAIL, everything_stored, the_mail

__all__ = [
    "amazon",
    "app",
    "certificate",
    "checker",
    "mailbox",
    "names",
    "new_receiver",
    "notice_mailer",
    "outgoing",
    "receiver",
    "sellers_server",
    "serve",
    "webhook_sender",
]

API = "/api/v1"


@pytest.fixture
def settings(settings: ConnectorSettings, amazon: Amazon, sellers_server: SellersServer) -> ConnectorSettings:
    """With the sandbox in Amazon's place, and the seller's server at a port that is allowed."""
    sandbox = amazon.state.settings
    return settings.model_copy(
        update={
            "public_url": sandbox.redirect_uris[0].removesuffix("/amazon/callback"),
            "amazon_application_id": sandbox.application_id,
            "amazon_client_id": sandbox.client_id,
            "amazon_client_secret": sandbox.client_secret,
            "amazon_base_url": amazon.url,
            "outgoing_smtp_ports": str(sellers_server.port),
        }
    )


@pytest.fixture
def shown(signed_in) -> list[str]:
    """Every answer to the seller, with its headers; not the cookies, which are his."""
    answers: list[str] = []

    async def keep(answer) -> None:
        await answer.aread()
        headers = [value for name, value in answer.headers.multi_items() if name != "set-cookie"]
        answers.append("\n".join([*headers, answer.text]))

    signed_in.client.event_hooks["response"].append(keep)
    return answers


async def _renew(app, sessions, account_id: UUID, integration_id: str) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Grant).values(access_token_expires_at=None, access_token=None))
    await app.state.connector.vault.access_token(account_id, UUID(integration_id))


async def _reconnect(client, integration_id: str) -> tuple[str, set[str]]:
    """What passed through the browser: the state, which the way to Amazon has to show, and what nothing shows."""
    answer = await client.post(f"{API}/authorizations", json={"integration_id": integration_id})
    callback_url = await consent(answer.json()["consent_url"], LAMPENLADEN)
    assert (await arrive(client, callback_url)).status_code == 303
    parameters = query_of(callback_url)
    return parameters["state"], {parameters["spapi_oauth_code"], client.cookies[BROWSER_COOKIE]}


async def test_a_store_leaves_no_trace_outside_of_its_seals(
    *, logged, database, keys, sessions, signed_in, app, amazon, delivery, sellers_server, receiver, webhook_sender,
    mailbox, notice_mailer, shown,
):  # fmt: skip
    """# S: a whole run with canaries, then a search of logs, metrics, jobs and the dump of the database"""
    client, account = signed_in.client, signed_in.account
    integration_id = await connect_named(signed_in)
    store = f"{API}/integrations/{integration_id}"
    await _renew(app, sessions, account.id, integration_id)

    # The seller's own server: right, and with a password that it refuses.
    smtp = f"{store}/smtp-configuration"
    assert (await client.put(smtp, json=sellers_server.body())).status_code == 200
    assert (await client.post(f"{smtp}/test")).json()["result"] == "ok"
    wrong = sellers_server.body(password="canary-wrong-password")
    assert (await client.post(f"{smtp}/test", json=wrong)).json()["result"] == "auth"
    assert (await client.put(smtp, json=wrong | {"port": "x"})).status_code == 422

    # A webhook, made with a key for repetition; its secret is shown to who made it, and afterwards to nobody.
    told = len(shown)
    body = {"url": receiver.url, "kinds": [kind.value for kind in EventKind if kind not in STREAM_ONLY]}
    repeatable = {"Idempotency-Key": "canary-run"}
    webhook = (await client.post(f"{API}/webhooks", json=body, headers=repeatable)).json()
    assert (await client.post(f"{API}/webhooks", json=body, headers=repeatable)).json() == webhook
    renewed = (await client.post(f"{API}/webhooks/{webhook['id']}/secret", json={})).json()
    del shown[told:]

    # Mail, told to the webhook; and an API key, shown once.
    async with sessions.begin() as session:
        local_part = await session.scalar(text("SELECT local_part FROM relay_addresses"))
    async with running_relay(database, keys) as relay, relay.client() as smtp_client:
        assert (await smtp_client.deliver(f"{local_part}@{DOMAIN}", the_mail())).startswith("250")
    assert await deliver_due(delivery) == 1
    receiver.answers = ["500 canary", "204 No Content"]
    await send_webhooks(webhook_sender)
    assert receiver.requests
    assert await deliveries(client, webhook)

    # Amazon refuses with words that hold secrets; then the lock turns red, the owner is told, and he reconnects.
    token = next(iter(amazon.state.refresh_tokens))
    amazon.fail_tokens(400, f'{{"error": "invalid_grant", "error_description": "{token} canary-words"}}')
    with pytest.raises(GrantInvalid):
        await _renew(app, sessions, account.id, integration_id)
    await revoke(sessions, integration_id, account)
    assert (await client.get(store)).json()["lock"]["state"] == "red"
    await notice_mailer.send_next(datetime.now(UTC) + timedelta(days=1))
    [notice] = mailbox.mails
    state, canaries = await _reconnect(client, integration_id)
    await _renew(app, sessions, account.id, integration_id)
    await send_webhooks(webhook_sender)

    for path in ("audit-log", "webhooks", "integrations", "users"):
        assert (await client.get(f"{API}/{path}")).status_code == 200
    before = await everything_stored(database)
    assert (await client.delete(store)).status_code == 200

    canaries |= {CANARY_SECRET, PASSWORD, "canary-wrong-password", "canary-words", "canary-banner"}
    canaries |= {webhook["secret"], renewed["secret"], webhook["secret"].removeprefix("whsec_")}
    canaries |= set(amazon.state.access_tokens) | set(amazon.state.refresh_tokens)
    personal = set(OF_THE_MAIL.values()) - {OF_THE_MAIL["helo"], OF_THE_MAIL["recipient"]}
    lines, stored = logged.getvalue(), before + await everything_stored(database)
    metrics = render(app.state.connector.registry).decode()
    requests = "\n".join(f"{request.headers} {request.body}" for request in receiver.requests)
    assert len(canaries) >= 12
    for told_of in ("integration_connected", "smtp_tested", "webhook", "canary-run", "lock_red"):
        assert told_of in lines + stored, told_of
    for canary in canaries | personal | {state}:
        for place, content in {
            "a log line": lines,
            "the database": stored,
            "a metric": metrics,
            "a webhook": requests,
            "a mail to the owner": notice.as_string(),
        }.items():
            assert canary not in content, (canary, place)
            assert canary.encode().hex() not in content, (canary, place)
    for canary in canaries:
        assert all(canary not in answer for answer in shown), canary
