"""Signing in by a provider, and proving by it again who one is: from our page to the provider, and back.

No transaction is open while the provider is asked. What somebody may do is decided anew at each sign-in, if the account says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError

from services.connector.accounts.audit import system_audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.service import normalise_email
from services.connector.http.client_networks import network_of
from services.connector.second_factors.requirement import is_required
from services.connector.sign_in.beginning import Entrant, SignedIn, begin_session
from services.connector.sign_in.browsers import Browser
from services.connector.sign_in.confirm_service import mark_authenticated
from services.connector.single_sign_on import people_service, queries
from services.connector.single_sign_on.attempts import (
    CONFIRMED_PATH,
    LIFETIME,
    AttemptSecrets,
    Callback,
    authorization_url,
    hash_of,
    is_code,
    is_hash_of,
    is_token,
    redirect_uri,
)
from services.connector.single_sign_on.claims import (
    ORGANIZATION_CLAIMS,
    domain_of,
    had_two_factors,
    methods_of,
    values_of,
    with_told,
)
from services.connector.single_sign_on.domain_proof import AskTexts, ask_texts
from services.connector.single_sign_on.id_tokens import (
    LEEWAY_SECONDS,
    IdToken,
    IdTokenInvalid,
    KeyUnknown,
    read_id_token,
)
from services.connector.single_sign_on.metadata import Metadata
from services.connector.single_sign_on.provider_client import ProviderClient, Tokens
from services.connector.throttling.limits import SINGLE_SIGN_ON_CALLBACKS, SINGLE_SIGN_ONS
from services.connector.users.queries import hold_account
from shared.crypto.envelope import Place
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables import OidcAttempt, OidcProvider, OidcPurpose, SignInMethod, User

log = structlog.get_logger()

# The session proves nothing of late if the provider does not say when it has asked.
_NEVER: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
# What RFC 6749 §4.1.2.1 and OpenID Connect Core §3.1.2.6 know; other words are not repeated.
_ERRORS: Final = frozenset(
    {
        "access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "server_error",
        "temporarily_unavailable", "interaction_required", "login_required", "account_selection_required", "consent_required",
    }
)  # fmt: skip


class NoProvider(Expected):
    """No account of ours has proven this mail domain, or it has no provider; whether anybody has this address is not said."""

    code = "no_provider"


class AttemptUnknown(Expected):
    """The answer belongs to no attempt, to one of another browser, or to one that is over or was answered already."""

    code = "sso_attempt_unknown"


class SignInRefused(Expected):
    """The provider says that nothing comes of it: people have cancelled, or may not use the application."""

    code = "sso_refused"


class OtherOrganization(Expected):
    """At a provider of all the world, somebody has signed in who belongs to no domain that the account has proven."""

    code = "sso_other_organization"


class SecondFactorUnproven(Expected):
    """The account demands a second factor, and the provider does not say that there was one."""

    code = "sso_second_factor_unproven"


class OtherPerson(Expected):
    """Somebody else has proven who they are."""

    code = "sso_other_person"


class NotAskedAgain(Expected):
    """The provider has let somebody through without asking who is there."""

    code = "sso_not_asked_again"


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes."""

    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of it. `signed_in` is None if a session that there was has been confirmed."""

    return_to: str
    signed_in: SignedIn | None


@dataclass(frozen=True, slots=True)
class _Answered:
    """A callback that has come to an attempt of this browser, and what the provider says of the person."""

    attempt: OidcAttempt
    token: IdToken
    claims: Mapping[str, Any]


class SingleSignOn:
    """The way to providers and back. There is one in a process. `ask_texts` asks the DNS of domains."""

    def __init__(
        self,
        sessions: Sessions,
        keyring: Keyring,
        client: ProviderClient,
        *,
        public_url: str,
        ask_texts: AskTexts = ask_texts,
        organization_claims: Mapping[str, str] = ORGANIZATION_CLAIMS,
    ) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self.client = client
        self.ask_texts = ask_texts
        self._public_url = public_url
        self._organization_claims = organization_claims

    async def begin(
        self,
        *,
        email: str | None,
        account_id: UUID | None,
        return_to: str,
        browser_token: str,
        client_address: str,
        now: datetime,
    ) -> Begun:
        """Begin to sign in: at the provider of the account, or of the account that has proven the address's domain.

        Nobody looks whether there is a user of this address. Raises TooOften, NoProvider, ProviderFailed.
        """
        await SINGLE_SIGN_ONS.require_from(self._sessions, client_address)
        async with self._sessions.begin() as session:
            if account_id is not None:
                provider = await queries.provider_of_open(session, account_id)
            else:
                provider = await queries.provider_of_domain(session, domain_of(normalise_email(email or "")))
        if provider is None:
            raise NoProvider
        return await self._send(
            provider,
            OidcPurpose.SIGN_IN,
            return_to=return_to,
            browser_token=browser_token,
            hint=email,
            now=now,
        )

    async def begin_confirmation(self, caller: Caller, *, browser_token: str, now: datetime) -> Begun:
        """Begin to prove again who one is, by the provider that has let one in. Raises TooOften, NoProvider, ProviderFailed."""
        session_id = caller.require_browser()
        await SINGLE_SIGN_ONS.require(self._sessions, caller.user_id)
        async with self._sessions.begin() as session:
            provider = await queries.provider_of(session, caller.account_id)
            user = await session.get_one(User, caller.user_id)
        if provider is None or user.oidc_issuer != provider.issuer:
            raise NoProvider
        return await self._send(
            provider,
            OidcPurpose.CONFIRMATION,
            return_to=CONFIRMED_PATH,
            browser_token=browser_token,
            hint=user.email,
            now=now,
            user_id=user.id,
            session_id=session_id,
        )

    async def _send(
        self,
        provider: OidcProvider,
        purpose: OidcPurpose,
        *,
        return_to: str,
        browser_token: str,
        hint: str | None,
        now: datetime,
        user_id: UUID | None = None,
        session_id: UUID | None = None,
    ) -> Begun:
        metadata = await self.client.metadata(provider.issuer)
        keys = await self._keyring.of(self._sessions, provider.account_id)
        attempt, attempt_id = AttemptSecrets.new(), new_id()
        async with self._sessions.begin() as session:
            session.add(
                OidcAttempt(
                    id=attempt_id,
                    account_id=provider.account_id,
                    purpose=purpose.value,
                    state_hash=hash_of(attempt.state),
                    browser_hash=hash_of(browser_token),
                    nonce_hash=hash_of(attempt.nonce),
                    verifier=keys.seal_text(_place(attempt_id), attempt.verifier),
                    return_to=return_to,
                    user_id=user_id,
                    session_id=session_id,
                    created_at=now,
                    expires_at=now + LIFETIME,
                )
            )
        url = authorization_url(
            self.client.in_browser(metadata.authorization_endpoint),
            attempt,
            client_id=provider.client_id,
            redirect=redirect_uri(self._public_url, provider.account_id),
            login_hint=hint,
            is_fresh=purpose is OidcPurpose.CONFIRMATION,
        )
        return Begun(url, now + LIFETIME)

    async def finish(
        self,
        account_id: UUID,
        callback: Callback,
        *,
        browser_token: str | None,
        caller: Caller | None,
        browser: Browser,
        now: datetime,
    ) -> Finished:
        """What comes of the provider's answer. `caller`: whoever is signed in in this browser.

        Raises TooOften, AttemptUnknown, SignInRefused, ProviderFailed, IdTokenInvalid, OtherOrganization, EmailUnverified, Nobody,
        SecondFactorUnproven, OtherPerson, NotAskedAgain.
        """
        await SINGLE_SIGN_ON_CALLBACKS.require_from(self._sessions, browser.client_address)
        attempt, provider = await self._attempt(account_id, callback, browser_token, now)
        try:
            answered = await self._ask(attempt, provider, callback, now)
            if attempt.purpose == OidcPurpose.CONFIRMATION:
                await self._confirm(answered, provider, caller, now)
                return Finished(attempt.return_to, None)
            return Finished(attempt.return_to, await self._sign_in(answered, browser, now))
        except Expected as failed:
            await self._keep_failure(account_id, failed, browser)
            raise

    async def _attempt(
        self, account_id: UUID, callback: Callback, browser_token: str | None, now: datetime
    ) -> tuple[OidcAttempt, OidcProvider]:
        """Whatever comes of it, the attempt is over. Raises AttemptUnknown."""
        if not is_token(callback.state):
            raise AttemptUnknown
        async with self._sessions.begin() as session:
            attempt = await queries.take_attempt(session, account_id, hash_of(callback.state))
            provider = await queries.provider_of(session, account_id)
        if (
            attempt is None
            or provider is None
            or attempt.expires_at <= now
            or not is_hash_of(callback.state, attempt.state_hash)
            or browser_token is None
            or not is_hash_of(browser_token, attempt.browser_hash)
        ):
            raise AttemptUnknown
        return attempt, provider

    async def _ask(
        self, attempt: OidcAttempt, provider: OidcProvider, callback: Callback, now: datetime
    ) -> _Answered:
        metadata = await self.client.metadata(provider.issuer)
        # RFC 9207 §2.4: whoever promises to name itself does, and a name is the issuer's own, in an error too.
        if callback.issuer is None and metadata.names_issuer:
            raise IdTokenInvalid(reason="issuer_missing")
        if callback.issuer is not None and callback.issuer != provider.issuer:
            raise IdTokenInvalid(reason="issuer_differs")
        if callback.error:
            raise SignInRefused(error=callback.error if callback.error in _ERRORS else "other")
        if not is_code(callback.code):
            raise IdTokenInvalid(reason="code_missing")
        keys = await self._keyring.of(self._sessions, provider.account_id)
        tokens = await self.client.redeem(
            metadata,
            client_id=provider.client_id,
            client_secret=keys.open_text(secret_place(provider.id), provider.client_secret),
            code=callback.code,
            verifier=keys.open_text(_place(attempt.id), attempt.verifier),
            redirect=redirect_uri(self._public_url, provider.account_id),
        )
        token = await self._id_token(metadata, provider, attempt, tokens, now)
        await self._require_organization(provider, token)
        return _Answered(attempt, token, await self._claims(metadata, provider, token, tokens))

    async def _id_token(
        self,
        metadata: Metadata,
        provider: OidcProvider,
        attempt: OidcAttempt,
        tokens: Tokens,
        now: datetime,
    ) -> IdToken:
        for is_unknown in (False, True):
            keys = await self.client.keys(metadata, is_unknown=is_unknown)
            try:
                return read_id_token(
                    tokens.id_token,
                    keys,
                    issuer=provider.issuer,
                    client_id=provider.client_id,
                    nonce_hash=attempt.nonce_hash,
                    now=now,
                )
            except KeyUnknown:
                log.info("provider_key_unknown", is_second_try=is_unknown)
        raise IdTokenInvalid(reason="key_unknown")

    async def _require_organization(self, provider: OidcProvider, token: IdToken) -> None:
        """Each time: whoever has left the company is still somebody at such a provider. Raises OtherOrganization."""
        claim = self._organization_claims.get(provider.issuer)
        if claim is None:
            return
        domain = token.claims.get(claim)
        async with self._sessions.begin() as session:
            if not isinstance(domain, str) or not await queries.has_proven(
                session, provider.account_id, domain.lower()
            ):
                raise OtherOrganization

    async def _claims(
        self, metadata: Metadata, provider: OidcProvider, token: IdToken, tokens: Tokens
    ) -> Mapping[str, Any]:
        """The ID token's claims, and what it leaves out, if the provider tells it of the same person (Core §5.3.2)."""
        claim = provider.level_claim
        is_whole = "email" in token.claims and (claim is None or bool(values_of(token.claims, claim)))
        if is_whole or tokens.access_token is None:
            return token.claims
        told = await self.client.userinfo(metadata, tokens.access_token)
        if told.get("sub") != token.subject:
            return token.claims
        return with_told(token.claims, told)

    async def _confirm(
        self, answered: _Answered, provider: OidcProvider, caller: Caller | None, now: datetime
    ) -> None:
        attempt, token = answered.attempt, answered.token
        if caller is None or caller.session_id != attempt.session_id or caller.session_id is None:
            raise AttemptUnknown
        asked_at = token.authenticated_at
        if asked_at is None or (attempt.created_at - asked_at).total_seconds() > LEEWAY_SECONDS:
            raise NotAskedAgain
        async with self._sessions.begin() as session:
            user = await queries.user_of_subject(session, provider.account_id, token.issuer, token.subject)
            if user is None or user.id != caller.user_id:
                raise OtherPerson
            await mark_authenticated(session, caller, caller.session_id, now)

    async def _sign_in(self, answered: _Answered, browser: Browser, now: datetime) -> SignedIn:
        token, claims = answered.token, answered.claims
        account_id = answered.attempt.account_id
        try:
            async with self._sessions.begin() as session:
                # Nobody changes the account's people, or its provider, meanwhile.
                account = await hold_account(session, account_id)
                provider = await queries.provider_of(session, account_id)
                if provider is None or provider.issuer != token.issuer or account.closed_at is not None:
                    raise AttemptUnknown
                user = await people_service.person(session, provider, token, claims, now)
                await people_service.give_levels(session, provider, user, claims)
                methods = methods_of(claims)
                if (
                    provider.needs_proof_of_factors
                    and is_required(account.second_factor, user.general_admin)
                    and not had_two_factors(methods)
                ):
                    raise SecondFactorUnproven
                return await begin_session(
                    session,
                    Entrant(user, account),
                    SignInMethod.SINGLE_SIGN_ON,
                    browser,
                    now,
                    authenticated_at=token.authenticated_at or _NEVER,
                    methods=" ".join(methods),
                )
        except IntegrityError as error:
            if "uq_users_email" in str(error.orig):
                raise people_service.Nobody from error
            raise

    async def _keep_failure(self, account_id: UUID, failed: Expected, browser: Browser) -> None:
        """In the audit log of the account, with the network that it came from."""
        reason = str(failed.fields.get("reason", failed.fields.get("error", "")))
        log.warning("single_sign_on_failed", account_id=str(account_id), code=failed.code, reason=reason)
        async with self._sessions.begin() as session:
            session.add(
                system_audit_entry(
                    account_id,
                    "single_sign_on_failed",
                    account_id,
                    code=failed.code,
                    reason=reason,
                    network=network_of(browser.client_address),
                )
            )


def _place(attempt_id: UUID) -> Place:
    return Place("oidc_attempts", "verifier", attempt_id)


def secret_place(provider_id: UUID) -> Place:
    return Place("oidc_providers", "client_secret", provider_id)
