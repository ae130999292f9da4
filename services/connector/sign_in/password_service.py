"""A new password: chosen by whoever knows the old one, or by whoever reads the mail of its user.

What must never happen here: an answer that tells whether an e-mail address exists; a link that is good twice; a session that goes on
after the password it began with is gone.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts import queries
from services.connector.accounts.audit import audit_entry, person_audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.notices import notify_person
from services.connector.accounts.password_policy import check_password
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.service import normalise_email
from services.connector.accounts.turns import FairTurns
from services.connector.http.client_networks import network_of
from services.connector.sign_in.browsers import Browser, browser_name
from services.connector.sign_in.password_check import InvalidCredentials, user_with_password
from services.connector.throttling.limits import PASSWORD_RESETS
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.tables import Notice, NoticeKind, PasswordReset, SignInChallenge, User, UserSession

RESET_LIFETIME: Final = timedelta(minutes=60)
# Links of one user that are good at a time: whoever asks on and on fills nobody's mailbox.
MAX_RESETS: Final = 3


class ResetExpired(Expected):
    """The link is too old, was used already, or never was one."""

    code = "reset_expired"


async def change(
    sessions: Sessions,
    turns: FairTurns,
    passwords: Passwords,
    caller: Caller,
    *,
    current: str | None,
    new: str,
    browser: Browser,
    now: datetime,
) -> None:
    """Change one's own password, and end one's other sessions.

    Raises ReauthenticationNeeded, InvalidCredentials, TooManySignIns, and what `check_password` raises.
    """
    session_id = caller.require_browser()
    async with sessions.begin() as session:
        user = await session.scalar(select(User).where(User.id == caller.user_id))
    if user is None:
        raise InvalidCredentials
    origin = None
    if current is None:
        caller.require_recent(now)
    else:
        _, _, origin = await user_with_password(
            sessions, turns, passwords, user.email, current, browser=browser, now=now
        )
    check_password(new, name=user.name, email=user.email)
    password_hash = await passwords.hash(new)
    async with sessions.begin() as session:
        if origin is not None:
            await queries.uncount_sign_in(session, origin)
        await _store(session, user, password_hash, kept_session=session_id, browser=browser)
        session.add(audit_entry(caller, "password_changed", user.id))


async def ask_reset(sessions: Sessions, email: str, *, client_address: str, now: datetime) -> None:
    """Send a link to whoever signs in with this address, if anybody does. Raises TooOften, by the network alone.

    The same statements whoever it is: neither the answer nor its time tells whether there is such a user.
    """
    await PASSWORD_RESETS.require_from(sessions, client_address)
    good = (
        select(PasswordReset.id)
        .where(PasswordReset.user_id == User.id, PasswordReset.expires_at > now)
        .offset(MAX_RESETS - 1)
        .limit(1)
        .correlate(User)
        .exists()
    )
    reset_id = new_id()
    asking = select(
        literal(reset_id).label("id"), User.account_id, User.id, literal(now + RESET_LIFETIME)
    ).where(User.email == normalise_email(email), User.disabled_at.is_(None), ~good)
    async with sessions.begin() as session:
        await session.execute(
            insert(PasswordReset).from_select(["id", "account_id", "user_id", "expires_at"], asking)
        )
        kind = NoticeKind.PASSWORD_RESET.value
        mail = select(
            literal(new_id()),
            PasswordReset.account_id,
            PasswordReset.user_id,
            literal(kind),
            literal(f"{kind}:{reset_id}"),
            literal({"occasion": str(reset_id)}, Notice.fields.type),
        ).where(PasswordReset.id == reset_id)
        columns = ["id", "account_id", "user_id", "kind", "dedupe_key", "fields"]
        await session.execute(insert(Notice).from_select(columns, mail))


async def use_reset(
    sessions: Sessions, passwords: Passwords, token: str, new: str, *, browser: Browser, now: datetime
) -> None:
    """Set a new password by a link, and end all sessions. The second factor stays.

    Raises ResetExpired, and what `check_password` raises: then the link stays good.
    """
    valid = (PasswordReset.token_hash == hash_secret(token), PasswordReset.expires_at > now)
    async with sessions.begin() as session:
        user = await session.scalar(
            select(User)
            .join(PasswordReset, PasswordReset.user_id == User.id)
            .where(*valid, User.disabled_at.is_(None))
        )
    if user is None:
        raise ResetExpired
    check_password(new, name=user.name, email=user.email)
    password_hash = await passwords.hash(new)
    async with sessions.begin() as session:
        used = delete(PasswordReset).where(*valid).returning(PasswordReset.id)
        if (await session.execute(used)).one_or_none() is None:
            raise ResetExpired
        await _store(session, user, password_hash, kept_session=None, browser=browser)
        session.add(person_audit_entry(user.account_id, user.id, "password_reset", user.id))


async def _store(
    session: AsyncSession,
    user: User,
    password_hash: str,
    *,
    kept_session: UUID | None,
    browser: Browser,
) -> None:
    """With the old password goes whatever began with it: sessions, second steps, links. Its owner is told."""
    await session.execute(update(User).where(User.id == user.id).values(password_hash=password_hash))
    ended = delete(UserSession).where(UserSession.user_id == user.id)
    if kept_session is not None:
        ended = ended.where(UserSession.id != kept_session)
    await session.execute(ended)
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    await session.execute(
        delete(SignInChallenge).where(
            SignInChallenge.user_id == user.id, SignInChallenge.session_id.is_(None)
        )
    )
    await notify_person(
        session,
        user,
        NoticeKind.PASSWORD_CHANGED,
        new_id(),
        browser=browser_name(browser.user_agent),
        network=network_of(browser.client_address),
    )
