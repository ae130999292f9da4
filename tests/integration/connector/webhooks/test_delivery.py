"""What is sent to a webhook, what becomes of it, and that nothing is lost or held up on the way."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, text, update
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from services.connector.maintenance import jobs as housekeeping
from services.connector.webhooks import queries
from services.connector.webhooks.delivery import WebhookSender
from shared.database import Sessions
from shared.driver import new_id
from shared.events import EventKind, announce
from shared.outgoing.connections import OutgoingConnections
from shared.tables import ApiKey, AuditEntry, EventRow, User, Webhook, WebhookDelivery
from tests.factories import make_account
from tests.integration.connector.webhooks.conftest import create, deliveries, send_webhooks


async def tell(sessions: Sessions, account_id: UUID, kind: EventKind = EventKind.INTEGRATION_CHANGED) -> UUID:
    """The id that the event names."""
    integration_id = new_id()
    async with sessions.begin() as session:
        await announce(session, account_id, kind, integration_id=integration_id)
    return integration_id


async def make_due(sessions: Sessions) -> None:
    """As if the time until the next try had passed."""
    async with sessions.begin() as session:
        await session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.state == "waiting")
            .values(next_attempt_at=func.now() - timedelta(seconds=1))
        )


async def test_an_event_is_sent_with_ids_only_and_signed(signed_in, receiver, webhook_sender, sessions):
    """# S: payload has ids only, no buyer PII"""
    webhook = await create(signed_in.client, receiver.url)
    integration_id = await tell(sessions, signed_in.account.id)

    await send_webhooks(webhook_sender)

    (request,) = receiver.requests
    assert request.line == "POST /replyco HTTP/1.1"
    body = json.loads(request.body)
    assert body.pop("timestamp").endswith("Z")
    assert body == {"type": "integration.changed", "data": {"integration_id": str(integration_id)}}
    assert request.headers["content-type"] == "application/json"
    assert Verifier(webhook["secret"]).verify(request.body, request.headers)
    (one,) = await deliveries(signed_in.client, webhook)
    assert (one["state"], one["attempts"], one["last_status"]) == ("delivered", 1, 204)
    assert one["event_id"] == request.headers["webhook-id"]


async def test_a_webhook_is_told_the_kinds_that_it_wants_of_its_own_account_since_it_is_there(
    *, signed_in, receiver, webhook_sender, sessions, keyring
):
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
    await tell(sessions, signed_in.account.id)
    await create(signed_in.client, receiver.url)
    await tell(sessions, signed_in.account.id, EventKind.MESSAGE_RECEIVED)
    await tell(sessions, other.id)
    wanted = await tell(sessions, signed_in.account.id)

    await send_webhooks(webhook_sender)

    assert [json.loads(request.body)["data"]["integration_id"] for request in receiver.requests] == [
        str(wanted)
    ]


async def test_while_a_secret_is_replaced_both_sign(signed_in, receiver, webhook_sender, sessions):
    """# S: webhook secret rotation with two signatures"""
    webhook = await create(signed_in.client, receiver.url)
    answer = await signed_in.client.post(f"/api/v1/webhooks/{webhook['id']}/secret", json={})
    new_secret = answer.json()["secret"]
    assert answer.json()["previous_secret_until"] is not None
    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)
    async with sessions.begin() as session:
        await session.execute(update(Webhook).values(previous_secret_until=func.now() - timedelta(seconds=1)))
    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)

    during, after = receiver.requests
    assert len(during.headers["webhook-signature"].split(" ")) == 2
    for secret in (webhook["secret"], new_secret):
        Verifier(secret).verify(during.body, during.headers)
    Verifier(new_secret).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(webhook["secret"]).verify(after.body, after.headers)


async def test_a_secret_that_became_known_ends_at_once(signed_in, receiver, webhook_sender, sessions):
    webhook = await create(signed_in.client, receiver.url)
    await signed_in.client.post(f"/api/v1/webhooks/{webhook['id']}/secret", json={"overlap_hours": 0})
    await tell(sessions, signed_in.account.id)

    await send_webhooks(webhook_sender)

    with pytest.raises(WebhookVerificationError):
        Verifier(webhook["secret"]).verify(receiver.requests[0].body, receiver.requests[0].headers)


