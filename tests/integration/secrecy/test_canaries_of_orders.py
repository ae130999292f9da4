"""What is personal in orders, whoever tells it and in whichever field, is in no column that is not sealed, in no log line and in no event."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from services.connector.order_reports.charsets import charsets_of, without_mark
from services.connector.order_reports.columns import COLUMNS
from services.connector.order_reports.lines import lines_of
from services.connector.order_reports.records import open_report
from services.connector.orders.model import OrderRecord
from services.connector.orders.reading import read_order
from services.connector.orders.storing import store_orders
from shared.tables import Integration
from tests.factories import make_integration
from tests.integration.secrecy.test_canaries import everything_stored

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CANARY = "canary-of-a-buyer"
PERSONAL = [name for name, column in COLUMNS.items() if column.is_personal]


def of_the_api(canary: object = CANARY) -> OrderRecord:
    """Each personal field holds the canary."""
    words = "name companyName addressLine1 addressLine2 addressLine3 city municipality phone districtOrCounty"
    address = dict.fromkeys(f"{words} stateOrRegion postalCode countryCode addressType".split(), canary)
    extended = dict.fromkeys(("streetName", "streetNumber", "complement", "neighborhood"), canary)
    buyer = dict.fromkeys(
        ("buyerName", "buyerEmail", "buyerCompanyName", "buyerPurchaseOrderNumber", "new"), canary
    )
    item: dict[str, Any] = {
        "orderItemId": "1",
        "product": {"title": "Lampe", "customization": {"customizedUrl": canary}},
        "fulfillment": {"packing": {"giftOption": {"giftMessage": canary, "giftWrapLevel": "Standard"}}},
    }
    return read_order(
        {
            "orderId": "303-1234567-1234567",
            "createdTime": "2026-11-27T10:00:00Z",
            "lastUpdatedTime": "2026-11-27T11:00:00Z",
            "buyer": buyer,
            "recipient": {
                "deliveryAddress": {**address, "extendedFields": extended},
                "deliveryPreference": {"dropOffLocation": canary, "addressInstruction": canary},
            },
            "orderItems": [item],
        },
        seen_at=NOW,
    )


def of_a_report(columns: list[str], cells: list[str]) -> list[OrderRecord]:
    content = "\t".join(["order-id", *columns]) + "\n" + "\t".join(["303-1234567-1234567", *cells]) + "\n"
    blocks = lines_of(without_mark([content.encode()]), charsets_of(None, "DE"))
    report = open_report(blocks, country="DE", earliest=NOW - timedelta(days=30))
    return [order for batch in report.batches for order in batch.orders]


TOLD = {
    "the API": [of_the_api()],
    "the API in another form": [of_the_api([CANARY])],
    "every personal column": of_a_report(PERSONAL, [CANARY] * len(PERSONAL)),
    "a column that nobody knows": of_a_report(["buyers-dog"], [CANARY]),
    "a column that comes twice": of_a_report(
        ["buyer-name", "Buyer-Name ", "sku", "sku"], ["x", CANARY, "s", CANARY]
    ),
    "a cell beyond the columns": of_a_report(["sku"], ["s", *["x"] * 200, CANARY]),
    "cells that belong to another column": of_a_report(
        ["purchase-date", "item-price", "quantity-purchased", "currency"], [CANARY] * 4
    ),
}


@pytest.fixture
async def integration(sessions, account) -> Integration:
    async with sessions.begin() as session:
        return await make_integration(session, account.id)


@pytest.mark.parametrize("place", TOLD)
async def test_what_is_personal_in_an_order_is_nowhere_unsealed(
    *, logged, database, keyring, sessions, integration, place
):
    keys = await keyring.of(sessions, integration.account_id)
    async with sessions.begin() as session:
        await store_orders(session, keys, integration.id, TOLD[place], now=NOW)

    stored, lines = await everything_stored(database), logged.getvalue()
    assert "303-1234567-1234567" in stored
    for told in (CANARY, CANARY.encode().hex()):
        assert told not in stored
        assert told not in lines


async def test_an_order_that_the_database_refuses_is_in_no_text_of_the_failure(
    keyring, sessions, integration
):
    keys = await keyring.of(sessions, integration.account_id)
    [order] = of_a_report(["product-name"], [CANARY])
    with pytest.raises(DBAPIError) as failure:
        async with sessions.begin() as session:
            # Of no store: the database says which row it refuses.
            await store_orders(session, keys, keys.account_id, [order], now=NOW)

    assert "hidden" in str(failure.value)
    assert CANARY not in str(failure.value)
