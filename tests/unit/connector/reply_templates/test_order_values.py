"""What a text says of an order: in its own language, by the day of the marketplace, and never a guess."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.connector.orders.model import STATUSES
from services.connector.reply_templates import order_values
from services.connector.reply_templates.order_values import KnownOrder
from services.connector.reply_templates.placeholders import Placeholder
from shared.languages import MESSAGE_LANGUAGES
from shared.marketplaces import BY_COUNTRY

ORDER = KnownOrder(
    country="DE",
    status="SHIPPED",
    is_delivered=False,
    purchased_at=datetime(2026, 11, 23, 23, 30, tzinfo=UTC),
    ship_by=datetime(2026, 11, 30, 22, 59, 59, tzinfo=UTC),
    deliver_by=datetime(2026, 12, 3, 22, 59, 59, tzinfo=UTC),
    total=Decimal("1249.9000"),
    currency="EUR",
    titles=["Lampe", "Birne", "Lampe"],
    packages=[("DHL", "1"), ("DHL", "2")],
)


def _values(order: KnownOrder, language: str) -> dict[str, str | None]:
    values = order_values.order_values(order, language)
    # Browsers and mails show a no-break space as a space.
    return {name.value: value and value.replace("\u00a0", " ") for name, value in values.items()}


@pytest.mark.parametrize(
    ("language", "country", "expected"),
    [
        ("de", "DE", ("versandt", "30. November 2026", "1.249,90 €")),
        ("en", "GB", ("shipped", "30 November 2026", "€1,249.90")),
        ("en", "US", ("shipped", "November 30, 2026", "€1,249.90")),
        ("fr", "FR", ("expédiée", "30 novembre 2026", "1 249,90 €")),
        ("pt-BR", "BR", ("enviado", "30 de novembro de 2026", "€ 1.249,90")),
        ("ja", "JP", ("発送済み", "2026年12月1日", "€1,249.90")),
    ],
)
def test_an_order_is_told_in_the_texts_language_by_the_marketplaces_day(language, country, expected):
    values = _values(replace(ORDER, country=country), language)

    total = (values["order_total"] or "").replace("\u202f", " ")
    assert (values["order_status"], values["ship_by"], total) == expected


@pytest.mark.parametrize(
    ("country", "end_of_day"),
    [
        ("US", "2026-12-01T07:59:59Z"),
        # In the east and in the west of the country.
        ("CA", "2026-12-01T04:59:59Z"),
        ("CA", "2026-12-01T07:59:59Z"),
        ("MX", "2026-12-01T05:59:59Z"),
        ("GB", "2026-11-30T23:59:59Z"),
        ("DE", "2026-11-30T22:59:59Z"),
        ("IN", "2026-11-30T18:29:59Z"),
        ("JP", "2026-11-30T14:59:59Z"),
    ],
)
def test_the_end_of_a_day_is_that_day(country, end_of_day):
    order = replace(ORDER, country=country, ship_by=datetime.fromisoformat(end_of_day))

    assert "30" in (_values(order, "en")["ship_by"] or "")


def test_several_items_and_packages_are_all_named_once():
    values = _values(ORDER, "de")

    assert (values["item_titles"], values["carrier"], values["tracking_number"]) == (
        "Lampe; Birne",
        "DHL",
        "1, 2",
    )


def test_of_many_items_the_rest_is_said_to_be_left_out():
    values = _values(replace(ORDER, titles=[f"Lampe {number}" for number in range(500)]), "de")

    assert (values["item_titles"] or "").startswith("Lampe 0; Lampe 1;")
    assert (values["item_titles"] or "").endswith("Lampe 9 …")


@pytest.mark.parametrize(
    ("unknown", "missing"),
    [
        ({"status": "UNKNOWN"}, "order_status"),
        ({"status": "UNFULFILLABLE"}, "order_status"),
        ({"ship_by": None}, "ship_by"),
        ({"country": None}, "deliver_by"),
        ({"total": None}, "order_total"),
        ({"currency": None}, "order_total"),
        ({"titles": []}, "item_titles"),
        ({"titles": ["Lampe", None]}, "item_titles"),
        ({"packages": []}, "tracking_number"),
        ({"packages": [("DHL", None)]}, "tracking_number"),
    ],
    ids=str,
)
def test_what_is_not_known_has_no_value(unknown, missing):
    assert _values(replace(ORDER, **unknown), "de")[missing] is None


@pytest.mark.parametrize("language", MESSAGE_LANGUAGES)
def test_every_language_has_words_for_every_status_that_a_buyer_knows(language):
    told = {_values(replace(ORDER, status=status), language)["order_status"] for status in STATUSES}
    delivered = _values(replace(ORDER, is_delivered=True), language)["order_status"]

    assert len(told - {None}) == 6
    assert delivered not in told


def test_every_marketplace_has_a_day():
    for country in BY_COUNTRY:
        assert _values(replace(ORDER, country=country), "en")["deliver_by"] is not None


def test_the_places_are_those_that_a_text_may_name():
    assert set(order_values.order_values(ORDER, "en")) <= set(Placeholder)
