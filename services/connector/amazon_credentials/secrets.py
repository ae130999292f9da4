"""The client secrets that may be valid: what Amazon's rotation has sent, then the settings' current and previous one.

At Amazon two of them are valid for a week after a rotation. A caller tries them in this order and remembers which works.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Gauge
from pydantic import SecretStr

from services.connector.amazon_credentials import queries
from shared.availability import DATABASE
from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyProvider, KeyServiceUnavailable
from shared.database import Sessions, is_unavailable

log = structlog.get_logger()

_KEPT_SECONDS: Final = 30.0
# Amazon knows two at a time.
_NEWEST: Final = 2


def secret_context(secret_id: UUID, client_id: str) -> bytes:
    """What binds a wrapped client secret to its row and its client."""
    return b"|".join((b"application_secrets", str(secret_id).encode(), client_id.encode()))


class ClientSecrets:
    """Reads the rotated secrets now and then, so that a new one is used without a restart. One a process."""

    def __init__(
        self,
        sessions: Sessions,
        provider: KeyProvider,
        client_id: str,
        *settings: SecretStr | None,
        registry: CollectorRegistry,
    ) -> None:
        self._sessions = sessions
        self._provider = provider
        self._client_id = client_id
        self._settings = [secret for secret in settings if secret is not None]
        self._rotated: list[SecretStr] = []
        self._read_at = -_KEPT_SECONDS
        self._was_read = False
        self._ends_at: datetime | None = None
        Gauge(
            "lwa_client_secret_expires_in_seconds",
            "How long the newest client secret is still valid; -1 while it is not known, 0 when it has ended",
            registry=registry,
        ).set_function(self._seconds_left)

    async def newest_first(self) -> Sequence[SecretStr]:
        """At least the settings' own. While the database or the key management service is away, what was read last.

        Raises KeyServiceUnavailable if nothing was read yet: the settings' own alone may have ended, and Amazon's refusal would be taken for one.
        """
        if time.monotonic() - self._read_at >= _KEPT_SECONDS:
            self._read_at = time.monotonic()
            try:
                await self._read()
            except SealBroken:
                log.exception("client_secret_does_not_open")
            except KeyServiceUnavailable:
                if not self._was_read:
                    self._read_at = -_KEPT_SECONDS
                    raise
            except Exception as error:
                if not is_unavailable(error):
                    raise
                DATABASE.is_away(error)
        return [*self._rotated, *self._settings]

    async def _read(self) -> None:
        async with self._sessions.begin() as session:
            rows = await queries.newest(session, self._client_id, _NEWEST)
            self._ends_at = await queries.newest_ends_at(session, self._client_id)
        self._rotated = [
            SecretStr(
                (
                    await self._provider.unwrap(
                        row.wrapping_key_id, row.wrapped, secret_context(row.id, self._client_id)
                    )
                ).decode()
            )
            for row in rows
        ]
        self._was_read = True

    def _seconds_left(self) -> float:
        if self._ends_at is None:
            return -1
        return max(0.0, (self._ends_at - datetime.now(UTC)).total_seconds())
