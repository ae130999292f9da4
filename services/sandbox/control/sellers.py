"""The sellers, `/control/sellers`, with their orders and the addresses that they entered.

GET    /control/sellers                                            every seller with orders and entered addresses
POST   /control/sellers                                            one more seller
POST   /control/sellers/{seller_id}/notification-addresses         enter an address for a country
DELETE /control/sellers/{seller_id}/notification-addresses         take it away (query: country, address)
"""

import secrets
from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, HTTPException
from pydantic import Field

from services.sandbox.control.requests import ControlRequest, seller_or_404
from services.sandbox.dependencies import SandboxDep
from services.sandbox.state.memory import MAX_SELLERS
from services.sandbox.state.sellers import AddressWrong, Seller, TooManyAddresses, make_seller
from shared.marketplaces import BY_COUNTRY, Region

router = APIRouter(prefix="/control")

_SELLER_ID: Final = r"^[A-Z0-9]{10,20}$"


class NewSeller(ControlRequest):
    seller_id: str | None = Field(None, pattern=_SELLER_ID)
    store_name: str = Field(min_length=1, max_length=100)
    region: Region
    countries: tuple[str, ...] = Field(min_length=1, max_length=len(BY_COUNTRY))
    not_participating: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()


class NotificationAddress(ControlRequest):
    country: str
    address: str = Field(max_length=300)


@router.get("/sellers")
async def list_sellers(sandbox: SandboxDep) -> list[dict[str, Any]]:
    return [_show_seller(seller) for seller in sandbox.sellers.values()]


@router.post("/sellers", status_code=201)
async def create_seller(new: NewSeller, sandbox: SandboxDep) -> dict[str, Any]:
    for country in new.countries:
        marketplace = BY_COUNTRY.get(country)
        if marketplace is None or marketplace.region is not new.region:
            raise HTTPException(422, f"{country} is no country of region {new.region}")
    if len(sandbox.sellers) >= MAX_SELLERS:
        raise HTTPException(409, "too many sellers")
    seller_id = new.seller_id or f"A{secrets.token_hex(6).upper()}"
    if seller_id in sandbox.sellers:
        raise HTTPException(409, "this seller exists")
    seller = make_seller(seller_id, new.store_name, new.region, new.countries)
    seller.not_participating, seller.suspended = new.not_participating, new.suspended
    sandbox.sellers[seller_id] = seller
    return _show_seller(seller)


@router.post("/sellers/{seller_id}/notification-addresses", status_code=201)
async def enter_address(seller_id: str, entry: NotificationAddress, sandbox: SandboxDep) -> dict[str, Any]:
    seller = seller_or_404(sandbox, seller_id)
    if entry.country not in seller.countries:
        raise HTTPException(422, "the seller does not sell in this country")
    try:
        seller.enter_address(entry.country, entry.address)
    except AddressWrong as error:
        raise HTTPException(422, "not one bare address") from error
    except TooManyAddresses as error:
        raise HTTPException(409, "too many addresses") from error
    return _show_seller(seller)


@router.delete("/sellers/{seller_id}/notification-addresses")
async def remove_address(seller_id: str, country: str, address: str, sandbox: SandboxDep) -> dict[str, Any]:
    seller = seller_or_404(sandbox, seller_id)
    addresses = seller.notification_addresses.get(country, [])
    if address not in addresses:
        raise HTTPException(404, "this address is not entered")
    addresses.remove(address)
    return _show_seller(seller)


def _show_seller(seller: Seller) -> dict[str, Any]:
    return {**asdict(seller), "report_columns": sorted(seller.report_columns)}
