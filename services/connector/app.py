"""The composition root: the only place where the rooms are put together."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, partial
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from typing_extensions import override

from services.connector.account_closing import api as account_closing
from services.connector.accounts import api as accounts
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.sign_in_limits import COUNTED_AT_ONCE, MOST_WAITING
from services.connector.accounts.turns import FairTurns
from services.connector.amazon.access import create_amazon
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_pauses import api as amazon_pauses
from services.connector.amazon_pauses.service import PauseSwitch
from services.connector.audit import api as audit
from services.connector.authorization import api as authorization
from services.connector.dependencies import IDEMPOTENCY_HEADER, AppState, permissions_asked
from services.connector.events import api as events
from services.connector.events.bounds import StreamBounds
from services.connector.events.hub import Hub
from services.connector.feedback import api as feedback
from services.connector.feedback.service import PageAnswers
from services.connector.forwarding import api as forwarding
from services.connector.http.client_networks import WIDE
from services.connector.http.compression import Compressed
from services.connector.http.concurrency import ConcurrencyLimit
from services.connector.http.conditional_get import ConditionalGet
from services.connector.http.middleware import BODY_SECONDS, BoundedBody, RequestObserver, SafeHeaders, Scope
from services.connector.http.paths import API_PREFIX
from services.connector.http.rate_limits import RateLimitHeaders, RateLimits
from services.connector.http.route_table import RouteTable
from services.connector.http.routers import PROBLEM_RESPONSES
from services.connector.idempotency.middleware import Idempotent
from services.connector.inbox import api as inbox
from services.connector.inbox.limits import MAX_DOWNLOADS, MAX_SEARCHES, DownloadsBusy, SearchesBusy
from services.connector.integrations import api as integrations
from services.connector.integrations.service import recompute_lock
from services.connector.notes import api as notes
from services.connector.openapi import DESCRIPTION, TAGS, complete, servers
from services.connector.orders import api as orders
from services.connector.organizing import api as organizing
from services.connector.privacy import api as privacy
from services.connector.problems.catalogue import PROBLEMS_PATH
from services.connector.problems.handlers import ErrorPages, ProblemHandlers
from services.connector.problems.page import problem_page
from services.connector.reads import api as reads
from services.connector.reads.service import ReadLog
from services.connector.replies import api as replies
from services.connector.replies.limits import MAX_UPLOADS, UPLOADS, UploadsBusy
from services.connector.reply_templates import api as reply_templates
from services.connector.second_factors import api as second_factors
from services.connector.settings import ConnectorSettings
from services.connector.sign_in import api as sign_in
from services.connector.single_sign_on import api as single_sign_on
from services.connector.single_sign_on.provider_client import ProviderClient
from services.connector.single_sign_on.service import SingleSignOn
from services.connector.smtp import api as smtp
from services.connector.smtp.checker import SmtpChecker
from services.connector.throttling.buckets import DatabaseBuckets
from services.connector.tokens.service import Vault
from services.connector.users import api as users
from services.connector.web import api as web
from services.connector.webhooks import api as webhooks
from shared.blobs import open_blobs
from shared.connection_metrics import show_database
from shared.crypto.key_source import KeySource
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from shared.metrics import process_registry
from shared.outgoing.addresses import networks
from shared.outgoing.connections import OutgoingConnections
from shared.permissions import Permission

# The routes of the API that need no caller.
PUBLIC = frozenset(
    {
        ("POST", f"{API_PREFIX}/sessions"),
        ("POST", f"{API_PREFIX}/sessions/second-step"),
        ("POST", f"{API_PREFIX}/sessions/passkey/options"),
        ("POST", f"{API_PREFIX}/sessions/passkey"),
        ("POST", f"{API_PREFIX}/single-sign-on/attempts"),
        ("POST", f"{API_PREFIX}/password-resets"),
        ("POST", f"{API_PREFIX}/password-resets/use"),
        ("POST", f"{API_PREFIX}/invitations/look"),
        ("POST", f"{API_PREFIX}/invitations/accept"),
        ("POST", f"{API_PREFIX}/page-feedback"),
        ("GET", f"{API_PREFIX}/openapi.json"),
        ("HEAD", f"{API_PREFIX}/openapi.json"),
        ("GET", PROBLEMS_PATH),
    }
)


def create_app(
    settings: ConnectorSettings,
    passwords: Passwords | None = None,
    *,
    engine: AsyncEngine | None = None,
    stream_bounds: StreamBounds | None = None,
    body_seconds: float = BODY_SECONDS,
) -> FastAPI:
    """The connector as an ASGI application; it closes `passwords`, and leaves an `engine` of the caller's open. Raises KeyFileUnusable."""
    provider = KeySource.open(settings)
    keyring = Keyring(provider)
    own_engine = None
    if engine is None:
        engine = own_engine = create_engine(
            settings.database_url.get_secret_value(), application_name="connector"
        )
    registry = process_registry()
    passwords = passwords or Passwords()
    blobs = open_blobs(settings)
    hub = Hub(settings.database_url.get_secret_value(), registry, stream_bounds or settings.stream_bounds)
    outgoing = OutgoingConnections(
        allowed=networks(settings.outgoing_allowed_networks),
        refused=networks(settings.outgoing_refused_networks),
        webhook_ports=settings.webhook_ports,
    )
    sessions = create_sessions(engine)
    show_database(registry, engine, sessions.clock)
    pause_switch = PauseSwitch(sessions, settings.amazon_client_id, registry)
    amazon = create_amazon(
        settings.amazon_client_id,
        ClientSecrets(
            sessions,
            provider,
            settings.amazon_client_id,
            settings.amazon_client_secret,
            settings.amazon_client_secret_previous,
            registry=registry,
        ),
        amazon_base_url=settings.amazon_base_url,
        buckets=DatabaseBuckets(sessions),
        switch=pause_switch,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        hub.start()
        yield
        await hub.stop()
        passwords.close()
        blobs.close()
        await vault.close()
        await amazon.close()
        await provider.close()
        if own_engine is not None:
            await own_engine.dispose()

    vault = Vault(sessions, keyring, amazon, recompute_lock, registry)
    state = AppState(
        settings,
        registry,
        sessions,
        keyring,
        passwords,
        FairTurns(at_once=COUNTED_AT_ONCE, most_waiting=MOST_WAITING),
        amazon,
        pause_switch,
        vault,
        hub,
        ReadLog(sessions, registry),
        PageAnswers(sessions, registry),
        ConcurrencyLimit(MAX_DOWNLOADS, DownloadsBusy),
        ConcurrencyLimit(MAX_SEARCHES, SearchesBusy),
        ConcurrencyLimit(MAX_UPLOADS, UploadsBusy),
        blobs,
        outgoing,
        SmtpChecker(outgoing, settings.mail_domain),
        SingleSignOn(
            sessions,
            keyring,
            ProviderClient(outgoing, stand_in_url=settings.amazon_base_url),
            public_url=settings.public_url,
        ),
        RateLimits("caller", settings.requests_per_minute),
        RateLimits("address", settings.anonymous_requests_per_minute),
        RateLimits("network", settings.anonymous_requests_per_minute * WIDE),
        Counter(
            "replyco_sellers_known_elsewhere",
            "Stores that were connected although another account has them",
            registry=registry,
        ),
    )
    return _assemble(state, registry, lifespan, body_seconds)


def openapi_document() -> dict[str, Any]:
    """The description of the API, for which nothing needs to be set, opened or contacted."""
    return _assemble(None, CollectorRegistry(), None).openapi()


def _assemble(
    state: AppState | None,
    registry: CollectorRegistry,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None,
    body_seconds: float = BODY_SECONDS,
) -> FastAPI:
    app = _Application(
        title="Replyco's Amazon connection",
        version="1",
        description=DESCRIPTION,
        openapi_url=f"{API_PREFIX}/openapi.json",
        openapi_tags=TAGS,
        servers=servers(state.settings.public_url if state else None),
        responses=PROBLEM_RESPONSES,
        docs_url=None,
        redoc_url=None,
        # A redirect would be built from the Host header, which anybody can choose.
        redirect_slashes=False,
        # What we tell is in our own log lines and metrics. A span would hold the query of an address, and every request would ask several times whether there is one.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
        lifespan=lifespan,
    )
    app.state.connector = state
    app.state.support_contact = support_contact = state.settings.support_contact if state else None
    app.state.development = state is not None and state.settings.development
    app.router.routes.extend(_routes())
    problem_handlers = ProblemHandlers(
        ErrorPages(
            problem=partial(web.error_page, support_contact=support_contact),
            not_found=web.page_not_found,
        )
    )
    problem_handlers.register(app)
    app.add_middleware(Idempotent)
    app.add_middleware(ConditionalGet)
    app.add_middleware(Compressed)
    app.add_middleware(BoundedBody, seconds=body_seconds, large=UPLOADS)
    app.add_middleware(RateLimitHeaders)
    app.add_middleware(
        RequestObserver, registry=registry, route_of=_route_of, answer_bug=problem_handlers.answer_bug
    )
    if state is not None and state.settings.origins:
        # With an API key alone: browsers send our cookies to nobody else's scripts.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=state.settings.origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "If-Match",
                "If-None-Match",
                IDEMPOTENCY_HEADER,
                "Last-Event-ID",
            ],
            expose_headers=["Content-Disposition", "ETag", "Location", "Retry-After", "X-Request-Id"],
        )
    app.add_middleware(SafeHeaders)
    return app


