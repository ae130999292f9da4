"""Routes: webhooks and their deliveries."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from services.connector.dependencies import (
    Cursor,
    IfMatch,
    KeyringDep,
    Now,
    OutgoingDep,
    ProgramsEditor,
    SessionsDep,
)
from services.connector.http.etags import etag_of
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.request_types import Moment
from services.connector.http.routers import api_router
from services.connector.webhooks import service
from services.connector.webhooks.retries import PAUSED_AT_MOST
from services.connector.webhooks.schemas import (
    DeliveryAnswer,
    DeliveryCounts,
    DeliveryPage,
    NewWebhookAnswer,
    ResendAnswer,
    ResendRequest,
    SecretRequest,
    WebhookAnswer,
    WebhookChange,
    WebhookPage,
    WebhookRequest,
)
from shared.events import EventKind
from shared.tables import DeliveryState, Webhook, WebhookDelivery

# An address often has a password in its query, so only those who may change webhooks see them.
router = api_router("webhooks")

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


@router.post("/webhooks", status_code=201, summary="Create a webhook")
async def create_webhook(
    *,
    body: WebhookRequest,
    caller: ProgramsEditor,
    response: Response,
    sessions: SessionsDep,
    keyring: KeyringDep,
    outgoing: OutgoingDep,
    now: Now,
) -> NewWebhookAnswer:
    """From now on the events of these kinds are sent to the address. The answer shows the secret, once."""
    secret, webhook = await service.create_webhook(
        sessions,
        keyring,
        caller,
        url=body.url,
        kinds=body.kinds,
        description=body.description,
        outgoing=outgoing,
        now=now,
    )
    return NewWebhookAnswer(**_shown(webhook, response).model_dump(), secret=secret)


@router.get("/webhooks", summary="List webhooks")
async def list_webhooks(
    caller: ProgramsEditor, sessions: SessionsDep, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> WebhookPage:
    """The account's webhooks, newest first."""
    after = decode_cursor(cursor)[1] if cursor else None
    rows = await service.list_webhooks(sessions, caller.account_id, limit=limit + 1, after=after)
    page = rows[:limit]
    return WebhookPage(
        items=[_webhook(row) for row in page],
        next_cursor=encode_cursor(None, page[-1].id) if len(rows) > limit else None,
    )


@router.get("/webhooks/{webhook_id}", summary="Read a webhook")
async def read_webhook(
    webhook_id: UUID, caller: ProgramsEditor, response: Response, sessions: SessionsDep
) -> WebhookAnswer:
    """Whether it is enabled, and since when deliveries fail."""
    return _shown(await service.get_webhook(sessions, caller.account_id, webhook_id), response)


@router.patch("/webhooks/{webhook_id}", summary="Change a webhook")
async def change_webhook(
    *,
    webhook_id: UUID,
    body: WebhookChange,
    caller: ProgramsEditor,
    response: Response,
    sessions: SessionsDep,
    outgoing: OutgoingDep,
    if_match: IfMatch = None,
) -> WebhookAnswer:
    """Address, kinds, description, enabled."""
    webhook = await service.change_webhook(
        sessions,
        caller,
        webhook_id,
        url=body.url,
        kinds=body.kinds,
        description=body.description,
        enabled=body.enabled,
        if_match=if_match,
        outgoing=outgoing,
    )
    return _shown(webhook, response)


@router.delete("/webhooks/{webhook_id}", status_code=204, summary="Delete a webhook")
async def delete_webhook(webhook_id: UUID, caller: ProgramsEditor, sessions: SessionsDep) -> None:
    """Delete a webhook with its waiting deliveries."""
    await service.delete_webhook(sessions, caller, webhook_id)


@router.post("/webhooks/{webhook_id}/secret", status_code=201, summary="Replace a webhook's secret")
async def rotate_webhook_secret(
    *,
    webhook_id: UUID,
    body: SecretRequest,
    caller: ProgramsEditor,
    response: Response,
    sessions: SessionsDep,
    keyring: KeyringDep,
    now: Now,
) -> NewWebhookAnswer:
    """The answer shows the new secret, once. During the overlap each delivery has two signatures."""
    secret, webhook = await service.rotate_secret(
        sessions, keyring, caller, webhook_id, overlap=timedelta(hours=body.overlap_hours), now=now
    )
    return NewWebhookAnswer(**_shown(webhook, response).model_dump(), secret=secret)


