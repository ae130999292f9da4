"""The composition root: the only place where the rooms are put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from starlette.exceptions import HTTPException

from services.connector.accounts import api as accounts
from services.connector.accounts.passwords import Passwords
from services.connector.amazon.access import create_amazon
from services.connector.authorization import api as authorization
from services.connector.dependencies import Parts
from services.connector.events import api as events
from services.connector.events.hub import Hub
from services.connector.inbox import api as inbox
from services.connector.integrations import api as integrations
from services.connector.language import preferred_language
from services.connector.middleware import BodyTooLarge, BoundedBody, SafeHeaders
from services.connector.problems import problem_body
from services.connector.settings import ConnectorSettings
from shared.crypto.key_provider import KeyFile
from shared.database import UNAVAILABLE, create_engine, create_sessions
from shared.errors import Expected
from shared.keyring import Keyring
from shared.metrics import CONTENT_TYPE, render

log = structlog.get_logger()

API = "/api/v1"


def create_app(settings: ConnectorSettings) -> FastAPI:
    """The connector as an ASGI application. Raises KeyFileUnusable."""
    keyring = Keyring(KeyFile.load(settings.key_file))
    engine = create_engine(settings.database_url.get_secret_value(), application_name="connector")
    registry = CollectorRegistry()
    passwords = Passwords()
    hub = Hub(settings.database_url.get_secret_value(), registry)
    amazon = create_amazon(
        settings.amazon_client_id,
        settings.amazon_client_secret,
        amazon_base_url=settings.amazon_base_url,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        hub.start()
        yield
        await hub.stop()
        passwords.close()
        await amazon.close()
        await engine.dispose()

    app = FastAPI(
        title="Replyco's Amazon connection",
        version="1",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.parts = Parts(settings, create_sessions(engine), keyring, passwords, amazon, hub)
    app.include_router(accounts.router, prefix=API)
    app.include_router(authorization.router, prefix=API)
    app.include_router(authorization.amazon_router)
    app.include_router(integrations.router, prefix=API)
    app.include_router(inbox.router, prefix=API)
    app.include_router(events.router, prefix=API)

    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        return Response("alive\n", media_type="text/plain")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        try:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except UNAVAILABLE:
            return Response("database away\n", 503, media_type="text/plain")
        return Response("ready\n", media_type="text/plain")

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(render(registry), media_type=CONTENT_TYPE)

    _answer_problems(app)
    app.add_middleware(BoundedBody)
    app.add_middleware(SafeHeaders)
    return app


def _answer_problems(app: FastAPI) -> None:
    """Every failure leaves as application/problem+json, in the caller's language."""

    async def expected(request: Request, error: Exception) -> Response:
        assert isinstance(error, Expected)
        return _problem(request, error.code, error.fields)

    async def wrong_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if any(problem["type"] == "json_invalid" for problem in error.errors()):
            return _problem(request, "malformed_json")
        # Never `input`: that would repeat a password.
        errors = [
            {
                "field": ".".join(str(step) for step in problem["loc"][1:]),
                "code": problem["type"],
                "detail": problem["msg"],
            }
            for problem in error.errors()
        ]
        return _problem(request, "invalid_request", errors=errors)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        codes = {404: "not_found", 405: "method_not_allowed", 400: "malformed_json"}
        return _problem(request, codes.get(error.status_code, "internal_error"))

    async def too_large(request: Request, error: Exception) -> Response:
        return _problem(request, "body_too_large")

    async def database_away(request: Request, error: Exception) -> Response:
        log.warning("database_unavailable", error=type(error).__name__)
        response = _problem(request, "database_unavailable")
        response.headers["Retry-After"] = "2"
        return response

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("unexpected_error", path=request.scope.get("route_path", ""), exc_info=error)
        return _problem(request, "internal_error")

    app.add_exception_handler(Expected, expected)
    app.add_exception_handler(RequestValidationError, wrong_request)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(BodyTooLarge, too_large)
    for error_class in UNAVAILABLE:
        app.add_exception_handler(error_class, database_away)
    app.add_exception_handler(Exception, unexpected)


def _problem(
    request: Request, code: str, fields: dict[str, str | int] | None = None, **more: Any
) -> Response:
    body = problem_body(code, preferred_language(request.headers.get("accept-language")), fields) | more
    status = body["status"]
    assert isinstance(status, int)
    return JSONResponse(body, status, media_type="application/problem+json")
