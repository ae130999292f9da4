"""Puts the sandbox together: one application, its state, and the routes of all rooms."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from services.sandbox.amazon_hosts import API_HOSTS, LWA_HOST, SELLER_CENTRAL_HOSTS
from services.sandbox.control import (
    application,
    counters,
    mails,
    notices,
    orders,
    people,
    replies,
    reports,
    scenarios,
    sellers,
)
from services.sandbox.control import inbox as control_inbox
from services.sandbox.dependencies import preferred_language
from services.sandbox.html_page import STYLE_SHEET, STYLE_SHEET_PATH, not_found
from services.sandbox.login import appstore, consent, lwa, openid, sign_in
from services.sandbox.mail.dkim_signing import publish_amazon
from services.sandbox.mail.inbox import Inbox
from services.sandbox.mail.mail_room import MailRoom
from services.sandbox.mail.name_server import Listeners, Zone, serving
from services.sandbox.mail.sender import MailSender
from services.sandbox.mail.smtp_server import InboundServer
from services.sandbox.pages import buyer, buyer_thread, buying, overview
from services.sandbox.pages import inbox as inbox_page
from services.sandbox.pages import scenarios as scenarios_page
from services.sandbox.seller_central import (
    apps,
    home,
    messages,
    messaging_permissions,
    notification_preferences,
    report_columns,
    seller_profile,
)
from services.sandbox.seller_central import orders as seller_orders
from services.sandbox.settings import SandboxSettings
from services.sandbox.sp_api import (
    applications_api,
    notice_queue_api,
    notifications_api,
    orders_api,
    report_documents,
    reports_api,
    sellers_api,
    tokens_api,
    unknown_operation,
)
from services.sandbox.sp_api.operation import SpApiRefused
from services.sandbox.state.memory import Clock, Sandbox, system_clock
from services.sandbox.state.scenarios import OUTAGE_PAGE
from services.sandbox.state.state_file import SaveBeforeAnswer, StateFile

# Ten megabytes of attachments as base64 in JSON, and a little for the rest.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
_ROUTERS: Final = (
    *(module.router for module in (sellers, mails, replies, control_inbox, scenarios, application, counters)),
    *(module.router for module in (orders, reports, notices, people)),
    *(module.router for module in (overview, buyer, buying, buyer_thread, inbox_page, scenarios_page)),
    *(module.router for module in (lwa, sign_in, consent, appstore, openid)),
    *(module.router for module in (home, seller_profile, notification_preferences, messaging_permissions)),
    *(module.router for module in (messages, seller_orders, report_columns, apps)),
    *(module.router for module in (sellers_api, applications_api, notifications_api, tokens_api)),
    *(module.router for module in (orders_api, reports_api, report_documents, notice_queue_api)),
    # This one answers whatever is left of the SP-API, so it comes last.
    unknown_operation.router,
)
_AMAZON_HOSTS: Final = frozenset({LWA_HOST, *API_HOSTS, *SELLER_CENTRAL_HOSTS})


def create_app(
    settings: SandboxSettings,
    clock: Clock = system_clock,
    *,
    smtp_listener: socket.socket | None = None,
    dns_listeners: Listeners | None = None,
) -> FastAPI:
    """The sandbox as an ASGI application; each has a state of its own. Raises StateFileUnusable, CertificateFileUnusable.

    While it runs it takes mail at `smtp_listener`, and answers questions of DNS at `dns_listeners`, if there are any.
    """
    sandbox = Sandbox(settings, clock)
    sender = MailSender(sandbox)
    inbox = Inbox(sandbox.now)
    mail_room = MailRoom(sandbox, sender)
    inbound_server = InboundServer(sandbox, inbox, mail_room)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            running.push_async_callback(sender.close)
            await running.enter_async_context(mail_room.working())
            if smtp_listener is not None:
                await running.enter_async_context(inbound_server.listening(smtp_listener))
            if dns_listeners is not None:
                zone = Zone()
                publish_amazon(zone, sandbox.signing_key, ("127.0.0.1", "::1"))
                await running.enter_async_context(serving(zone, dns_listeners))
            yield

    app = FastAPI(title="Sandbox", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.sandbox = sandbox
    app.state.sender = sender
    app.state.inbox = inbox
    app.state.mail_room = mail_room
    app.state.inbound_server = inbound_server
    if settings.state_file is not None:
        state_file = StateFile(settings.state_file, sandbox)
        state_file.open()
        app.add_middleware(SaveBeforeAnswer, state_file=state_file)
    if settings.smtp_ca_file is not None:
        sandbox.smtp_authority.write_certificate(settings.smtp_ca_file)
    app.add_middleware(_Outage, sandbox=sandbox)
    app.add_middleware(_BodyLimit)
    app.add_api_route("/livez", _livez)
    app.add_api_route(STYLE_SHEET_PATH, _style_sheet)
    # As they are: to include a router, FastAPI would make each of its routes a second time.
    for router in _ROUTERS:
        app.router.routes.extend(router.routes)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(SpApiRefused, _sp_api_refused)
    return app


class _BodyLimit:
    """Refuses a body that is too large, or that does not say how large it is, before it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"0")
            if b"transfer-encoding" in headers:
                await PlainTextResponse("Length Required", 411)(scope, receive, send)
                return
            if not length.isdigit() or int(length) > MAX_BODY_BYTES:
                await PlainTextResponse("Content Too Large", 413)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Outage:
    """Answers 503 for every host of Amazon while the scenario `outage` is on."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = scope["path"].split("/")[1]
            if host in _AMAZON_HOSTS and self._sandbox.scenarios.happens("outage"):
                await HTMLResponse(OUTAGE_PAGE, 503)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _livez() -> Response:
    return PlainTextResponse("ok\n")


async def _style_sheet() -> Response:
    return Response(STYLE_SHEET, media_type="text/css", headers={"Cache-Control": "max-age=300"})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.url.path.startswith("/control/"):
        return JSONResponse({"error": error.detail}, error.status_code)
    if error.status_code == 404:
        return not_found(preferred_language(request))
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)


async def _sp_api_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SpApiRefused)
    return error.response


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [{"field": ".".join(map(str, p["loc"])), "problem": p["msg"]} for p in error.errors()[:20]]
    return JSONResponse({"error": "invalid", "problems": problems}, 422)
