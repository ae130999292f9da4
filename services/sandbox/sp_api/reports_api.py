"""Reports v2021-06-30: order reports, from createReport to the document behind a URL that is good for five minutes.

A report's time passes by the sandbox's clock. What it holds is decided when it is finished: `settle_reports` does that, and
whoever looks calls it.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request, Response

from services.sandbox.amazon_hosts import API_HOSTS
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.operation import (
    Operation,
    SpApiRefused,
    is_restricted_call,
    refused,
    require_seller,
    success,
    unauthorized,
)
from services.sandbox.sp_api.order_json import time_text
from services.sandbox.sp_api.report_documents import url_of
from services.sandbox.sp_api.report_files import is_compressed, written
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.reports import (
    COOLDOWN,
    KEPT,
    REPORT_TYPES,
    RESTRICTED_TYPES,
    Report,
    ReportStatus,
)
from services.sandbox.state.roles import RestrictedRole
from services.sandbox.state.sellers import Seller
from shared.marketplaces import BY_ID

router = APIRouter()

CREATE_REPORT: Final = Operation("createReport", rate=0.0167, burst=15)
GET_REPORTS: Final = Operation("getReports", rate=0.0222, burst=10)
GET_REPORT: Final = Operation("getReport", rate=2, burst=15)
CANCEL_REPORT: Final = Operation("cancelReport", rate=0.0222, burst=10)
GET_DOCUMENT: Final = Operation("getReportDocument", rate=0.0167, burst=15)
REPORTS_PATH: Final = "/reports/2021-06-30"
_MAX_MARKETPLACES: Final = 25
_DAYS_BY_DEFAULT: Final = 30
_YEARS_BACK: Final = timedelta(days=731)
# Flaws that a report has from its beginning, so that each download of it has them.
_FLAWS: Final = (
    *("report-cancelled", "report-fatal", "report-stuck", "report-cut", "report-cut-transfer"),
    *("report-column-twice", "report-wrong-charset", "report-zip-bomb", "report-huge"),
    *("report-url-elsewhere", "report-url-redirects"),
)


async def _create_report(
    request: Request, sandbox: SandboxDep, body: Annotated[Any, Body()] = None
) -> Response:
    seller = await require_seller(request, sandbox, CREATE_REPORT)
    settle_reports(sandbox)
    report = _ordered(sandbox, seller, body if isinstance(body, dict) else {})
    if report.report_type in RESTRICTED_TYPES and not has_role(sandbox):
        raise unauthorized("")
    sandbox.reports.add(report)
    return success(sandbox, CREATE_REPORT, {"reportId": report.report_id}, 202)


async def _get_reports(request: Request, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, GET_REPORTS)
    settle_reports(sandbox)
    query = request.query_params
    if "nextToken" in query:
        if len(query.multi_items()) != 1 or query["nextToken"] not in sandbox.report_tokens:
            raise _invalid("nextToken must be the only parameter and one that was given out.")
        wanted, size, start = sandbox.report_tokens[query["nextToken"]]
    else:
        wanted, size, start = dict(query), _page_size(query.get("pageSize", "10")), 0
    found = [
        r for r in sandbox.reports.newest_first(seller.seller_id) if _is_wanted(r, wanted, sandbox.now())
    ]
    answer: dict[str, Any] = {"reports": [_show(r, sandbox.now()) for r in found[start : start + size]]}
    if len(found) > start + size:
        token = secrets.token_urlsafe(30)
        sandbox.report_tokens.put(token, (wanted, size, start + size))
        answer["nextToken"] = token
    return success(sandbox, GET_REPORTS, answer)


async def _get_report(request: Request, report_id: str, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, GET_REPORT)
    settle_reports(sandbox)
    return success(sandbox, GET_REPORT, _show(_report(sandbox, seller, report_id), sandbox.now()))


async def _cancel_report(request: Request, report_id: str, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, CANCEL_REPORT)
    settle_reports(sandbox)
    report = _report(sandbox, seller, report_id)
    if report.status(sandbox.now()) is not ReportStatus.IN_QUEUE:
        raise _invalid("The report is not in the queue any more.")
    report.outcome = ReportStatus.CANCELLED
    return success(sandbox, CANCEL_REPORT)


async def _get_document(request: Request, document_id: str, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, GET_DOCUMENT, may_be_restricted=True)
    settle_reports(sandbox)
    report = sandbox.reports.of_document(document_id)
    if report is None or report.seller_id != seller.seller_id or not report.has_document:
        raise refused(404, "NotFound", "The document does not exist.", "not_found")
    if report.report_type in RESTRICTED_TYPES and not is_restricted_call(request, sandbox):
        raise unauthorized("")
    answer = {
        "reportDocumentId": document_id,
        "url": url_of(
            sandbox,
            report,
            str(request.base_url),
            says_encoding=request.query_params.get("enableContentEncodingUrlHeader") == "true",
        ),
    }
    if is_compressed(report):
        answer["compressionAlgorithm"] = "GZIP"
    return success(sandbox, GET_DOCUMENT, answer)


def settle_reports(sandbox: Sandbox) -> None:
    """Give an outcome, and lines, to each report whose time has come."""
    for report in sandbox.reports.take_finished(sandbox.now()):
        seller = sandbox.sellers.get(report.seller_id)
        if "report-stuck" in report.flaws or seller is None:
            continue
        report.outcome = _outcome(sandbox, report, seller)
        sandbox.notices.tell_of_report(report)


def has_role(sandbox: Sandbox) -> bool:
    """Whether the application may have reports with buyers' personal data."""
    return RestrictedRole.DIRECT_TO_CONSUMER_SHIPPING in sandbox.restricted_roles