async def test_what_fails_is_sent_again_with_the_same_id_later_and_later(
    signed_in, new_receiver, webhook_sender, sessions
):
    """# S: Standard Webhooks headers"""
    receiver = await new_receiver("500 Oh no", "302 Found", "204 No Content")
    webhook = await create(signed_in.client, receiver.url)
    await tell(sessions, signed_in.account.id)

    await send_webhooks(webhook_sender)
    (first,) = await deliveries(signed_in.client, webhook)
    await send_webhooks(webhook_sender)
    assert len(receiver.requests) == 1
    await make_due(sessions)
    await send_webhooks(webhook_sender)
    (second,) = await deliveries(signed_in.client, webhook)
    await make_due(sessions)
    await send_webhooks(webhook_sender)
    (third,) = await deliveries(signed_in.client, webhook)

    assert [(d["state"], d["last_status"], d["last_error"]) for d in (first, second, third)] == [
        ("waiting", 500, "status"),
        ("waiting", 302, "status"),
        ("delivered", 204, None),
    ]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1


async def test_a_delivery_that_failed_often_enough_is_dead_and_can_be_sent_again(
    signed_in, new_receiver, webhook_sender, sessions
):
    receiver = await new_receiver("500 Oh no")
    webhook = await create(signed_in.client, receiver.url)
    await tell(sessions, signed_in.account.id)
    for _ in range(10):
        await send_webhooks(webhook_sender)
        await make_due(sessions)
    await send_webhooks(webhook_sender)

    (dead,) = await deliveries(signed_in.client, webhook, state="dead")
    assert (len(receiver.requests), dead["attempts"], dead["next_attempt_at"]) == (10, 10, None)

    receiver.answers = ["200 OK"]
    path = f"/api/v1/webhooks/{webhook['id']}/deliveries/{dead['id']}/resend"
    assert (await signed_in.client.post(path)).json()["state"] == "waiting"
    await send_webhooks(webhook_sender)

    assert await deliveries(signed_in.client, webhook, state="dead") == []
    (sent,) = await deliveries(signed_in.client, webhook, state="delivered")
    assert sent["event_id"] == dead["event_id"] == receiver.requests[-1].headers["webhook-id"]


async def test_who_answers_gone_is_told_nothing_more(
    signed_in, new_receiver, receiver, webhook_sender, sessions
):
    gone = await new_receiver("410 Gone")
    webhook = await create(signed_in.client, gone.url)
    watcher = await create(signed_in.client, receiver.url, "webhook.disabled")
    for _ in range(3):
        await tell(sessions, signed_in.account.id)

    await send_webhooks(webhook_sender)
    await send_webhooks(webhook_sender)
    await send_webhooks(webhook_sender)

    shown = (await signed_in.client.get(f"/api/v1/webhooks/{webhook['id']}")).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    assert len(gone.requests) <= 2
    # What it has answered so is dead; the rest waits, for whoever enables it again.
    assert len(await deliveries(signed_in.client, webhook, state="dead")) == len(gone.requests)
    assert len(await deliveries(signed_in.client, webhook, state="waiting")) == 3 - len(gone.requests)
    # The account's other webhooks learn of it, and the audit log keeps it.
    assert json.loads(receiver.requests[-1].body)["data"] == {"webhook_id": webhook["id"]}
    assert len(await deliveries(signed_in.client, watcher)) == 1
    async with sessions() as session:
        entry = (
            await session.scalars(select(AuditEntry).where(AuditEntry.action == "webhook_disabled"))
        ).one()
    assert (entry.actor_kind, entry.fields) == ("system", {"reason": "gone"})


