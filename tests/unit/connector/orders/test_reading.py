"""An order of the Orders API is read as far as it is good, and what is not is named."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.connector.orders.model import Address, Buyer
from services.connector.orders.reading import OrderUnreadable, read_order

SEEN = datetime(2026, 11, 28, 12, tzinfo=UTC)


def euros(amount: Any) -> dict[str, Any]:
    return {"amount": amount, "currencyCode": "EUR"}


def told(**changes: Any) -> dict[str, Any]:
    return {
        "orderId": "303-1234567-1234567",
        "createdTime": "2026-11-20T10:00:00Z",
        "lastUpdatedTime": "2026-11-21T10:00:00Z",
        "programs": ["PRIME"],
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": "A1PA6795UKMFR9"},
        "fulfillment": {"fulfillmentStatus": "UNSHIPPED", "fulfilledBy": "MERCHANT"},
        "proceeds": {
            "grandTotal": euros("47.80"),
            "breakdowns": [
                {"type": "ITEM", "subtotal": euros("42.00")},
                {"type": "SHIPPING", "subtotal": euros("4.90")},
                {"type": "GIFT_WRAP", "subtotal": euros("2.90")},
                {"type": "DISCOUNT", "subtotal": euros("-2.00")},
            ],
        },
        "orderItems": [item()],
    } | changes


def item(**changes: Any) -> dict[str, Any]:
    return {
        "orderItemId": "60696125413094",
        "quantityOrdered": 2,
        "product": {
            "asin": "B0EXAMPLE1",
            "title": "Lampe",
            "sellerSku": "L-1",
            "price": {"unitPrice": euros("21.00")},
        },
    } | changes


def test_what_amazon_tells_is_what_is_read():
    order = read_order(told(), seen_at=SEEN)

    assert (order.order_id, order.country, order.status, order.is_prime) == (
        "303-1234567-1234567",
        "DE",
        "UNSHIPPED",
        True,
    )
    assert order.purchased_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert (order.amounts.currency, order.amounts.total, order.amounts.other) == (
        "EUR",
        Decimal("47.80"),
        Decimal("2.90"),
    )
    assert (order.items[0].quantity, order.items[0].unit_price) == (2, Decimal("21.00"))
    assert order.problems == ()


def test_personal_data_that_is_not_there_is_no_problem():
    order = read_order(told(buyer={}, recipient=None), seen_at=SEEN)

    assert (order.buyer, order.recipient, order.packages, order.problems) == (None, None, None, ())


def test_personal_data_that_is_there_is_read():
    order = read_order(
        told(
            buyer={"buyerName": "Erika", "buyerEmail": "k3x9@marketplace.amazon.de"},
            recipient={
                "deliveryAddress": {
                    "name": "Erika",
                    "addressLine1": "Weg 1",
                    "city": "Ulm",
                    "countryCode": "DE",
                }
            },
        ),
        seen_at=SEEN,
    )

    assert order.buyer == Buyer(name="Erika", email="k3x9@marketplace.amazon.de")
    assert order.recipient == Address(name="Erika", lines=("Weg 1",), city="Ulm", country="DE")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lastUpdatedTime": "yesterday"}, "lastUpdatedTime"),
        ({"lastUpdatedTime": None}, "lastUpdatedTime"),
        ({"createdTime": "2026-11-20T10:00:00"}, "createdTime"),
        ({"createdTime": "9999-12-31T23:59:59-12:00"}, "createdTime"),
        ({"createdTime": 5}, "createdTime"),
        ({"programs": "PRIME"}, "programs"),
        ({"programs": ["PRIME", {}]}, "programs"),
        ({"salesChannel": "Amazon.de"}, "salesChannel"),
        ({"fulfillment": {"fulfillmentStatus": "TELEPORTED"}}, "fulfillment.fulfillmentStatus"),
        ({"orderItems": {}}, "orderItems"),
        ({"orderItems": [item()] * 501}, "orderItems"),
        ({"proceeds": {"grandTotal": euros("-3.00")}}, "proceeds.grandTotal.amount"),
        ({"proceeds": {"grandTotal": euros("NaN")}}, "proceeds.grandTotal.amount"),
        ({"proceeds": {"grandTotal": euros("1e99")}}, "proceeds.grandTotal.amount"),
        ({"proceeds": {"grandTotal": euros(True)}}, "proceeds.grandTotal.amount"),
        (
            {"proceeds": {"grandTotal": {"amount": "3", "currencyCode": "XQQ"}}},
            "proceeds.grandTotal.currencyCode",
        ),
        (
            {"proceeds": {"grandTotal": {"amount": "3", "currencyCode": "euros"}}},
            "proceeds.grandTotal.currencyCode",
        ),
        ({"packages": [None, "box"]}, "packages"),
    ],
    ids=lambda value: str(value)[:80],
)
def test_what_cannot_be_read_costs_itself_alone(changes: dict[str, Any], problem: str):
    order = read_order(told(**changes), seen_at=SEEN)

    assert problem in order.problems
    assert order.order_id == "303-1234567-1234567"


def test_an_item_that_cannot_be_read_whole_says_so_itself():
    order = read_order(told(orderItems=[item(), item(orderItemId="2", quantityOrdered=-1)]), seen_at=SEEN)

    assert [each.problems for each in order.items] == [(), ("quantityOrdered",)]
    assert (order.items[1].quantity, order.items[1].title) == (None, "Lampe")


def test_a_currency_that_nobody_knows_is_kept_and_told():
    order = read_order(told(proceeds={"grandTotal": {"amount": "3", "currencyCode": "XQQ"}}), seen_at=SEEN)

    assert (order.amounts.currency, order.amounts.total) == ("XQQ", Decimal(3))


def test_an_update_time_that_cannot_be_read_is_not_later_than_the_purchase():
    """Else the true state, which comes afterwards, would seem to be older."""
    order = read_order(told(lastUpdatedTime="soon"), seen_at=SEEN)

    assert order.last_updated_at == order.purchased_at
    assert order.is_time_known is False


@pytest.mark.parametrize(
    "nothing", [None, [], "303-1234567-1234567", {}, {"orderId": "../orders"}, {"orderId": 7}], ids=str
)
def test_without_a_number_it_is_no_order(nothing: object):
    with pytest.raises(OrderUnreadable):
        read_order(nothing, seen_at=SEEN)


def test_control_characters_do_not_reach_the_database():
    order = read_order(told(orderItems=[item(product={"title": "Lam\x00pe\ud800"})]), seen_at=SEEN)

    assert order.items[0].title == "Lam pe"


def test_amounts_of_items_make_the_order_s_where_amazon_gives_no_other():
    items = [item(orderItemId=number, proceeds={"proceedsTotal": euros("10.50")}) for number in ("1", "2")]
    order = read_order(told(proceeds=None, orderItems=items), seen_at=SEEN)

    assert order.amounts.total == Decimal("21.00")


@pytest.mark.parametrize("amount", ["1e9999999", "-1e999999999999999999", "sNaN", "Infinity", 10**4000, True])
def test_an_amount_beyond_all_measure_costs_itself_alone(amount: object):
    order = read_order(told(proceeds={"grandTotal": euros(amount)}), seen_at=SEEN)

    assert (order.amounts.total, order.problems) == (None, ("proceeds.grandTotal.amount",))


MOST = euros("99999999999999")


@pytest.mark.parametrize(
    "changes",
    [
        {"proceeds": {"grandTotal": MOST, "breakdowns": [{"type": "ITEM", "subtotal": MOST}] * 3}},
        {"proceeds": {}, "orderItems": [item(proceeds={"proceedsTotal": MOST})] * 3},
        {"payment": {"paymentExecutions": [{"paymentAmount": MOST}] * 3}},
    ],
    ids=["kinds", "items", "payments"],
)
def test_a_sum_that_no_column_takes_is_left_out_and_told(changes: dict[str, Any]):
    order = read_order(told(**changes), seen_at=SEEN)

    amounts = order.amounts
    sums = (amounts.total, amounts.items, amounts.shipping, order.paid_amount)
    assert all(amount is None or amount < 10**14 for amount in sums)
    assert order.problems
