"""The application's secret: rotated by hand or by the API, the old one good for seven more days, the new one in the queue."""

from typing import Any

import httpx2

from tests.integration.sandbox.conftest import USER_AGENT, Seller

ROTATION = "sellingpartnerapi::client_credential:rotation"
NOTIFICATIONS = "sellingpartnerapi::notifications"
SECRET_PATH = "/sellingpartnerapi-eu.amazon.com/applications/2023-11-30/clientSecret"
DAY = 86_400


async def grantless(seller: Seller, scope: str, **fields: str) -> str:
    answer = await seller.token(grant_type="client_credentials", scope=scope, **fields)
    token: str = answer.json()["access_token"]
    return token


async def call(seller: Seller, method: str, path: str, token: str, json: Any = None) -> httpx2.Response:
    headers = {"x-amz-access-token": token, "user-agent": USER_AGENT}
    return await seller.client.request(method, path, headers=headers, json=json)


async def status_with(seller: Seller, secret: str) -> int:
    answer = await seller.token(grant_type="client_credentials", scope=NOTIFICATIONS, client_secret=secret)
    return answer.status_code


async def test_both_secrets_are_good_for_seven_days_then_the_new_one_only(seller: Seller) -> None:
    old = seller.settings.client_secret.get_secret_value()
    rotated = (await seller.client.post("/control/client-secret/rotate")).json()

    assert (await status_with(seller, old), await status_with(seller, rotated["client_secret"])) == (200, 200)
    await seller.client.post("/control/clock/advance", json={"seconds": 7 * DAY - 1})
    assert await status_with(seller, old) == 200
    await seller.client.post("/control/clock/advance", json={"seconds": 1})

    assert (await status_with(seller, old), await status_with(seller, rotated["client_secret"])) == (401, 200)


async def test_refresh_tokens_survive_a_rotation(seller: Seller) -> None:
    tokens = await seller.connect()
    rotated = (
        await seller.client.post("/control/client-secret/rotate", json={"client_secret": "new"})
    ).json()
    await seller.client.post("/control/clock/advance", json={"seconds": 7 * DAY})

    answer = await seller.token(
        grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_secret="new"
    )

    assert rotated["client_secret"] == "new"
    assert answer.status_code == 200
    assert (await seller.client.get("/control/notifications")).json() == []


async def test_access_token_that_an_old_secret_fetched_dies_with_it(seller: Seller) -> None:
    tokens = await seller.connect()
    await seller.client.post("/control/client-secret/rotate", json={"client_secret": "new"})
    await seller.client.post("/control/clock/advance", json={"seconds": 7 * DAY - 60})
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    by_old = (await seller.token(**refresh)).json()["access_token"]
    by_new = (await seller.token(**refresh, client_secret="new")).json()["access_token"]
    assert (await seller.participations(by_old)).status_code == 200

    await seller.client.post("/control/clock/advance", json={"seconds": 60})

    dead = await seller.participations(by_old)
    assert dead.status_code == 403
    assert dead.json()["errors"][0]["details"] == "The LWA secret token you provided has expired."
    assert (await seller.participations(by_new)).status_code == 200


async def test_rotation_by_the_api_tells_the_new_secret_in_the_queue_only(seller: Seller) -> None:
    answer = await call(seller, "POST", SECRET_PATH, await grantless(seller, ROTATION))

    assert (answer.status_code, answer.content) == (204, b"")
    [message] = (await seller.client.get("/control/notifications")).json()
    assert message["notificationType"] == "APPLICATION_OAUTH_CLIENT_NEW_SECRET"
    told = message["payload"]["applicationOAuthClientNewSecret"]
    assert told["clientId"] == seller.settings.client_id
    assert told["oldClientSecretExpiryTime"] == "2026-11-09T08:15:01.000Z"
    assert told["newClientSecretExpiryTime"] == "2027-05-01T08:15:01.000Z"
    assert await status_with(seller, told["newClientSecret"]) == 200


async def test_rotation_needs_the_scope_and_a_registered_queue(seller: Seller) -> None:
    other_scope = await call(seller, "POST", SECRET_PATH, await grantless(seller, NOTIFICATIONS))
    sellers = await call(seller, "POST", SECRET_PATH, (await seller.connect())["access_token"])
    await seller.client.post("/control/scenarios/rotation-not-enrolled")
    not_enrolled = await call(seller, "POST", SECRET_PATH, await grantless(seller, ROTATION))

    assert (other_scope.status_code, sellers.status_code) == (403, 403)
    assert not_enrolled.status_code == 400
    assert not_enrolled.json()["errors"][0]["message"].startswith("Application is not enrolled")
    assert (await seller.client.get("/control/notifications")).json() == []


async def test_rotation_can_be_called_once_a_minute(seller: Seller) -> None:
    token = await grantless(seller, ROTATION)
    first = await call(seller, "POST", SECRET_PATH, token)
    second = await call(seller, "POST", SECRET_PATH, token)

    assert (first.status_code, second.status_code) == (204, 429)


async def test_expiry_notice_names_the_day(seller: Seller) -> None:
    [message] = (await seller.client.post("/control/client-secret/expiry-notice", json={"days": 10})).json()

    assert message["payload"] == {
        "applicationOAuthClientSecretExpiry": {
            "clientId": seller.settings.client_id,
            "clientSecretExpiryTime": "2026-11-12T08:15:01.000Z",
            "clientSecretExpiryReason": "PERIODIC_ROTATION",
        }
    }


async def test_destinations_are_the_applications_and_subscriptions_the_sellers(seller: Seller) -> None:
    application = await grantless(seller, NOTIFICATIONS)
    own = (await seller.connect())["access_token"]
    root = "/sellingpartnerapi-eu.amazon.com/notifications/v1"
    wanted = {
        "name": "queue",
        "resourceSpecification": {"sqs": {"arn": "arn:aws:sqs:eu-west-1:123456789012:queue"}},
    }

    created = await call(seller, "POST", f"{root}/destinations", application, wanted)
    again = await call(seller, "POST", f"{root}/destinations", application, wanted)
    by_seller = await call(seller, "POST", f"{root}/destinations", own, wanted)
    wrong = await call(seller, "POST", f"{root}/destinations", application, {"name": "x"})
    destination_id = created.json()["payload"]["destinationId"]
    listed = await call(seller, "GET", f"{root}/destinations", application)

    assert [a.status_code for a in (created, again, by_seller, wrong)] == [200, 409, 403, 400]
    assert [row["destinationId"] for row in listed.json()["payload"]] == [destination_id]

    subscription = {"payloadVersion": "1.0", "destinationId": destination_id}
    path = f"{root}/subscriptions/ORDER_CHANGE"
    missing = await call(seller, "GET", path, own)
    subscribed = await call(seller, "POST", path, own, subscription)
    twice = await call(seller, "POST", path, own, subscription)
    found = await call(seller, "GET", path, own)

    assert [a.status_code for a in (missing, subscribed, twice, found)] == [404, 200, 409, 200]
    assert found.json() == subscribed.json()

    one = f"{root}/destinations/{destination_id}"
    assert (await call(seller, "GET", one, application)).status_code == 200
    assert (await call(seller, "DELETE", one, application)).status_code == 200
    assert (await call(seller, "GET", one, application)).status_code == 404