async def test_a_webhook_that_fails_for_five_days_is_disabled_and_can_be_enabled_again(
    signed_in, new_receiver, webhook_sender, sessions
):
    receiver = await new_receiver("503 Away")
    webhook = await create(signed_in.client, receiver.url)
    path = f"/api/v1/webhooks/{webhook['id']}"
    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)
    shown = (await signed_in.client.get(path)).json()
    assert (shown["enabled"], shown["failing_since"] is not None) == (True, True)

    async with sessions.begin() as session:
        await session.execute(update(Webhook).values(failing_since=func.now() - timedelta(days=5, seconds=1)))
    await make_due(sessions)
    await send_webhooks(webhook_sender)
    shown = (await signed_in.client.get(path)).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "failing")

    receiver.answers = ["204 No Content"]
    enabled = (await signed_in.client.patch(path, json={"enabled": True})).json()
    assert (enabled["enabled"], enabled["disabled_reason"], enabled["failing_since"]) == (True, None, None)
    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)
    assert (await deliveries(signed_in.client, webhook))[0]["state"] == "delivered"


async def test_a_success_ends_the_days_of_failing(signed_in, new_receiver, webhook_sender, sessions):
    receiver = await new_receiver("503 Away", "204 No Content")
    webhook = await create(signed_in.client, receiver.url)
    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)
    await make_due(sessions)
    await send_webhooks(webhook_sender)

    shown = (await signed_in.client.get(f"/api/v1/webhooks/{webhook['id']}")).json()
    assert (shown["enabled"], shown["failing_since"]) == (True, None)


@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254", "::1"])
async def test_nothing_is_sent_into_our_own_networks(*, signed_in, webhook_sender, sessions, names, address):
    """# S: webhooks out: SSRF rules as for SMTP"""
    webhook = await create(signed_in.client, "https://rebound.seller.example/")
    # It was harmless when it was entered.
    names.say("rebound.seller.example", [address])
    await tell(sessions, signed_in.account.id)

    await send_webhooks(webhook_sender)

    (one,) = await deliveries(signed_in.client, webhook)
    assert (one["state"], one["last_status"], one["last_error"]) == ("waiting", None, "dns")


async def test_a_webhook_at_a_port_that_is_not_allowed_any_more_is_sent_nothing_and_says_why(
    signed_in, receiver, outgoing, sessions, keyring
):
    """# S: webhooks that are there already, at other ports than an operator allows"""
    webhook = await create(signed_in.client, receiver.url)
    await tell(sessions, signed_in.account.id)
    strict = OutgoingConnections(allowed=outgoing.allowed)

    await send_webhooks(WebhookSender(sessions, keyring, strict, CollectorRegistry()))

    (one,) = await deliveries(signed_in.client, webhook)
    assert (one["state"], one["last_status"], one["last_error"]) == ("waiting", None, "port")
    assert receiver.requests == []


async def test_a_redirect_is_not_followed(signed_in, new_receiver, receiver, webhook_sender, sessions):
    """# S: webhooks out: no redirects"""
    redirecting = await new_receiver(f"307 Temporary Redirect\r\nLocation: {receiver.url}")
    webhook = await create(signed_in.client, redirecting.url)
    await tell(sessions, signed_in.account.id)

    await send_webhooks(webhook_sender)

    assert (len(redirecting.requests), receiver.requests) == (1, [])
    assert (await deliveries(signed_in.client, webhook))[0]["last_status"] == 307


async def test_a_receiver_that_hangs_holds_up_no_other(
    signed_in, receiver, new_receiver, webhook_sender, sessions
):
    hanging = await new_receiver()
    hanging.go_on.clear()
    await create(signed_in.client, hanging.url)
    for _ in range(30):
        await tell(sessions, signed_in.account.id)
    await webhook_sender.fan_out()
    await webhook_sender.begin_due()
    async with asyncio.timeout(20):
        await hanging.arrived.wait()
    await create(signed_in.client, receiver.url)
    await tell(sessions, signed_in.account.id)

    await webhook_sender.fan_out()
    await webhook_sender.begin_due()
    async with asyncio.timeout(20):
        await receiver.arrived.wait()

    assert len(hanging.requests) <= 2
    hanging.go_on.set()
    await webhook_sender.finish()


