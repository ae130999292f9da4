"""The senders that sellers approve on Seller Central's page, and the notices that they ask for."""

import pytest

from tests.integration.sandbox.conftest import EUROPE, LAMPENLADEN, Seller
from tests.integration.sandbox.replying import SENDER, replies, reply_to, send
from tests.integration.sandbox.writing import first_order

PERMISSIONS = f"{EUROPE}/messaging/permissions"
PREFERENCES = f"{EUROPE}/notifications/preferences"


async def known(seller: Seller, name: str) -> dict[str, object]:
    sellers = (await seller.client.get("/control/sellers")).json()
    found: dict[str, object] = next(s for s in sellers if s["seller_id"] == LAMPENLADEN)[name]
    return found


async def test_a_sender_is_added_approved_and_withdrawn(seller: Seller, smtp_port: int) -> None:
    order = await first_order(seller)
    await seller.sign_in()

    # An address that was only added is not approved.
    for state in ({}, {"state": "approved"}, {"state": "blocked"}, {"state": "approved"}):
        form = {"country": "DE", "address": f" {SENDER} ", **state}
        assert (await seller.client.post(PERMISSIONS, data=form)).status_code == 303
        await send(smtp_port, reply_to(order))
    await seller.client.post(PERMISSIONS, data={"country": "DE", "address": SENDER, "action": "remove"})
    await send(smtp_port, reply_to(order))

    states = [reply["state"] for reply in await replies(seller, 5)]
    assert states == ["failed", "shown", "failed", "shown", "failed"]
    assert await known(seller, "messaging_permissions") == {"DE": {}}


async def test_the_page_shows_each_country_with_its_senders_and_the_registered_address(
    seller: Seller,
) -> None:
    await seller.sign_in()
    await seller.client.post(PERMISSIONS, data={"country": "FR", "address": SENDER, "state": "approved"})
    await seller.client.post(
        f"/control/sellers/{LAMPENLADEN}/profile", json={"country": "DE", "service_email": "s@shop.example"}
    )

    page = (await seller.client.get(f"{PERMISSIONS}?country=FR", headers={"accept-language": "de"})).text

    assert "Kommunikationsberechtigungen" in page
    assert page.index('id="FR"') < page.index('id="DE"')
    assert f'<li data-state="approved"><code>{SENDER}</code>: Genehmigt' in page
    assert "s@shop.example" in page
    home = (await seller.client.get(f"{EUROPE}/")).text
    assert PERMISSIONS in home


@pytest.mark.parametrize(("country", "address"), [("DE", "Kim <a@b.de>"), ("DE", ""), ("ES", "a@b.de")])
async def test_only_bare_addresses_in_own_countries(seller: Seller, country: str, address: str) -> None:
    await seller.sign_in()

    answer = await seller.client.post(
        PERMISSIONS, data={"country": country, "address": address, "state": "approved"}
    )

    assert answer.status_code == 422


async def test_confirmations_are_switched_on_beside_the_buyers_messages(seller: Seller) -> None:
    await seller.sign_in()
    entry = {"country": "DE", "action": "add", "address": SENDER, "notification": "confirmations"}

    await seller.client.post(PREFERENCES, data=entry)

    assert await known(seller, "confirmation_addresses") == {"DE": [SENDER]}
    assert await known(seller, "notification_addresses") == {}
    page = (await seller.client.get(PREFERENCES)).text
    assert 'id="confirmation-add-DE"' in page
    assert 'id="add-DE"' in page
    await seller.client.post(PREFERENCES, data={**entry, "action": "remove"})
    assert (await known(seller, "confirmation_addresses"))["DE"] == []
