"""Every failure leaves as application/problem+json (RFC 9457), in the caller's language, with nothing of what was sent.

A person whose browser asked for a page gets the same words as a page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from services.connector.http.language import Language, preferred_language
from services.connector.http.middleware import AsgiApp, Scope
from services.connector.problems.catalogue import problem_body
from services.connector.problems.validation import field_problems
from shared.availability import DATABASE
from shared.database import UNAVAILABLE, is_unavailable
from shared.errors import Expected

log = structlog.get_logger()

PROBLEM_TYPE: Final = "application/problem+json"
_DATABASE_RETRY_SECONDS: Final = 2
_HTTP_CODES: Final = {
    400: "malformed_json",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_too_slow",
    413: "body_too_large",
}


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """How a problem looks to a person whose browser asked for a page; the composition root gives them.

    `problem` takes language, title, detail, status and headers.
    """

    problem: Callable[[Language, str, str, int, Mapping[str, str]], Response]
    not_found: Callable[[Request], Response]


class ProblemHandlers:
    """The one handler of each kind of failure."""

    def __init__(self, pages: ErrorPages) -> None:
        self._pages = pages

    def register(self, app: FastAPI) -> None:
        """Make this application answer its failures here."""
        app.add_exception_handler(Expected, self._expected)
        app.add_exception_handler(RequestValidationError, self._wrong_request)
        app.add_exception_handler(HTTPException, self._http)
        for error_class in (*UNAVAILABLE, DBAPIError):
            app.add_exception_handler(error_class, self._database)

    def answer_bug(self, scope: Scope) -> AsgiApp:
        """The answer to what nobody expected."""
        return self._answer(Request(scope), "internal_error")

    def _answer(
        self,
        request: Request,
        code: str,
        fields: dict[str, str | int] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Response:
        """A response with what the catalogue says about this code."""
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
            return self._pages.problem(language, str(body["title"]), str(body["detail"]), status, all_headers)
        return JSONResponse(body, status, all_headers, PROBLEM_TYPE)

    async def _expected(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Expected)
        answer = self._answer(request, error.code, error.fields, headers=error.headers, **error.shown)
        if answer.status_code == 503:
            # Something is away or busy, and whoever asks comes again.
            log.warning("expected_failure", code=error.code, **error.fields)
        elif answer.status_code >= 500:
            log.error("expected_failure", code=error.code, **error.fields)
        return answer

    async def _wrong_request(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        mistakes = error.errors()
        if any(mistake["type"] == "json_invalid" for mistake in mistakes):
            return self._answer(request, "malformed_json")
        language = preferred_language(request.headers.get("accept-language"))
        return self._answer(request, "invalid_request", errors=field_problems(mistakes, language))

    async def _http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404 and _asks_for_page(request):
            return self._pages.not_found(request)
        headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
        # No route says itself what it may be asked, so that the router refuses the question with 405 where there is an address.
        if error.status_code == 405 and request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        return self._answer(request, _HTTP_CODES.get(error.status_code, "internal_error"), headers=headers)

    async def _database(self, request: Request, error: Exception) -> Response:
        if not is_unavailable(error):
            raise error
        DATABASE.is_away(error)
        headers = {"Retry-After": str(_DATABASE_RETRY_SECONDS)}
        return self._answer(request, "database_unavailable", headers=headers)


def _asks_for_page(request: Request) -> bool:
    is_page = request.method in {"GET", "POST"} and not request.url.path.startswith("/api/")
    return is_page and "text/html" in request.headers.get("accept", "")


def _allowed(request: Request) -> str:
    """Every method of this address (RFC 9110 §10.2.1); the router itself names only those of the first route that fits."""
    fitting = [
        route
        for route in iter_route_contexts(request.app.routes)
        if route.matches(request.scope)[0] is not Match.NONE
    ]
    return ", ".join(sorted({method for route in fitting for method in route.methods or ()} | {"OPTIONS"}))
