"""The addresses that sellers enter on Seller Central's pages."""

import pytest

from tests.integration.sandbox.conftest import EUROPE, Seller

PREFERENCES = f"{EUROPE}/notifications/preferences"


@pytest.mark.parametrize(
    "address", ["", "mailto:a@replyco.email", "Kim <a@replyco.email>", "a@b", "a b@c.de", "a@c.de, b@c.de"]
)
async def test_preferences_take_one_bare_address(seller: Seller, address: str) -> None:
    await seller.sign_in()

    answer = await seller.client.post(
        PREFERENCES, data={"country": "DE", "action": "add", "address": address}
    )

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


async def test_countries_of_another_host_are_linked_not_edited(seller: Seller) -> None:
    await seller.sign_in("A3BRIGHTPORCH9", "/sellercentral.amazon.com")

    shown = await seller.client.get("/sellercentral.amazon.com/notifications/preferences?country=CA")
    refused = await seller.client.post(
        "/sellercentral.amazon.com/notifications/preferences",
        data={"country": "CA", "action": "add", "address": "a@replyco.email"},
    )

    assert "/sellercentral.amazon.ca/notifications/preferences?country=CA" in shown.text
    assert refused.status_code == 422
