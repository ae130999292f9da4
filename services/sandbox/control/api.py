"""The control API, `/control/…`: what tests turn and read. JSON in and out, see docs/sandbox.md for examples.

    GET    /control/sellers                                            every seller with orders and entered addresses
    POST   /control/sellers                                            one more seller
    POST   /control/sellers/{seller_id}/notification-addresses         enter an address for a country
    DELETE /control/sellers/{seller_id}/notification-addresses         take it away (query: country, address)
    POST   /control/mails                                              a buyer writes, or a forger in his name
    POST   /control/verification-mails                                 Seller Central sends a code to the entered addresses
    (both answer after the first attempt)
    GET    /control/mails · /control/mails/{mail_id} · …/raw           state (?wait_seconds= waits for the end), bytes
    GET    /control/counters · POST /control/counters/reset            how often Amazon was called
    POST   /control/reset                                              everything as at the start

Scenarios, client secrets and the clock are in `scenario_control`, received mail in `inbox_page`. There is no consent here:
that goes through the pages, as for a seller.
"""

import asyncio
import base64
import binascii
import secrets
from dataclasses import asdict, fields
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.dependencies import MailCourier, MailInbox, SandboxState
from services.sandbox.mail.buyer_mail import (
    MAX_ATTACHMENT_BYTES,
    Attachment,
    BuyerMessage,
    Forgery,
    MessageWrong,
    make_code,
)
from services.sandbox.mail.courier import NoAddress, SentMail
from services.sandbox.mail.frames import FRAMES, frame_language
from services.sandbox.state.memory import MAX_SELLERS, Counters, Sandbox
from services.sandbox.state.sellers import (
    AddressWrong,
    Seller,
    TooManyAddresses,
    language_of,
    make_seller,
)
from shared.marketplaces import BY_COUNTRY, Region

router = APIRouter(prefix="/control")

_MAX_WAIT_SECONDS: Final = 60.0
_SELLER_ID: Final = r"^[A-Z0-9]{10,20}$"


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewSeller(_Request):
    seller_id: str | None = Field(None, pattern=_SELLER_ID)
    store_name: str = Field(min_length=1, max_length=100)
    region: Region
    countries: tuple[str, ...] = Field(min_length=1, max_length=len(BY_COUNTRY))
    not_participating: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()


class NotificationAddress(_Request):
    country: str
    address: str = Field(max_length=300)


