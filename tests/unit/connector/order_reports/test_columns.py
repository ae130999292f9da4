"""The columns of order reports as data, and which of them a seller has not switched on."""

from dataclasses import fields
from typing import Any, Final

import pytest

from services.connector.order_reports.columns import (
    COLUMNS,
    WANTED,
    CellType,
    column_named,
    missing_columns,
    normal_name,
)
from services.connector.orders.model import Address, Amounts, Buyer, OrderItemRecord, OrderRecord
from services.sandbox.state.report_columns import OPTIONAL as REPORT_COLUMNS
from tests.order_reports import ALL_ORDERS, ORDER_REPORT

_PARTS: Final[dict[str, Any]] = {
    "order": OrderRecord,
    "item": OrderItemRecord,
    "amounts": Amounts,
    "buyer": Buyer,
    "recipient": Address,
}


def test_each_field_that_a_column_fills_is_one_of_an_order():
    for column in COLUMNS.values():
        if column.field is not None:
            part, _, name = column.field.partition(".")
            assert name in {each.name for each in fields(_PARTS[part])}, column


def test_what_fills_buyer_recipient_and_gift_is_personal():
    for column in COLUMNS.values():
        if (column.field or "").startswith(("buyer.", "recipient.")) or column.field in {
            "item.gift_message",
            "item.customized_url",
        }:
            assert column.is_personal, column.name


@pytest.mark.parametrize("headers", [ALL_ORDERS, ORDER_REPORT], ids=["all orders", "order report"])
def test_every_column_of_amazons_lists_is_known(headers):
    assert [header for header in headers if column_named(header) is None] == []


def test_all_that_the_column_picker_offers_is_known_as_optional():
    assert [
        name for name in REPORT_COLUMNS if not (column := column_named(name)) or not column.is_optional
    ] == []


def test_only_what_the_column_picker_offers_is_asked_for():
    offered = {normal_name(name) for name in (*ORDER_REPORT, *REPORT_COLUMNS)}

    assert set(WANTED) <= offered


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("delivery-Instructions", "delivery-instructions"),
        ("is-sold-by-ab ", "is-sold-by-ab"),
        ("promotion-ids ", "promotion-ids"),
        ("Address-Type", "address-type"),
        ("verge-of-lateShipment", "verge-of-lateshipment"),
        ("\ufefforder-id", None),
        ("shipping-promotion-discount", "ship-promotion-discount"),
        ("Fulfillment Plan", "fulfillment plan"),
        ("amazon-order-id", "order-id"),
        ("a-new-column", None),
    ],
)
def test_a_column_is_found_whatever_its_case_blanks_and_name(header, name):
    column = column_named(header)

    assert (column and column.name) == name


def test_json_columns_are_those_of_amazons_list():
    assert {name for name, column in COLUMNS.items() if column.type is CellType.JSON} == {
        "delivery-preferred-time",
        "fulfillment plan",
        "item-extensions-data",
    }


def test_a_report_with_everything_lacks_nothing():
    assert missing_columns([*ORDER_REPORT, *(name.title() for name in REPORT_COLUMNS)]) == ()


def test_what_was_switched_off_is_named():
    headers = [
        *ORDER_REPORT,
        *(name for name in REPORT_COLUMNS if name not in {"is-prime", "gift-message-text"}),
    ]

    assert missing_columns(headers) == ("gift-message-text", "is-prime")
