"""Routes: signing in at a provider, and what an account says of its own."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Cookie, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.connector.accounts.callers import Caller, NotSignedIn
from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE, levels_of_user
from services.connector.accounts.service import caller_of_session
from services.connector.dependencies import (
    SESSION_COOKIE,
    AdminEditor,
    AdminPerson,
    AdminViewer,
    KeyringDep,
    LanguageDep,
    Now,
    SessionsDep,
    SettingsDep,
    SettingUpPerson,
    SingleSignOnDep,
    browser_of,
    set_secret_cookie,
    set_session_cookies,
)
from services.connector.http.language import Language
from services.connector.http.routers import api_router
from services.connector.problems.catalogue import describe
from services.connector.single_sign_on import people_service, settings_service
from services.connector.single_sign_on.attempts import (
    CALLBACK_PATH,
    LIFETIME,
    Callback,
    is_token,
    new_token,
    redirect_uri,
    sign_in_url,
)
from services.connector.single_sign_on.claims import LevelRule, rules_of
from services.connector.single_sign_on.failure_texts import failure_text
from services.connector.single_sign_on.metadata import Failure
from services.connector.single_sign_on.schemas import (
    BeginRequest,
    BegunAnswer,
    DomainAnswer,
    DomainRequest,
    LevelRuleAnswer,
    ProviderAnswer,
    SingleSignOnAnswer,
    SingleSignOnRequest,
    TestAnswer,
    TestRequest,
)
from services.connector.single_sign_on.settings_service import ProviderRules
from services.connector.web.own_address import own_address
from services.connector.web.plain_page import HEADERS, plain_page
from shared.database import Sessions
from shared.errors import Expected
from shared.tables import OidcProvider

# A browser that sends it has begun to sign in at a provider; it lets nobody in.
_BROWSER_COOKIE: Final = "__Host-replyco_single_sign_on"
_TO_SIGN_IN: Final = {Language.EN: "To the sign-in page", Language.DE: "Zur Anmeldung"}

router = api_router("accounts")
callback_router = APIRouter(include_in_schema=False)

BrowserToken = Annotated[str | None, Cookie(alias=_BROWSER_COOKIE, include_in_schema=False)]


@router.post("/single-sign-on/attempts", status_code=201, summary="Begin to sign in at a provider")
async def begin_single_sign_on(
    *,
    body: BeginRequest,
    request: Request,
    response: Response,
    single_sign_on: SingleSignOnDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> BegunAnswer:
    """The provider of the account that has proven the address's domain to be its own. Whether anybody has this address plays no part."""
    token = _known_or_new(browser_token)
    begun = await single_sign_on.begin(
        email=body.email,
        account_id=body.account_id,
        return_to=own_address(body.return_to),
        browser_token=token,
        client_address=browser_of(request).client_address,
        now=now,
    )
    set_secret_cookie(response, _BROWSER_COOKIE, token, LIFETIME)
    return BegunAnswer(url=begun.url, expires_at=begun.expires_at)


