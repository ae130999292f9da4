"""The sandbox's side: what it answers fits Amazon's published models, errors and headers included."""

from typing import Any

import pytest

from services.sandbox.sp_api import (
    applications_api,
    notifications_api,
    orders_api,
    reports_api,
    sellers_api,
    tokens_api,
)
from services.sandbox.sp_api.operation import Operation
from services.sandbox.state.scenarios import API_ANSWERS
from tests.contract.conftest import Amazon
from tests.contract.models import PublishedOperation

Operations = dict[str, PublishedOperation]

SELLERS = {"A1LAMPENLADEN7": "eu", "A2CASAVERDE34K": "eu", "A3BRIGHTPORCH9": "na", "A4HARBOURLITE2": "fe"}
ROTATION = "sellingpartnerapi::client_credential:rotation"
NOTIFICATIONS = "sellingpartnerapi::notifications"
QUEUE = {
    "name": "queue",
    "resourceSpecification": {"sqs": {"arn": "arn:aws:sqs:eu-west-1:123456789012:queue"}},
}
PLAYED = [
    operation
    for module in (
        *(sellers_api, applications_api, notifications_api, tokens_api),
        *(orders_api, reports_api),
    )
    for operation in vars(module).values()
    if isinstance(operation, Operation)
]


@pytest.mark.parametrize("operation", PLAYED, ids=lambda operation: operation.name)
def test_rate_and_burst_are_the_published_ones(operations: Operations, operation: Operation) -> None:
    assert (operation.rate, operation.burst) == operations[operation.name].rate_and_burst


@pytest.mark.parametrize(("seller_id", "region"), SELLERS.items())
async def test_participations_fit_amazons_model(
    operations: Operations, amazon: Amazon, seller_id: str, region: str
) -> None:
    operation = operations["getMarketplaceParticipations"]
    token = await amazon.seller_token(seller_id)

    good = await amazon.call(operation, token, region)
    forbidden = await amazon.call(operation, "Atza|wrong", region)
    throttled = [await amazon.call(operation, token, region) for _ in range(15)][-1]

    assert [answer.status_code for answer in (good, forbidden, throttled)] == [200, 403, 429]
    for answer in (good, forbidden, throttled):
        operation.assert_answer_fits(answer)
    assert len(good.json()["payload"]) >= 3


async def test_refused_user_agent_fits_amazons_model(operations: Operations, amazon: Amazon) -> None:
    operation = operations["getMarketplaceParticipations"]
    headers = {"x-amz-access-token": await amazon.seller_token("A1LAMPENLADEN7"), "user-agent": "x"}

    answer = await amazon.http.get(f"/sellingpartnerapi-eu.amazon.com{operation.path}", headers=headers)

    assert answer.status_code == 400
    operation.assert_answer_fits(answer)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, answer in API_ANSWERS.items()
        if answer.content_type == "application/json" and answer.body
    ],
)
async def test_scenarios_that_answer_json_fit_amazons_model(
    operations: Operations, amazon: Amazon, name: str
) -> None:
    operation = operations["getMarketplaceParticipations"]
    token = await amazon.seller_token("A1LAMPENLADEN7")
    amazon.state.scenarios.switch_on(name)

    answer = await amazon.call(operation, token)

    assert answer.status_code == API_ANSWERS[name].status
    operation.assert_answer_fits(answer)


@pytest.mark.parametrize(
    "name",
    [
        "participations-empty",
        "participations-none",
        "participations-other-region",
        "participations-other-store",
        "store-renamed",
        "listings-suspended",
    ],
)
async def test_strange_stores_still_fit_amazons_model(
    operations: Operations, amazon: Amazon, name: str
) -> None:
    operation = operations["getMarketplaceParticipations"]
    token = await amazon.seller_token("A1LAMPENLADEN7")
    amazon.state.scenarios.switch_on(name)

    operation.assert_answer_fits(await amazon.call(operation, token))


async def test_rotation_of_the_client_secret_fits_amazons_model(
    operations: Operations, amazon: Amazon
) -> None:
    operation = operations["rotateApplicationClientSecret"]
    token = await amazon.application_token(ROTATION)

    done = await amazon.call(operation, token)
    throttled = await amazon.call(operation, token)
    amazon.state.calls.throttling = False
    amazon.state.scenarios.switch_on("rotation-not-enrolled")
    not_enrolled = await amazon.call(operation, token)
    forbidden = await amazon.call(operation, await amazon.application_token(NOTIFICATIONS))

    answers = (done, throttled, not_enrolled, forbidden)
    assert [answer.status_code for answer in answers] == [204, 429, 400, 403]
    for answer in answers:
        operation.assert_answer_fits(answer)
    [published] = operation.examples(400)
    assert not_enrolled.json()["errors"][0]["message"] == published["errors"][0]["message"]


