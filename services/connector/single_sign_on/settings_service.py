"""What an account says of its provider, and which mail domains are its own.

Whoever decides where people sign in decides who gets in as whom: so nobody sets up a provider who may do less than anybody of the
account. A secret goes to the provider that it was entered for, and to no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry, system_audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE, column_of, levels_of_user
from services.connector.problems.catalogue import NotFound
from services.connector.single_sign_on import queries
from services.connector.single_sign_on.claims import LevelRule, highest, stored_rules
from services.connector.single_sign_on.domain_proof import AskTexts, is_proven, record_name, record_value
from services.connector.single_sign_on.metadata import Failure, ProviderFailed
from services.connector.single_sign_on.provider_client import ProviderClient
from services.connector.single_sign_on.service import secret_place
from services.connector.throttling.limits import SINGLE_SIGN_ON_TESTS
from services.connector.users.service import hold_account_as_admin, require_no_more
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.outgoing.hosts import host_name
from shared.permissions import Level, Permission
from shared.tables import OidcDomain, OidcProvider, SignInMethod, User, UserSession

MAX_DOMAINS: Final = 20


class ClientSecretNeeded(Expected):
    """There is none yet, or it was entered for another provider or another client."""

    code = "client_secret_needed"


class OnlyUnproven(Expected):
    """Nobody leaves a single way in who has not come by it."""

    code = "sso_only_unproven"


class DomainUnproven(Expected):
    """The DNS of the domain does not hold the record, or nobody sees it yet."""

    code = "domain_unproven"


class DomainTaken(Expected):
    """Another account has proven this domain to be its own."""

    code = "domain_taken"


class TooManyDomains(Expected):
    """More than anybody can oversee."""

    code = "too_many_domains"


@dataclass(frozen=True, slots=True)
class ProviderRules:
    """Everything of a provider that can be read and set; its secret is only set."""

    issuer: str
    client_id: str
    level_claim: str | None
    level_rules: Sequence[LevelRule]
    creates_users: bool
    least_levels: Mapping[Permission, Level]
    is_only: bool
    needs_proof_of_factors: bool


@dataclass(frozen=True, slots=True)
class ListedDomain:
    """A domain, and the TXT record that proves it."""

    id: UUID
    domain: str
    record_name: str
    record_value: str
    proven_at: datetime | None


async def read(
    sessions: Sessions, keyring: Keyring, caller: Caller
) -> tuple[OidcProvider | None, list[ListedDomain]]:
    """The provider, if there is one, and the domains."""
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        provider = await queries.provider_of(session, caller.account_id)
        domains = await queries.domains_of(session, caller.account_id)
    return provider, [
        ListedDomain(
            each.id, each.domain, record_name(each.domain), record_value(keys, each.domain), each.proven_at
        )
        for each in domains
    ]


async def put(
    sessions: Sessions,
    keyring: Keyring,
    client: ProviderClient,
    caller: Caller,
    *,
    rules: ProviderRules,
    secret: SecretStr | None,
    now: datetime,
) -> None:
    """Set up the provider, or change it. Whatever is under way there is over.

    Raises ReauthenticationNeeded, LevelTooHigh, ClientSecretNeeded, OnlyUnproven, UrlInvalid, HostInvalid, UrlPortNotAllowed.
    """
    session_id = caller.require_browser()
    caller.require_recent(now)
    issuer = client.issuer_url(rules.issuer)
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        await hold_account_as_admin(session, caller)
        await _require_most(session, caller, rules.least_levels, *(rule.levels for rule in rules.level_rules))
        provider = await queries.provider_of(session, caller.account_id, is_held=True)
        is_same = provider is not None and provider.issuer == issuer and provider.client_id == rules.client_id
        if secret is None and not is_same:
            raise ClientSecretNeeded
        if provider is not None and provider.issuer != issuer:
            await _forget_people(session, caller.account_id, session_id)
        if rules.is_only and (provider is None or not provider.is_only):
            await _leave_one_way(session, caller.account_id, session_id)
        if provider is None:
            provider = OidcProvider(id=new_id(), account_id=caller.account_id)
            session.add(provider)
        if secret is not None:
            provider.client_secret = keys.seal_text(secret_place(provider.id), secret.get_secret_value())
        provider.issuer, provider.client_id = issuer, rules.client_id
        provider.level_claim, provider.level_rules = rules.level_claim, stored_rules(rules.level_rules)
        provider.creates_users, provider.is_only = rules.creates_users, rules.is_only
        provider.needs_proof_of_factors = rules.needs_proof_of_factors
        provider.changed_at = now
        for permission in PERMISSIONS_OF_PEOPLE:
            level = rules.least_levels.get(permission, Level.NONE)
            setattr(provider, column_of(permission), level.value)
        await queries.end_attempts(session, caller.account_id)
        session.add(
            audit_entry(
                caller,
                "single_sign_on_changed",
                provider.id,
                issuer=issuer,
                is_only=str(rules.is_only).lower(),
            )
        )


async def remove(sessions: Sessions, caller: Caller, now: datetime) -> None:
    """Everybody signs in by password or passkey again. Raises ReauthenticationNeeded."""
    session_id = caller.require_browser()
    caller.require_recent(now)
    async with sessions.begin() as session:
        await hold_account_as_admin(session, caller)
        provider = await queries.provider_of(session, caller.account_id, is_held=True)
        if provider is None:
            return
        await session.delete(provider)
        await queries.end_attempts(session, caller.account_id)
        await _forget_people(session, caller.account_id, session_id)
        session.add(audit_entry(caller, "single_sign_on_removed", provider.id))


async def test(
    sessions: Sessions, client: ProviderClient, caller: Caller, issuer: str | None
) -> Failure | None:
    """Ask a provider what it says of itself, and for its keys; the account's own if none is named.

    Raises NotFound, TooOften, UrlInvalid, HostInvalid, UrlPortNotAllowed.
    """
    await SINGLE_SIGN_ON_TESTS.require(sessions, caller.account_id)
    if issuer is None:
        async with sessions.begin() as session:
            provider = await queries.provider_of(session, caller.account_id)
        if provider is None:
            raise NotFound
        issuer = provider.issuer
    try:
        await client.keys(await client.ask_metadata(client.issuer_url(issuer)))
    except ProviderFailed as failed:
        return failed.reason
    return None


async def add_domain(sessions: Sessions, caller: Caller, entered: str, now: datetime) -> None:
    """A domain that shall be the account's own; it counts when it is proven. Raises ReauthenticationNeeded, HostInvalid,
    TooManyDomains.
    """
    caller.require_recent(now)
    domain = host_name(entered)
    async with sessions.begin() as session:
        await hold_account_as_admin(session, caller)
        known = await queries.domains_of(session, caller.account_id)
        if any(each.domain == domain for each in known):
            return
        if len(known) >= MAX_DOMAINS:
            raise TooManyDomains(limit=MAX_DOMAINS)
        row = OidcDomain(id=new_id(), account_id=caller.account_id, domain=domain)
        session.add(row)
        session.add(audit_entry(caller, "mail_domain_added", row.id))


async def prove_domain(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    domain_id: UUID,
    *,
    ask_texts: AskTexts,
    now: datetime,
) -> None:
    """Ask the domain's DNS. Raises ReauthenticationNeeded, TooOften, NotFound, DomainUnproven, DomainTaken."""
    caller.require_recent(now)
    await SINGLE_SIGN_ON_TESTS.require(sessions, caller.account_id)
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        domain = (await _domain(session, caller, domain_id)).domain
    try:
        texts = await ask_texts(record_name(domain))
    except OSError:
        texts = ()
    if not is_proven(texts, record_value(keys, domain)):
        raise DomainUnproven(domain=domain)
    try:
        async with sessions.begin() as session:
            await hold_account_as_admin(session, caller)
            row = await _domain(session, caller, domain_id)
            row.proven_at = row.proven_at or now
            session.add(audit_entry(caller, "mail_domain_proven", row.id))
    except IntegrityError as error:
        if "uq_oidc_domains_proven" in str(error.orig):
            raise DomainTaken(domain=domain) from error
        raise