@router.post("/webhooks/{webhook_id}/ping", status_code=202, summary="Test a webhook")
async def ping_webhook(
    webhook_id: UUID, caller: ProgramsEditor, sessions: SessionsDep, now: Now
) -> DeliveryAnswer:
    """Sends a `webhook.ping`; its delivery shows the result. Twenty a minute for each account."""
    return _delivery(await service.ping(sessions, caller, webhook_id, now))


@router.get("/webhooks/{webhook_id}/deliveries", summary="List a webhook's deliveries")
async def list_webhook_deliveries(
    *,
    webhook_id: UUID,
    caller: ProgramsEditor,
    sessions: SessionsDep,
    state: DeliveryState | None = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> DeliveryPage:
    """Newest first, of the last 30 days."""
    after = decode_cursor(cursor)[1] if cursor else None
    webhook, rows = await service.list_deliveries(
        sessions, caller.account_id, webhook_id, state=state, limit=limit + 1, after=after
    )
    page = rows[:limit]
    return DeliveryPage(
        items=[_delivery(row, is_paused=webhook.disabled_at is not None) for row in page],
        next_cursor=encode_cursor(None, page[-1].id) if len(rows) > limit else None,
    )


@router.get("/webhooks/{webhook_id}/deliveries/counts", summary="Count a webhook's deliveries")
async def count_webhook_deliveries(
    webhook_id: UUID,
    caller: ProgramsEditor,
    sessions: SessionsDep,
    since: Moment,
    until: Moment | None = None,
) -> DeliveryCounts:
    """By state, of the events of a time: how far sending them again has come."""
    counts = await service.count_deliveries(sessions, caller.account_id, webhook_id, since=since, until=until)
    return DeliveryCounts(**{state.value: counts.get(state.value, 0) for state in DeliveryState})


@router.post(
    "/webhooks/{webhook_id}/deliveries/resend", status_code=202, summary="Send what did not arrive again"
)
async def resend_webhook_deliveries(
    webhook_id: UUID, body: ResendRequest, caller: ProgramsEditor, sessions: SessionsDep
) -> ResendAnswer:
    """Dead deliveries of events of a time, up to 1,000 a request, each with the same webhook-id. 30 requests a minute for each account."""
    resent, dead = await service.resend_dead(sessions, caller, webhook_id, since=body.since, until=body.until)
    return ResendAnswer(resent=resent, dead=dead)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/resend", status_code=202, summary="Send a delivery again"
)
async def resend_webhook_delivery(
    webhook_id: UUID, delivery_id: UUID, caller: ProgramsEditor, sessions: SessionsDep
) -> DeliveryAnswer:
    """Now, with the same webhook-id, whether it was delivered, is dead or still waits. 120 a minute for each account."""
    return _delivery(await service.resend(sessions, caller, webhook_id, delivery_id))


def _shown(row: Webhook, response: Response) -> WebhookAnswer:
    response.headers["ETag"] = etag_of(row.version)
    return _webhook(row)


def _webhook(row: Webhook) -> WebhookAnswer:
    return WebhookAnswer(
        id=row.id,
        url=row.url,
        description=row.description,
        kinds=[EventKind(kind) for kind in row.kinds],
        enabled=row.disabled_at is None,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        waits_until=row.disabled_at and row.disabled_at + PAUSED_AT_MOST,
        failing_since=row.failing_since,
        previous_secret_until=row.previous_secret_until,
        created_at=row.created_at,
    )


def _delivery(row: WebhookDelivery, *, is_paused: bool = False) -> DeliveryAnswer:
    is_due = row.state == DeliveryState.WAITING.value and not is_paused
    return DeliveryAnswer(
        id=row.id,
        event_id=row.event_id,
        kind=row.kind,
        ids=row.ids,
        event_at=row.event_at,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at if is_due else None,
        last_attempt_at=row.last_attempt_at,
        last_status=row.last_status,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
    )
