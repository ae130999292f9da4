"""The steps of the guide and where they lead."""

import pytest

from services.connector.integrations.setup_steps import Step, deep_link, steps_of
from shared.marketplaces import MARKETPLACES
from shared.tables import SetupStepName


def test_columns_come_once_and_the_others_per_country_with_home_first():
    steps = steps_of("FR", {"IT", "DE", "FR"})

    assert [(step.name.value, step.country) for step in steps] == [
        ("order_report_columns", "FR"),
        *(("seller_profile", country) for country in ("FR", "DE", "IT")),
        *(("notification_preferences", country) for country in ("FR", "DE", "IT")),
        *(("approved_sender", country) for country in ("FR", "DE", "IT")),
    ]


def test_a_store_that_sells_nowhere_yet_has_only_the_first_step():
    assert steps_of("DE", ()) == (Step(SetupStepName.ORDER_REPORT_COLUMNS, "DE"),)


@pytest.mark.parametrize("marketplace", MARKETPLACES, ids=lambda marketplace: marketplace.country)
def test_links_lead_to_the_countrys_seller_central(marketplace):
    for name in SetupStepName:
        link = deep_link(Step(name, marketplace.country), None)
        assert link.startswith(f"https://{marketplace.seller_central_host}/")
