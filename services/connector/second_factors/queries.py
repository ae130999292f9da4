"""The statements of this room that deserve a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.tables import (
    Account,
    ChallengePurpose,
    OidcProvider,
    Passkey,
    RecoveryCode,
    SignInChallenge,
    User,
)


@dataclass(frozen=True, slots=True)
class Factors:
    """What a user has beside their password."""

    totp_confirmed_at: datetime | None
    passkeys: Sequence[Passkey]
    recovery_codes: int

    @property
    def has_any(self) -> bool:
        return self.totp_confirmed_at is not None or bool(self.passkeys)


async def user_of(session: AsyncSession, account_id: UUID, user_id: UUID) -> User | None:
    """A user of this account who is not disabled."""
    return await session.scalar(
        select(User).where(User.id == user_id, User.account_id == account_id, User.disabled_at.is_(None))
    )


async def locked_user(session: AsyncSession, account_id: UUID, user_id: UUID) -> User | None:
    """The same, held: two changes of one person's factors never run at once."""
    return await session.scalar(
        select(User)
        .where(User.id == user_id, User.account_id == account_id, User.disabled_at.is_(None))
        .with_for_update(key_share=True)
    )


async def account_of(session: AsyncSession, account_id: UUID) -> Account:
    return await session.get_one(Account, account_id)


async def factors_of(session: AsyncSession, user: User) -> Factors:
    """What this user has."""
    codes = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user.id)
    return Factors(
        user.totp_confirmed_at, await passkeys_of(session, user.id), await session.scalar(codes) or 0
    )


async def passkeys_of(session: AsyncSession, user_id: UUID) -> Sequence[Passkey]:
    """Oldest first."""
    return (
        await session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id))
    ).all()


async def passkey_called(session: AsyncSession, credential_id: bytes) -> Passkey | None:
    """The passkey with this id of its device's, whosever it is."""
    return await session.scalar(select(Passkey).where(Passkey.credential_id == credential_id))


async def passkey_of(session: AsyncSession, user_id: UUID, passkey_id: UUID) -> Passkey | None:
    return await session.scalar(select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id))


async def take_step(session: AsyncSession, user_id: UUID, step: int) -> bool:
    """Use up a step of the user's app: of two at once, one gets it."""
    statement = (
        update(User)
        .where(User.id == user_id, or_(User.totp_last_step.is_(None), User.totp_last_step < step))
        .values(totp_last_step=step)
        .returning(User.id)
    )
    return (await session.execute(statement)).one_or_none() is not None


async def take_recovery_code(session: AsyncSession, user_id: UUID, code_hash: bytes) -> bool:
    """Use up a recovery code: of two at once, one gets it."""
    statement = (
        delete(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash)
        .returning(RecoveryCode.id)
    )
    return (await session.execute(statement)).one_or_none() is not None


async def take_count(session: AsyncSession, passkey: Passkey, sign_count: int, now: datetime) -> bool:
    """Write down that a passkey was used. False: its count did not grow, so somebody else has used a copy of it."""
    statement = (
        update(Passkey)
        .where(Passkey.id == passkey.id)
        .where(or_(Passkey.sign_count < sign_count, (Passkey.sign_count == 0) & (sign_count == 0)))
        .values(sign_count=sign_count, last_used_at=now)
        .returning(Passkey.id)
    )
    return (await session.execute(statement)).one_or_none() is not None


async def forget_factors(session: AsyncSession, user_id: UUID) -> None:
    """Take away everything that this user has beside their password."""
    await session.execute(delete(Passkey).where(Passkey.user_id == user_id))
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    await session.execute(delete(SignInChallenge).where(SignInChallenge.user_id == user_id))
    await session.execute(
        update(User)
        .where(User.id == user_id)
        .values(totp_secret=None, totp_last_step=None, totp_confirmed_at=None)
    )


async def forget_recovery_codes(session: AsyncSession, user_id: UUID) -> None:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


async def ask_session(
    session: AsyncSession,
    user: User,
    session_id: UUID,
    purpose: ChallengePurpose,
    *,
    challenge_id: UUID | None = None,
    challenge: bytes | None = None,
    secret: Sealed | None = None,
    expires_at: datetime,
) -> None:
    """Ask somebody who is signed in. A new question takes the place of the one before."""
    row = insert(SignInChallenge).values(
        id=challenge_id or new_id(),
        account_id=user.account_id,
        user_id=user.id,
        purpose=purpose.value,
        session_id=session_id,
        challenge=challenge,
        secret=secret,
        expires_at=expires_at,
    )
    await session.execute(
        row.on_conflict_do_update(
            index_elements=[SignInChallenge.session_id, SignInChallenge.purpose],
            set_={
                name: row.excluded[name] for name in ("id", "user_id", "challenge", "secret", "expires_at")
            },
        )
    )


async def asked_session(
    session: AsyncSession, session_id: UUID, purpose: ChallengePurpose, now: datetime
) -> SignInChallenge | None:
    """What was asked, if it can still be answered. It stays."""
    return await session.scalar(
        select(SignInChallenge).where(
            SignInChallenge.session_id == session_id,
            SignInChallenge.purpose == purpose,
            SignInChallenge.expires_at > now,
        )
    )


async def take_challenge(session: AsyncSession, challenge_id: UUID) -> bool:
    """Use up a question: of two answers at once, one counts."""
    statement = (
        delete(SignInChallenge).where(SignInChallenge.id == challenge_id).returning(SignInChallenge.id)
    )
    return (await session.execute(statement)).one_or_none() is not None


async def has_one_way_in(session: AsyncSession, account_id: UUID) -> bool:
    """Whether the account's people sign in at their company's provider alone."""
    only = select(OidcProvider.id).where(OidcProvider.account_id == account_id, OidcProvider.is_only)
    return await session.scalar(only) is not None
