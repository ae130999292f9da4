"""Notices as they come out of the queue, read. Amazon writes the envelope in two ways: with capitals and without. Nothing is asked here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import SecretStr, TypeAdapter, ValidationError

from services.connector.amazon.notifications import NoticeKind
from services.connector.amazon.times import time_of
from shared.orders import is_order_id

_MOST_CHARS: Final = 200
_JSON: Final = TypeAdapter(dict[str, Any])
# AT_RISK: Amazon may deactivate the account soon. DEACTIVATED: it may not sell.
ACCOUNT_STATES: Final = frozenset({"NORMAL", "AT_RISK", "DEACTIVATED"})


@dataclass(frozen=True, slots=True)
class Notice:
    """What every notice has. `told_at`: when Amazon says that it happened; None if that cannot be read."""

    kind: str
    subscription_id: str
    told_at: datetime | None
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order of a seller's has changed."""

    seller_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class ReportFinished:
    """A report of a seller's is made, or never will be."""

    seller_id: str
    report_id: str


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """How a seller's account is, in one marketplace or in all of them (None)."""

    seller_id: str
    marketplace_id: str | None
    status: str


Told = OrderChanged | ReportFinished | AccountStatus


def read_envelope(body: SecretStr) -> Notice | None:
    """The notice, or None if this is none of Amazon's."""
    try:
        told = _lower(_JSON.validate_json(body.get_secret_value()))
    except ValidationError:
        return None
    kind = _text(told.get("notificationtype"))
    if not kind:
        return None
    metadata = _lower(told.get("notificationmetadata"))
    return Notice(
        kind,
        _text(metadata.get("subscriptionid")),
        time_of(told.get("eventtime")),
        _lower(told.get("payload")),
    )


def read_told(notice: Notice) -> Told | None:
    """What it tells of a store, or None if it is of a kind that is not asked for, or lacks what it must have."""
    match notice.kind:
        case NoticeKind.ORDER_CHANGE:
            part = _lower(notice.payload.get("orderchangenotification"))
            order_id = _text(part.get("amazonorderid"))
            seller_id = _text(part.get("sellerid"))
            return OrderChanged(seller_id, order_id) if seller_id and is_order_id(order_id) else None
        case NoticeKind.REPORT_PROCESSING_FINISHED:
            part = _lower(notice.payload.get("reportprocessingfinishednotification"))
            seller_id, report_id = _text(part.get("sellerid")), _text(part.get("reportid"))
            return ReportFinished(seller_id, report_id) if seller_id and report_id else None
        case NoticeKind.ACCOUNT_STATUS_CHANGED:
            return _account_status(notice)
        case _:
            return None


def happened_at(notice: Notice, now: datetime) -> datetime:
    """When it happened, as far as that can be believed: never later than now."""
    return min(notice.told_at or now, now).astimezone(UTC)


def _account_status(notice: Notice) -> AccountStatus | None:
    """Amazon publishes no model of this one: the seller is called by two names in its texts."""
    part = _lower(notice.payload.get("accountstatuschangenotification"))
    seller_id = _text(part.get("sellerid")) or _text(part.get("merchantid"))
    status = _text(part.get("currentaccountstatus"))
    if not seller_id or status not in ACCOUNT_STATES:
        return None
    return AccountStatus(seller_id, _text(part.get("marketplaceid")) or None, status)


def _lower(told: object) -> dict[str, Any]:
    """An object of JSON with its names in lower case; empty if it is none."""
    return {str(name).lower(): value for name, value in told.items()} if isinstance(told, dict) else {}


def _text(told: object) -> str:
    is_plain = isinstance(told, str) and len(told) <= _MOST_CHARS and told.isascii() and told.isprintable()
    return str(told) if is_plain else ""
