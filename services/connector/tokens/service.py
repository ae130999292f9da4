"""The vault: grants stored, access tokens handed out and renewed, everything forgotten when a store is disconnected.

Tokens are opened here and nowhere else. A grant is never emptied because of an error. A renewal is done once for all
processes: whoever takes the lease calls Amazon, the others wait for the result; no transaction is open meanwhile.

What Amazon refuses is sorted by who has to act, and written beside the tokens: trouble at Amazon (`delayed_since`), a refused
grant (`refused_at`, and `revoked_at` when it is refused again after a minute), a missing role. What concerns all stores at
once, our own credentials above all, is a service trouble and touches no grant. A success ends it; nobody has to click anything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.amazon.access import Amazon
from services.connector.amazon.client import SellerApi, quota_of_seller
from services.connector.amazon.errors import (
    AmazonUnavailable,
    ClientMisconfigured,
    GrantInvalid,
    QuotaUsed,
    RoleMissing,
    TokenRefused,
)
from services.connector.amazon.lwa import Tokens
from services.connector.tokens import queries
from services.connector.tokens.grant_health import LWA, GrantHealth, sp_api_scope
from services.connector.tokens.sealing import open_access_token, open_refresh_token, seal_tokens
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions, now_in
from shared.driver import new_id
from shared.errors import Expected
from shared.jobs import Job, enqueue
from shared.keyring import Keyring
from shared.marketplaces import Region
from shared.tables import Grant, RefusedBy

log = structlog.get_logger()

# Waiting for another process: 25 ms at first, then up to 400 ms, in all some 9 seconds.
_WAITS_SECONDS: Final = (0.025, 0.05, 0.1, 0.2, *[0.4] * 22)
# What the worker renews unasked: so many are claimed together, and so many renewed at once.
_BATCH: Final = 50
_AT_ONCE: Final = 5

_Answer = TypeVar("_Answer")
OnChange = Callable[[AsyncSession, UUID, UUID, datetime], Awaitable[None]]


class GrantMissing(Expected):
    """The integration has no grant, or none any more."""

    code = "grant_missing"


class RenewalBusy(Expected):
    """Another process has been renewing this token for too long. Not a failure of the grant."""

    code = "renewal_busy"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`version` names the state of the grant that the token belongs to; see `Vault.access_token`."""

    value: SecretStr
    version: int
    region: Region
    seller_id: str
    # Something hinders the grant; the next success ends it.
    is_troubled: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class _Lease:
    holder: UUID
    grant: queries.GrantRow
    account_keys: AccountKeys
    refresh_token: SecretStr