async def test_two_senders_make_one_delivery_of_each_event(
    *, signed_in, receiver, webhook_sender, sessions, keyring, outgoing
):
    webhook = await create(signed_in.client, receiver.url)
    told = [await tell(sessions, signed_in.account.id) for _ in range(20)]
    second = WebhookSender(sessions, keyring, outgoing, CollectorRegistry())

    stop = asyncio.Event()
    running = [asyncio.create_task(one.run(stop)) for one in (webhook_sender, second)]
    async with asyncio.timeout(20):
        while len(receiver.requests) < len(told):  # noqa: ASYNC110 - the receiver tells of one only
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.gather(*running)

    sent = await deliveries(signed_in.client, webhook)
    assert {d["state"] for d in sent} == {"delivered"}
    assert sorted(d["ids"]["integration_id"] for d in sent) == sorted(map(str, told))
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == len(told)
    assert len(receiver.requests) == len(told)
    async with sessions() as session:
        assert await session.scalar(select(func.count()).where(EventRow.fanned_out_at.is_(None))) == 0


async def test_what_a_killed_worker_had_claimed_is_sent_when_its_lease_is_over(
    signed_in, receiver, webhook_sender, sessions
):
    await create(signed_in.client, receiver.url)
    await tell(sessions, signed_in.account.id)
    await webhook_sender.fan_out()
    async with sessions.begin() as session:
        (claimed,) = await queries.claim_due(session, busy=[], limit=10)
    await send_webhooks(webhook_sender)
    assert receiver.requests == []

    await make_due(sessions)
    await send_webhooks(webhook_sender)

    (request,) = receiver.requests
    assert request.headers["webhook-id"] == str(claimed.event_id)


async def test_a_ping_arrives_like_an_event(signed_in, receiver, webhook_sender):
    webhook = await create(signed_in.client, receiver.url)

    answer = await signed_in.client.post(f"/api/v1/webhooks/{webhook['id']}/ping")
    await send_webhooks(webhook_sender)

    assert (answer.status_code, answer.json()["kind"]) == (202, "webhook.ping")
    (request,) = receiver.requests
    assert Verifier(webhook["secret"]).verify(request.body, request.headers)["type"] == "webhook.ping"


async def test_deliveries_are_shown_for_thirty_days_and_what_waits_for_longer(
    signed_in, receiver, webhook_sender, sessions
):
    webhook = await create(signed_in.client, receiver.url)
    for _ in range(2):
        await tell(sessions, signed_in.account.id)
        await send_webhooks(webhook_sender)
    await signed_in.client.post(f"/api/v1/webhooks/{webhook['id']}/ping")
    long_ago = int((datetime.now(UTC) - timedelta(days=31)).timestamp() * 1000) << 80
    waiting, young, old = [UUID(one["id"]) for one in await deliveries(signed_in.client, webhook)]
    async with sessions.begin() as session:
        for number, delivery_id in enumerate((old, waiting)):
            await session.execute(
                update(WebhookDelivery)
                .where(WebhookDelivery.id == delivery_id)
                .values(id=UUID(int=long_ago + number))
            )

    await housekeeping.keep_house(sessions, datetime.now(UTC))

    left = [(one["id"], one["state"]) for one in await deliveries(signed_in.client, webhook)]
    assert left == [(str(young), "delivered"), (str(UUID(int=long_ago + 1)), "waiting")]


async def reason_of(client: httpx2.AsyncClient, webhook: dict[str, Any]) -> str | None:
    shown = (await client.get(f"/api/v1/webhooks/{webhook['id']}")).json()
    assert shown["enabled"] is (shown["disabled_reason"] is None)
    reason: str | None = shown["disabled_reason"]
    return reason


