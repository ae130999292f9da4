"""The optional columns of order reports."""

from tests.integration.sandbox.conftest import EUROPE, Seller


async def test_report_columns_are_remembered(seller: Seller) -> None:
    await seller.sign_in()
    path = f"{EUROPE}/order-reports-and-feeds/column-picker"

    await seller.client.post(path, data={"column": ["is-prime", "ioss-number", "invented"]})

    shown = (await seller.client.get(path)).text
    assert shown.count(" checked>") == 2
    assert "invented" not in shown
