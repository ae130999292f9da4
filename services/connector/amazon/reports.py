"""The Reports API v2021-06-30: a report is asked for, made by Amazon, and lies as a document in one of Amazon's stores.

Ids of reports and documents are unique for one seller only. The address of a document is good for five minutes and for whoever has it: it
is never logged.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from services.connector.amazon.client import SellerApi
from services.connector.amazon.documents import OpenDocument
from services.connector.amazon.errors import (
    AmazonUnavailable,
    ClientMisconfigured,
    ReportUnknown,
    RestrictedRoleMissing,
    RoleMissing,
)
from services.connector.amazon.restricted_data_tokens import RestrictedResource, create_restricted_data_token
from services.connector.amazon.times import time_text

_PATH: Final = "/reports/2021-06-30"
_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,199}")
# As Amazon's model says.
_MOST_MARKETPLACES: Final = 25
_MOST_TYPES: Final = 10
_MOST_PER_PAGE: Final = 100
# These hold buyers' names and addresses: their documents open for a restricted data token alone.
RESTRICTED_TYPES: Final = frozenset(
    f"GET_{kind}_DATA_{use}"
    for kind in ("FLAT_FILE_ORDER_REPORT", "ORDER_REPORT", "FLAT_FILE_ACTIONABLE_ORDER")
    for use in ("SHIPPING", "INVOICING", "TAX")
)


def _checked(amazons_id: str) -> str:
    if not _ID.fullmatch(amazons_id) or ".." in amazons_id:
        raise ValueError("this is no id of Amazon's")
    return amazons_id


AmazonsId = Annotated[str, AfterValidator(_checked)]
"""It gets into addresses and into the database."""


class ReportStatus(StrEnum):
    """How far Amazon is with a report. CANCELLED also means that there was nothing to report."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FATAL = "FATAL"


class Report(BaseModel):
    """A report as Amazon tells it. Of a FATAL one the document, if there is any, says what was wrong."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    report_id: AmazonsId = Field(alias="reportId")
    report_type: str = Field(alias="reportType", min_length=1, max_length=200)
    status: ReportStatus = Field(alias="processingStatus")
    created_at: AwareDatetime = Field(alias="createdTime")
    marketplace_ids: tuple[str, ...] = Field((), alias="marketplaceIds")
    data_from: AwareDatetime | None = Field(None, alias="dataStartTime")
    data_to: AwareDatetime | None = Field(None, alias="dataEndTime")
    document_id: AmazonsId | None = Field(None, alias="reportDocumentId")


class ReportDocument(BaseModel):
    """Where a document lies for the next five minutes, and whether its bytes are gzip."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    document_id: AmazonsId = Field(alias="reportDocumentId")
    url: SecretStr = Field(min_length=1, max_length=8_192)
    compression: Literal["GZIP"] | None = Field(None, alias="compressionAlgorithm")