def _outcome(sandbox: Sandbox, report: Report, seller: Seller) -> ReportStatus:
    if "report-fatal" in report.flaws:
        return ReportStatus.FATAL
    if "report-cancelled" in report.flaws or "report-cooldown" in report.flaws:
        return ReportStatus.CANCELLED
    if report.delivery.rows is not None or report.flaws & {"report-huge", "report-zip-bomb"}:
        return ReportStatus.DONE
    content = written(report, seller, sandbox.orders.of_seller(seller.seller_id))
    if content is None:
        return ReportStatus.CANCELLED
    sandbox.reports.keep_content(report, content)
    return ReportStatus.DONE


def _ordered(sandbox: Sandbox, seller: Seller, body: dict[str, Any]) -> Report:
    now, kind, options = sandbox.now(), body.get("reportType"), body.get("reportOptions", {})
    if kind not in REPORT_TYPES:
        raise _invalid("reportType is missing, or is none that is played here.")
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        raise _invalid("reportOptions must have strings as values.")
    starts_at = _time(body, "dataStartTime", now - timedelta(days=_DAYS_BY_DEFAULT))
    ends_at = _time(body, "dataEndTime", now)
    if not now - _YEARS_BACK <= starts_at <= ends_at:
        raise _invalid("dataStartTime must be before dataEndTime, and at most two years ago.")
    marketplaces = _marketplaces(seller, body.get("marketplaceIds"))
    flaws = {name for name in _FLAWS if sandbox.scenarios.happens(name, seller.seller_id, kind)}
    if sandbox.scenarios.is_on("report-cooldown", seller.seller_id) and any(
        (known.report_type, known.marketplace_ids) == (kind, marketplaces)
        and abs(known.starts_at - starts_at) < COOLDOWN
        and now - known.created_at < COOLDOWN
        for known in sandbox.reports.newest_first(seller.seller_id)
    ):
        flaws.add("report-cooldown")
    return Report(
        sandbox.reports.next_id(seller.seller_id),
        seller.seller_id,
        kind,
        marketplaces,
        starts_at,
        ends_at,
        now,
        sandbox.reports.delivery_for(seller.seller_id),
        frozenset(flaws),
        options,
    )


def _marketplaces(seller: Seller, wanted: Any) -> tuple[str, ...]:
    if not isinstance(wanted, list) or not 0 < len(wanted) <= _MAX_MARKETPLACES:
        raise _invalid("marketplaceIds is required and has at most 25 values.")
    if any(each not in BY_ID for each in wanted):
        raise _invalid("marketplaceIds has an unknown value.")
    if any(BY_ID[each].region is not seller.region for each in wanted):
        message = "The marketplaces you provided are not valid for region."
        raise refused(403, "Unauthorized", message, "other_region")
    return tuple(sorted(wanted))


def _time(fields: dict[str, Any], name: str, default: datetime) -> datetime:
    if name not in fields:
        return default
    try:
        time = datetime.fromisoformat(fields[name])
    except (TypeError, ValueError):
        raise _invalid(f"{name} is not an ISO 8601 time.") from None
    if time.tzinfo is None:
        raise _invalid(f"{name} has no time zone.")
    return time.astimezone(UTC)


def _page_size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 100:
        raise _invalid("pageSize must be between 1 and 100.")
    return int(text)


def _is_wanted(report: Report, wanted: dict[str, Any], now: datetime) -> bool:
    if "reportTypes" not in wanted:
        raise _invalid("reportTypes or nextToken is required.")
    types = wanted["reportTypes"].split(",")
    statuses = wanted.get("processingStatuses", "").split(",")
    marketplaces = set(wanted.get("marketplaceIds", "").split(","))
    if len(types) > 10 or len(marketplaces) > 10:
        raise _invalid("A list has more than ten values.")
    since = _time(wanted, "createdSince", now - KEPT)
    until = _time(wanted, "createdUntil", now)
    return (
        report.report_type in types
        and (statuses == [""] or report.status(now) in statuses)
        and (marketplaces == {""} or bool(marketplaces & set(report.marketplace_ids)))
        and max(since, now - KEPT) <= report.created_at <= until
    )


def _report(sandbox: Sandbox, seller: Seller, report_id: str) -> Report:
    report = sandbox.reports.get(seller.seller_id, report_id)
    if report is None:
        raise refused(404, "NotFound", "The report does not exist.", "not_found")
    return report


def _show(report: Report, now: datetime) -> dict[str, Any]:
    status = report.status(now)
    answer: dict[str, Any] = {
        "reportId": report.report_id,
        "reportType": report.report_type,
        "marketplaceIds": list(report.marketplace_ids),
        "dataStartTime": time_text(report.starts_at),
        "dataEndTime": time_text(report.ends_at),
        "createdTime": time_text(report.created_at),
        "processingStatus": status,
    }
    if status is not ReportStatus.IN_QUEUE and report.starts_progress_at <= now:
        answer["processingStartTime"] = time_text(report.starts_progress_at)
    if report.outcome is not None:
        answer["processingEndTime"] = time_text(min(report.finishes_at, now))
    if report.has_document:
        answer["reportDocumentId"] = report.document_id
    return answer


def _invalid(message: str) -> SpApiRefused:
    return refused(400, "InvalidInput", message, "invalid")


for _host in API_HOSTS:
    for _method, _path, _route in (
        ("POST", "reports", _create_report),
        ("GET", "reports", _get_reports),
        ("GET", "reports/{report_id}", _get_report),
        ("DELETE", "reports/{report_id}", _cancel_report),
        ("GET", "documents/{document_id}", _get_document),
    ):
        router.add_api_route(f"/{_host}{REPORTS_PATH}/{_path}", _route, methods=[_method])
