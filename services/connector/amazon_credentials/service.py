"""The application's client secret as it changes: given by an operator, or by the notices that Amazon puts into a queue."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from pydantic import SecretStr
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.amazon_credentials.notices import NewSecret, SecretExpiry, read_notice
from services.connector.amazon_credentials.secrets import secret_context
from shared.crypto.key_provider import KeyProvider, require_known
from shared.database import Sessions
from shared.driver import new_id
from shared.tables import ApplicationNotice, ApplicationSecret

log = structlog.get_logger()

# Amazon ends a client secret after 180 days (LWA credentials FAQ).
SECRET_LIFETIME: Final = timedelta(days=180)


async def store_client_secret(
    sessions: Sessions, provider: KeyProvider, client_id: str, secret: SecretStr, now: datetime
) -> None:
    """Use this client secret first from now on, in every process within half a minute. The others stay for a while.

    Raises SealBroken if the key that wraps it was retired meanwhile; then nothing is stored.
    """
    row = await _wrapped(provider, client_id, secret, now + SECRET_LIFETIME)
    async with sessions.begin() as session:
        await _store(session, provider, row)


class SecretNotices:
    """Takes Amazon's notices about the client secret of this application. Any number may run."""

    def __init__(self, sessions: Sessions, provider: KeyProvider, client_id: str) -> None:
        self._sessions = sessions
        self._provider = provider
        self._client_id = client_id

    async def take(self, body: SecretStr) -> str | None:
        """Use what a notice tells; what became of it. None: it is another application's, or of a form that nobody knows, and is left to
        whoever it is for.
        """
        notice = read_notice(body)
        if notice is None or notice.client_id != self._client_id:
            return None
        return await self._take(notice)

    async def _take(self, notice: NewSecret | SecretExpiry) -> str:
        """Store what a notice tells; one that was delivered before changes nothing. The answer is the outcome for the metric."""
        secret = None
        if isinstance(notice, NewSecret):
            secret = await _wrapped(self._provider, self._client_id, notice.secret, notice.ends_at)
        async with self._sessions.begin() as session:
            taken: UUID | None = await session.scalar(
                insert(ApplicationNotice)
                .values(
                    id=new_id(),
                    client_id=self._client_id,
                    notification_id=notice.notification_id,
                    secret_ends_at=notice.ends_at,
                )
                .on_conflict_do_nothing()
                .returning(ApplicationNotice.id)
            )
            if taken is None:
                return "repeated"
            if secret is not None:
                await _store(session, self._provider, secret)
        if secret is not None:
            log.info("client_secret_arrived", ends_at=notice.ends_at.isoformat())
            return "new_secret"
        log.warning(
            "client_secret_ends", ends_at=notice.ends_at.isoformat(), cure="keys rotate-client-secret"
        )
        return "secret_expiry"


async def _store(session: AsyncSession, provider: KeyProvider, secret: ApplicationSecret) -> None:
    session.add(secret)
    await session.flush()
    require_known(provider, secret.wrapping_key_id)


async def _wrapped(
    provider: KeyProvider, client_id: str, secret: SecretStr, ends_at: datetime
) -> ApplicationSecret:
    secret_id = new_id()
    wrapping_key_id, wrapped = await provider.wrap(
        secret.get_secret_value().encode(), secret_context(secret_id, client_id)
    )
    return ApplicationSecret(
        id=secret_id,
        client_id=client_id,
        wrapping_key_id=wrapping_key_id,
        wrapped=wrapped,
        expires_at=ends_at,
    )
