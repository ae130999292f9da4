"""Serves the pages: one shell for every page address, and the files below /static/.

Only files that were there at the start are served; a path from the browser never reaches the file system.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.connector.http.language import Language
from services.connector.web import plain_page
from services.connector.web.own_address import own_address
from services.connector.web.texts import TEXT_SETS, page_texts

FOLDER: Final = Path(__file__).parent
# No inline script or style anywhere; data: is for the small pictures inside the style sheets.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Always asked for again, answered 304 by ETag: a new release shows at once and a reload stays cheap.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def _file(content: bytes, suffix: str) -> _File:
    return _File(content, _TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


_SHELL: Final = _file((FOLDER / "index.html").read_bytes(), ".html")
_STATIC: Final = {
    path.relative_to(FOLDER / "static").as_posix(): _file(path.read_bytes(), path.suffix)
    for path in sorted((FOLDER / "static").rglob("*"))
    if path.suffix in _TYPES and path.suffix != ".json"
} | {
    f"texts/{text_set}.json": _file(json.dumps(page_texts(text_set), ensure_ascii=False).encode(), ".json")
    for text_set in TEXT_SETS
}


def _answer(request: Request, file: _File, status: int = 200) -> Response:
    headers = _HEADERS | {"ETag": file.etag}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
    if status == 200 and file.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(file.content, status, headers, file.media_type)


def page_not_found(request: Request) -> Response:
    """The shell with status 404; for an unknown address that a person opened in a browser."""
    return _answer(request, _SHELL, 404)


def error_page(
    language: Language, title: str, detail: str, status: int, headers: Mapping[str, str]
) -> Response:
    """What went wrong, for a person whose browser asked for a page; it needs neither script nor database."""
    page = plain_page.try_again_page(language, title, detail)
    return HTMLResponse(page, status, plain_page.HEADERS | dict(headers))


router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """The shell too, but never with a `next` that leads away from us."""
    wanted = request.query_params.getlist("next")
    if any(own_address(address) != address for address in wanted):
        return RedirectResponse("/sign-in", 303, _HEADERS)
    return _answer(request, _SHELL)


@router.get("/")
@router.get("/integrations")
@router.get("/integrations/new")
@router.get("/integrations/{integration_id}")
@router.get("/connect/{attempt_id}")
@router.get("/connect/problem/{code}")
@router.get("/inbox")
@router.get("/inbox/{conversation_id}")
@router.get("/replies")
@router.get("/orders")
@router.get("/orders/{order_row_id}")
@router.get("/settings")
@router.get("/settings/webhooks")
@router.get("/settings/audit-log")
@router.get("/settings/retention")
@router.get("/settings/templates")
@router.get("/settings/security")
@router.get("/profile")
@router.get("/forgot-password")
@router.get("/reset-password")
async def page(request: Request) -> Response:
    """Every page is the same shell; the module /static/app.js shows what the address names."""
    return _answer(request, _SHELL)


@router.get("/static/{path:path}")
async def static_file(request: Request, path: str) -> Response:
    """A script, style sheet, text file or picture of the pages."""
    file = _STATIC.get(path)
    if file is None:
        raise HTTPException(404)
    return _answer(request, file)
