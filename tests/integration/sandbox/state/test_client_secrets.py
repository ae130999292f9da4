"""After a rotation the old secret is good for seven more days."""

from tests.integration.sandbox.conftest import Seller
from tests.integration.sandbox.grantless import NOTIFICATIONS

DAY = 86_400


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
