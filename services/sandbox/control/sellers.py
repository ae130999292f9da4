"""The sellers, `/control/sellers`, with their orders and the addresses that they entered.

GET    /control/sellers                                            every seller with orders and entered addresses
POST   /control/sellers                                            one more seller
POST   /control/sellers/{seller_id}/notification-addresses         enter an address for a country and a kind of notification
DELETE /control/sellers/{seller_id}/notification-addresses         take it away (query: country, address, notification)
POST   /control/sellers/{seller_id}/senders                        approve a sender in a country, or withdraw that
DELETE /control/sellers/{seller_id}/senders                        take it from the list (query: country, address)
POST   /control/sellers/{seller_id}/profile                        register the customer-service address of a country
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, HTTPException
from pydantic import Field

from services.sandbox.control.requests import ControlRequest, seller_or_404
from services.sandbox.dependencies import SandboxDep
from services.sandbox.state.memory import MAX_SELLERS
from services.sandbox.state.sellers import (
    MAX_ORDERS_PER_COUNTRY,
    ORDERS_PER_COUNTRY,
    AddressWrong,
    Notification,
    Seller,
    TooManyAddresses,
    bare_address,
    enter_address,
    make_seller,
)
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
    orders_per_country: int = Field(ORDERS_PER_COUNTRY, ge=1, le=MAX_ORDERS_PER_COUNTRY)


class NotificationAddress(ControlRequest):
    country: str
    address: str = Field(max_length=300)
    notification: Notification = Notification.BUYER_MESSAGES


class Sender(ControlRequest):
    country: str
    address: str = Field(max_length=300)
    approved: bool = True


class Profile(ControlRequest):
    country: str
    service_email: str = Field(max_length=300)
    reply_email: str | None = Field(None, max_length=300)


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
    seller = make_seller(seller_id, new.store_name, new.region, new.countries, new.orders_per_country)
    seller.not_participating, seller.suspended = new.not_participating, new.suspended
    sandbox.add_seller(seller)
    return _show_seller(seller)


@router.post("/sellers/{seller_id}/notification-addresses", status_code=201)
async def enter_notification_address(
    seller_id: str, entry: NotificationAddress, sandbox: SandboxDep
) -> dict[str, Any]:
    seller = seller_or_404(sandbox, seller_id)
    _require_country(seller, entry.country)
    with _explained():
        enter_address(seller.addresses_in(entry.country, entry.notification), entry.address)
    return _show_seller(seller)


@router.delete("/sellers/{seller_id}/notification-addresses")
async def remove_notification_address(
    seller_id: str,
    country: str,
    address: str,
    sandbox: SandboxDep,
    notification: Notification = Notification.BUYER_MESSAGES,
) -> dict[str, Any]:
    seller = seller_or_404(sandbox, seller_id)
    addresses = seller.addresses_in(country, notification)
    if address not in addresses:
        raise HTTPException(404, "this address is not entered")
    addresses.remove(address)
    return _show_seller(seller)


@router.post("/sellers/{seller_id}/senders", status_code=201)
async def set_sender(seller_id: str, sender: Sender, sandbox: SandboxDep) -> dict[str, Any]:
    """What *Messaging Permissions* does: the address is approved in this country, or not (any more)."""
    seller = seller_or_404(sandbox, seller_id)
    _require_country(seller, sender.country)
    with _explained():
        seller.set_permission(sender.country, sender.address, approved=sender.approved)
    return _show_seller(seller)


@router.delete("/sellers/{seller_id}/senders")
async def remove_sender(seller_id: str, country: str, address: str, sandbox: SandboxDep) -> dict[str, Any]:
    seller = seller_or_404(sandbox, seller_id)
    if seller.permissions_in(country).pop(address, None) is None:
        raise HTTPException(404, "this address is not entered")
    return _show_seller(seller)


@router.post("/sellers/{seller_id}/profile")
async def set_profile(seller_id: str, profile: Profile, sandbox: SandboxDep) -> dict[str, Any]:
    """What *Seller Profile* does. An empty address is what a seller has who never opened that page."""
    seller = seller_or_404(sandbox, seller_id)
    _require_country(seller, profile.country)
    with _explained():
        service = bare_address(profile.service_email) if profile.service_email else ""
        reply = bare_address(profile.reply_email) if profile.reply_email else service
    known = seller.profile_in(profile.country)
    known.service_email, known.reply_email = service, reply
    return _show_seller(seller)


def _require_country(seller: Seller, country: str) -> None:
    if country not in seller.countries:
        raise HTTPException(422, "the seller does not sell in this country")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except AddressWrong as error:
        raise HTTPException(422, "not one bare address") from error
    except TooManyAddresses as error:
        raise HTTPException(409, "too many addresses") from error


def _show_seller(seller: Seller) -> dict[str, Any]:
    return {**asdict(seller), "report_columns": sorted(seller.report_columns)}
