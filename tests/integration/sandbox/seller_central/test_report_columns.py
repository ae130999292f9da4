"""The optional columns of order reports."""

from services.sandbox.state.report_columns import OPTIONAL
from tests.integration.sandbox.conftest import EUROPE, Seller


async def test_report_columns_are_remembered(seller: Seller) -> None:
    await seller.sign_in()
    path = f"{EUROPE}/order-reports-and-feeds/column-picker"

    await seller.client.post(path, data={"column": ["is-prime", "ioss-number", "invented"]})

    shown = (await seller.client.get(path)).text
    assert shown.count(" checked>") == 2
    assert "invented" not in shown


async def test_all_are_switched_on_and_off_at_once(seller: Seller) -> None:
    await seller.sign_in()
    path = f"{EUROPE}/order-reports-and-feeds/column-picker"

    await seller.client.post(path, data={"every": "on", "column": "is-prime"})
    everything = (await seller.client.get(path)).text.count(" checked>")
    await seller.client.post(path, data={"every": "off", "column": "is-prime"})

    assert everything == len(OPTIONAL)
    assert " checked>" not in (await seller.client.get(path)).text
