"""Routes: marketplaces, attempts to authorize, and the addresses that Amazon sends browsers to, answered with pages."""

from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Cookie, Depends, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import SecretStr

from services.connector.accounts import service as accounts
from services.connector.accounts.callers import Caller, CsrfTokenWrong, NotSignedIn
from services.connector.accounts.credentials import check_csrf_token, csrf_token
from services.connector.authorization import callback_service, confirm_page, login_uri_service, service
from services.connector.authorization.attempts import (
    AttemptView,
    Callback,
    CallbackProblem,
    Elsewhere,
    LoginParameters,
    UnknownCountry,
    is_token,
    new_browser_token,
)
from services.connector.authorization.consent import Application
from services.connector.authorization.consent_errors import CONSENT_ERRORS
from services.connector.authorization.links import MAX_LINK
from services.connector.authorization.problem_texts import HINT_TEXTS, PROBLEM_TEXTS, REGION_NAMES, store_name
from services.connector.authorization.queries import AuthorizedStore
from services.connector.authorization.schemas import (
    AttemptProblemAnswer,
    AuthorizationAnswer,
    AuthorizationList,
    AuthorizationRequest,
    AuthorizedAnswer,
    BegunByAnswer,
    ConsentErrorAnswer,
    ConsentErrorList,
    HintAnswer,
    LinkAnswer,
    LinkedAnswer,
    LinkRequest,
    MarketplaceAnswer,
    MarketplaceList,
)
from services.connector.dependencies import (
    SESSION_COOKIE,
    AdminEditor,
    AdminPerson,
    AdminViewer,
    AmazonDep,
    AnyCaller,
    KeyringDep,
    KnownElsewhereDep,
    LanguageDep,
    Now,
    SessionsDep,
    SettingsDep,
)
from services.connector.http.language import Language
from services.connector.http.routers import api_router
from services.connector.marketplaces.countries import country_answers, country_name
from shared.marketplaces import MARKETPLACES, countries_of

router = api_router("authorization")
# Outside of the API: browsers come here, sent by Amazon.
amazon_router = APIRouter(include_in_schema=False)
# No code or state stays in the address bar or in the history, and no other site is told of it.
_NO_TRACE: Final = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}

BROWSER_COOKIE: Final = "__Host-replyco_browser"
BrowserToken = Annotated[str | None, Cookie(alias=BROWSER_COOKIE, include_in_schema=False)]


async def _application(settings: SettingsDep) -> Application:
    return Application(
        settings.amazon_application_id,
        settings.redirect_uri,
        settings.amazon_application_is_draft,
        settings.amazon_base_url,
    )


ApplicationDep = Annotated[Application, Depends(_application)]


def _known_or_new(token: str | None) -> str:
    """The browser's token, if it has one of ours."""
    return token if token is not None and is_token(token) else new_browser_token()