@router.post(
    "/sessions/current/confirm/single-sign-on", status_code=201, summary="Begin to prove it at a provider"
)
async def begin_single_sign_on_confirmation(
    *,
    caller: SettingUpPerson,
    response: Response,
    single_sign_on: SingleSignOnDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> BegunAnswer:
    """For whoever has signed in there: the provider is asked to ask who is there."""
    token = _known_or_new(browser_token)
    begun = await single_sign_on.begin_confirmation(caller, browser_token=token, now=now)
    set_secret_cookie(response, _BROWSER_COOKIE, token, LIFETIME)
    return BegunAnswer(url=begun.url, expires_at=begun.expires_at)


@callback_router.get(f"{CALLBACK_PATH}/{{account_id}}")
async def callback(
    *,
    account_id: UUID,
    request: Request,
    sessions: SessionsDep,
    single_sign_on: SingleSignOnDep,
    language: LanguageDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> Response:
    """The provider's answer, as the browser brings it. What went wrong is said on a page; trying again begins anew."""
    try:
        finished = await single_sign_on.finish(
            account_id,
            _callback(request),
            browser_token=browser_token,
            caller=await _caller(request, sessions, now),
            browser=browser_of(request),
            now=now,
        )
    except Expected as failed:
        status, title, detail = describe(failed.code, language, failed.fields)
        if (reason := failed.fields.get("reason")) in set(Failure):
            detail = f"{detail} {failure_text(Failure(reason), language)}"
        page = plain_page(language, title, detail, button=_TO_SIGN_IN[language], url="/sign-in")
        return HTMLResponse(page, status, HEADERS)
    answer = RedirectResponse(finished.return_to, 303, HEADERS)
    if finished.signed_in is not None:
        set_session_cookies(answer, finished.signed_in)
    return answer


@router.get("/account/single-sign-on", summary="Where the account's people sign in")
async def read_single_sign_on(
    caller: AdminViewer, sessions: SessionsDep, keyring: KeyringDep, settings: SettingsDep
) -> SingleSignOnAnswer:
    """The provider, its domains, and what is to be entered there. The client secret is never told."""
    return await _answer(caller, sessions, keyring, settings.public_url)


@router.put("/account/single-sign-on", summary="Set where the account's people sign in")
async def store_single_sign_on(
    *,
    body: SingleSignOnRequest,
    caller: AdminPerson,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    single_sign_on: SingleSignOnDep,
    now: Now,
) -> SingleSignOnAnswer:
    """By a person who may do everything that anybody of the account may. `is_only` needs a session that has begun at the provider."""
    rules = ProviderRules(
        issuer=body.issuer,
        client_id=body.client_id,
        level_claim=body.level_claim,
        level_rules=[LevelRule(each.value, each.permissions) for each in body.level_rules],
        creates_users=body.creates_users,
        least_levels=body.new_user_permissions,
        is_only=body.is_only,
        needs_proof_of_factors=body.needs_proof_of_factors,
    )
    await settings_service.put(
        sessions, keyring, single_sign_on.client, caller, rules=rules, secret=body.client_secret, now=now
    )
    return await _answer(caller, sessions, keyring, settings.public_url)


@router.delete("/account/single-sign-on", status_code=204, summary="Remove the account's provider")
async def remove_single_sign_on(caller: AdminPerson, sessions: SessionsDep, now: Now) -> None:
    """Everybody signs in by password or passkey; the provider's sessions end, but for this one."""
    await settings_service.remove(sessions, caller, now)


@router.post("/account/single-sign-on/test", summary="Ask a provider what it says of itself")
async def check_single_sign_on(
    body: TestRequest,
    caller: AdminEditor,
    sessions: SessionsDep,
    single_sign_on: SingleSignOnDep,
    language: LanguageDep,
) -> TestAnswer:
    """Whether it can be signed in with, as far as it says itself: nobody signs in, and client id and secret are not sent."""
    failure = await settings_service.test(sessions, single_sign_on.client, caller, body.issuer)
    return TestAnswer(failure=failure, detail=None if failure is None else failure_text(failure, language))


@router.post("/account/single-sign-on/domains", status_code=201, summary="Name a mail domain of one's own")
async def add_mail_domain(
    *,
    body: DomainRequest,
    caller: AdminPerson,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    now: Now,
) -> SingleSignOnAnswer:
    """It counts when its DNS holds the record that the answer names."""
    await settings_service.add_domain(sessions, caller, body.domain, now)
    return await _answer(caller, sessions, keyring, settings.public_url)


@router.post("/account/single-sign-on/domains/{domain_id}/proof", summary="Prove a mail domain")
async def prove_mail_domain(
    *,
    domain_id: UUID,
    caller: AdminPerson,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    single_sign_on: SingleSignOnDep,
    now: Now,
) -> SingleSignOnAnswer:
    """Ask its DNS for the record. From then on the addresses of the domain lead to the account's provider."""
    await settings_service.prove_domain(
        sessions, keyring, caller, domain_id, ask_texts=single_sign_on.ask_texts, now=now
    )
    return await _answer(caller, sessions, keyring, settings.public_url)


@router.delete("/account/single-sign-on/domains/{domain_id}", status_code=204, summary="Remove a mail domain")
async def remove_mail_domain(domain_id: UUID, caller: AdminPerson, sessions: SessionsDep, now: Now) -> None:
    """Its addresses lead to no provider any more."""
    await settings_service.remove_domain(sessions, caller, domain_id, now)


@router.delete(
    "/users/{user_id}/single-sign-on", status_code=204, summary="Untie a user from their company account"
)
async def untie_user(user_id: UUID, caller: AdminPerson, sessions: SessionsDep, now: Now) -> None:
    """For whoever has another account at the company now: their sessions from there end, and their next sign-in there ties them anew, by their address."""
    await people_service.untie(sessions, caller, user_id, now)


def _known_or_new(token: str | None) -> str:
    """A browser that signs in in two windows keeps its token, so that both can end well."""
    return token if token is not None and is_token(token) else new_token()


def _callback(request: Request) -> Callback:
    """A parameter that is there twice counts as missing (RFC 6749 §3.1)."""
    given = request.query_params.multi_items()
    single = {name: value for name, value in given if sum(name == other for other, _ in given) == 1}
    issuers = [value for name, value in given if name == "iss"]
    return Callback(
        state=single.get("state", ""),
        code=single.get("code", ""),
        issuer=None if not issuers else single.get("iss", ""),
        error=single.get("error", ""),
    )


async def _caller(request: Request, sessions: Sessions, now: Now) -> Caller | None:
    token = request.cookies.get(SESSION_COOKIE)
    try:
        return await caller_of_session(sessions, token, now) if token else None
    except NotSignedIn:
        return None


async def _answer(
    caller: Caller, sessions: SessionsDep, keyring: KeyringDep, public_url: str
) -> SingleSignOnAnswer:
    provider, domains = await settings_service.read(sessions, keyring, caller)
    return SingleSignOnAnswer(
        redirect_uri=redirect_uri(public_url, caller.account_id),
        sign_in_url=sign_in_url(public_url, caller.account_id),
        provider=None if provider is None else _provider(provider),
        domains=[
            DomainAnswer(
                id=each.id,
                domain=each.domain,
                record_name=each.record_name,
                record_value=each.record_value,
                proven_at=each.proven_at,
            )
            for each in domains
        ],
    )


def _provider(row: OidcProvider) -> ProviderAnswer:
    levels = levels_of_user(row)
    return ProviderAnswer(
        issuer=row.issuer,
        client_id=row.client_id,
        level_claim=row.level_claim,
        level_rules=[
            LevelRuleAnswer(value=rule.value, permissions=dict(rule.levels))
            for rule in rules_of(row.level_rules)
        ],
        creates_users=row.creates_users,
        new_user_permissions={each: levels[each] for each in PERMISSIONS_OF_PEOPLE},
        is_only=row.is_only,
        needs_proof_of_factors=row.needs_proof_of_factors,
        changed_at=row.changed_at,
    )
