"""What waits while a webhook is disabled, and how what did not arrive is sent again at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import func, select, update

from services.connector.accounts.callers import Caller
from services.connector.throttling.limits import WEBHOOK_BULK_RESENDS
from services.connector.webhooks import queries, service
from services.connector.webhooks.pausing import end_pauses
from services.connector.webhooks.retries import PAUSED_AT_MOST
from shared.database import Sessions
from shared.driver import new_id
from shared.tables import AuditEntry, Webhook, WebhookDelivery
from tests.factories import make_account
from tests.integration.connector.webhooks.conftest import create, deliveries, send_webhooks

URL = "https://helpdesk.example/replyco"
NOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=4)


async def add_deliveries(
    sessions: Sessions, account_id: UUID, webhook: dict[str, Any], *events: tuple[datetime, str]
) -> None:
    """A delivery for each of these events, in this state."""
    async with sessions.begin() as session:
        session.add_all(
            WebhookDelivery(
                id=new_id(),
                account_id=account_id,
                webhook_id=UUID(webhook["id"]),
                event_id=new_id(),
                kind="integration.changed",
                ids={"integration_id": str(new_id())},
                event_at=at,
                state=state,
                attempts=10,
                last_error="status",
            )
            for at, state in events
        )


async def pause(client: httpx2.AsyncClient, webhook: dict[str, Any], *, enabled: bool = False) -> None:
    answer = await client.patch(f"/api/v1/webhooks/{webhook['id']}", json={"enabled": enabled})
    assert answer.status_code == 200, answer.text


async def disabled_for(sessions: Sessions, age: timedelta) -> None:
    """As if it had been disabled so long ago."""
    async with sessions.begin() as session:
        disabled = Webhook.disabled_at.is_not(None)
        await session.execute(update(Webhook).where(disabled).values(disabled_at=func.now() - age))


async def test_what_waits_goes_on_at_once_when_the_webhook_is_enabled_again(
    signed_in, receiver, webhook_sender, sessions
):
    """Even what would have had its next try tomorrow: somebody has just said that the receiver is there."""
    webhook = await create(signed_in.client, receiver.url)
    await add_deliveries(sessions, signed_in.account.id, webhook, (NOON, "waiting"), (NOON, "dead"))
    async with sessions.begin() as session:
        await session.execute(
            update(WebhookDelivery).values(next_attempt_at=func.now() + timedelta(hours=20))
        )
    await pause(signed_in.client, webhook)
    shown = (await signed_in.client.get(f"/api/v1/webhooks/{webhook['id']}")).json()
    await send_webhooks(webhook_sender)
    assert receiver.requests == []

    await disabled_for(sessions, PAUSED_AT_MOST - timedelta(minutes=1))
    assert await end_pauses(sessions) == 0
    await pause(signed_in.client, webhook, enabled=True)
    await send_webhooks(webhook_sender)

    assert len(receiver.requests) == 1
    states = sorted(each["state"] for each in await deliveries(signed_in.client, webhook))
    assert states == ["dead", "delivered"]
    until = datetime.fromisoformat(shown["waits_until"]) - datetime.fromisoformat(shown["disabled_at"])
    assert until == PAUSED_AT_MOST


async def test_enabling_makes_so_many_due_and_leaves_the_others_their_time(signed_in, receiver, sessions):
    webhook = await create(signed_in.client, receiver.url)
    await add_deliveries(sessions, signed_in.account.id, webhook, *[(NOON, "waiting")] * 3)
    async with sessions.begin() as session:
        for hours, row in enumerate(await session.scalars(select(WebhookDelivery.id)), start=1):
            await session.execute(
                update(WebhookDelivery)
                .where(WebhookDelivery.id == row)
                .values(next_attempt_at=func.now() + timedelta(hours=hours))
            )

    async with sessions.begin() as session:
        await queries.go_on(session, UUID(webhook["id"]), limit=2)

    async with sessions.begin() as session:
        waits = await session.scalars(
            select(WebhookDelivery.next_attempt_at - func.now()).order_by(WebhookDelivery.next_attempt_at)
        )
    assert [wait > timedelta(hours=2) for wait in waits] == [False, False, True]


async def test_what_a_worker_may_be_sending_at_this_moment_is_not_sent_beside_it(
    signed_in, receiver, webhook_sender, sessions
):
    webhook = await create(signed_in.client, receiver.url)
    await add_deliveries(sessions, signed_in.account.id, webhook, (NOON, "waiting"))
    receiver.go_on.clear()
    await webhook_sender.begin_due()
    await asyncio.wait_for(receiver.arrived.wait(), 30)

    await pause(signed_in.client, webhook)
    await pause(signed_in.client, webhook, enabled=True)
    async with sessions() as session:
        due = await session.scalar(select(WebhookDelivery.next_attempt_at > func.now()))
    receiver.go_on.set()
    await webhook_sender.finish()

    assert due is True
    assert len(receiver.requests) == 1


async def test_waiting_has_an_end_whoever_comes_first(signed_in, receiver, webhook_sender, sessions):
    """The worker, batch by batch, or whoever enables it again before the worker has come to it."""
    ended, enabled, running = [await create(signed_in.client, receiver.url) for _ in range(3)]
    for webhook in (ended, enabled, running):
        waiting = [(NOON, "waiting")] * 3
        await add_deliveries(sessions, signed_in.account.id, webhook, *waiting)
    await pause(signed_in.client, ended)
    await disabled_for(sessions, PAUSED_AT_MOST + timedelta(minutes=1))

    assert [await end_pauses(sessions, batch=2) for _ in range(3)] == [2, 1, 0]
    await pause(signed_in.client, enabled)
    await disabled_for(sessions, PAUSED_AT_MOST + timedelta(minutes=1))
    await pause(signed_in.client, enabled, enabled=True)

    for webhook in (ended, enabled):
        found = await deliveries(signed_in.client, webhook)
        assert [(each["state"], each["last_error"]) for each in found] == [("dead", "disabled")] * 3
    assert len(await deliveries(signed_in.client, running, state="waiting")) == 3


async def test_what_did_not_arrive_in_some_hours_is_sent_again_once_and_followed(
    signed_in, receiver, webhook_sender, sessions
):
    webhook = await create(signed_in.client, receiver.url)
    path = f"/api/v1/webhooks/{webhook['id']}/deliveries"
    hour = timedelta(hours=1)
    await add_deliveries(
        sessions,
        signed_in.account.id,
        webhook,
        (NOON - hour, "dead"),
        (NOON, "dead"),
        (NOON + hour, "dead"),
        (NOON + hour, "delivered"),
        (NOON + 2 * hour, "dead"),
    )
    of_time = {"since": NOON.isoformat(), "until": (NOON + 2 * hour).isoformat()}

    before = (await signed_in.client.get(f"{path}/counts", params=of_time)).json()
    first = await signed_in.client.post(f"{path}/resend", json=of_time)
    second = await signed_in.client.post(f"{path}/resend", json=of_time)
    during = (await signed_in.client.get(f"{path}/counts", params=of_time)).json()
    await send_webhooks(webhook_sender)
    after = (await signed_in.client.get(f"{path}/counts", params=of_time)).json()

    assert before == {"waiting": 0, "delivered": 1, "dead": 2}
    assert (first.status_code, first.json()) == (202, {"resent": 2, "dead": 0})
    assert second.json() == {"resent": 0, "dead": 0}
    assert during == {"waiting": 2, "delivered": 1, "dead": 0}
    assert after == {"waiting": 0, "delivered": 3, "dead": 0}
    assert len(receiver.requests) == 2
    assert len(await deliveries(signed_in.client, webhook, state="dead")) == 2
    async with sessions() as session:
        resent = select(AuditEntry).where(AuditEntry.action == "webhook_deliveries_resent")
        entries = (await session.scalars(resent.order_by(AuditEntry.id))).all()
    assert [(entry.subject_id, entry.fields) for entry in entries] == [
        (UUID(webhook["id"]), of_time | {"count": count}) for count in ("2", "0")
    ]


async def test_each_request_sends_a_bounded_number_again_the_oldest_first(signed_in, sessions):
    caller = Caller(signed_in.account.id, signed_in.user.id, {}, session_id=signed_in.session_id)
    webhook = await create(signed_in.client, URL)
    times = [NOON + timedelta(minutes=minute) for minute in range(5)]
    await add_deliveries(sessions, signed_in.account.id, webhook, *((at, "dead") for at in times))

    told = [
        await service.resend_dead(sessions, caller, UUID(webhook["id"]), since=NOON, until=None, limit=2)
        for _ in range(3)
    ]

    assert told == [(2, 3), (2, 1), (1, 0)]


async def test_nothing_is_sent_again_to_a_disabled_webhook_or_one_of_another_account(
    *, signed_in, sign_in_as, sessions, keyring
):
    webhook = await create(signed_in.client, URL)
    path = f"/api/v1/webhooks/{webhook['id']}/deliveries"
    await add_deliveries(sessions, signed_in.account.id, webhook, (NOON, "dead"))
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
    stranger = await sign_in_as(of=other)
    body = {"since": NOON.isoformat()}

    theirs = [
        await stranger.client.post(f"{path}/resend", json=body),
        await stranger.client.get(f"{path}/counts", params=body),
    ]
    await pause(signed_in.client, webhook)
    paused = await signed_in.client.post(f"{path}/resend", json=body)

    assert [answer.status_code for answer in theirs] == [404, 404]
    assert (paused.status_code, paused.json()["code"]) == (409, "webhook_disabled")
    assert len(await deliveries(signed_in.client, webhook, state="dead")) == 1


async def test_sending_again_has_a_limit(signed_in):
    webhook = await create(signed_in.client, URL)
    path = f"/api/v1/webhooks/{webhook['id']}/deliveries/resend"
    answers = [await signed_in.client.post(path, json={"since": NOON.isoformat()})]
    while answers[-1].status_code == 202:
        answers.append(await signed_in.client.post(path, json={"since": NOON.isoformat()}))

    assert len(answers) > WEBHOOK_BULK_RESENDS.most
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "too_often")
