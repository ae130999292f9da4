"""Routes: marketplaces, attempts to authorize, and the two addresses that Amazon sends browsers to."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Cookie, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import SecretStr

from services.connector.accounts import service as accounts
from services.connector.accounts.callers import Caller, NotSignedIn
from services.connector.authorization import login_uri, service
from services.connector.authorization.attempts import (
    AttemptView,
    Callback,
    CallbackProblem,
    Confirmation,
    LoginRequest,
    is_token,
    new_browser_token,
)
from services.connector.authorization.consent import Application
from services.connector.authorization.problem_texts import CONFIRM_TEXTS, PROBLEM_TEXTS
from services.connector.authorization.schemas import (
    AttemptProblemAnswer,
    AuthorizationAnswer,
    AuthorizationRequest,
    MarketplaceAnswer,
    MarketplaceList,
)
from services.connector.countries import country_answers, country_name
from services.connector.dependencies import (
    SESSION_COOKIE,
    AdminEditor,
    AdminViewer,
    AmazonOf,
    AnyCaller,
    KeyringOf,
    LanguageOf,
    Now,
    SessionsOf,
    SettingsOf,
)
from services.connector.language import Language
from services.connector.web import plain_page
from shared.marketplaces import MARKETPLACES, countries_of

router = APIRouter(tags=["authorization"])
# Outside of the API: browsers come here, sent by Amazon.
amazon_router = APIRouter(include_in_schema=False)

BROWSER_COOKIE: Final = "__Host-replyco_browser"
_NO_TRACE: Final = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}

BrowserToken = Annotated[str | None, Cookie(alias=BROWSER_COOKIE, include_in_schema=False)]


def _application(settings: SettingsOf) -> Application:
    return Application(
        settings.amazon_application_id,
        settings.redirect_uri,
        settings.amazon_application_is_draft,
        settings.amazon_base_url,
    )


ApplicationOf = Annotated[Application, Depends(_application)]


@router.get("/marketplaces", summary="List marketplaces")
async def list_marketplaces(_caller: AnyCaller, language: LanguageOf) -> MarketplaceList:
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


@router.post("/authorizations", status_code=201, summary="Begin to connect a store")
async def begin(
    *,
    body: AuthorizationRequest,
    caller: AdminEditor,
    response: Response,
    sessions: SessionsOf,
    keyring: KeyringOf,
    application: ApplicationOf,
    language: LanguageOf,
    now: Now,
    browser_token: BrowserToken = None,
) -> AuthorizationAnswer:
    """Open `consent_url` in the same browser within ten minutes. For people only: an API key has no browser."""
    token = browser_token if browser_token is not None and is_token(browser_token) else new_browser_token()
    view = await service.begin(
        sessions, keyring, application, caller, country=body.country, browser_token=token, now=now
    )
    if token != browser_token:
        response.set_cookie(BROWSER_COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")
    return _answer(view, language)


@router.get("/authorizations/{authorization_id}", summary="Watch an attempt to connect a store")
async def get_authorization(
    *,
    authorization_id: UUID,
    caller: AdminViewer,
    sessions: SessionsOf,
    keyring: KeyringOf,
    application: ApplicationOf,
    language: LanguageOf,
    now: Now,
    browser_token: BrowserToken = None,
) -> AuthorizationAnswer:
    """Its status, and in the end the integration or the problem. `authorization.changed` tells when to look again."""
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
    sessions: SessionsOf,
    keyring: KeyringOf,
    amazon: AmazonOf,
    application: ApplicationOf,
    language: LanguageOf,
    now: Now,
    browser_token: BrowserToken = None,
) -> Response:
    """Both addresses take both shapes: Amazon is known to send a consent's return to either of them."""
    caller = await _caller(request, sessions, now)
    parameters = _single_parameters(request)
    if "amazon_callback_uri" in parameters:
        confirmation = await login_uri.ask_to_go_on(
            sessions,
            keyring,
            application,
            caller,
            browser_token=browser_token,
            request=LoginRequest(
                amazon_callback_uri=parameters["amazon_callback_uri"],
                amazon_state=parameters.get("amazon_state", ""),
                seller_id=parameters.get("selling_partner_id", ""),
            ),
            now=now,
        )
        if isinstance(confirmation, CallbackProblem):
            return _problem_page(confirmation)
        return _confirmation_page(confirmation, language)
    outcome = await service.complete(
        sessions,
        keyring,
        amazon,
        application,
        caller,
        browser_token=browser_token,
        callback=Callback(
            state=parameters.get("state", ""),
            code=SecretStr(parameters.get("spapi_oauth_code", "")),
            seller_id=parameters.get("selling_partner_id", ""),
        ),
        now=now,
    )
    if isinstance(outcome, CallbackProblem):
        return _problem_page(outcome)
    return RedirectResponse(f"/connect/{outcome}", 303, _NO_TRACE)


async def _caller(request: Request, sessions: SessionsOf, now: Now) -> Caller | None:
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


def _problem_page(problem: CallbackProblem) -> RedirectResponse:
    return RedirectResponse(f"/connect/problem/{problem}", 303, _NO_TRACE)


def _confirmation_page(confirmation: Confirmation, language: Language) -> Response:
    title, question, warning, button = CONFIRM_TEXTS[language]
    question = question.format(
        seller_id=confirmation.seller_id,
        account=confirmation.account_name,
        country=country_name(confirmation.country, language),
    )
    page = plain_page.plain_page(language, title, question, warning, button=button, url=confirmation.url)
    return HTMLResponse(page, headers=plain_page.HEADERS | {"Content-Language": language.value})


def _answer(view: AttemptView, language: Language) -> AuthorizationAnswer:
    return AuthorizationAnswer(
        id=view.id,
        country=view.country,
        region=view.region,
        covers=country_answers(countries_of(view.region), language),
        status=view.status,
        consent_url=view.consent_url,
        expires_at=view.expires_at,
        integration_id=view.integration_id,
        problem=_problem_answer(view, language),
    )


def _problem_answer(view: AttemptView, language: Language) -> AttemptProblemAnswer | None:
    if view.problem is None:
        return None
    title, detail = PROBLEM_TEXTS[view.problem][language]
    countries = countries_of(view.right_region) if view.right_region is not None else ()
    return AttemptProblemAnswer(
        code=view.problem,
        title=title,
        detail=detail,
        region=view.right_region,
        countries=country_answers(countries, language),
    )
