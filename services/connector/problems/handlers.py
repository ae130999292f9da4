"""Every failure leaves as application/problem+json (RFC 9457), in the caller's language, with nothing of what was sent.

A person whose browser asked for a page gets the same words as a page.
"""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from services.connector.http.language import Language, preferred_language
from services.connector.http.middleware import AsgiApp, Scope
from services.connector.idempotency.replay import Replay
from services.connector.problems.catalogue import problem_body
from services.connector.problems.validation import field_problems
from services.connector.web import plain_page
from services.connector.web.api import page_not_found
from shared.database import UNAVAILABLE, is_unavailable
from shared.errors import Expected

log = structlog.get_logger()

PROBLEM_TYPE: Final = "application/problem+json"
_TRY_AGAIN: Final = {Language.EN: "Try again", Language.DE: "Noch einmal versuchen"}
_DATABASE_RETRY_SECONDS: Final = 2
_HTTP_CODES: Final = {
    400: "malformed_json",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_too_slow",
    413: "body_too_large",
}


def answer_problems(app: FastAPI) -> None:
    """Register the one handler of each kind of failure."""
    app.add_exception_handler(Expected, _expected)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Replay, _replay)
    for error_class in (*UNAVAILABLE, DBAPIError):
        app.add_exception_handler(error_class, _database)


def answer_bug(scope: Scope) -> AsgiApp:
    """The answer to what nobody expected."""
    return problem(Request(scope), "internal_error")


def problem(
    request: Request,
    code: str,
    fields: dict[str, str | int] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A response with what `problems.py` says about this code."""
    language = preferred_language(request.headers.get("accept-language"))
    body = problem_body(code, language, fields) | more
    status = body["status"]
    assert isinstance(status, int)
    all_headers = {"Content-Language": language.value} | dict(headers or {})
    if status == 401:
        # RFC 9110 §11.6.1. Browsers show no window of their own for Bearer.
        all_headers["WWW-Authenticate"] = "Bearer"
    retry_after = (fields or {}).get("retry_after_seconds")
    if retry_after is not None:
        all_headers["Retry-After"] = str(retry_after)
    if _asks_for_page(request):
        # At the same address, so that a callback of Amazon's that was not taken yet is taken by a reload.
        page = plain_page.plain_page(
            language, str(body["title"]), str(body["detail"]), button=_TRY_AGAIN[language], url=""
        )
        return HTMLResponse(page, status, plain_page.HEADERS | all_headers)
    return JSONResponse(body, status, all_headers, PROBLEM_TYPE)


def _asks_for_page(request: Request) -> bool:
    is_page = request.method in {"GET", "POST"} and not request.url.path.startswith("/api/")
    return is_page and "text/html" in request.headers.get("accept", "")


async def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, Expected)
    answer = problem(request, error.code, error.fields)
    if answer.status_code >= 500:
        log.error("expected_failure", code=error.code, **error.fields)
    return answer


async def _replay(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Replay)
    answer = Response(error.body, error.status)
    answer.raw_headers += [*error.headers, (b"idempotent-replayed", b"true")]
    return answer


async def _wrong_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    mistakes = error.errors()
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return problem(request, "malformed_json")
    language = preferred_language(request.headers.get("accept-language"))
    return problem(request, "invalid_request", errors=field_problems(mistakes, language))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and _asks_for_page(request):
        return page_not_found(request)
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return problem(request, _HTTP_CODES.get(error.status_code, "internal_error"), headers=headers)


def _allowed(request: Request) -> str:
    """Every method of this address (RFC 9110 §10.2.1); the router itself names only those of the first route that fits."""
    fitting = [
        route
        for route in iter_route_contexts(request.app.routes)
        if route.matches(request.scope)[0] is not Match.NONE
    ]
    return ", ".join(sorted({method for route in fitting for method in route.methods or ()}))


async def _database(request: Request, error: Exception) -> Response:
    if not is_unavailable(error):
        raise error
    log.warning("database_unavailable", error=type(error).__name__)
    headers = {"Retry-After": str(_DATABASE_RETRY_SECONDS)}
    return problem(request, "database_unavailable", headers=headers)
