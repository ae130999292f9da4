"""Has Amazon tell of each store by itself: once a store, looked at again each day. A store that it refuses goes on by being asked for."""

from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter

from services.connector.amazon.access import Amazon
from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import AmazonPaused, AmazonUnavailable, TokenRefused
from services.connector.amazon.notifications import NoticeKind, Subscription, queue_destination, subscribe
from services.connector.amazon_notices import queries
from services.connector.amazon_notices.queries import Store
from services.connector.tokens.service import Vault
from shared.database import Sessions
from shared.errors import Expected
from shared.marketplaces import Region

log = structlog.get_logger()

_DESTINATION: Final = "replyco"


class Subscriber:
    """Asks Amazon to tell. There is one in a worker that has a queue."""

    def __init__(
        self,
        sessions: Sessions,
        amazon: Amazon,
        vault: Vault,
        queue_arn: str,
        registry: CollectorRegistry,
    ) -> None:
        self._sessions = sessions
        self._amazon = amazon
        self._vault = vault
        self._queue_arn = queue_arn
        self._destinations: dict[Region, str] = {}
        self._subscriptions = Counter(
            "replyco_notice_subscriptions",
            "Looks at whether Amazon tells of a store by itself, by kind and outcome",
            ["kind", "outcome"],
            registry=registry,
        )
        for kind in NoticeKind:
            for outcome in ("subscribed", "elsewhere", "refused"):
                self._subscriptions.labels(kind.value, outcome)

    async def subscribe_store(self, integration_id: UUID, now: datetime) -> None:
        """Have Amazon tell of this store; what it refuses is written down and hinders nothing else.

        Raises AmazonUnavailable, TokenRefused, AmazonPaused, and what `Vault.access_token` raises.
        """
        async with self._sessions.begin() as session:
            store = await queries.store_of(session, integration_id)
        if store is None:
            return
        destination_id = await self._destination(store.region)
        for kind in NoticeKind:
            told = await self._vault.call(
                store.account_id,
                integration_id,
                partial(_asked, kind=kind, destination_id=destination_id),
            )
            await self._write(store, kind, told, destination_id, now)

    async def _destination(self, region: Region) -> str:
        if region not in self._destinations:
            self._destinations[region] = await queue_destination(
                self._amazon, region, _DESTINATION, self._queue_arn
            )
        return self._destinations[region]

    async def _write(
        self, store: Store, kind: NoticeKind, told: Subscription | str, destination_id: str, now: datetime
    ) -> None:
        subscription_id, refusal = None, None
        if isinstance(told, str):
            outcome, refusal = "refused", told
            # The queue may have been taken out at Amazon; the next store asks again.
            self._destinations.pop(store.region, None)
        else:
            outcome = "subscribed" if told.destination_id == destination_id else "elsewhere"
            subscription_id = told.subscription_id
        async with self._sessions.begin() as session:
            await queries.write_subscription(
                session, store, kind, subscription_id=subscription_id, refusal=refusal, now=now
            )
        self._subscriptions.labels(kind.value, outcome).inc()
        if outcome != "subscribed":
            log.warning(
                "notices_not_subscribed",
                integration_id=str(store.integration_id),
                kind=kind.value,
                outcome=outcome,
                refusal=refusal or "",
            )


async def _asked(api: SellerApi, kind: NoticeKind, destination_id: str) -> Subscription | str:
    """The subscription, or why there is none. A refusal is no fault of the store, so that the vault does not hear of it."""
    try:
        return await subscribe(api, kind, destination_id)
    except (AmazonUnavailable, TokenRefused, AmazonPaused):
        raise
    except Expected as refused:
        return refused.code
