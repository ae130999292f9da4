"""Webhooks: the programs of an account that receive events, the secrets with which we sign, and what became of each delivery.

The secret is shown once, when it is made; a lost one is replaced. What is sent names ids only, so that a receiver that fell into
wrong hands learns nothing without an API key.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.events.kinds import PERMISSION_OF
from services.connector.http.etags import require_match
from services.connector.problems.catalogue import NotFound
from services.connector.throttling.limits import WEBHOOK_BULK_RESENDS, WEBHOOK_PINGS, WEBHOOK_RESENDS
from services.connector.webhooks import queries
from services.connector.webhooks.retries import PAUSED_AT_MOST
from services.connector.webhooks.signing import new_secret
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.events import EventKind
from shared.keyring import Keyring
from shared.outgoing.connections import OutgoingConnections
from shared.permissions import Level
from shared.tables import DeliveryState, Webhook, WebhookDelivery

log = structlog.get_logger()

MAX_WEBHOOKS: Final = 20
# So many are sent again by one request, and counted by another one.
MOST_RESENT: Final = 1_000
MOST_COUNTED: Final = 100_000
# So many that have waited are due at once when a webhook is enabled again: that request has an end, however many wait.
MOST_RESUMED: Final = 10_000
DISABLED_BY_USER: Final = "by_user"
CREATOR_GONE: Final = "creator"
"""Whoever made the webhook may not see any more what it tells. Whoever enables it again answers for it."""


class TooManyWebhooks(Expected):
    """The account has as many as anybody can oversee."""

    code = "too_many_webhooks"


class WebhookDisabled(Expected):
    """Nothing is sent to a webhook that is disabled."""

    code = "webhook_disabled"


async def create_webhook(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    *,
    url: str,
    kinds: Sequence[EventKind],
    description: str,
    outgoing: OutgoingConnections,
    now: datetime,
) -> tuple[str, Webhook]:
    """Create a webhook. The answer is its secret, which is shown only this once, and its row. Raises UrlInvalid, HostInvalid, UrlPortNotAllowed, PermissionMissing, TooManyWebhooks."""
    _require_kinds(caller, kinds)
    webhook_id, secret = new_id(), new_secret()
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        if await queries.count_webhooks(session, caller.account_id) >= MAX_WEBHOOKS:
            raise TooManyWebhooks(limit=MAX_WEBHOOKS)
        webhook = Webhook(
            id=webhook_id,
            account_id=caller.account_id,
            url=outgoing.webhook_url(url),
            description=description,
            kinds=_sorted(kinds),
            secret=_sealed(keys, "secret", webhook_id, secret),
            version=1,
            created_by=caller.user_id,
            created_by_key=caller.api_key_id,
            created_at=now,
        )
        session.add(webhook)
        session.add(audit_entry(caller, "webhook_created", webhook_id))
    log.info("webhook_created", webhook_id=str(webhook_id))
    return secret, webhook


async def list_webhooks(
    sessions: Sessions, account_id: UUID, *, limit: int, after: UUID | None
) -> list[Webhook]:
    """An account's webhooks, newest first."""
    async with sessions.begin() as session:
        return await queries.webhooks_of(session, account_id, limit=limit, after=after)


async def get_webhook(sessions: Sessions, account_id: UUID, webhook_id: UUID) -> Webhook:
    """A webhook of the account. Raises NotFound."""
    async with sessions.begin() as session:
        return await _webhook(session, account_id, webhook_id)


