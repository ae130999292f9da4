"""Closing an account, and reopening it.

Closing disables everybody at once, in the transaction that writes it down: so whatever refuses somebody who is disabled (signing in,
sessions, API keys, webhooks, links of mails) refuses all of them. Stores are disconnected as one by one; their addresses still accept mail, which rests sealed.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry, system_audit_entry
from services.connector.accounts.callers import AccountClosed, Caller
from services.connector.accounts.notices import notify_admins
from services.connector.integrations import lifecycle_service
from services.connector.problems.catalogue import NotFound
from services.connector.users.queries import find_account_held
from services.connector.users.service import hold_account_as_admin
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.tables import (
    Account,
    AuthorizationAttempt,
    Invitation,
    NoticeKind,
    OidcAttempt,
    OidcDomain,
    PasswordReset,
    SignInChallenge,
    User,
    UserSession,
)

log = structlog.get_logger()

GRACE_PERIOD: Final = lifecycle_service.GRACE_PERIOD


class AccountNameDiffers(Expected):
    """Whoever closes an account types its name."""

    code = "account_name_differs"


class AccountOpen(Expected):
    """It is not closed: there is nothing to reopen, nor to erase."""

    code = "account_open"


class GracePeriodOver(Expected):
    """The account may be erased already: what is left of it is not whole."""

    code = "grace_period_over"


@dataclass(frozen=True, slots=True)
class Closed:
    """`erase_after`: until then an operator may reopen it."""

    closed_at: datetime
    erase_after: datetime


async def close(sessions: Sessions, caller: Caller, *, account_name: str, now: datetime) -> Closed:
    """Close the caller's account. From here on nobody gets in, them included.

    Raises ReauthenticationNeeded, NotSignedIn, PermissionMissing, AccountNameDiffers.
    """
    caller.require_recent(now)
    async with sessions.begin() as session:
        account = await hold_account_as_admin(session, caller)
        if _comparable(account_name) != _comparable(account.name):
            raise AccountNameDiffers
        closed = await _close(session, account, now)
        session.add(audit_entry(caller, "account_closed", account.id))
    log.info("account_closed", account_id=str(caller.account_id))
    return closed


async def close_for_operator(sessions: Sessions, account_id: UUID, now: datetime) -> Closed:
    """Close an account. Raises NotFound, AccountClosed."""
    async with sessions.begin() as session:
        account = await find_account_held(session, account_id)
        if account.closed_at is not None:
            raise AccountClosed
        closed = await _close(session, account, now)
        session.add(system_audit_entry(account_id, "account_closed", account_id))
    return closed


async def reopen(sessions: Sessions, account_id: UUID, now: datetime) -> None:
    """Let everybody in again whom the closing has disabled. The stores may be restored for as long as after disconnecting them, and mail domains
    are proven anew.

    Raises NotFound, AccountOpen, GracePeriodOver.
    """
    async with sessions.begin() as session:
        account = await find_account_held(session, account_id)
        if account.closed_at is None or account.erase_after is None:
            raise AccountOpen
        if account.erase_after <= now:
            raise GracePeriodOver
        await session.execute(
            update(User)
            .where(User.account_id == account_id, User.disabled_at == account.closed_at)
            .values(disabled_at=None)
        )
        await lifecycle_service.rest_anew(session, account_id, account.closed_at, now)
        account.closed_at = account.erase_after = None
        session.add(system_audit_entry(account_id, "account_reopened", account_id))
        await notify_admins(session, account_id, NoticeKind.ACCOUNT_REOPENED, new_id())


async def end_grace_period(sessions: Sessions, account_id: UUID, now: datetime) -> None:
    """Have a closed account erased from now on. It cannot be reopened any more. Raises NotFound, AccountOpen."""
    async with sessions.begin() as session:
        account = await find_account_held(session, account_id)
        if account.erase_after is None:
            raise AccountOpen
        if account.erase_after > now:
            account.erase_after = now
            session.add(system_audit_entry(account_id, "account_erasure_asked", account_id))


async def name_of(sessions: Sessions, account_id: UUID) -> str:
    """What the account is called. Raises NotFound, also if it is erased."""
    async with sessions.begin() as session:
        account = await session.get(Account, account_id)
        if account is None or account.erased_at is not None:
            raise NotFound
        return account.name


def is_name(typed: str, name: str) -> bool:
    """Whether somebody has typed this name, however they have written it."""
    return _comparable(typed) == _comparable(name)


async def _close(session: AsyncSession, account: Account, now: datetime) -> Closed:
    erase_after = now + GRACE_PERIOD
    # Before they are disabled, and to those who were not.
    await notify_admins(session, account.id, NoticeKind.ACCOUNT_CLOSED, new_id())
    account.closed_at, account.erase_after = now, erase_after
    await session.execute(
        update(User).where(User.account_id == account.id, User.disabled_at.is_(None)).values(disabled_at=now)
    )
    for table in (
        UserSession, SignInChallenge, PasswordReset, Invitation, AuthorizationAttempt, OidcAttempt,
    ):  # fmt: skip
        await session.execute(delete(table).where(table.account_id == account.id))
    # They may be another account's by now: whoever reopens this one proves them anew.
    await session.execute(
        update(OidcDomain).where(OidcDomain.account_id == account.id).values(proven_at=None)
    )
    await lifecycle_service.disconnect_all(session, account.id, now)
    return Closed(now, erase_after)


def _comparable(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
