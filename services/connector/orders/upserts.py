"""How a row that is told now meets the row that is there: the statements with which orders, items and packages are written."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text

from services.connector.orders.model import UNKNOWN_STATUS
from shared.crypto.envelope import Sealed

# Between the words of an array's text: no word of Amazon's holds it.
BETWEEN: Final = "\x1f"

# How a column of the new row meets that of the old one: `excluded` is what is told now.
_TOLD: Final = "coalesce(excluded.{c}, o.{c})"
_ALWAYS: Final = "excluded.{c}"
_KEPT: Final = "coalesce(o.{c}, excluded.{c})"
_EITHER: Final = "o.{c} OR excluded.{c}"
_FIRST_STATUS: Final = f"CASE WHEN o.status = '{UNKNOWN_STATUS}' THEN excluded.status ELSE o.status END"
_KNOWN_STATUS: Final = (
    f"CASE WHEN excluded.status = '{UNKNOWN_STATUS}' THEN o.status ELSE excluded.status END"
)
_SOME_WORDS: Final = "CASE WHEN cardinality(o.{c}) = 0 THEN excluded.{c} ELSE o.{c} END"
_ALL_WORDS: Final = "ARRAY (SELECT DISTINCT word FROM unnest(o.{c} || excluded.{c}) AS word ORDER BY word)"


class _Column(NamedTuple):
    """A column, its type as a parameter, and how it is written over: by the SP-API, by a newer report, by one that is not."""

    type: str
    api: str = _TOLD
    newer_report: str = _TOLD
    report: str = _KEPT


_FLAG: Final = _Column("bool", _ALWAYS, _EITHER, _EITHER)
_WORDS: Final = _Column("words", _ALWAYS, _SOME_WORDS, _SOME_WORDS)
_TEXT: Final = _Column("text")
_TIME: Final = _Column("timestamptz")
_MONEY: Final = _Column("numeric")
_BYTES: Final = _Column("bytea")
_DERIVED: Final = _Column("timestamptz", _ALWAYS, _ALWAYS, _ALWAYS)
_NUMBER: Final = _Column("int4")

_ORDERS: Final[Mapping[str, _Column]] = {
    "marketplace_id": _TEXT,
    "country": _TEXT,
    "sales_channel": _TEXT,
    "status": _Column("text", _KNOWN_STATUS, _KNOWN_STATUS, _FIRST_STATUS),
    "fulfilled_by": _TEXT,
    "service_level": _TEXT,
    "programs": _WORDS,
    "is_business": _FLAG,
    "is_prime": _FLAG,
    "is_gift": _FLAG,
    "is_pickup": _FLAG,
    "is_replacement": _FLAG,
    "is_exchange": _FLAG,
    "replaces_order_id": _TEXT,
    "is_cancellation_requested": _FLAG,
    "purchased_at": _TIME,
    "last_updated_at": _Column("timestamptz", _ALWAYS, _ALWAYS, "o.{c}"),
    "ship_after": _TIME,
    "ship_by": _TIME,
    "deliver_after": _TIME,
    "deliver_by": _TIME,
    "shipped_at": _TIME,
    "delivered_at": _Column("timestamptz", _KEPT, _KEPT, _KEPT),
    "paid_at": _TIME,
    "currency": _TEXT,
    "total": _MONEY,
    "items_amount": _MONEY,
    "shipping_amount": _MONEY,
    "tax_amount": _MONEY,
    "discount_amount": _MONEY,
    "other_amount": _MONEY,
    "paid_amount": _MONEY,
    "payment_methods": _WORDS,
    "item_count": _Column("int4", _ALWAYS, "greatest(o.{c}, excluded.{c})", "greatest(o.{c}, excluded.{c})"),
    "quantity": _Column("int4", _ALWAYS, "greatest(o.{c}, excluded.{c})", "greatest(o.{c}, excluded.{c})"),
    "buyer": _BYTES,
    "buyer_key": _BYTES,
    "recipient": _BYTES,
    "personal_ends_at": _DERIVED,
    "problems": _Column("words", _ALWAYS, _ALL_WORDS, _ALL_WORDS),
    "api_digest": _BYTES._replace(newer_report="o.{c}", report="o.{c}"),
    "report_digest": _BYTES._replace(api="o.{c}", report=_ALWAYS),
    "fetched_at": _TIME,
    "reported_at": _TIME._replace(report=_TOLD),
    "gone_at": _Column("timestamptz", "NULL", "o.{c}", "o.{c}"),
}
_ITEMS: Final[Mapping[str, _Column]] = {
    "item_id": _TEXT,
    "position": _NUMBER._replace(newer_report=_KEPT),
    "asin": _TEXT,
    "sku": _TEXT,
    "title": _TEXT,
    "condition": _TEXT,
    "quantity": _NUMBER,
    "quantity_shipped": _NUMBER,
    "currency": _TEXT,
    "unit_price": _MONEY,
    "item_amount": _MONEY,
    "shipping_amount": _MONEY,
    "tax_amount": _MONEY,
    "discount_amount": _MONEY,
    "other_amount": _MONEY,
    "total": _MONEY,
    "gift_wrap": _TEXT,
    "gift": _BYTES,
    "customization": _BYTES,
    "is_cancellation_requested": _FLAG,
    "cancel_reason": _TEXT,
    "problems": _Column("words", _ALWAYS, _ALL_WORDS, _ALL_WORDS),
    "report_columns": _Column("json", _KEPT, _TOLD, _TOLD),
    "report_personal": _Column("bytea", _KEPT, _TOLD, _TOLD),
}
_PACKAGES: Final[Mapping[str, _Column]] = {
    "reference": _TEXT,
    "position": _NUMBER,
    "status": _TEXT,
    "detailed_status": _TEXT,
    "carrier": _TEXT,
    "shipping_service": _TEXT,
    "tracking_number": _TEXT,
    "shipped_at": _TIME,
    "delivered_at": _Column("timestamptz", _KEPT, _KEPT, _KEPT),
    "contents": _Column("json", _ALWAYS, _ALWAYS, _ALWAYS),
}


class Statements(NamedTuple):
    """Each takes arrays (`arrays`), and answers the ids of the rows that it has written."""

    orders: TextClause
    items: TextClause
    packages: TextClause


_ORDER_KEYS: Final = {"id": "uuid", "integration_id": "uuid", "order_id": "text"}
_ROW_KEYS: Final = {"id": "uuid", "order_row_id": "uuid"}
_AS_PARAMETER: Final = {"words": "text", "json": "text"}
_AS_COLUMN: Final = {
    "words": f"string_to_array(nullif(t.{{c}}, ''), '{BETWEEN}')",
    "json": "CAST(t.{c} AS jsonb)",
}


def _upsert(
    table: str, keys: Mapping[str, str], columns: Mapping[str, _Column], by: str, suffix: str
) -> TextClause:
    """Arrays in place of rows: a statement of as many parameters would be built anew for each batch."""
    names = [*keys, *columns]
    types = [*keys.values(), *(column.type for column in columns.values())]
    parameters = ", ".join(
        f"CAST(:{name} AS {_AS_PARAMETER.get(kind, kind)}[])" for name, kind in zip(names, types, strict=True)
    )
    values = ", ".join(
        f"coalesce({_AS_COLUMN[kind].format(c=name)}, '{{}}')"
        if kind == "words"
        else _AS_COLUMN.get(kind, "t.{c}").format(c=name)
        for name, kind in zip(names, types, strict=True)
    )
    changes = ", ".join(f"{name} = {getattr(column, by).format(c=name)}" for name, column in columns.items())
    return text(
        f"INSERT INTO {table} AS o (account_id, {', '.join(names)})"  # noqa: S608 - our own names
        f" SELECT :account, {values} FROM unnest({parameters}) AS t ({', '.join(names)})"
        f" ON CONFLICT (id, account_id) DO UPDATE SET {changes}{suffix} RETURNING id"
    )


# Not the moment at which Amazon was asked: that may be minutes ago, and whoever follows the changes would have read past it.
_CHANGED: Final = ", changed_at = clock_timestamp()"
# Somebody else may have stored a later change since the rows were read: of an order that was new to both.
_NOT_LATER: Final = " WHERE o.last_updated_at <= excluded.last_updated_at"


def _statements(by: str, *, where: str) -> Statements:
    return Statements(
        _upsert("orders", _ORDER_KEYS, _ORDERS, by, _CHANGED + where),
        _upsert("order_items", _ROW_KEYS, _ITEMS, by, ""),
        _upsert("order_packages", _ROW_KEYS, _PACKAGES, by, ""),
    )


# The SP-API tells an order again, a report tells what is newer than all that is known, or a report tells what fills gaps.
BY_API: Final = _statements("api", where=_NOT_LATER)
BY_NEWER_REPORT: Final = _statements("newer_report", where=_NOT_LATER)
BY_REPORT: Final = _statements("report", where="")


def arrays(account_id: UUID, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters for these rows, of which there is at least one. A column without any value is an empty array, which `unnest` fills up."""
    return {"account": account_id} | {name: _array([row[name] for row in rows]) for name in rows[0]}


def _array(values: list[Any]) -> list[Any]:
    first = next((value for value in values if value is not None), None)
    if first is None:
        return []
    if isinstance(first, Sealed):
        return [None if value is None else value.ciphertext for value in values]
    return values