async def change_webhook(
    sessions: Sessions,
    caller: Caller,
    webhook_id: UUID,
    *,
    url: str | None,
    kinds: Sequence[EventKind] | None,
    description: str | None,
    enabled: bool | None,
    if_match: str | None,
    outgoing: OutgoingConnections,
) -> Webhook:
    """Change what is given. Raises NotFound, PreconditionFailed, UrlInvalid, HostInvalid, UrlPortNotAllowed, PermissionMissing."""
    async with sessions.begin() as session:
        webhook = await _webhook(session, caller.account_id, webhook_id, is_held=True)
        require_match(if_match, webhook.version)
        wanted = {EventKind(kind) for kind in webhook.kinds} if kinds is None else set(kinds)
        is_taken_over = bool(enabled) and webhook.disabled_reason == CREATOR_GONE
        # What somebody else has chosen may stay, as long as it goes to the address that they chose.
        _require_kinds(
            caller, wanted if url is not None or is_taken_over else wanted.difference(webhook.kinds)
        )
        if enabled is False:
            await queries.disable(session, webhook_id, DISABLED_BY_USER)
            await session.refresh(webhook)
        elif enabled and webhook.disabled_at is not None:
            # The worker may not have ended it yet.
            await queries.end_pauses(
                session, longest=PAUSED_AT_MOST, limit=MOST_RESUMED, webhook_id=webhook_id
            )
            await queries.go_on(session, webhook_id, limit=MOST_RESUMED)
            webhook.disabled_at = webhook.disabled_reason = webhook.failing_since = None
        if url is not None:
            new_url = outgoing.webhook_url(url)
            # Whoever says where it goes answers for it from now on, or it would still go there when they may see nothing any more.
            is_taken_over |= new_url != webhook.url
            webhook.url = new_url
        if is_taken_over:
            webhook.created_by, webhook.created_by_key = caller.user_id, caller.api_key_id
        if kinds is not None:
            webhook.kinds = _sorted(kinds)
        if description is not None:
            webhook.description = description
        webhook.version += 1
        given = {"url": url, "kinds": kinds, "description": description, "enabled": enabled}
        changed = " ".join(name for name, value in given.items() if value is not None)
        session.add(audit_entry(caller, "webhook_changed", webhook_id, changed=changed))
    return webhook


async def delete_webhook(sessions: Sessions, caller: Caller, webhook_id: UUID) -> None:
    """Delete a webhook with its deliveries. Raises NotFound."""
    async with sessions.begin() as session:
        await _webhook(session, caller.account_id, webhook_id, is_held=True)
        await session.execute(delete(Webhook).where(Webhook.id == webhook_id))
        session.add(audit_entry(caller, "webhook_deleted", webhook_id))
    log.info("webhook_deleted", webhook_id=str(webhook_id))


async def rotate_secret(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    webhook_id: UUID,
    *,
    overlap: timedelta,
    now: datetime,
) -> tuple[str, Webhook]:
    """A new secret, shown once; until the overlap is over, the one before signs, too. Raises NotFound."""
    secret = new_secret()
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        webhook = await _webhook(session, caller.account_id, webhook_id, is_held=True)
        if overlap:
            # A sealed value is bound to its column: it has to be opened to move.
            before = keys.open_text(Place("webhooks", "secret", webhook_id), webhook.secret)
            webhook.previous_secret = _sealed(keys, "previous_secret", webhook_id, before)
            webhook.previous_secret_until = now + overlap
        else:
            webhook.previous_secret = webhook.previous_secret_until = None
        webhook.secret = _sealed(keys, "secret", webhook_id, secret)
        webhook.version += 1
        session.add(audit_entry(caller, "webhook_secret_rotated", webhook_id))
    log.info("webhook_secret_rotated", webhook_id=str(webhook_id))
    return secret, webhook


async def ping(sessions: Sessions, caller: Caller, webhook_id: UUID, now: datetime) -> WebhookDelivery:
    """A delivery for a test; the worker sends it at once. Raises NotFound, WebhookDisabled, TooOften."""
    await WEBHOOK_PINGS.require(sessions, caller.account_id)
    async with sessions.begin() as session:
        webhook = await _webhook(session, caller.account_id, webhook_id, is_held=True)
        _require_enabled(webhook)
        delivery = WebhookDelivery(
            id=new_id(),
            account_id=caller.account_id,
            webhook_id=webhook_id,
            event_id=new_id(),
            kind=queries.TEST_KIND,
            ids={"webhook_id": str(webhook_id)},
            event_at=now,
            state=DeliveryState.WAITING.value,
            attempts=0,
        )
        session.add(delivery)
        session.add(audit_entry(caller, "webhook_pinged", webhook_id))
        await session.flush()
        await session.refresh(delivery)
    return delivery