@pytest.mark.parametrize(
    "change", [{"general_admin": "none"}, {"disabled_at": datetime(2026, 1, 1, tzinfo=UTC)}]
)
async def test_a_webhook_ends_with_its_creators_right_to_see(
    *, signed_in, sign_in_as, receiver, webhook_sender, sessions, change
):
    creator = await sign_in_as()
    webhook = await create(creator.client, receiver.url)
    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)
    async with sessions.begin() as session:
        await session.execute(update(User).where(User.id == creator.user.id).values(**change))

    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)

    assert len(receiver.requests) == 1
    assert await reason_of(signed_in.client, webhook) == "creator"
    assert [d["state"] for d in await deliveries(signed_in.client, webhook)] == ["waiting", "delivered"]
    async with sessions() as session:
        entry = (
            await session.scalars(select(AuditEntry).where(AuditEntry.action == "webhook_disabled"))
        ).one()
    assert entry.fields == {"reason": "creator"}


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"general_admin": "none"},
    ],
)
async def test_a_webhook_of_an_api_key_ends_with_the_key(
    *, signed_in, api_key_client, receiver, webhook_sender, sessions, change
):
    webhook = await create(await api_key_client(), receiver.url)
    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)
    async with sessions.begin() as session:
        await session.execute(update(ApiKey).values(**change))

    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)

    assert len(receiver.requests) == 1
    assert await reason_of(signed_in.client, webhook) == "creator"


async def test_who_enables_such_a_webhook_again_answers_for_it(
    *, signed_in, sign_in_as, receiver, webhook_sender, sessions
):
    creator = await sign_in_as()
    webhook = await create(creator.client, receiver.url, "message.received")
    async with sessions.begin() as session:
        await session.execute(
            update(User)
            .where(User.id == creator.user.id)
            .values(disabled_at=datetime(2026, 1, 1, tzinfo=UTC))
        )
    await tell(sessions, signed_in.account.id, EventKind.MESSAGE_RECEIVED)
    await send_webhooks(webhook_sender)
    path = f"/api/v1/webhooks/{webhook['id']}"
    blind = await sign_in_as(inbox_messages="none")

    assert (await blind.client.patch(path, json={"enabled": True})).status_code == 403
    assert (await signed_in.client.patch(path, json={"enabled": True})).status_code == 200
    await tell(sessions, signed_in.account.id, EventKind.MESSAGE_RECEIVED)
    await send_webhooks(webhook_sender)

    assert len(receiver.requests) == 1
    assert await reason_of(signed_in.client, webhook) is None


async def test_who_sends_a_webhook_elsewhere_answers_for_it(
    *, signed_in, sign_in_as, receiver, new_receiver, webhook_sender, sessions
):
    """Else their own address would be told everything when they may see nothing any more."""
    webhook = await create(signed_in.client, receiver.url)
    other = await sign_in_as()
    others = await new_receiver()
    moved = await other.client.patch(f"/api/v1/webhooks/{webhook['id']}", json={"url": others.url})
    assert moved.status_code == 200
    async with sessions.begin() as session:
        await session.execute(
            update(User).where(User.id == other.user.id).values(disabled_at=datetime(2026, 1, 1, tzinfo=UTC))
        )

    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)

    assert others.requests == []
    assert await reason_of(signed_in.client, webhook) == "creator"


async def waits_for_a_lock(sessions: Sessions) -> None:
    async with sessions() as session:
        while not await session.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        ):
            await session.rollback()


@pytest.mark.parametrize("answer", ["500 No", "204 No Content"])
async def test_an_outcome_and_the_end_of_its_webhook_never_wait_for_each_other(
    *, signed_in, new_receiver, webhook_sender, sessions, answer
):
    receiver = await new_receiver("500 No", answer)
    webhook = await create(signed_in.client, receiver.url)
    await tell(sessions, signed_in.account.id)
    await send_webhooks(webhook_sender)  # now it is a webhook that fails
    await make_due(sessions)

    async with sessions.begin() as session:
        await session.execute(select(Webhook.id).with_for_update())
        sending = asyncio.create_task(send_webhooks(webhook_sender))
        await waits_for_a_lock(sessions)
        assert await queries.disable(session, UUID(webhook["id"]), "by_user")
    await sending

    (delivery,) = await deliveries(signed_in.client, webhook)
    assert delivery["attempts"] == 2
    assert delivery["state"] == ("delivered" if answer.startswith("204") else "waiting")
