"""A report's bytes become orders: compression, charsets, lines, columns, rows."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.connector.order_reports.charsets import charsets_of, without_mark
from services.connector.order_reports.lines import lines_of
from services.connector.order_reports.records import (
    CUT_OFF,
    STRANGE_BYTES,
    Batch,
    ReportEmpty,
    open_report,
)
from services.connector.order_reports.rows import CELLS_MISSING, CELLS_TOO_MANY, NoOrderReport
from services.connector.order_reports.unpacking import (
    ReportDamaged,
    ReportTooLarge,
    ZipBomb,
    unpacked,
)
from services.connector.orders.model import Address, Buyer, OrderRecord
from tests.order_reports import (
    ALL_ORDERS,
    ORDER_REPORT,
    all_orders_chunks,
    all_orders_row,
    line_of,
    order_number,
    order_report_row,
    report_of,
)

_EARLIEST = datetime(2026, 10, 1, tzinfo=UTC)


def batches(
    content: bytes | str,
    *,
    content_type: str | None = None,
    country: str = "DE",
    chunk: int = 65_536,
    **bounds: int,
) -> list[Batch]:
    data = content.encode() if isinstance(content, str) else content
    chunks = [data[start : start + chunk] for start in range(0, len(data), chunk)]
    blocks = lines_of(without_mark(unpacked(chunks)), charsets_of(content_type, country))
    return list(open_report(blocks, country=country, earliest=_EARLIEST, **bounds).batches)


def orders(content: bytes | str, **how: object) -> list[OrderRecord]:
    return [order for batch in batches(content, **how) for order in batch.orders]  # type: ignore[arg-type]


def one(content: bytes | str, **how: object) -> OrderRecord:
    (order,) = orders(content, **how)
    return order


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_row_of_all_orders_is_an_order_with_an_item():
    order = one(report_of(ALL_ORDERS, [all_orders_row(7)]))
    (item,) = order.items

    assert (order.order_id, order.status, order.fulfilled_by, order.country) == (
        order_number(7),
        "SHIPPED",
        "MERCHANT",
        "DE",
    )
    assert order.last_updated_at == datetime(2026, 11, 1, 13, 0, 7, tzinfo=UTC)
    assert (item.sku, item.quantity, item.amounts.currency) == ("LAMP-0007", 2, "EUR")
    assert (item.amounts.items, item.amounts.tax) == (Decimal("27.07"), Decimal("10.97"))
    assert item.report_columns == {"item-status": "Shipped", "item-tax": "10.19", "shipping-tax": "0.78"}
    assert order.problems == item.problems == ()


def test_a_report_that_names_nobody_says_nothing_of_buyer_and_recipient():
    order = one(report_of(ALL_ORDERS, [all_orders_row(1, purchase_order_number="PO-1")]))

    assert (order.buyer, order.recipient) == (None, None)
    assert order.items[0].report_personal == {
        "ship-city": "Osnabrück",
        "ship-state": "Niedersachsen",
        "ship-postal-code": "49001",
        "ship-country": "DE",
        "purchase-order-number": "PO-1",
    }


def test_a_row_of_the_order_report_names_buyer_and_recipient():
    order = one(report_of(ORDER_REPORT, [order_report_row(3, **{"delivery-Instructions": "Hinterhof"})]))

    assert order.buyer == Buyer(name="Buyer Number 3", email="buyer000000003@marketplace.amazon.de")
    assert order.recipient == Address(
        name="Recipient Number 3",
        lines=("Teststraße 3",),
        city="Osnabrück",
        postal_code="49003",
        country="DE",
        phone="0541 000001",
        instructions="Hinterhof",
    )
    assert order.items[0].item_id == "10000000000003"
    assert order.items[0].report_personal == {"buyer-phone-number": "0541 000000"}


def test_a_report_without_update_times_is_as_old_as_its_purchase():
    assert one(report_of(ORDER_REPORT, [order_report_row(0)])).last_updated_at == datetime(
        2026, 11, 1, 8, 0, tzinfo=UTC
    )
    assert one(report_of(["order-id"], [{"order-id": order_number(0)}])).last_updated_at == _EARLIEST


def test_rows_of_an_order_that_are_apart_become_one_order():
    rows = [all_orders_row(1), all_orders_row(2), all_orders_row(1, sku="BULB"), all_orders_row(1)]

    first, second = orders(report_of(ALL_ORDERS, rows))

    assert [item.item_id for item in first.items] == ["sku:LAMP-0001", "sku:BULB", "sku:LAMP-0001#2"]
    assert first.amounts.items == Decimal("21.01") * 3
    assert second.order_id == order_number(2)


def test_columns_that_nobody_knows_are_kept_sealed():
    headers = ["A-New-Column ", *ORDER_REPORT, "", "is-prime"]
    row = order_report_row(1) | {"A-New-Column ": "what Amazon adds", "": "no name", "is-prime": "TRUE"}

    order = one(report_of(headers, [row]))

    assert order.is_prime is True
    assert order.items[0].report_personal is not None
    assert order.items[0].report_personal["a-new-column"] == "what Amazon adds"
    assert order.items[0].report_personal["column 32"] == "no name"


def test_of_a_column_that_is_there_twice_the_second_is_kept_sealed():
    line = f"order-id\tsku\tSKU\r\n{order_number(1)}\tfirst\tsecond\r\n"

    order = one(line)

    assert order.items[0].sku == "first"
    assert order.items[0].report_personal == {"sku (column 3)": "second"}


def test_two_columns_that_say_the_same_thing_differently_are_both_kept():
    headers = ["order-id", "latest-ship-date", "promise-date"]
    row = {
        "order-id": order_number(1),
        "latest-ship-date": "2026-11-28T12:00:00Z",
        "promise-date": "2026-11-29T12:00:00Z",
    }

    order = one(report_of(headers, [row]))

    assert order.ship_by == datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert order.items[0].report_columns == {"promise-date": "2026-11-29T12:00:00Z"}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("purchase-date", "some day"),
        ("item-price", "free"),
        ("days-past-promise", "a few"),
        ("is-business-order", "perhaps"),
        ("currency", "Euro"),
        ("gift-wrap-price", "NaN"),
    ],
)
def test_what_cannot_be_read_costs_its_own_field_alone(column, words):
    headers = [*ALL_ORDERS, "days-past-promise"]

    order = one(report_of(headers, [all_orders_row(1, **{column: words})]))

    assert order.items[0].problems == (column,)
    assert order.items[0].report_personal is not None
    assert order.items[0].report_personal[column] == words
    assert (order.items[0].sku, order.status) == ("LAMP-0001", "SHIPPED")


def test_negative_amounts_and_currencies_that_nobody_knows_are_kept():
    order = one(report_of(ALL_ORDERS, [all_orders_row(1, item_price="-12.50", currency="XQX")]))

    assert (order.amounts.items, order.amounts.currency) == (Decimal("-12.50"), "XQX")


def test_items_of_several_currencies_have_no_sum():
    rows = [all_orders_row(1), all_orders_row(1, sku="BULB", currency="GBP")]

    order = one(report_of(ALL_ORDERS, rows))

    assert order.amounts.currency is None
    assert order.problems == ("currency",)


def test_decimals_and_dates_are_those_of_the_rows_marketplace():
    rows = [
        all_orders_row(1, item_price="1.234", purchase_date="05.11.2026 10:00 UTC"),
        all_orders_row(
            2, item_price="1.234", purchase_date="11/05/2026 10:00 UTC", sales_channel="Amazon.com"
        ),
        all_orders_row(
            3, item_price="1.234", purchase_date="05/11/2026 10:00 UTC", sales_channel="Non-Amazon"
        ),
    ]

    german, american, other = orders(report_of(ALL_ORDERS, rows), country="DE")

    assert (
        german.purchased_at
        == american.purchased_at
        == other.purchased_at
        == datetime(2026, 11, 5, 10, tzinfo=UTC)
    )
    assert (german.amounts.items, american.amounts.items) == (Decimal(1234), Decimal("1.234"))
    assert (american.country, other.country, other.sales_channel) == ("US", None, "Non-Amazon")


def test_json_in_a_cell_is_kept_if_it_is_json():
    headers = [*ALL_ORDERS, "fulfillment plan"]
    rows = [
        all_orders_row(1) | {"fulfillment plan": '[{"supply-source-id": "a", "item-quantity": 1}]'},
        all_orders_row(2) | {"fulfillment plan": "[{"},
    ]

    good, broken = orders(report_of(headers, rows))

    assert good.items[0].report_columns is not None
    assert good.items[0].report_columns["fulfillment plan"].startswith("[{")
    assert broken.items[0].problems == ("fulfillment plan",)


def test_a_quotation_mark_is_a_letter_like_any_other():
    rows = [all_orders_row(1, product_name='Monitor 27" "Pro'), all_orders_row(2)]

    first, second = orders(report_of(ALL_ORDERS, rows))

    assert first.items[0].title == 'Monitor 27" "Pro'
    assert second.order_id == order_number(2)


def test_too_few_and_too_many_cells_are_told_and_kept():
    short = "\t".join(line_of(ALL_ORDERS, all_orders_row(1)).split("\t")[:12])
    long = line_of(ALL_ORDERS, all_orders_row(2)) + "\tmore\tand more"

    few, many = orders("\t".join(ALL_ORDERS) + f"\r\n{short}\r\n{long}\r\n")

    assert few.items[0].problems == (CELLS_MISSING,)
    assert few.items[0].sku == "LAMP-0001"
    assert many.items[0].problems == (CELLS_TOO_MANY,)
    assert many.items[0].report_personal is not None
    assert many.items[0].report_personal["column 32"] == "more"


def test_lines_without_an_order_number_are_left_out_and_counted():
    content = report_of(
        ALL_ORDERS, [all_orders_row(1), all_orders_row(2, amazon_order_id="Total"), all_orders_row(3)]
    )

    (batch,) = batches(content)

    assert [order.order_id for order in batch.orders] == [order_number(1), order_number(3)]
    assert batch.left_out == 1


def test_statuses_are_written_as_the_sp_api_does():
    told = [
        "Shipped - Delivered to Buyer",
        "Cancelled",
        "Canceled",
        "PartiallyShipped",
        "Pending - Waiting for Pick Up",
        "Teleported",
    ]
    rows = [all_orders_row(number, order_status=status) for number, status in enumerate(told)]

    found = orders(report_of(ALL_ORDERS, rows))

    assert [order.status for order in found] == [
        "SHIPPED",
        "CANCELLED",
        "CANCELLED",
        "PARTIALLY_SHIPPED",
        "PENDING",
        "Teleported",
    ]
    assert found[-1].problems == ("status",)


def test_an_order_of_500_items_is_one_order():
    rows = [order_report_row(1, order_item_id=str(number), order_id=order_number(1)) for number in range(500)]

    (batch,) = batches(report_of(ORDER_REPORT, rows), batch_rows=10)

    assert len(batch.orders[0].items) == 500


def test_more_rows_of_one_order_than_any_has_do_not_gather_for_ever():
    rows = [
        order_report_row(1, order_item_id=str(number), order_id=order_number(1)) for number in range(1200)
    ]

    assert len(batches(report_of(ORDER_REPORT, rows), batch_rows=10)) == 3


@pytest.mark.parametrize("content", ["", "\r\n\r\n", "\ufeff"])
def test_a_report_without_a_first_line_is_empty(content):
    with pytest.raises(ReportEmpty):
        batches(content)


@pytest.mark.parametrize("content", ["<html><body>AccessDenied</body></html>", "asin\tsku\r\nA\tB\r\n"])
def test_another_document_is_no_order_report(content):
    with pytest.raises(NoOrderReport):
        batches(content)


# --- going on --------------------------------------------------------------------------------------------------------


def test_a_report_goes_on_behind_the_lines_that_were_stored():
    content = b"".join(all_orders_chunks(1000))
    whole = batches(content, batch_rows=100)

    for stop in (0, 3, len(whole) - 2):
        rest = batches(content, batch_rows=100, skip=whole[stop].lines)
        assert [order for batch in rest for order in batch.orders] == [
            order for batch in whole[stop + 1 :] for order in batch.orders
        ]
        assert rest[-1].lines == whole[-1].lines


def test_no_batch_ends_between_two_rows_of_an_order():
    found = [order.order_id for order in orders(b"".join(all_orders_chunks(1000)), batch_rows=10)]

    assert len(found) == len(set(found))


@pytest.mark.parametrize("is_whole_row", [False, True], ids=["in the middle", "in the last cell"])
def test_a_last_line_that_has_no_end_is_told(is_whole_row):
    content = report_of(ALL_ORDERS, [all_orders_row(1), all_orders_row(2)])
    cut = content.removesuffix("\r\n")
    if not is_whole_row:
        cut = cut[:-60]

    (batch,) = batches(cut)

    if is_whole_row:
        assert batch.orders[1].items[0].problems == (CUT_OFF,)
        assert not batch.cut_off
    else:
        assert [order.order_id for order in batch.orders] == [order_number(1)]
        assert (batch.left_out, batch.cut_off) == (1, True)


def test_a_line_without_end_is_passed_over_in_bounded_memory():
    content = report_of(ALL_ORDERS, [all_orders_row(1)]) + "x" * 5_000_000 + "\r\n"
    content += line_of(ALL_ORDERS, all_orders_row(2)) + "\r\n"

    (batch,) = batches(content)

    assert [order.order_id for order in batch.orders] == [order_number(1), order_number(2)]
    assert batch.left_out == 1


# --- charsets --------------------------------------------------------------------------------------------------------

_GERMAN = report_of(ALL_ORDERS, [all_orders_row(1, product_name="Lampe „weiß“ 5 €")])
_JAPANESE = report_of(
    ALL_ORDERS, [all_orders_row(1, product_name="卓上ランプ ﾄｱ", ship_city="大阪", ship_state="大阪府")]
)
_POLISH = report_of(
    ALL_ORDERS, [all_orders_row(1, product_name="Żarówka żółta", ship_city="Łódź", ship_state="")]
)


@pytest.mark.parametrize(
    ("content", "charset", "content_type", "country"),
    [
        (_GERMAN, "cp1252", "text/plain; charset=Cp1252", "DE"),
        (_GERMAN, "cp1252", "text/plain;charset=ISO-8859-1", "DE"),
        (_GERMAN, "cp1252", None, "DE"),
        (_GERMAN, "cp1252", "text/plain; charset=UTF-8", "DE"),
        (_GERMAN, "utf-8", "text/plain; charset=utf8", "DE"),
        (_GERMAN, "utf-8", "text/plain; charset=Cp1252", "DE"),
        (_GERMAN, "utf-8", None, "JP"),
        (_GERMAN, "utf-8-sig", "text/plain", "DE"),
        (_GERMAN, "utf-16", None, "DE"),
        (_GERMAN, "cp1252", "text/plain; charset=klingon", "DE"),
        (_JAPANESE, "cp932", 'text/plain; charset="Shift_JIS"', "JP"),
        (_JAPANESE, "cp932", "text/plain; charset=MS932", "JP"),
        (_JAPANESE, "cp932", None, "JP"),
        (_JAPANESE, "utf-8", "text/plain; charset=UTF8", "JP"),
        (_JAPANESE, "utf-8", "text/plain; charset=Shift_JIS", "JP"),
        (_POLISH, "cp1250", "text/plain; charset=windows-1250", "PL"),
    ],
)
def test_letters_are_right_whatever_the_header_says(content, charset, content_type, country):
    title = content.split("\r\n")[1].split("\t")[9]

    order = one(content.encode(charset), content_type=content_type, country=country)

    assert order.items[0].title == title
    assert order.items[0].problems == ()


def test_a_line_that_is_no_text_of_any_charset_is_kept_and_told():
    content = _JAPANESE.encode("cp932").replace("ﾄｱ".encode("cp932"), b"\x81")

    order = one(content, country="JP")

    assert order.items[0].problems == (STRANGE_BYTES,)
    assert order.items[0].sku == "LAMP-0001"


def test_letters_cut_by_a_chunk_are_whole():
    assert one(_GERMAN.encode(), chunk=1).items[0].title == one(_GERMAN.encode()).items[0].title


def test_control_characters_become_blanks():
    order = one(report_of(ALL_ORDERS, [all_orders_row(1, product_name="a\x00b\x1fc\x7f")]))

    assert order.items[0].title == "a b c"


# --- compression -----------------------------------------------------------------------------------------------------


def test_a_report_is_unpacked_whatever_amazon_says_of_it():
    content = _GERMAN.encode()

    assert orders(gzip.compress(content)) == orders(content)
    assert b"".join(unpacked([gzip.compress(content[:100]) + gzip.compress(content[100:])])) == content


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_packed_report_comes_in_chunks_of_any_size(size):
    content = b"".join(all_orders_chunks(300))

    assert len(orders(gzip.compress(content), chunk=size)) == 250


def test_a_zip_bomb_ends_clearly_and_early():
    bomb = gzip.compress(b"\0" * 64 * 1024**2)
    pieces: list[bytes] = []

    with pytest.raises(ZipBomb):
        pieces.extend(unpacked([bomb[start : start + 4096] for start in range(0, len(bomb), 4096)]))

    assert sum(map(len, pieces)) < 20 * 1024**2


def test_a_report_beyond_the_bound_is_good_up_to_it():
    content = report_of(ALL_ORDERS, [all_orders_row(number) for number in range(100)]).encode()
    blocks = lines_of(unpacked([content], most_bytes=5000), charsets_of(None, "DE"))
    found: list[Batch] = []

    with pytest.raises(ReportTooLarge):
        found.extend(open_report(blocks, country="DE", earliest=_EARLIEST).batches)

    assert [order.order_id for order in found[0].orders] == [order_number(number) for number in range(16)]


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_file_is_good_up_to_the_damage(damage):
    content = gzip.compress(b"".join(all_orders_chunks(3000)))
    broken = content[: len(content) // 2]
    if damage == "changed":
        broken += b"\xff" * 1000
    pieces: list[bytes] = []

    with pytest.raises(ReportDamaged):
        pieces.extend(unpacked([broken]))

    assert sum(map(len, pieces)) > 100_000


# --- anything --------------------------------------------------------------------------------------------------------

_cells = st.text(st.characters(exclude_characters="\n\r\t", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=80)
@given(data=st.binary(max_size=400), chunk=st.integers(1, 50), country=st.sampled_from(["DE", "JP", "US"]))
@example(data=b"\x1f\x8b", chunk=1, country="DE")
def test_any_bytes_behind_the_columns_are_rows_or_left_out(data, chunk, country):
    header = ("\t".join(ALL_ORDERS) + "\r\n").encode()

    found = batches(header + data, chunk=chunk, country=country)

    assert sum(batch.left_out + len(batch.orders) for batch in found) <= data.count(b"\n") + 1


@settings(max_examples=80)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(sorted(ALL_ORDERS[1:])), _cells), max_size=8),
    size=st.integers(1, 300),
)
def test_whatever_stands_in_the_cells_each_order_is_there_once(rows, size):
    numbered = [row | {"amazon-order-id": order_number(number)} for number, row in enumerate(rows)]

    found = orders(report_of(ALL_ORDERS, numbered), chunk=size, batch_rows=3)

    assert [order.order_id for order in found] == [row["amazon-order-id"] for row in numbered]


def test_a_report_whose_lines_end_in_another_way_is_none_so_that_no_cell_is_taken_for_a_column():
    with pytest.raises(NoOrderReport):
        orders(report_of(ALL_ORDERS, [all_orders_row(1)], end="\r"))


def test_of_any_number_of_cells_beyond_the_columns_nothing_is_lost_and_few_are_made():
    report = report_of(ALL_ORDERS, [all_orders_row(1)], end="\n").removesuffix("\n")
    order = one(report + "\tx" * 100_000 + "\n")

    assert order.items[0].problems == (CELLS_TOO_MANY,)
    told = order.items[0].report_personal or {}
    beyond = [cell for name, cell in told.items() if name.startswith("column ")]
    assert sum(cell.count("x") for cell in beyond) == 100_000
    assert len(beyond) < 200