_ROUTERS: Final = (
    sign_in.router,
    second_factors.router,
    single_sign_on.router,
    users.router,
    accounts.router,
    account_closing.router,
    authorization.router,
    integrations.router,
    smtp.router,
    feedback.router,
    forwarding.router,
    notes.router,
    reply_templates.router,
    # Before what is at an id: a store list is none.
    organizing.router,
    inbox.router,
    orders.router,
    replies.router,
    events.router,
    webhooks.router,
    audit.router,
    reads.router,
    amazon_pauses.router,
    privacy.router,
    single_sign_on.callback_router,
    authorization.amazon_router,
)


@cache
def _routes() -> list[BaseRoute]:
    """All routes. They know no application, so they are looked through once a process, which takes a while."""
    ours = APIRouter(include_in_schema=False)
    ours.add_api_route(PROBLEMS_PATH, _problems)
    ours.add_api_route("/livez", _livez)
    ours.add_api_route("/readyz", _readyz)
    # The pages, and their answer to every other path: so they come last.
    routes = [route for router in (*_ROUTERS, ours, web.router) for route in router.routes]
    refuse_open_routes(routes)
    return [RouteTable([route for route in routes if isinstance(route, APIRoute)]), *routes]


async def _problems() -> Response:
    return Response(problem_page(), media_type="text/markdown")


