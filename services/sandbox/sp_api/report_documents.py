"""The store behind report documents: presigned URLs, good for five minutes, that want no header of the SP-API.

They lie on the sandbox's own host, below the name of Amazon's store.
"""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.report_files import content_type, is_compressed, read_out
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.reports import URL_LIFE, Link, Report, new_signature

router = APIRouter()

STORE_HOST: Final = "tortuga-prod-eu.s3.eu-west-1.amazonaws.com"
_ELSEWHERE: Final = "https://tortuga-prod-eu.s3.eu-west-1.amazonaws.com.evil.example"
_INSIDE: Final = "http://169.254.169.254/latest/meta-data/"
_DENIED: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>%s</Message></Error>'
)


class TransferCut(Exception):
    """The connection shall break in the middle of a download."""


def url_of(sandbox: Sandbox, report: Report, base_url: str, *, says_encoding: bool) -> str:
    """A new URL of a report's document."""
    signature = new_signature()
    sandbox.report_links.put(signature, Link(report, sandbox.now() + URL_LIFE, says_encoding))
    base = _ELSEWHERE if "report-url-elsewhere" in report.flaws else f"{base_url.rstrip('/')}/{STORE_HOST}"
    query = f"X-Amz-Expires={int(URL_LIFE.total_seconds())}&X-Amz-Signature={signature}"
    return f"{base}/{quote(report.document_id)}?{query}"


@router.get(f"/{STORE_HOST}/{{document_id}}")
async def download(request: Request, document_id: str, sandbox: SandboxDep) -> Response:
    link = sandbox.report_links.get(request.query_params.get("X-Amz-Signature", ""))
    if link is None or link.report.document_id != document_id:
        return _denied("Access Denied")
    if sandbox.now() >= link.expires_at:
        return _denied("Request has expired")
    if "x-amz-access-token" in request.headers:
        return _denied("There were headers present in the request which were not signed")
    report = link.report
    if "report-url-redirects" in report.flaws:
        return RedirectResponse(_INSIDE, 302)
    seller = sandbox.sellers[report.seller_id]
    headers = {"Content-Type": content_type(report), "ETag": f'"{document_id}"'}
    if is_compressed(report) and link.says_encoding:
        headers["Content-Encoding"] = "gzip"
    sandbox.counters.documents[report.seller_id] += 1
    pieces = iterate_in_threadpool(read_out(report, seller))
    if "report-cut-transfer" in report.flaws:
        return StreamingResponse(_breaking(pieces), headers=headers)
    return StreamingResponse(pieces, headers=headers)


async def _breaking(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece[: len(piece) // 2]
        raise TransferCut


def _denied(message: str) -> Response:
    return Response(_DENIED % message, 403, media_type="application/xml")
