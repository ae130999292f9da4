"""The Appstore's way in, and the callback URIs that a scenario forges."""

from urllib.parse import urlsplit

import pytest

from services.sandbox.state.scenarios import CALLBACK_URIS
from tests.integration.sandbox.conftest import CALLBACK, EUROPE, Seller
from tests.integration.sandbox.scenarios import on, query_of


async def test_appstore_asks_to_sign_in_and_opens_the_login_uri(seller: Seller) -> None:
    assert (
        (await seller.client.get(f"{EUROPE}/apps/store"))
        .headers["location"]
        .startswith(f"{EUROPE}/ap/signin")
    )
    await seller.sign_in()
    assert 'id="authorize"' in (await seller.client.get(f"{EUROPE}/apps/store")).text

    started = query_of(await seller.client.post(f"{EUROPE}/apps/store"))
    confirm = urlsplit(started["amazon_callback_uri"])
    back = await seller.client.get(
        f"/{confirm.netloc}{confirm.path}",
        params={"amazon_state": started["amazon_state"], "state": "ours", "redirect_uri": CALLBACK},
    )

    assert query_of(back)["state"] == "ours"
    assert (await seller.exchange(query_of(back)["spapi_oauth_code"])).status_code == 200


async def test_amazon_state_of_the_appstore_lives_ten_minutes(seller: Seller) -> None:
    await seller.sign_in()
    started = query_of(await seller.client.post(f"{EUROPE}/apps/store"))
    await seller.client.post("/control/clock/advance", json={"seconds": 600})

    back = await seller.client.get(
        f"{EUROPE}/apps/authorize/confirm/{seller.settings.application_id}",
        params={"amazon_state": started["amazon_state"], "state": "ours"},
    )

    assert "MD9999" in back.text


@pytest.mark.parametrize(("name", "form"), CALLBACK_URIS.items())
async def test_amazon_callback_uri_can_be_another_one(seller: Seller, name: str, form: str) -> None:
    await seller.sign_in()
    await on(seller, name, count=1)
    expected = form.format(
        host="sellercentral-europe.amazon.com", application_id=seller.settings.application_id
    )

    forged = query_of(await seller.client.post(f"{EUROPE}/apps/store"))
    genuine = query_of(await seller.client.post(f"{EUROPE}/apps/manage", data={"action": "reauthorize"}))

    assert forged["amazon_callback_uri"] == expected
    assert genuine["amazon_callback_uri"].startswith(
        "https://sellercentral-europe.amazon.com/apps/authorize/confirm/"
    )
