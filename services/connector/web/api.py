"""Serves the pages: one shell for every page address, and the files below /static/.

Only files that were there at the start are served; a path from the browser never reaches the file system.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.connector.http.compression import takes_gzip
from services.connector.http.language import Language
from services.connector.web import plain_page
from services.connector.web.own_address import own_address
from services.connector.web.static_files import COMPONENTS, ServedFile, static_files, with_support_contact

# No inline script or style anywhere; data: is for the small pictures inside the style sheets.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # The document is always asked for again, answered 304 by ETag: a new release shows at once and a reload stays cheap.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
_FILE_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
}


def _answer(request: Request, file: ServedFile, headers: Mapping[str, str], status: int = 200) -> Response:
    tagged = {**headers, "ETag": file.etag}
    known = {tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")}
    if status == 200 and file.etag in known:
        return Response(status_code=304, headers=tagged)
    if takes_gzip(request.headers.get("Accept-Encoding", "")):
        return Response(file.compressed, status, {**tagged, "Content-Encoding": "gzip"}, file.media_type)
    return Response(file.content, status, tagged, file.media_type)


def _shell(request: Request, name: str, status: int = 200) -> Response:
    shell = static_files().shells[name]
    contact: str | None = getattr(request.app.state, "support_contact", None)
    return _answer(request, with_support_contact(shell, contact) if contact else shell, _HEADERS, status)


def page_not_found(request: Request) -> Response:
    """The shell with status 404; for an unknown address that a person opened in a browser."""
    return _shell(request, "not_found", 404)


def error_page(
    language: Language,
    title: str,
    detail: str,
    status: int,
    headers: Mapping[str, str],
    *,
    support_contact: str | None = None,
) -> Response:
    """What went wrong, for a person whose browser asked for a page; it needs neither script nor database."""
    page = plain_page.try_again_page(language, title, detail, support_contact)
    return HTMLResponse(page, status, plain_page.HEADERS | dict(headers))


router = APIRouter(include_in_schema=False)


async def sign_in_page(request: Request) -> Response:
    """The shell too, but never with a `next` that leads away from us."""
    wanted = request.query_params.getlist("next")
    if any(own_address(address) != address for address in wanted):
        return RedirectResponse("/sign-in", 303, _HEADERS)
    return _shell(request, "sign_in")


def _page(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        return _shell(request, name)

    return page


# Every address that app.js gives a page; that script shows what the address names.
for _address, _name in static_files().pages.items():
    router.get(_address)(sign_in_page if _name == "sign_in" else _page(_name))


@router.get("/components")
async def components(request: Request) -> Response:
    """All parts of which pages are made, for whoever develops them; elsewhere there is no such page."""
    if not getattr(request.app.state, "development", False):
        raise HTTPException(404)
    return _shell(request, COMPONENTS)


@router.get("/static/{tree}/{path:path}")
async def static_file(request: Request, tree: str, path: str) -> Response:
    """A script, style sheet, text file or picture of the pages; nothing of another release."""
    files = static_files()
    file = files.files.get(path) if files.prefix == f"/static/{tree}" else None
    if file is None:
        raise HTTPException(404)
    return _answer(request, file, _FILE_HEADERS)