class _Created(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    report_id: AmazonsId = Field(alias="reportId")


class _Reports(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    reports: list[dict[str, Any]]


async def create_report(
    api: SellerApi,
    report_type: str,
    *,
    marketplace_ids: Sequence[str],
    data_from: datetime | None = None,
    data_to: datetime | None = None,
    options: Mapping[str, str] | None = None,
) -> str:
    """Have Amazon make a report; its id. Asked for once: after AmazonUnavailable there may be one all the same (`get_reports` tells).

    Raises RestrictedRoleMissing, and what `SpApiClient.get` raises.
    """
    if not 0 < len(marketplace_ids) <= _MOST_MARKETPLACES:
        raise ValueError(f"Amazon takes 1 to {_MOST_MARKETPLACES} marketplaces")
    body: dict[str, Any] = {"reportType": report_type, "marketplaceIds": sorted(set(marketplace_ids))}
    body |= {
        name: time_text(time)
        for name, time in {"dataStartTime": data_from, "dataEndTime": data_to}.items()
        if time is not None
    }
    if options:
        body["reportOptions"] = dict(options)
    try:
        answer = await api.post("createReport", f"{_PATH}/reports", body)
    except RoleMissing as refused:
        if report_type in RESTRICTED_TYPES:
            raise RestrictedRoleMissing(**refused.fields) from None
        raise
    return _read(_Created, answer).report_id


async def get_report(api: SellerApi, report_id: str) -> Report:
    """How far a report is. Raises ReportUnknown, and what `SpApiClient.get` raises."""
    return _read(Report, await _get(api, "getReport", f"reports/{_checked(report_id)}"))


async def get_reports(
    api: SellerApi,
    report_types: Sequence[str],
    *,
    created_since: datetime,
    marketplace_ids: Sequence[str] = (),
    statuses: Sequence[ReportStatus] = (),
) -> Sequence[Report]:
    """Reports of these types, whoever asked for them: at most a hundred, which is Amazon's first page.

    Raises what `SpApiClient.get` raises.
    """
    if not 0 < len(report_types) <= _MOST_TYPES or len(marketplace_ids) > _MOST_TYPES:
        raise ValueError(f"Amazon takes at most {_MOST_TYPES} types and marketplaces")
    lists = {
        "reportTypes": report_types,
        "marketplaceIds": marketplace_ids,
        "processingStatuses": statuses,
    }
    question = {name: ",".join(sorted(set(values))) for name, values in lists.items() if values}
    question |= {"createdSince": time_text(created_since), "pageSize": str(_MOST_PER_PAGE)}
    answer = await api.get("getReports", f"{_PATH}/reports", question)
    return [report for each in _read(_Reports, answer).reports if (report := _known(each)) is not None]


async def get_report_document(api: SellerApi, document_id: str, *, is_restricted: bool) -> ReportDocument:
    """Where a document lies. `is_restricted`: the report's type is one of `RESTRICTED_TYPES`; then a restricted data token is got first.

    Raises ReportUnknown, RestrictedRoleMissing, and what `SpApiClient.get` raises.
    """
    path = f"documents/{_checked(document_id)}"
    if not is_restricted:
        return _read(ReportDocument, await _get(api, "getReportDocument", path))
    try:
        token = await create_restricted_data_token(
            api, [RestrictedResource(method="GET", path=f"{_PATH}/{path}")]
        )
        opened = replace(api, access_token=token.value)
        return _read(ReportDocument, await _get(opened, "getReportDocument", path))
    except RoleMissing as refused:
        raise RestrictedRoleMissing(**refused.fields) from None


@asynccontextmanager
async def open_document(
    api: SellerApi, document: ReportDocument, *, most_bytes: int, seconds: float
) -> AsyncIterator[OpenDocument]:
    """The document's bytes as they lie in Amazon's store, while this context is open.

    `seconds` bounds the time that is spent waiting for the store, not what the caller does with the bytes. Raises DocumentExpired,
    DocumentElsewhere, DocumentTooLarge (also while reading), AmazonUnavailable (also while reading).
    """
    async with api.client.documents.open(
        document.url, is_gzip=document.compression is not None, most_bytes=most_bytes, seconds=seconds
    ) as opened:
        yield opened


async def _get(api: SellerApi, operation: str, path: str) -> dict[str, Any]:
    try:
        return await api.get(operation, f"{_PATH}/{path}")
    except ClientMisconfigured as refused:
        if refused.fields.get("status") == 404:
            raise ReportUnknown(**refused.fields) from None
        raise


def _known(told: dict[str, Any]) -> Report | None:
    """A report of a list; one that has another form hides no other."""
    try:
        return Report.model_validate(told)
    except ValidationError:
        return None


_Model = TypeVar("_Model", bound=BaseModel)


def _read(model: type[_Model], answer: dict[str, Any]) -> _Model:
    try:
        return model.model_validate(answer)
    except ValidationError:
        raise AmazonUnavailable(reason="unexpected_form") from None
