"""How people sign in beyond their password: passkeys, recovery codes, what waits for a second step, and resets of passwords."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.tables.base import Base, now, one_of, within_account


class SecondFactor(StrEnum):
    """Who of an account has to have a second factor: whoever may edit general.admin, everybody, or whoever wants one."""

    ADMINS = "admins"
    EVERYBODY = "everybody"
    OPTIONAL = "optional"


class SignInMethod(StrEnum):
    """How a session began. A provider of single sign-on asks for a second factor itself."""

    PASSWORD = "password"  # noqa: S105 - the name of a way
    PASSKEY = "passkey"
    SINGLE_SIGN_ON = "single_sign_on"


class ChallengePurpose(StrEnum):
    """What a challenge is for. It serves nothing else."""

    SECOND_STEP = "second_step"
    PASSKEY_SIGN_IN = "passkey_sign_in"
    CONFIRMATION = "confirmation"
    NEW_PASSKEY = "new_passkey"
    NEW_TOTP = "new_totp"


class Passkey(Base):
    """A credential of WebAuthn. `sign_count`: how often its device says that it has signed; 0 if it does not count."""

    __tablename__ = "passkeys"
    __table_args__ = (
        CheckConstraint("sign_count >= 0", name="sign_count"),
        within_account("user_id", "users"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    user_id: Mapped[UUID] = mapped_column(index=True)
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]]
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    last_used_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """One of the codes that let a user in who has lost their second factor. The row goes when it is used."""

    __tablename__ = "recovery_codes"
    __table_args__ = (UniqueConstraint("user_id", "code_hash"), within_account("user_id", "users"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    user_id: Mapped[UUID]
    code_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=now)


class SignInChallenge(Base):
    """What somebody has to answer within minutes, once.

    A browser that is not signed in is known by the token of its cookie, one that is by its session. `account_id` and `user_id` are
    null while a passkey has still to say who is there. `secret`: the key of an authenticator that is not confirmed yet.
    """

    __tablename__ = "sign_in_challenges"
    __table_args__ = (
        one_of("purpose", ChallengePurpose),
        CheckConstraint("(token_hash IS NULL) <> (session_id IS NULL)", name="browser"),
        UniqueConstraint("session_id", "purpose"),
        within_account("user_id", "users"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    user_id: Mapped[UUID | None] = mapped_column(index=True)
    purpose: Mapped[str]
    token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    session_id: Mapped[UUID | None]
    challenge: Mapped[bytes | None]
    secret: Mapped[Sealed | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PasswordReset(Base):
    """A wish for a new password. Its link is made when its mail is sent: until then there is no token, and afterwards only a hash."""

    __tablename__ = "password_resets"
    __table_args__ = (within_account("user_id", "users"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    user_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
