"""What hinders one grant, and what hinders all: written when Amazon refuses, ended by the first success.

Sorted by who has to act. Trouble at Amazon delays a store and is never its fault. A refused grant is believed when it is
refused again after a minute. Our own credentials concern every store at once and touch no grant: the operators are notified.
"""

from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.connector.amazon.errors import AmazonUnavailable, ClientMisconfigured, Throttled
from services.connector.tokens import queries
from shared.database import Sessions, now_in
from shared.marketplaces import Region
from shared.tables import RefusedBy

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    OnChange = Callable[[AsyncSession, UUID, UUID, datetime], Awaitable[None]]

log = structlog.get_logger()

APPLICATION: Final = "application"
LWA: Final = "lwa"
# One failure may be chance. So many in a row, in one process, are trouble.
_IN_A_ROW: Final = 3
# Trouble of this kind is not over with the first store that is answered.
_WAVE: Final = "many_grants_refused"
# Error codes that say that Amazon refuses our own credentials.
_SECRET_EXPIRED: Final = "secret_expired"  # noqa: S105 - what Amazon says, no password
_OUR_CREDENTIALS: Final = frozenset({"invalid_client", "unauthorized_client", _SECRET_EXPIRED})


def sp_api_scope(region: Region) -> str:
    """The name under which trouble of a region's SP-API is kept."""
    return f"sp-api:{region.value}"


class GrantHealth:
    """Stores what Amazon said of a grant. `on_change` is called in the transaction that changes what hinders a grant."""

    def __init__(self, sessions: Sessions, on_change: "OnChange", registry: CollectorRegistry) -> None:
        self._sessions = sessions
        self._on_change = on_change
        self._known: dict[str, str] = {}
        self._failures: Tally[str] = Tally()
        self._alarm = Gauge(
            "replyco_application_refused",
            "1 while Amazon refuses our own credentials",
            registry=registry,
        )

    # --- one grant -------------------------------------------------------------------------------------------------

    async def delayed(
        self, account_id: UUID, integration_id: UUID, scope: str, failure: AmazonUnavailable
    ) -> None:
        """Amazon gave no usable answer. That a store is throttled is no outage of Amazon's."""
        async with self._sessions.begin() as session:
            await queries.lock_integration(session, integration_id)
            if await queries.note_delay(session, integration_id):
                await self._on_change(session, account_id, integration_id, await now_in(session))
        if not isinstance(failure, Throttled):
            self._failures[scope] += 1
            if self._failures[scope] >= _IN_A_ROW:
                await self._begin(scope, failure.code)

    async def refused(
        self, account_id: UUID, integration_id: UUID, version: int, region: Region, by: RefusedBy
    ) -> None:
        """Note a first refusal; a second one after a minute revokes the grant, unless Amazon refuses many stores at once."""
        async with self._sessions.begin() as session:
            await queries.lock_integration(session, integration_id)
            is_new = await queries.note_refusal(session, integration_id, version, by)
            is_wave = await queries.is_wave(session, region, integration_id)
            if not is_new and not is_wave:
                is_new = await queries.note_revocation(session, integration_id, version, by)
            if is_new:
                await self._on_change(session, account_id, integration_id, await now_in(session))
        log.warning("grant_refused", integration_id=str(integration_id), by=by.value, is_wave=is_wave)
        if is_wave:
            await self._begin(sp_api_scope(region), _WAVE)

    async def role_missing(self, account_id: UUID, integration_id: UUID, operation: str) -> None:
        """Amazon does not let us do this for the store."""
        async with self._sessions.begin() as session:
            await queries.lock_integration(session, integration_id)
            if await queries.note_role_missing(session, integration_id, operation):
                await self._on_change(session, account_id, integration_id, await now_in(session))

    async def answered(self, account_id: UUID, integration_id: UUID, operations: Collection[str]) -> None:
        """Amazon gave the store's data: nothing hinders its grant any more."""
        async with self._sessions.begin() as session:
            await queries.lock_integration(session, integration_id)
            if await queries.note_success(session, integration_id, operations):
                await self._on_change(session, account_id, integration_id, await now_in(session))

    # --- all of them -----------------------------------------------------------------------------------------------

    async def application_refused(self, failure: ClientMisconfigured) -> None:
        """If it is our own credentials that Amazon does not take, every store waits for the operators."""
        error = str(failure.fields.get("error", ""))
        if error in _OUR_CREDENTIALS:
            self._alarm.set(1)
            await self._begin(APPLICATION, error)

    async def success(self, scope: str) -> None:
        """Amazon has given what was asked for: the trouble of this scope is over."""
        self._failures.pop(scope, None)
        over = [scope] if self._known.get(scope, _WAVE) != _WAVE else []
        refused = self._known.get(APPLICATION)
        # A cached token still opens doors while Login with Amazon refuses us, and the other way round.
        if refused is not None and (scope == LWA) == (refused != _SECRET_EXPIRED):
            over.append(APPLICATION)
        if not over:
            return
        # Taken out before anything is awaited, so that of many successes at once one does it.
        taken = {each: self._known.pop(each) for each in over}
        try:
            async with self._sessions.begin() as session:
                for each in over:
                    await queries.end_trouble(session, each)
        except BaseException:
            self._known.update(taken)
            raise
        log.info("trouble_over", scopes=over)
        if APPLICATION in over:
            self._alarm.set(0)

    async def learn_from_others(self) -> None:
        """Learn what other processes have found, and end the waves that are over."""
        async with self._sessions.begin() as session:
            self._known = await queries.troubles(session)
            for region in Region:
                scope = sp_api_scope(region)
                if self._known.get(scope) == _WAVE and not await queries.is_wave(session, region):
                    await queries.end_trouble(session, scope)
                    self._known.pop(scope, None)
        self._alarm.set(APPLICATION in self._known)

    async def _begin(self, scope: str, code: str) -> None:
        async with self._sessions.begin() as session:
            is_new = await queries.note_trouble(session, scope, code)
        self._known[scope] = code
        if is_new:
            log.critical("service_trouble", scope=scope, code=code)
