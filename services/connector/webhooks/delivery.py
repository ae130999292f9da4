"""Sends events to webhooks: at least once each, the same webhook-id at every try, in no promised order.

Every step is a row: fan-out marks the event in the transaction that makes its deliveries, and a claim is a lease on the
delivery. If a worker is killed in between, any other one takes over. No transaction is open while a receiver is asked.
"""

import asyncio
import secrets
from collections import Counter as Counts
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter

from services.connector.accounts.audit import system_audit_entry
from services.connector.webhooks import queries
from services.connector.webhooks.queries import ClaimedDelivery
from services.connector.webhooks.retries import delay_after
from services.connector.webhooks.signing import body_of, signed_headers
from shared.availability import DATABASE
from shared.crypto.envelope import Place
from shared.database import Sessions, is_unavailable
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.outgoing.connections import OutgoingConnections, OutgoingFailed
from shared.outgoing.hosts import HostInvalid, UrlInvalid, UrlPortNotAllowed

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

log = structlog.get_logger()

# What was announced is found at the latest after this.
_POLL_SECONDS: Final = 1.0
_FAN_OUT: Final = 500
# Most of these may be waiting for slow receivers: each webhook has two at most.
_AT_ONCE: Final = 200
_CLAIM: Final = 50
_GONE: Final = 410


class WebhookSender:
    """Claims deliveries that are due and sends them. There is one in a worker process."""

    def __init__(
        self, sessions: Sessions, keyring: Keyring, outgoing: OutgoingConnections, registry: CollectorRegistry
    ) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._outgoing = outgoing
        self._under_way: Counts[UUID] = Counts()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tried = Counter(
            "replyco_webhook_tries", "Tries to deliver to a webhook.", ["outcome"], registry=registry
        )
        for outcome in ("delivered", "put_off", "dead"):
            self._tried.labels(outcome)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, through everything that PostgreSQL does meanwhile; what is under way is finished."""
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            try:
                await self.fan_out()
                await self.begin_due()
            except Exception as error:
                if is_unavailable(error):
                    DATABASE.is_away(error)
                else:
                    # A sender that has ended helps nobody: tell the operators and go on.
                    log.exception("webhooks_failed")
            # As soon as one is done there is room for its webhook's next.
            waited_for = [stopping, *self._tasks]
            await asyncio.wait(waited_for, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        await self.finish()

    async def fan_out(self) -> None:
        """Make the deliveries of every event that has none yet."""
        taken = _FAN_OUT
        while taken == _FAN_OUT:
            async with self._sessions.begin() as session:
                taken = await queries.fan_out(session, limit=_FAN_OUT)

    async def begin_due(self) -> None:
        """Begin the deliveries that are due, as far as there is room."""
        room = min(_CLAIM, _AT_ONCE - len(self._tasks))
        if room <= 0:
            return
        async with self._sessions.begin() as session:
            claimed = await queries.claim_due(session, busy=list(self._under_way), limit=room)
        for delivery in claimed:
            self._under_way[delivery.webhook_id] += 1
            task = asyncio.create_task(self._deliver(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for what is under way; each has its time limit."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _deliver(self, claimed: ClaimedDelivery) -> None:
        try:
            if claimed.creator.may_know(claimed.kind):
                await self._write_outcome(claimed, *await self._try(claimed))
            else:
                async with self._sessions.begin() as session:
                    await _disable(session, claimed, "creator")
        except Exception as error:
            # Left to its lease: when that ends, the delivery is tried again.
            if is_unavailable(error):
                DATABASE.is_away(error)
            else:
                log.exception("webhook_delivery_failed", delivery_id=str(claimed.id))
        finally:
            self._under_way[claimed.webhook_id] -= 1
            if not self._under_way[claimed.webhook_id]:
                del self._under_way[claimed.webhook_id]

    async def _try(self, claimed: ClaimedDelivery) -> tuple[int | None, str | None]:
        """The status that was answered, or why there was none."""
        body = body_of(claimed.kind, claimed.event_at, claimed.ids)
        headers = signed_headers(
            claimed.event_id, body, await self._secrets(claimed), await self._sessions.now()
        )
        try:
            return await self._outgoing.https_post(claimed.url, body, headers), None
        except OutgoingFailed as failed:
            return None, failed.reason.value
        except (UrlInvalid, HostInvalid):
            # It was good when it was entered; what an operator allows has changed.
            return None, "url"
        except UrlPortNotAllowed:
            return None, "port"

    async def _secrets(self, claimed: ClaimedDelivery) -> list[str]:
        keys = await self._keyring.of(self._sessions, claimed.account_id)
        opened = [keys.open_text(Place("webhooks", "secret", claimed.webhook_id), claimed.secret)]
        if claimed.previous_secret is not None:
            place = Place("webhooks", "previous_secret", claimed.webhook_id)
            opened.append(keys.open_text(place, claimed.previous_secret))
        return opened

    async def _write_outcome(self, claimed: ClaimedDelivery, status: int | None, error: str | None) -> None:
        if status is not None and 200 <= status < 300:
            async with self._sessions.begin() as session:
                await queries.write_delivered(session, claimed, status)
            self._tried.labels("delivered").inc()
            return
        delay = None if status == _GONE else delay_after(claimed.attempts, secrets.randbelow(1000) / 1000)
        await self._write_failure(claimed, status, error or "status", delay)
        self._tried.labels("dead" if delay is None else "put_off").inc()

    async def _write_failure(
        self, claimed: ClaimedDelivery, status: int | None, error: str, delay: timedelta | None
    ) -> None:
        async with self._sessions.begin() as session:
            is_hopeless = await queries.write_failed(
                session, claimed, status=status, error=error, delay=delay
            )
            reason = "gone" if status == _GONE else "failing" if is_hopeless else None
            if reason is not None:
                await _disable(session, claimed, reason)


async def _disable(session: "AsyncSession", claimed: ClaimedDelivery, reason: str) -> None:
    if not await queries.disable(session, claimed.webhook_id, reason):
        return
    session.add(system_audit_entry(claimed.account_id, "webhook_disabled", claimed.webhook_id, reason=reason))
    await announce(session, claimed.account_id, EventKind.WEBHOOK_DISABLED, webhook_id=claimed.webhook_id)
    log.warning("webhook_disabled", webhook_id=str(claimed.webhook_id), reason=reason)