async def test_destinations_fit_amazons_model(operations: Operations, amazon: Amazon) -> None:
    token = await amazon.application_token(NOTIFICATIONS)

    async def check(name: str, status: int, *, body: object = None, **path: Any) -> str:
        answer = await amazon.call(operations[name], token, json=body, **path)
        assert answer.status_code == status
        operations[name].assert_answer_fits(answer)
        payload = answer.json().get("payload")
        return str(payload["destinationId"]) if isinstance(payload, dict) else ""

    destination_id = await check("createDestination", 200, body=QUEUE)
    await check("createDestination", 409, body=QUEUE)
    await check("createDestination", 400, body={"name": "x"})
    await check("getDestinations", 200)
    await check("getDestination", 200, destinationId=destination_id)
    await check("getDestination", 404, destinationId="unknown")
    await check("deleteDestination", 200, destinationId=destination_id)
    await check("deleteDestination", 404, destinationId=destination_id)


async def test_restricted_data_tokens_fit_amazons_model(operations: Operations, amazon: Amazon) -> None:
    operation = operations["createRestrictedDataToken"]
    token = await amazon.seller_token("A1LAMPENLADEN7")
    wanted = {"restrictedResources": [{"method": "GET", "path": "/orders/v0/orders/{orderId}/address"}]}

    good = await amazon.call(operation, token, json=wanted)
    invalid = await amazon.call(operation, token, json={"restrictedResources": []})
    forbidden = await amazon.call(operation, "Atza|wrong", json=wanted)
    amazon.state.scenarios.switch_on("personal-data-refused", count=1)
    refused = await amazon.call(operation, token, json=wanted)
    # On a slow machine the bucket fills while it is emptied.
    many = [await amazon.call(operation, token, json=wanted) for _ in range(40)]
    throttled = next(answer for answer in many if answer.status_code == 429)

    answers = (good, invalid, forbidden, refused, throttled)
    assert [answer.status_code for answer in answers] == [200, 400, 403, 400, 429]
    for answer in answers:
        operation.assert_answer_fits(answer)
    [published] = operation.examples(400)
    assert invalid.json() == published
    assert good.json().keys() == operation.examples(200)[0].keys()


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"restrictedResources": "GET /orders/v0/orders"},
        {"restrictedResources": [{"method": "", "path": "/orders/v0/orders"}]},
        {"restrictedResources": [{"method": "GET", "path": "orders"}]},
        {"restrictedResources": [{"method": "GET", "path": "/orders/v0/orders", "dataElements": ["all"]}]},
        {"restrictedResources": [{"method": "GET", "path": "/orders/v0/orders"}] * 51},
    ],
)
async def test_request_that_the_tokens_api_does_not_know_is_refused(
    operations: Operations, amazon: Amazon, body: object
) -> None:
    operation = operations["createRestrictedDataToken"]
    token = await amazon.seller_token("A1LAMPENLADEN7")

    answer = await amazon.call(operation, token, json=body)

    assert answer.status_code == 400
    operation.assert_answer_fits(answer)


async def test_restricted_data_token_opens_no_operation_that_is_not_restricted(
    operations: Operations, amazon: Amazon
) -> None:
    wanted = {"restrictedResources": [{"method": "GET", "path": "/orders/v0/orders"}]}
    token = await amazon.seller_token("A1LAMPENLADEN7")
    answer = await amazon.call(operations["createRestrictedDataToken"], token, json=wanted)

    other = await amazon.call(
        operations["getMarketplaceParticipations"], answer.json()["restrictedDataToken"]
    )

    assert other.status_code == 403


async def test_subscriptions_fit_amazons_model(operations: Operations, amazon: Amazon) -> None:
    application = await amazon.application_token(NOTIFICATIONS)
    created = await amazon.call(operations["createDestination"], application, json=QUEUE)
    token = await amazon.seller_token("A1LAMPENLADEN7")
    wanted = {"payloadVersion": "1.0", "destinationId": created.json()["payload"]["destinationId"]}
    create, read = operations["createSubscription"], operations["getSubscription"]

    answers = [
        (read, 404, await amazon.call(read, token, notificationType="ORDER_CHANGE")),
        (create, 200, await amazon.call(create, token, json=wanted, notificationType="ORDER_CHANGE")),
        (create, 409, await amazon.call(create, token, json=wanted, notificationType="ORDER_CHANGE")),
        (
            create,
            400,
            await amazon.call(create, token, json={}, notificationType="REPORT_PROCESSING_FINISHED"),
        ),
        (read, 200, await amazon.call(read, token, notificationType="ORDER_CHANGE")),
    ]

    for operation, status, answer in answers:
        assert answer.status_code == status
        operation.assert_answer_fits(answer)
