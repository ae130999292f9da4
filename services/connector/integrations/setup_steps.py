"""The guide: which steps in Seller Central an integration has, and where each of them is done."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from shared.marketplaces import BY_COUNTRY, MARKETPLACES, reach
from shared.tables import SetupStepName

# Seller Central's paths. The column picker's is known from Amazon's help; the others were seen in use and may change.
_PATHS: Final = {
    SetupStepName.ORDER_REPORT_COLUMNS: "/order-reports-and-feeds/column-picker",
    SetupStepName.SELLER_PROFILE: "/sw/AccountInfo/SellerProfileView/step/SellerProfileView",
    SetupStepName.NOTIFICATION_PREFERENCES: "/notifications/preferences",
    SetupStepName.APPROVED_SENDER: "/messaging/permissions",
}
# Done once for each country; a message from a country proves that its address is entered.
STEPS_OF_COUNTRIES: Final = frozenset(SetupStepName) - {SetupStepName.ORDER_REPORT_COLUMNS}
_ACCOUNT_HEALTH: Final = "/performance/dashboard"
_MANAGE_APPS: Final = "/apps/manage"


@dataclass(frozen=True, slots=True)
class Step:
    """One step for one country."""

    name: SetupStepName
    country: str


def steps_of(home_country: str, participating: Collection[str], *, uses_api: bool = True) -> tuple[Step, ...]:
    """The steps in the guide's order: columns once, where reports are asked for, the others for each country that the store sells in, home first."""
    ordered = [m.country for m in MARKETPLACES if m.country in participating]
    ordered.sort(key=lambda country: country != home_country)
    columns = (Step(SetupStepName.ORDER_REPORT_COLUMNS, home_country),) if uses_api else ()
    return (
        *columns,
        *(Step(SetupStepName.SELLER_PROFILE, country) for country in ordered),
        *(Step(SetupStepName.NOTIFICATION_PREFERENCES, country) for country in ordered),
        *(Step(SetupStepName.APPROVED_SENDER, country) for country in ordered),
    )


def deep_link(step: Step, amazon_base_url: str | None) -> str:
    """The page in the Seller Central of that country. The URL names the country if its host serves several."""
    host = BY_COUNTRY[step.country].seller_central_host
    return reach(f"https://{host}{_PATHS[step.name]}?country={step.country}", amazon_base_url)


def messaging_permissions_link(country: str, amazon_base_url: str | None) -> str:
    """The page in the Seller Central of that country on which senders are approved."""
    return deep_link(Step(SetupStepName.APPROVED_SENDER, country), amazon_base_url)


def account_health_link(country: str, amazon_base_url: str | None) -> str:
    """The page in the Seller Central of that country that says what Amazon holds against the account."""
    return reach(f"https://{BY_COUNTRY[country].seller_central_host}{_ACCOUNT_HEALTH}", amazon_base_url)


def manage_apps_link(country: str, amazon_base_url: str | None) -> str:
    """The page in the Seller Central of that country on which an authorization is disabled."""
    return reach(f"https://{BY_COUNTRY[country].seller_central_host}{_MANAGE_APPS}", amazon_base_url)