def _remember(response: Response, token: str) -> None:
    """Lax, because the cookie must come along when Amazon sends the browser back."""
    response.set_cookie(BROWSER_COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")


@router.get("/marketplaces", summary="List marketplaces")
async def list_marketplaces(_caller: AnyCaller, language: LanguageDep) -> MarketplaceList:
    """Every country whose store can be connected, with all countries that the same consent covers."""
    return MarketplaceList(
        items=[
            MarketplaceAnswer(
                country=marketplace.country,
                name=country_name(marketplace.country, language),
                marketplace_id=marketplace.marketplace_id,
                region=marketplace.region,
                seller_central_host=marketplace.seller_central_host,
                currency=marketplace.currency,
                covers=country_answers(countries_of(marketplace.region), language),
            )
            for marketplace in MARKETPLACES
        ]
    )


@router.get("/consent-errors", summary="What Amazon's error codes mean")
async def list_consent_errors(_caller: AnyCaller, language: LanguageDep) -> ConsentErrorList:
    """Amazon shows these on its own page and sends nobody back with them. `who_acts`: the seller, or our operators."""
    return ConsentErrorList(
        items=[
            ConsentErrorAnswer(
                code=error.code,
                who_acts=error.who_acts,
                title=error.texts[language][0],
                detail=error.texts[language][1],
            )
            for error in CONSENT_ERRORS
        ]
    )


@router.post("/authorizations", status_code=201, summary="Begin to connect a store")
async def begin_authorization(
    *,
    body: AuthorizationRequest,
    caller: AdminPerson,
    response: Response,
    sessions: SessionsDep,
    keyring: KeyringDep,
    amazon: AmazonDep,
    application: ApplicationDep,
    language: LanguageDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> AuthorizationAnswer:
    """Open `consent_url` in the same browser within ten minutes. For people only: an API key has no browser, and begins with `POST /authorization-links`."""
    # Amazon's consent would be worth nothing.
    await amazon.switch.refuse_if_paused()
    token = _known_or_new(browser_token)
    view = await service.begin(
        sessions,
        keyring,
        application,
        caller,
        country=body.country,
        integration_id=body.integration_id,
        link=body.link,
        browser_token=token,
        now=now,
    )
    if token != browser_token:
        _remember(response, token)
    return _answer(view, language)


@router.get("/authorizations", summary="List attempts that wait for Amazon")
async def list_authorizations(
    *,
    caller: AdminViewer,
    sessions: SessionsDep,
    keyring: KeyringDep,
    application: ApplicationDep,
    language: LanguageDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> AuthorizationList:
    """One's own, the newest first: each can be taken up again until it expires."""
    views = await service.list_unfinished(
        sessions, keyring, application, caller, browser_token=browser_token, now=now
    )
    return AuthorizationList(items=[_answer(view, language) for view in views])


@router.post("/authorization-links", status_code=201, summary="Make a link for who has to consent")
async def create_authorization_link(
    *,
    body: LinkRequest,
    caller: AdminEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    now: Now,
) -> LinkAnswer:
    """At Amazon, only the primary user may consent. They open it, sign in here, and authorize; it is good for seven days and one authorization.

    By an API key it is how a program begins: it sends somebody's browser to the link within fifteen minutes, and learns by reading it what came of it.
    """
    link, wish = await service.make_link(
        sessions, keyring, caller, country=body.country, integration_id=body.integration_id, now=now
    )
    return LinkAnswer(url=f"{settings.public_url}/connect/link/{link}", expires_at=wish.expires_at)


@router.get("/authorization-links/{link}", summary="Read what a link asks for")
async def read_authorization_link(
    *,
    link: Annotated[str, Path(max_length=MAX_LINK)],
    caller: AdminEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    language: LanguageDep,
    now: Now,
) -> LinkedAnswer:
    """Whoever may authorize stores goes on with `POST /authorizations`, naming the link. What it has led to (`authorized`) is told for 30 days, also when its time is over."""
    found = await service.read_link(sessions, keyring, caller, link, now)
    wish, names = found.wish, found.asked_for
    return LinkedAnswer(
        asked_by=names.asked_by,
        asked_by_program=wish.by_program,
        country=wish.country,
        country_name=country_name(wish.country, language) if wish.country is not None else None,
        integration_id=wish.integration_id,
        integration_name=names.integration,
        expires_at=wish.expires_at,
        begun=[BegunByAnswer(name=each.name, begun_at=each.begun_at) for each in found.begun],
        authorized=None if found.authorized is None else _authorized(found.authorized),
        authorized_since=[_authorized(store) for store in names.authorized_since],
    )


def _authorized(store: AuthorizedStore) -> AuthorizedAnswer:
    return AuthorizedAnswer(
        integration_id=store.integration_id, name=store.name, consented_at=store.consented_at
    )


@router.get("/authorizations/{authorization_id}", summary="Watch an attempt to connect a store")
async def read_authorization(
    *,
    authorization_id: UUID,
    caller: AdminViewer,
    sessions: SessionsDep,
    keyring: KeyringDep,
    application: ApplicationDep,
    language: LanguageDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> AuthorizationAnswer:
    """Its status, and in the end the integration or the problem. The event `authorization.changed` says when to ask again."""
    view = await service.get_attempt(
        sessions,
        keyring,
        application,
        caller,
        attempt_id=authorization_id,
        browser_token=browser_token,
        now=now,
    )
    return _answer(view, language)


@amazon_router.get("/amazon/callback")
@amazon_router.get("/amazon/login")
async def amazon_redirect(
    *,
    request: Request,
    sessions: SessionsDep,
    keyring: KeyringDep,
    amazon: AmazonDep,
    application: ApplicationDep,
    known_elsewhere: KnownElsewhereDep,
    language: LanguageDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> Response:
    """A consent's answer completes its attempt; what comes without a code is kept until a person has said yes to it."""
    client_address = request.client.host if request.client else ""
    parameters = _single_parameters(request)
    if "amazon_callback_uri" in parameters:
        token = _known_or_new(browser_token)
        given = LoginParameters(
            amazon_callback_uri=parameters["amazon_callback_uri"],
            amazon_state=parameters.get("amazon_state", ""),
            seller_id=parameters.get("selling_partner_id", ""),
            version=parameters.get("version", ""),
        )
        kept = await login_uri_service.keep_login_request(
            sessions, application, client_address=client_address, browser_token=token, given=given, now=now
        )
        if kept is None:
            page_headers = confirm_page.headers(language, application)
            return HTMLResponse(confirm_page.refused_page(language), 400, page_headers)
        answer = _redirect(_confirm_address(kept))
        if token != browser_token:
            _remember(answer, token)
        return answer
    outcome = await callback_service.complete(
        sessions,
        keyring,
        amazon,
        application,
        await _caller(request, sessions, now),
        known_elsewhere=known_elsewhere,
        client_address=client_address,
        browser_token=browser_token,
        callback=Callback(
            state=parameters.get("state", ""),
            code=SecretStr(parameters.get("spapi_oauth_code", "")),
            seller_id=parameters.get("selling_partner_id", ""),
        ),
        now=now,
    )
    match outcome:
        case Elsewhere():
            return _redirect(_elsewhere_address(outcome))
        case CallbackProblem():
            return _problem_page(outcome)
        case _:
            return _redirect(f"/connect/{outcome}")


@amazon_router.get("/amazon/confirm/{request_id}")
async def ask_to_connect(
    *,
    request_id: UUID,
    request: Request,
    sessions: SessionsDep,
    application: ApplicationDep,
    language: LanguageDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> Response:
    """People who are not signed in sign in first; what Amazon sent waits on the server, not in the address."""
    caller = await _caller(request, sessions, now)
    if caller is None:
        return _redirect(f"/sign-in?{urlencode({'next': _confirm_address(request_id)})}")
    question = await login_uri_service.confirmation_question(
        sessions, caller, request_id=request_id, browser_token=browser_token, now=now
    )
    if isinstance(question, CallbackProblem):
        return _problem_page(question)
    page = confirm_page.confirm_page(language, question, csrf_token(request.cookies[SESSION_COOKIE]))
    return HTMLResponse(page, headers=confirm_page.headers(language, application))


@amazon_router.post("/amazon/confirm/{request_id}")
async def confirm_connecting(
    *,
    request_id: UUID,
    request: Request,
    sessions: SessionsDep,
    keyring: KeyringDep,
    application: ApplicationDep,
    now: Now,
    browser_token: BrowserToken = None,
) -> Response:
    """The person's yes, from the form of the page above and from nowhere else: then to Amazon."""
    caller = await _caller(request, sessions, now)
    if caller is None:
        return _redirect(_confirm_address(request_id))
    form = await request.form(max_files=0, max_fields=4)
    try:
        check_csrf_token(request.cookies[SESSION_COOKIE], str(form.get("csrf_token", "")))
        target = await login_uri_service.confirm(
            sessions,
            keyring,
            application,
            caller,
            request_id=request_id,
            country=str(form.get("country", "")),
            browser_token=browser_token,
            now=now,
        )
    except (CsrfTokenWrong, UnknownCountry):
        # The page is out of date: it is shown anew, and asks again.
        return _redirect(_confirm_address(request_id))
    return _problem_page(target) if isinstance(target, CallbackProblem) else _redirect(target)


async def _caller(request: Request, sessions: SessionsDep, now: Now) -> Caller | None:
    """Who is signed in in this browser. Nobody is no error here: the page says what to do."""
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        return None
    try:
        return await accounts.caller_of_session(sessions, token, now)
    except NotSignedIn:
        return None


def _single_parameters(request: Request) -> dict[str, str]:
    """The query. A parameter that comes twice counts as missing: nobody can say which one is meant."""
    pairs = request.query_params.multi_items()
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1} if len(pairs) <= 20 else {}


def _confirm_address(request_id: UUID) -> str:
    return f"/amazon/confirm/{request_id}"


def _redirect(address: str) -> RedirectResponse:
    return RedirectResponse(address, 303, _NO_TRACE)


def _elsewhere_address(attempt: Elsewhere) -> str:
    """The page says how to go on here: by the link again, at the store that is meant, or at its country."""
    if attempt.by_link:
        way = {"by": "link"}
    elif attempt.reconnects is not None:
        way = {"integration": str(attempt.reconnects)}
    else:
        way = {"country": attempt.country}
    return f"/connect/problem/{CallbackProblem.OTHER_BROWSER}?{urlencode(way)}"


def _problem_page(problem: CallbackProblem) -> RedirectResponse:
    return _redirect(f"/connect/problem/{problem}")


def _answer(view: AttemptView, language: Language) -> AuthorizationAnswer:
    return AuthorizationAnswer(
        id=view.id,
        reconnects=view.reconnects,
        country=view.country,
        region=view.region,
        covers=country_answers(countries_of(view.region), language),
        status=view.status,
        consent_url=view.consent_url,
        expires_at=view.expires_at,
        integration_id=view.integration_id,
        problem=_problem_answer(view, language),
        hint=_hint_answer(view, language),
    )


def _hint_answer(view: AttemptView, language: Language) -> HintAnswer | None:
    if view.hint is None:
        return None
    title, detail = HINT_TEXTS[view.hint][language]
    return HintAnswer(code=view.hint, title=title, detail=detail)


def _problem_answer(view: AttemptView, language: Language) -> AttemptProblemAnswer | None:
    if view.problem is None:
        return None
    title, detail = PROBLEM_TEXTS[view.problem][language]
    if view.right_region is not None:
        region = REGION_NAMES[view.right_region][language]
        store = store_name(view.right_store, language)
        title, detail = title.format(store=store, region=region), detail.format(store=store, region=region)
    countries = countries_of(view.right_region) if view.right_region is not None else ()
    return AttemptProblemAnswer(
        code=view.problem,
        title=title,
        detail=detail,
        region=view.right_region,
        countries=country_answers(countries, language),
    )
