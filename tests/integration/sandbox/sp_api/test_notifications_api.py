"""Destinations and subscriptions of the Notifications API."""

from tests.integration.sandbox.conftest import Seller
from tests.integration.sandbox.grantless import NOTIFICATIONS, call, grantless


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
