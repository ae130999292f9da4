"""The Sellers API v1 of each region: getMarketplaceParticipations."""

from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from services.sandbox.amazon_hosts import API_HOSTS
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.operation import Operation, SpApiRefused, require_seller, success
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.sellers import Seller
from shared.marketplaces import BY_COUNTRY, Region

router = APIRouter()

PARTICIPATIONS_PATH: Final = "/sellers/v1/marketplaceParticipations"
PARTICIPATIONS: Final = Operation("getMarketplaceParticipations", rate=0.016, burst=15)
# Amazon lists its own test shops beside the real marketplaces; a reader must pass over ids it does not know.
_NON_AMAZON: Final = {
    "marketplace": {
        "id": "A38D8NSA03LJTC",
        "name": "Non-Amazon",
        "countryCode": "DE",
        "defaultCurrencyCode": "EUR",
        "defaultLanguageCode": "de_DE",
        "domainName": "si-prod-marketplace-de.stores.amazon.de",
    },
    "participation": {"isParticipating": True, "hasSuspendedListings": False},
}
_ELSEWHERE: Final = {Region.EU: ("US", "CA"), Region.NA: ("DE", "FR"), Region.FE: ("DE", "FR")}


async def _get_participations(request: Request, sandbox: SandboxDep) -> Response:
    """getMarketplaceParticipations of the region whose host was called."""
    try:
        seller = await require_seller(request, sandbox, PARTICIPATIONS)
    except SpApiRefused as refusal:
        sandbox.counters.participations_refused[refusal.reason] += 1
        raise
    sandbox.counters.participations[seller.seller_id] += 1
    return success(sandbox, PARTICIPATIONS, {"payload": _participations(seller, sandbox)})


def _participations(seller: Seller, sandbox: Sandbox) -> list[dict[str, Any]]:
    on, seller_id = sandbox.scenarios, seller.seller_id
    if on.happens("participations-empty", seller_id):
        return []
    if on.happens("participations-other-region", seller_id):
        return [_row(seller, country) for country in _ELSEWHERE[seller.region]]
    if on.happens("participations-other-store", seller_id):
        seller = sandbox.other_seller(seller)
    if on.happens("store-renamed", seller_id):
        seller = replace(seller, store_name=f"{seller.store_name} (renamed)")
    if on.happens("participations-none", seller_id):
        return [_row(replace(seller, not_participating=seller.countries), c) for c in seller.countries]
    if on.happens("listings-suspended", seller_id):
        seller = replace(seller, suspended=seller.countries)
    rows = [_row(seller, country) for country in seller.countries]
    if seller.region is Region.EU:
        rows.append({**_NON_AMAZON, "storeName": seller.store_name})
    return rows


def _row(seller: Seller, country: str) -> dict[str, Any]:
    marketplace = BY_COUNTRY[country]
    return {
        "marketplace": {
            "id": marketplace.marketplace_id,
            "name": f"Amazon.{marketplace.retail_domain.partition('.')[2]}",
            "countryCode": country,
            "defaultCurrencyCode": marketplace.currency,
            "defaultLanguageCode": marketplace.locale,
            "domainName": f"www.{marketplace.retail_domain}",
        },
        "participation": {
            "isParticipating": country not in seller.not_participating,
            "hasSuspendedListings": country in seller.suspended,
        },
        "storeName": seller.store_name,
    }


# Literal hosts, not a path parameter: a region's endpoint is only ever reached under its own name.
for _host in API_HOSTS:
    router.add_api_route(f"/{_host}{PARTICIPATIONS_PATH}", _get_participations, methods=["GET"])
