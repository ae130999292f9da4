"""Rotation by the API: the new secret is in the queue only."""

from tests.integration.sandbox.conftest import Seller
from tests.integration.sandbox.grantless import NOTIFICATIONS, call, grantless

ROTATION = "sellingpartnerapi::client_credential:rotation"
SECRET_PATH = "/sellingpartnerapi-eu.amazon.com/applications/2023-11-30/clientSecret"


async def status_with(seller: Seller, secret: str) -> int:
    answer = await seller.token(grant_type="client_credentials", scope=NOTIFICATIONS, client_secret=secret)
    return answer.status_code


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