class Vault:
    """Gives out the stores' tokens. A process has one, and its maker closes it before the engine.

    `on_change` is called in the transaction that changes what hinders a grant.
    """

    def __init__(
        self,
        sessions: Sessions,
        keyring: Keyring,
        amazon: Amazon,
        on_change: OnChange,
        registry: CollectorRegistry,
        *,
        waits_seconds: Sequence[float] = _WAITS_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._waits_seconds = waits_seconds
        self._keyring = keyring
        self._amazon = amazon
        self._on_change = on_change
        self._grant_health = GrantHealth(sessions, on_change, registry)
        self._renewals: dict[UUID, asyncio.Task[AccessToken]] = {}
        self._outcomes = Counter(
            "replyco_token_renewals",
            "Calls to Login with Amazon for a new access token",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("renewed", GrantInvalid.code, ClientMisconfigured.code, AmazonUnavailable.code):
            self._outcomes.labels(outcome)

    async def close(self) -> None:
        """End what is under way; leases are given back."""
        renewals = list(self._renewals.values())
        for renewal in renewals:
            renewal.cancel()
        await asyncio.gather(*renewals, return_exceptions=True)

    # --- for callers that need a token ---------------------------------------------------------------------------------

    async def refuse_if_paused(self) -> None:
        """Raises AmazonPaused while the operators have stopped all calls to Amazon: for whoever writes something down before a call."""
        await self._amazon.switch.refuse_if_paused()

    async def access_token(
        self, account_id: UUID, integration_id: UUID, *, refused_version: int | None = None
    ) -> AccessToken:
        """An access token that is good for some minutes, renewed if need be.

        `refused_version`: Amazon has just refused the token of this version; it is renewed unless somebody already did.
        Raises GrantMissing, RenewalBusy, and what `Lwa.refresh` raises.
        """
        account_keys = await self._keyring.of(self._sessions, account_id)
        async with self._sessions.begin() as session:
            grant = await queries.read(session, account_id, integration_id)
            if grant is None:
                raise GrantMissing
            if _is_good(grant, refused_version):
                if not grant.is_warm:
                    await queries.note_use(session, grant.id, grant.version)
                return _opened(account_keys, grant)
        return await self._renewed(account_id, integration_id, refused_version, is_used=True)

    async def call(
        self, account_id: UUID, integration_id: UUID, operation: Callable[[SellerApi], Awaitable[_Answer]]
    ) -> _Answer:
        """What an operation of the SP-API answers for this store. A refused token is renewed once, and the call repeated.

        Raises what `access_token` and the operation raise.
        """
        token = await self.access_token(account_id, integration_id)
        try:
            return await self._call_with(token, account_id, integration_id, operation)
        except TokenRefused:
            pass
        except ClientMisconfigured as failure:
            # Amazon refuses all tokens that were given for a secret that has ended.
            if failure.fields.get("error") != "secret_expired":
                raise
        # Ended early or made invalid by Amazon: one new token, one more try.
        token = await self.access_token(account_id, integration_id, refused_version=token.version)
        try:
            return await self._call_with(token, account_id, integration_id, operation)
        except TokenRefused:
            await self._grant_health.refused(
                account_id, integration_id, token.version, token.region, RefusedBy.SP_API
            )
            raise
        except ClientMisconfigured as failure:
            await self._grant_health.application_refused(failure)
            raise

    # --- for the worker --------------------------------------------------------------------------------------------

    async def renew_due(self) -> int:
        """Renew what is due: tokens in use before they end, the others once a week, refused ones again. How many.

        Raises AmazonPaused before anything is claimed.
        """
        await self.refuse_if_paused()
        await self._grant_health.learn_from_others()
        count, turn = 0, asyncio.Semaphore(_AT_ONCE)

        async def renew(due: queries.DueGrant) -> None:
            async with turn:
                try:
                    await self._renewed(due.account_id, due.integration_id, due.version, is_used=False)
                except Expected as failure:
                    # Written down beside the grant already; it is tried again in time.
                    log.info("renewal_failed", integration_id=str(due.integration_id), code=failure.code)

        while True:
            async with self._sessions.begin() as session:
                batch = await queries.claim_due(session, _BATCH)
                asking = [due.integration_id for due in batch if due.asks_the_store]
                await enqueue(session, Job.REFRESH_PARTICIPATIONS, *asking)
            async with asyncio.TaskGroup() as group:
                for due in batch:
                    if not due.asks_the_store:
                        group.create_task(renew(due))
            count += len(batch)
            if len(batch) < _BATCH:
                return count

    # --- one renewal, for all that wait for it ---------------------------------------------------------------------

    async def _renewed(
        self, account_id: UUID, integration_id: UUID, refused_version: int | None, *, is_used: bool
    ) -> AccessToken:
        """Join the renewal that is under way in this process, or begin one. It goes on even if we are cancelled."""
        while True:
            renewal = self._renewals.get(integration_id)
            if renewal is None:
                renewal = asyncio.create_task(
                    self._lease_and_renew(account_id, integration_id, refused_version, is_used=is_used)
                )
                self._renewals[integration_id] = renewal
                renewal.add_done_callback(lambda done: self._forget(integration_id, done))
            token = await asyncio.shield(renewal)
            # Else it had begun before the token that it found was refused.
            if token.version != refused_version:
                return token

    def _forget(self, integration_id: UUID, renewal: asyncio.Task[AccessToken]) -> None:
        self._renewals.pop(integration_id, None)
        if not renewal.cancelled():
            # Nobody may be waiting any more; then it is not an error that nobody has seen.
            renewal.exception()

    async def _lease_and_renew(
        self, account_id: UUID, integration_id: UUID, refused_version: int | None, *, is_used: bool
    ) -> AccessToken:
        holder = new_id()
        account_keys = await self._keyring.of(self._sessions, account_id)
        for wait in self._waits_seconds:
            async with self._sessions.begin() as session:
                grant = await queries.read(session, account_id, integration_id)
                if grant is None:
                    raise GrantMissing
                if _is_good(grant, refused_version):
                    return _opened(account_keys, grant)
                is_ours = await queries.lease(session, grant.id, grant.version, holder)
            if not is_ours:
                await asyncio.sleep(wait)
                continue
            refresh_token = open_refresh_token(account_keys, grant.id, grant.refresh_token)
            lease = _Lease(holder, grant, account_keys, refresh_token)
            renewed = await self._renew(account_id, integration_id, lease, is_used=is_used)
            if renewed is not None:
                return renewed
        raise RenewalBusy(retry_after_seconds=2)

    async def _renew(
        self, account_id: UUID, integration_id: UUID, lease: _Lease, *, is_used: bool
    ) -> AccessToken | None:
        """Call Amazon and write the result, unless the grant has changed meanwhile: then None, and it is read again."""
        grant = lease.grant
        try:
            given = await self._amazon.lwa.refresh(lease.refresh_token)
        except BaseException as failure:
            # Also when we are cancelled: the others need not wait for the lease to end.
            await asyncio.shield(self._release(lease))
            if isinstance(failure, Expected):
                await self._not_renewed(account_id, integration_id, grant, failure)
            raise
        self._outcomes.labels("renewed").inc()
        await self._grant_health.success(LWA)
        # Amazon sends the same refresh token back; should it ever send another one, that is the one that counts.
        sealed = seal_tokens(lease.account_keys, grant.id, given)
        async with self._sessions.begin() as session:
            if grant.is_troubled:
                await queries.lock_integration(session, integration_id)
            is_written = await queries.write_renewed(
                session, grant.id, grant.version, lifetime=given.lifetime, is_used=is_used, **sealed
            )
            if grant.is_troubled and is_written:
                await self._on_change(session, account_id, integration_id, await now_in(session))
        if not is_written:
            return None
        return AccessToken(
            given.access_token, grant.version + 1, grant.region, grant.seller_id, grant.is_troubled
        )

    async def _release(self, lease: _Lease) -> None:
        async with self._sessions.begin() as session:
            await queries.release(session, lease.grant.id, lease.holder)

    async def _not_renewed(
        self, account_id: UUID, integration_id: UUID, grant: queries.GrantRow, failure: Expected
    ) -> None:
        self._outcomes.labels(failure.code).inc()
        if isinstance(failure, GrantInvalid):
            await self._grant_health.refused(
                account_id, integration_id, grant.version, grant.region, RefusedBy.LWA
            )
        elif isinstance(failure, ClientMisconfigured):
            await self._grant_health.application_refused(failure)
        elif isinstance(failure, AmazonUnavailable):
            await self._grant_health.delayed(account_id, integration_id, LWA, failure)

    # --- one call --------------------------------------------------------------------------------------------------

    async def _call_with(
        self,
        token: AccessToken,
        account_id: UUID,
        integration_id: UUID,
        operation: Callable[[SellerApi], Awaitable[_Answer]],
    ) -> _Answer:
        quota_of = quota_of_seller(account_id, token.seller_id)
        api = SellerApi(self._amazon.sp_api, token.region, quota_of, token.value)
        scope = sp_api_scope(token.region)
        try:
            answer = await operation(api)
        except QuotaUsed:
            # Amazon was not asked: it has no trouble.
            raise
        except AmazonUnavailable as failure:
            await self._grant_health.delayed(account_id, integration_id, scope, failure)
            raise
        except RoleMissing as failure:
            await self._grant_health.role_missing(
                account_id, integration_id, str(failure.fields.get("operation", ""))
            )
            raise
        await self._grant_health.success(scope)
        if token.is_troubled:
            await self._grant_health.answered(account_id, integration_id, api.answered)
        return answer


async def store_grant(
    session: AsyncSession,
    account_keys: AccountKeys,
    *,
    integration_id: UUID,
    region: Region,
    seller_id: str,
    tokens: Tokens,
    consented_at: datetime,
) -> None:
    """Keep a new consent's tokens in place of any before. The caller has locked the integration's row."""
    assert tokens.refresh_token is not None
    known = await session.scalar(select(Grant.id).where(Grant.integration_id == integration_id))
    grant_id = known or new_id()
    values: dict[str, Any] = {
        **seal_tokens(account_keys, grant_id, tokens),
        "consented_at": consented_at,
        **queries.life_columns(tokens.lifetime, is_used=True),
    }
    if known is None:
        session.add(
            Grant(
                id=grant_id,
                account_id=account_keys.account_id,
                integration_id=integration_id,
                region=region,
                seller_id=seller_id,
                **values,
            )
        )
        await session.flush()
        return
    await session.execute(
        update(Grant)
        .where(Grant.id == grant_id)
        .values(
            **values,
            **queries.UNTROUBLED,
            role_missing_since=None,
            role_missing_operation=None,
            ended_at=None,
            version=Grant.version + 1,
            lease_holder=None,
            leased_until=None,
        )
    )


async def destroy_grant(session: AsyncSession, integration_id: UUID) -> None:
    """Forget the tokens at once; the row stays as a trace. The next version makes a renewal in flight write nothing."""
    await session.execute(
        update(Grant)
        .where(Grant.integration_id == integration_id)
        .values(
            **queries.UNTROUBLED,
            role_missing_since=None,
            role_missing_operation=None,
            ended_at=func.now(),
            refresh_token=queries.EMPTY,
            access_token=None,
            access_token_expires_at=None,
            next_refresh_at=None,
            version=Grant.version + 1,
            lease_holder=None,
            leased_until=None,
        )
    )


def _is_good(grant: queries.GrantRow, refused_version: int | None) -> bool:
    return grant.access_token is not None and grant.is_fresh and grant.version != refused_version


def _opened(account_keys: AccountKeys, grant: queries.GrantRow) -> AccessToken:
    assert grant.access_token is not None
    token = open_access_token(account_keys, grant.id, grant.access_token)
    return AccessToken(token, grant.version, grant.region, grant.seller_id, grant.is_troubled)