class NewAttachment(_Request):
    filename: str
    content_type: str = "application/octet-stream"
    base64: str = Field(max_length=MAX_ATTACHMENT_BYTES * 4 // 3 + 4)


class NewMail(_Request):
    seller_id: str
    order_id: str
    text: str
    country: str | None = None  # follows from the order; checked if given
    kind: Literal["product", "order", "return", "invoice", "other"] = "other"
    subject: str | None = None
    language: str | None = None
    attachments: tuple[NewAttachment, ...] = ()
    forgery: Forgery | None = None


class NewVerificationMail(_Request):
    seller_id: str
    country: str


@router.get("/sellers")
async def list_sellers(sandbox: SandboxState) -> list[dict[str, Any]]:
    return [_show_seller(seller) for seller in sandbox.sellers.values()]


@router.post("/sellers", status_code=201)
async def create_seller(new: NewSeller, sandbox: SandboxState) -> dict[str, Any]:
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
async def enter_address(seller_id: str, entry: NotificationAddress, sandbox: SandboxState) -> dict[str, Any]:
    seller = _seller(sandbox, seller_id)
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
async def remove_address(seller_id: str, country: str, address: str, sandbox: SandboxState) -> dict[str, Any]:
    seller = _seller(sandbox, seller_id)
    addresses = seller.notification_addresses.get(country, [])
    if address not in addresses:
        raise HTTPException(404, "this address is not entered")
    addresses.remove(address)
    return _show_seller(seller)


@router.post("/mails", status_code=201)
async def send_mail(new: NewMail, sandbox: SandboxState, courier: MailCourier) -> dict[str, Any]:
    seller = _seller(sandbox, new.seller_id)
    order = seller.order(new.order_id)
    if order is None or new.country not in {None, order.country}:
        raise HTTPException(404, "the seller has no such order in this country")
    if new.language is not None and new.language not in FRAMES:
        raise HTTPException(422, f"language is one of {', '.join(FRAMES)}")
    message = BuyerMessage(
        order=order,
        text=new.text,
        kind=new.kind,
        subject=new.subject,
        language=new.language or frame_language(language_of(BY_COUNTRY[order.country])),
        attachments=tuple(_decode(attachment) for attachment in new.attachments),
        forgery=new.forgery,
    )
    try:
        mails = await courier.send(seller, message)
    except NoAddress as error:
        raise HTTPException(409, "no notification address is entered for this country") from error
    except MessageWrong as error:
        raise HTTPException(422, error.code) from error
    return {"mails": [_show_mail(mail) for mail in mails]}


@router.post("/verification-mails", status_code=201)
async def send_verification_mail(
    new: NewVerificationMail, sandbox: SandboxState, courier: MailCourier
) -> dict[str, Any]:
    seller = _seller(sandbox, new.seller_id)
    code = make_code()
    try:
        mails = await courier.send_verification(seller, new.country, code)
    except NoAddress as error:
        raise HTTPException(409, "no notification address is entered for this country") from error
    return {"code": code, "mails": [_show_mail(mail) for mail in mails]}


@router.get("/mails")
async def list_mails(courier: MailCourier) -> list[dict[str, Any]]:
    return [_show_mail(mail) for mail in courier.mails.values()]


@router.get("/mails/{mail_id}")
async def read_mail(
    mail_id: str, courier: MailCourier, wait_seconds: Annotated[float, Query(ge=0, le=_MAX_WAIT_SECONDS)] = 0
) -> dict[str, Any]:
    """Waits for the last attempt, at most `wait_seconds`, and shows how far the mail has come."""
    mail = _mail(courier.mails.get(mail_id))
    try:
        async with asyncio.timeout(wait_seconds):
            await mail.finished.wait()
    except TimeoutError:
        pass
    return _show_mail(mail)


@router.get("/mails/{mail_id}/raw")
async def read_raw_mail(mail_id: str, courier: MailCourier) -> Response:
    return Response(_mail(courier.mails.get(mail_id)).raw, media_type="message/rfc822")


@router.get("/counters")
async def read_counters(sandbox: SandboxState) -> dict[str, Any]:
    return _show_counters(sandbox.counters)


@router.post("/counters/reset")
async def reset_counters(sandbox: SandboxState) -> dict[str, Any]:
    sandbox.reset_counters()
    return _show_counters(sandbox.counters)


@router.post("/reset", status_code=204)
async def reset(sandbox: SandboxState, courier: MailCourier, inbox: MailInbox) -> None:
    courier.forget()
    inbox.forget()
    sandbox.reset()


def _seller(sandbox: Sandbox, seller_id: str) -> Seller:
    seller = sandbox.sellers.get(seller_id)
    if seller is None:
        raise HTTPException(404, "no such seller")
    return seller


def _mail(mail: SentMail | None) -> SentMail:
    if mail is None:
        raise HTTPException(404, "no such mail")
    return mail


def _decode(attachment: NewAttachment) -> Attachment:
    try:
        content = base64.b64decode(attachment.base64, validate=True)
    except binascii.Error as error:
        raise HTTPException(422, "attachment is not base64") from error
    return Attachment(attachment.filename, attachment.content_type, content)


def _show_seller(seller: Seller) -> dict[str, Any]:
    return {**asdict(seller), "report_columns": sorted(seller.report_columns)}


def _show_counters(counters: Counters) -> dict[str, Any]:
    return {counter.name: dict(getattr(counters, counter.name)) for counter in fields(counters)}


def _show_mail(mail: SentMail) -> dict[str, Any]:
    return {
        "mail_id": mail.mail_id,
        "seller_id": mail.seller_id,
        "country": mail.country,
        "order_id": mail.order_id,
        "to": mail.to,
        "message_id": mail.message_id,
        "sha256": mail.sha256,
        "bytes": len(mail.raw),
        "state": mail.state.value,
        "reply_code": mail.reply_code,
        "reply": mail.reply,
        "attempts": mail.attempts,
    }