async def remove_domain(sessions: Sessions, caller: Caller, domain_id: UUID, now: datetime) -> None:
    """Raises ReauthenticationNeeded, NotFound."""
    caller.require_recent(now)
    async with sessions.begin() as session:
        await hold_account_as_admin(session, caller)
        row = await _domain(session, caller, domain_id)
        await session.delete(row)
        session.add(audit_entry(caller, "mail_domain_removed", row.id))


async def lift_only(sessions: Sessions, account_id: UUID) -> None:
    """Let people of an account in by password and passkey again, whose provider does not. Raises NotFound."""
    async with sessions.begin() as session:
        provider = await queries.provider_of(session, account_id, is_held=True)
        if provider is None:
            raise NotFound
        provider.is_only = False
        session.add(system_audit_entry(account_id, "single_sign_on_only_lifted", provider.id))


async def _domain(session: AsyncSession, caller: Caller, domain_id: UUID) -> OidcDomain:
    row = await session.scalar(
        select(OidcDomain)
        .where(OidcDomain.id == domain_id, OidcDomain.account_id == caller.account_id)
        .with_for_update()
    )
    if row is None:
        raise NotFound
    return row


async def _require_most(session: AsyncSession, caller: Caller, *levels: Mapping[Permission, Level]) -> None:
    """Require that the caller may do what anybody of the account may, and what the provider is to give. Raises LevelTooHigh."""
    users = await session.scalars(
        select(User).where(User.account_id == caller.account_id, User.disabled_at.is_(None))
    )
    require_no_more(caller, highest(*levels, *(levels_of_user(user) for user in users)))


async def _leave_one_way(session: AsyncSession, account_id: UUID, session_id: UUID) -> None:
    """Sessions that have begun in another way end. Raises OnlyUnproven if the caller's is one."""
    method = await session.scalar(select(UserSession.method).where(UserSession.id == session_id))
    if method != SignInMethod.SINGLE_SIGN_ON.value:
        raise OnlyUnproven
    await session.execute(
        delete(UserSession).where(
            UserSession.account_id == account_id, UserSession.method != SignInMethod.SINGLE_SIGN_ON.value
        )
    )


async def _forget_people(session: AsyncSession, account_id: UUID, session_id: UUID) -> None:
    """What the provider has said of people counts no more, nor the sessions that it has begun; but the caller's own goes on."""
    await session.execute(
        update(User)
        .where(User.account_id == account_id, User.oidc_issuer.is_not(None))
        .values(oidc_issuer=None, oidc_subject=None)
    )
    await session.execute(
        delete(UserSession).where(
            UserSession.account_id == account_id,
            UserSession.method == SignInMethod.SINGLE_SIGN_ON.value,
            UserSession.id != session_id,
        )
    )