async def _livez() -> Response:
    return Response("alive\n", media_type="text/plain")


async def _readyz(request: Request) -> Response:
    state: AppState = request.app.state.connector
    if problem := await state.problem():
        return Response(f"{problem}\n", 503, media_type="text/plain")
    return Response("ready\n", media_type="text/plain")


class _Application(FastAPI):
    @override
    def openapi(self) -> dict[str, Any]:
        return complete(super().openapi())


def refuse_open_routes(routes: Sequence[BaseRoute]) -> None:
    """Do not start with a route that lets in too many: one of the API that asks for no caller and is not listed as public, or one
    that can open mail or orders and does not ask for the permission to read them.
    """
    too_open = []
    for route in iter_route_contexts(routes):
        asked = permissions_asked(route.dependant) if isinstance(route.original_route, APIRoute) else None
        for method in sorted(route.methods or ()):
            is_public = (method, route.path) in PUBLIC or not (route.path or "").startswith("/api/")
            if asked is None and not is_public:
                too_open.append(f"{method} {route.path} lets everybody in")
            elif (needed := _needed_to_open(route)) is not None and needed not in (asked or ()):
                too_open.append(f"{method} {route.path} opens what needs {needed} without asking for it")
    if too_open:
        raise RuntimeError(f"These routes let in too many: {', '.join(too_open)}")


def _needed_to_open(route: RouteContext) -> Permission | None:
    """The permission to read what the route's room opens, if it opens what buyers and agents write, or what was ordered."""
    if not isinstance(route.original_route, APIRoute):
        return None
    room = route.original_route.endpoint.__module__
    if room == orders.__name__:
        return Permission.INBOX_ORDERS
    return Permission.INBOX_MESSAGES if opens_mail(route) else None


def opens_mail(route: RouteContext) -> bool:
    """Whether a route is of a room that opens what buyers and agents write, or what they have ordered (pyproject.toml, tests/unit/connector/test_who_opens_mail.py)."""
    return isinstance(route.original_route, APIRoute) and route.original_route.endpoint.__module__ in {
        inbox.__name__,
        organizing.__name__,
        notes.__name__,
        orders.__name__,
        replies.__name__,
        reply_templates.__name__,
    }


def _route_of(scope: Scope) -> str:
    """The template of the route that answers, for log lines and metrics: a closed set, without ids."""
    return getattr(scope.get("route"), "path", "none")
