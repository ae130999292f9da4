"""A seller's own SMTP server: stored, sealed, tested. For advanced users; without one, replies go through ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.http.etags import require_match
from services.connector.problems.catalogue import NotFound
from services.connector.smtp.checker import SmtpChecker
from services.connector.smtp.senders import sender_address
from services.connector.throttling.limits import SMTP_TESTS_OF_ACCOUNT, SMTP_TESTS_OF_USER
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.database import Sessions
from shared.errors import Expected
from shared.keyring import Keyring
from shared.outgoing.addresses import Network
from shared.outgoing.hosts import host_name
from shared.outgoing.smtp import SmtpServer
from shared.tables import Integration, SmtpCheck, SmtpConfiguration, TlsMode


class PasswordRequired(Expected):
    """A stored password is for the server and the user that it was entered for, and for no other."""

    code = "password_required"


class PortNotAllowed(Expected):
    """The port is none of those on which mail may be submitted."""

    code = "port_not_allowed"


@dataclass(frozen=True, slots=True)
class SmtpRules:
    """Which ports and networks the operators permit."""

    ports: frozenset[int]
    allowed: Sequence[Network]


@dataclass(frozen=True, slots=True)
class EnteredConfiguration:
    """A configuration as somebody has entered it; without a password, the stored one is meant."""

    host: str
    port: int
    tls_mode: TlsMode
    username: str
    password: SecretStr | None
    sender_address: str

    def checked(self, rules: SmtpRules) -> "EnteredConfiguration":
        """In the form that is kept. Raises HostInvalid, PortNotAllowed, SenderInvalid."""
        if self.port not in rules.ports:
            raise PortNotAllowed(ports=", ".join(str(port) for port in sorted(rules.ports)))
        return EnteredConfiguration(
            host_name(self.host, rules.allowed),
            self.port,
            self.tls_mode,
            self.username,
            self.password,
            sender_address(self.sender_address),
        )

    def is_for_the_server_of(self, stored: SmtpConfiguration) -> bool:
        return (self.host, self.port, self.username) == (stored.host, stored.port, stored.username)


async def get(sessions: Sessions, account_id: UUID, integration_id: UUID) -> SmtpConfiguration:
    """The stored configuration. Raises NotFound."""
    async with sessions.begin() as session:
        return await _existing(session, account_id, integration_id)


async def put(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    integration_id: UUID,
    entered: EnteredConfiguration,
    *,
    rules: SmtpRules,
    if_match: str | None,
    now: datetime,
) -> SmtpConfiguration:
    """Store it in place of any before; what was tested before says nothing of it.

    Raises NotFound, PasswordRequired, PreconditionFailed, and what `EnteredConfiguration.checked` raises.
    """
    wanted = entered.checked(rules)
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        await _lock_integration(session, caller.account_id, integration_id)
        stored = await session.get(SmtpConfiguration, integration_id)
        require_match(if_match, stored.version if stored else 0)
        if wanted.password is not None:
            password = keys.seal_text(_place(integration_id), wanted.password.get_secret_value())
        else:
            password = _kept_password(stored, wanted)
        if stored is None:
            stored = SmtpConfiguration(integration_id=integration_id, account_id=caller.account_id, version=0)
            session.add(stored)
        stored.host, stored.port, stored.tls_mode = wanted.host, wanted.port, wanted.tls_mode.value
        stored.username, stored.password = wanted.username, password
        stored.sender_address = wanted.sender_address
        stored.checked_at, stored.check_result = None, None
        stored.version, stored.updated_at = stored.version + 1, now
        session.add(audit_entry(caller, "smtp_configured", integration_id))
        return stored


async def delete(sessions: Sessions, caller: Caller, integration_id: UUID, *, if_match: str | None) -> None:
    """Replies go through our server again. Raises NotFound, PreconditionFailed."""
    async with sessions.begin() as session:
        await _lock_integration(session, caller.account_id, integration_id)
        stored = await _existing(session, caller.account_id, integration_id)
        require_match(if_match, stored.version)
        await session.delete(stored)
        session.add(audit_entry(caller, "smtp_configuration_deleted", integration_id))


async def check_server(
    sessions: Sessions,
    keyring: Keyring,
    checker: SmtpChecker,
    caller: Caller,
    integration_id: UUID,
    *,
    entered: EnteredConfiguration | None,
    rules: SmtpRules,
    now: datetime,
) -> SmtpCheck:
    """Try what was entered, or what is stored; only of the latter the result is kept.

    Raises NotFound, PasswordRequired, TooOften, SmtpTestsBusy, SealBroken, and what `EnteredConfiguration.checked` raises.
    """
    wanted = entered.checked(rules) if entered else None
    await SMTP_TESTS_OF_USER.require(sessions, caller.user_id)
    await SMTP_TESTS_OF_ACCOUNT.require(sessions, caller.account_id)
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        server, sender, version = await _server(
            session, keys, caller.account_id, integration_id, wanted=wanted, rules=rules
        )
        session.add(audit_entry(caller, "smtp_tested", integration_id))
    result = await checker.check(caller.account_id, server, sender)
    if wanted is None:
        async with sessions.begin() as session:
            await session.execute(
                update(SmtpConfiguration)
                .where(
                    SmtpConfiguration.integration_id == integration_id, SmtpConfiguration.version == version
                )
                .values(checked_at=now, check_result=result.value)
            )
    return result


async def _server(
    session: AsyncSession,
    keys: AccountKeys,
    account_id: UUID,
    integration_id: UUID,
    *,
    wanted: EnteredConfiguration | None,
    rules: SmtpRules,
) -> tuple[SmtpServer, str, int]:
    """The server to try, with its password opened, its sender, and the version of what is stored."""
    await _lock_integration(session, account_id, integration_id)
    stored = await session.get(SmtpConfiguration, integration_id)
    if wanted is None and stored is None:
        raise NotFound
    if wanted is None:
        assert stored is not None
        wanted = EnteredConfiguration(
            stored.host,
            stored.port,
            TlsMode(stored.tls_mode),
            stored.username,
            None,
            stored.sender_address,
        ).checked(rules)
    password = wanted.password
    if password is None:
        sealed = _kept_password(stored, wanted)
        password = SecretStr(keys.open_text(_place(integration_id), sealed))
    server = SmtpServer(wanted.host, wanted.port, wanted.tls_mode.value, wanted.username, password)
    return server, wanted.sender_address, stored.version if stored else 0


def _kept_password(stored: SmtpConfiguration | None, wanted: EnteredConfiguration) -> Sealed:
    """Keep the stored password. Raises PasswordRequired for another server: else anybody who may change the host could have the
    password sent to their own server.
    """
    if stored is None or not wanted.is_for_the_server_of(stored):
        raise PasswordRequired
    return stored.password


async def _existing(session: AsyncSession, account_id: UUID, integration_id: UUID) -> SmtpConfiguration:
    stored = await session.scalar(
        select(SmtpConfiguration)
        .join(Integration, Integration.id == SmtpConfiguration.integration_id)
        .where(
            SmtpConfiguration.integration_id == integration_id,
            SmtpConfiguration.account_id == account_id,
            Integration.disconnected_at.is_(None),
        )
    )
    if stored is None:
        raise NotFound
    return stored


async def _lock_integration(session: AsyncSession, account_id: UUID, integration_id: UUID) -> None:
    """Hold the integration's row, so that changes happen one at a time. Raises NotFound for what is not connected, or belongs to somebody else."""
    found = await session.scalar(
        select(Integration.id)
        .where(
            Integration.id == integration_id,
            Integration.account_id == account_id,
            Integration.disconnected_at.is_(None),
        )
        .with_for_update(key_share=True)
    )
    if found is None:
        raise NotFound


def _place(integration_id: UUID) -> Place:
    return Place("smtp_configurations", "password", integration_id)
