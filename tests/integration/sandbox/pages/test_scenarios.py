"""The page on which a person switches scenarios."""

from services.sandbox.state.scenarios import SCENARIOS
from tests.integration.sandbox.conftest import Seller


async def test_page_switches_on_and_off_and_moves_the_clock(seller: Seller) -> None:
    form = {"action": "on", "name": "outage", "seller_id": "", "count": "", "operation": ""}
    assert (await seller.client.post("/scenarios", data=form)).status_code == 303
    shown = (await seller.client.get("/scenarios")).text
    assert "Switch off outage" in shown
    assert all(f"<code>{name}</code>" in shown for name in SCENARIOS)

    await seller.client.post("/scenarios", data={"action": "off", "name": "outage"})
    await seller.client.post("/scenarios", data={"action": "advance", "step": "7 days"})

    shown = (await seller.client.get("/scenarios")).text
    assert 'id="nothing-on"' in shown
    assert "2026-11-09 08:15:01 UTC" in shown
    for wrong in (
        {"action": "on", "name": "x"},
        {"action": "advance", "step": "x"},
        {"action": "x"},
        {"action": "on", "name": "outage", "seller_id": "x"},
    ):
        assert (await seller.client.post("/scenarios", data=wrong)).status_code == 422


async def test_page_takes_the_words_of_the_mail_server_and_the_seconds_of_a_delay(seller: Seller) -> None:
    form = {
        "action": "on",
        "name": "smtp-refuses-mail",
        "words": "554 5.7.1 <No>",
        "count": "2",
        "seconds": "90",
    }

    assert (await seller.client.post("/scenarios", data={**form, "words": "250 OK"})).status_code == 422
    assert (await seller.client.post("/scenarios", data=form)).status_code == 303

    [switch] = (await seller.client.get("/control/scenarios")).json()["on"]
    assert (switch["words"], switch["left"], switch["seconds"]) == ("554 5.7.1 <No>", 2, 90)
    assert "554 5.7.1 &lt;No&gt;, 90 seconds" in (await seller.client.get("/scenarios")).text


async def test_page_gives_roles_and_takes_them_away(seller: Seller) -> None:
    await seller.client.post("/scenarios", data={"action": "roles", "tax_invoicing": "yes"})
    given = (await seller.client.get("/scenarios")).text
    await seller.client.post("/scenarios", data={"action": "roles"})

    assert 'id="role-tax_invoicing" value="yes" checked>' in given
    assert given.count(" checked>") == 1
    assert " checked>" not in (await seller.client.get("/scenarios")).text