async def list_deliveries(
    sessions: Sessions,
    account_id: UUID,
    webhook_id: UUID,
    *,
    state: DeliveryState | None,
    limit: int,
    after: UUID | None,
) -> tuple[Webhook, list[WebhookDelivery]]:
    """A webhook, and a page of what became of its deliveries, newest first. Raises NotFound."""
    async with sessions.begin() as session:
        webhook = await _webhook(session, account_id, webhook_id)
        found = await queries.deliveries_of(session, webhook_id, state=state, limit=limit, after=after)
    return webhook, found


async def resend(sessions: Sessions, caller: Caller, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """Send it now, whatever became of it, and try as often as a new one. Raises NotFound, WebhookDisabled, TooOften."""
    await WEBHOOK_RESENDS.require(sessions, caller.account_id)
    async with sessions.begin() as session:
        webhook = await _webhook(session, caller.account_id, webhook_id, is_held=True)
        _require_enabled(webhook)
        delivery = await session.scalar(
            select(WebhookDelivery)
            .where(WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook_id)
            .with_for_update()
        )
        if delivery is None:
            raise NotFound
        delivery.state, delivery.attempts, delivery.delivered_at = DeliveryState.WAITING.value, 0, None
        delivery.next_attempt_at = await queries.database_time(session)
        session.add(audit_entry(caller, "webhook_delivery_resent", webhook_id, delivery=str(delivery_id)))
    return delivery


async def resend_dead(
    sessions: Sessions,
    caller: Caller,
    webhook_id: UUID,
    *,
    since: datetime,
    until: datetime | None,
    limit: int = MOST_RESENT,
) -> tuple[int, int]:
    """Send dead deliveries of events of this time again, the oldest first: how many, and how many are still dead.

    Until `until`, or now. What waits or has arrived stays as it is, so that asking twice sends nothing twice.
    Raises NotFound, WebhookDisabled, TooOften.
    """
    await WEBHOOK_BULK_RESENDS.require(sessions, caller.account_id)
    async with sessions.begin() as session:
        webhook = await _webhook(session, caller.account_id, webhook_id, is_held=True)
        _require_enabled(webhook)
        end = until or await queries.database_time(session)
        count = await queries.resend_dead(session, webhook_id, since=since, until=end, limit=limit)
        of_time = {"since": since.isoformat(), "until": end.isoformat()}
        session.add(audit_entry(caller, "webhook_deliveries_resent", webhook_id, **of_time, count=str(count)))
    # Without the webhook's lock: events of all accounts are fanned out together, and would wait for it as long as this counts.
    async with sessions.begin() as session:
        dead = await queries.count_dead(session, webhook_id, since=since, until=end, limit=MOST_COUNTED)
    log.info("webhook_deliveries_resent", webhook_id=str(webhook_id), count=count)
    return count, dead


async def count_deliveries(
    sessions: Sessions, account_id: UUID, webhook_id: UUID, *, since: datetime, until: datetime | None
) -> dict[str, int]:
    """How many deliveries of events of this time are in which state, tests left out. Raises NotFound."""
    async with sessions.begin() as session:
        await _webhook(session, account_id, webhook_id)
        end = until or await queries.database_time(session)
        return await queries.count_states(session, webhook_id, since=since, until=end, limit=MOST_COUNTED)


def _require_kinds(caller: Caller, kinds: Iterable[EventKind]) -> None:
    """Nobody may subscribe a program to events that they may not see themselves. Raises PermissionMissing."""
    for kind in kinds:
        caller.require(PERMISSION_OF[kind], Level.VIEW)


def _require_enabled(webhook: Webhook) -> None:
    if webhook.disabled_at is not None:
        raise WebhookDisabled


def _sorted(kinds: Sequence[EventKind]) -> list[str]:
    return sorted({kind.value for kind in kinds})


def _sealed(keys: AccountKeys, column: str, webhook_id: UUID, secret: str) -> Sealed:
    return keys.seal_text(Place("webhooks", column, webhook_id), secret)


async def _webhook(
    session: AsyncSession, account_id: UUID, webhook_id: UUID, *, is_held: bool = False
) -> Webhook:
    """The row, held until the transaction ends where it is changed. Raises NotFound."""
    statement = select(Webhook).where(Webhook.id == webhook_id, Webhook.account_id == account_id)
    webhook = await session.scalar(statement.with_for_update() if is_held else statement)
    if webhook is None:
        raise NotFound
    return webhook
