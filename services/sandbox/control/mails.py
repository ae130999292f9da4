"""Mails to sellers, `/control/mails`: a buyer writes, or a forger in their name, or Seller Central itself.

POST   /control/mails                    a buyer or a forger writes; the answer comes after the first attempt
POST   /control/verification-mails       Seller Central sends a code to the entered addresses; the same
GET    /control/mails                    every mail that was made, with its state
GET    /control/mails/{mail_id}          one mail; `?wait_seconds=` waits for the end of its attempts
GET    /control/mails/{mail_id}/raw      its bytes
"""

import asyncio
import base64
import binascii
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import Field

from services.sandbox.control.requests import ControlRequest, seller_or_404
from services.sandbox.dependencies import MailSenderDep, SandboxDep
from services.sandbox.mail.buyer_mail import (
    MAX_ATTACHMENT_BYTES,
    BuyerMessage,
    Forgery,
    MessageWrong,
    make_code,
)
from services.sandbox.mail.mail_templates import MAIL_TEMPLATES, template_language
from services.sandbox.mail.sender import NoAddress, SentMail
from services.sandbox.state.sellers import language_of
from services.sandbox.state.threads import File
from shared.marketplaces import BY_COUNTRY

router = APIRouter(prefix="/control")

_MAX_WAIT_SECONDS: Final = 60.0


class NewAttachment(ControlRequest):
    filename: str
    content_type: str = "application/octet-stream"
    base64: str = Field(max_length=MAX_ATTACHMENT_BYTES * 4 // 3 + 4)


class NewMail(ControlRequest):
    seller_id: str
    order_id: str
    text: str
    country: str | None = None  # follows from the order; checked if given
    kind: Literal["product", "order", "return", "invoice", "other"] = "other"
    subject: str | None = None
    language: str | None = None
    attachments: tuple[NewAttachment, ...] = ()
    forgery: Forgery | None = None
    answering: bool = True
    quoting: bool = False


class NewVerificationMail(ControlRequest):
    seller_id: str
    country: str


@router.post("/mails", status_code=201)
async def send_mail(new: NewMail, sandbox: SandboxDep, sender: MailSenderDep) -> dict[str, Any]:
    seller = seller_or_404(sandbox, new.seller_id)
    order = seller.order(new.order_id)
    if order is None or new.country not in {None, order.country}:
        raise HTTPException(404, "the seller has no such order in this country")
    if new.language is not None and new.language not in MAIL_TEMPLATES:
        raise HTTPException(422, f"language is one of {', '.join(MAIL_TEMPLATES)}")
    message = BuyerMessage(
        order=order,
        text=new.text,
        kind=new.kind,
        subject=new.subject,
        language=new.language or template_language(language_of(BY_COUNTRY[order.country])),
        attachments=tuple(_decode(attachment) for attachment in new.attachments),
        forgery=new.forgery,
    )
    try:
        mails = await sender.send(seller, message, answering=new.answering, quoting=new.quoting)
    except NoAddress as error:
        raise HTTPException(409, "no notification address is entered for this country") from error
    except MessageWrong as error:
        raise HTTPException(422, error.code) from error
    return {"mails": [_show_mail(mail) for mail in mails]}


@router.post("/verification-mails", status_code=201)
async def send_verification_mail(
    new: NewVerificationMail, sandbox: SandboxDep, sender: MailSenderDep
) -> dict[str, Any]:
    seller = seller_or_404(sandbox, new.seller_id)
    code = make_code()
    try:
        mails = await sender.send_verification(seller, new.country, code)
    except NoAddress as error:
        raise HTTPException(409, "no notification address is entered for this country") from error
    return {"code": code, "mails": [_show_mail(mail) for mail in mails]}


@router.get("/mails")
async def list_mails(sender: MailSenderDep) -> list[dict[str, Any]]:
    return [_show_mail(mail) for mail in sender.mails.values()]


@router.get("/mails/{mail_id}")
async def read_mail(
    mail_id: str, sender: MailSenderDep, wait_seconds: Annotated[float, Query(ge=0, le=_MAX_WAIT_SECONDS)] = 0
) -> dict[str, Any]:
    """Waits for the last attempt, at most `wait_seconds`, and shows how far the mail has come."""
    mail = _mail_or_404(sender.mails.get(mail_id))
    try:
        async with asyncio.timeout(wait_seconds):
            await mail.finished.wait()
    except TimeoutError:
        pass
    return _show_mail(mail)


@router.get("/mails/{mail_id}/raw")
async def read_raw_mail(mail_id: str, sender: MailSenderDep) -> Response:
    return Response(_mail_or_404(sender.mails.get(mail_id)).raw, media_type="message/rfc822")


def _mail_or_404(mail: SentMail | None) -> SentMail:
    if mail is None:
        raise HTTPException(404, "no such mail")
    return mail


def _decode(attachment: NewAttachment) -> File:
    try:
        content = base64.b64decode(attachment.base64, validate=True)
    except binascii.Error as error:
        raise HTTPException(422, "attachment is not base64") from error
    return File(attachment.filename, attachment.content_type, content)


def _show_mail(mail: SentMail) -> dict[str, Any]:
    return {
        "mail_id": mail.mail_id,
        "seller_id": mail.seller_id,
        "country": mail.country,
        "order_id": mail.order_id,
        "kind": mail.kind.value,
        "to": mail.to,
        "message_id": mail.message_id,
        "sha256": mail.sha256,
        "bytes": len(mail.raw),
        "state": mail.state.value,
        "reply_code": mail.reply_code,
        "reply": mail.reply,
        "attempts": mail.attempts,
    }
