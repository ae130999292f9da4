"""The statements of this room that deserve a name."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tables import Account, OidcAttempt, OidcDomain, OidcProvider, User


async def provider_of(
    session: AsyncSession, account_id: UUID, *, is_held: bool = False
) -> OidcProvider | None:
    statement = select(OidcProvider).where(OidcProvider.account_id == account_id)
    return await session.scalar(statement.with_for_update() if is_held else statement)


async def provider_of_open(session: AsyncSession, account_id: UUID) -> OidcProvider | None:
    """The same, unless the account is closed: nobody is sent on a way that ends before a closed door."""
    return await session.scalar(
        select(OidcProvider)
        .join(Account, Account.id == OidcProvider.account_id)
        .where(OidcProvider.account_id == account_id, Account.closed_at.is_(None))
    )


async def provider_of_domain(session: AsyncSession, domain: str) -> OidcProvider | None:
    """The provider of the account that has proven the domain to be its own."""
    return await session.scalar(
        select(OidcProvider)
        .join(OidcDomain, OidcDomain.account_id == OidcProvider.account_id)
        .where(OidcDomain.domain == domain, OidcDomain.proven_at.is_not(None))
    )


async def domains_of(session: AsyncSession, account_id: UUID) -> Sequence[OidcDomain]:
    statement = select(OidcDomain).where(OidcDomain.account_id == account_id)
    return (await session.scalars(statement.order_by(OidcDomain.domain))).all()


async def has_proven(session: AsyncSession, account_id: UUID, domain: str) -> bool:
    found = select(OidcDomain.id).where(
        OidcDomain.account_id == account_id, OidcDomain.domain == domain, OidcDomain.proven_at.is_not(None)
    )
    return await session.scalar(found) is not None


async def take_attempt(session: AsyncSession, account_id: UUID, state_hash: bytes) -> OidcAttempt | None:
    """The attempt, once: whoever comes second finds none."""
    taken = delete(OidcAttempt).where(
        OidcAttempt.account_id == account_id, OidcAttempt.state_hash == state_hash
    )
    return (await session.scalars(taken.returning(OidcAttempt))).one_or_none()


async def end_attempts(session: AsyncSession, account_id: UUID) -> None:
    """Whatever was begun with another provider, or another secret, leads nowhere any more."""
    await session.execute(delete(OidcAttempt).where(OidcAttempt.account_id == account_id))


async def user_of_subject(session: AsyncSession, account_id: UUID, issuer: str, subject: str) -> User | None:
    return await session.scalar(
        select(User).where(
            User.account_id == account_id, User.oidc_issuer == issuer, User.oidc_subject == subject
        )
    )


async def user_of_email(session: AsyncSession, account_id: UUID, email: str) -> User | None:
    """One of the account's people who is not removed."""
    return await session.scalar(
        select(User).where(User.account_id == account_id, User.email == email, User.removed_at.is_(None))
    )
