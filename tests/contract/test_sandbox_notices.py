"""The sandbox's side of notices: they fit Amazon's published schemas, and so do the subscriptions behind them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from services.sandbox.state.orders import Status
from services.sandbox.state.reports import ALL_ORDERS_TYPE
from tests.contract.conftest import Amazon
from tests.contract.models import PublishedOperation
from tests.contract.test_sandbox_answers import NOTIFICATIONS, QUEUE

LAMPENLADEN = "A1LAMPENLADEN7"


def schema(name: str) -> Draft7Validator:
    """A published schema; skips where it is not at hand."""
    here = Path(__file__).resolve().parents[2].parent / "shared" / "sp-api-models"
    file = Path(os.getenv("SP_API_MODELS") or here) / "schemas-notifications" / f"{name}.json"
    if not file.is_file():
        pytest.skip(f"Amazon's schema {name} is not here; set SP_API_MODELS to the folder that holds it")
    return Draft7Validator(json.loads(file.read_text("utf-8")))


async def subscribe(amazon: Amazon, operations: dict[str, PublishedOperation], kind: str) -> str:
    application = await amazon.application_token(NOTIFICATIONS)
    created = await amazon.call(operations["createDestination"], application, json=QUEUE)
    token = await amazon.seller_token(LAMPENLADEN)
    wanted: dict[str, Any] = {
        "payloadVersion": "1.0",
        "destinationId": created.json()["payload"]["destinationId"],
    }
    if kind == "ORDER_CHANGE":
        wanted["processingDirective"] = {"eventFilter": {"eventFilterType": kind}}
    operation = operations["createSubscription"]
    answer = await amazon.call(operation, token, json=wanted, notificationType=kind)
    assert answer.status_code == 200
    operation.assert_answer_fits(answer)
    return token


def notices(amazon: Amazon) -> list[dict[str, Any]]:
    return [json.loads(notice.body) for notice in amazon.state.notices.queues.content("queue")]


async def test_order_changes_fit_amazons_schema(
    operations: dict[str, PublishedOperation], amazon: Amazon
) -> None:
    validator = schema("OrderChangeNotification")
    await subscribe(amazon, operations, "ORDER_CHANGE")
    [placed, *_] = amazon.state.orders.of_seller(LAMPENLADEN)

    for status in Status:
        with amazon.state.orders.changing(placed, amazon.state.now(), "BuyerRequestedChange"):
            placed.status = status

    told = notices(amazon)
    assert len(told) == len(Status)
    for notice in told:
        validator.validate(notice)


async def test_finished_reports_fit_amazons_schema(
    operations: dict[str, PublishedOperation], amazon: Amazon
) -> None:
    validator = schema("ReportProcessingFinishedNotification")
    token = await subscribe(amazon, operations, "REPORT_PROCESSING_FINISHED")
    for start in (None, amazon.state.now().isoformat()):
        wanted = {"reportType": ALL_ORDERS_TYPE, "marketplaceIds": ["A1PA6795UKMFR9"]}
        body = wanted if start is None else {**wanted, "dataStartTime": start}
        assert (await amazon.call(operations["createReport"], token, json=body)).status_code == 202
        amazon.state.advance_clock(3)
        assert (await amazon.call(operations["getReport"], token, reportId="x")).status_code == 404

    done, cancelled = notices(amazon)
    for notice in (done, cancelled):
        validator.validate(notice)
    assert "reportDocumentId" in str(done)
    assert "CANCELLED" in str(cancelled)


async def test_subscriptions_are_read_and_ended_as_amazon_says(
    operations: dict[str, PublishedOperation], amazon: Amazon
) -> None:
    token = await subscribe(amazon, operations, "ORDER_CHANGE")
    application = await amazon.application_token(NOTIFICATIONS)
    many, one, end = (
        operations[name] for name in ("getSubscriptions", "getSubscriptionById", "deleteSubscriptionById")
    )

    listed = await amazon.call(many, token, query={"notificationTypes": "ORDER_CHANGE"})
    wrong = await amazon.call(many, token)
    [subscription] = listed.json()["payload"]["subscriptions"]
    path = {"notificationType": "ORDER_CHANGE", "subscriptionId": subscription["subscriptionId"]}
    answers = [
        (many, 200, listed),
        (many, 400, wrong),
        (one, 200, await amazon.call(one, application, **path)),
        (end, 200, await amazon.call(end, application, **path)),
        (end, 404, await amazon.call(end, application, **path)),
    ]

    for operation, status, answer in answers:
        assert answer.status_code == status
        operation.assert_answer_fits(answer)
