"""The sellers' mails to buyers, `/control/replies`, and the mail server that took them, `/control/smtp`.

GET    /control/replies                          the replies, oldest first (query: seller_id, order_id, message_id, state, count, wait_seconds)
GET    /control/replies/{reply_id}               one reply
GET    /control/replies/{reply_id}/raw           its bytes
GET    /control/replies/{reply_id}/files/{n}     the bytes of one of its files, counted from 0
POST   /control/replies/release                  held replies go on (query: seller_id)
DELETE /control/replies                          forget them all, and the traffic
GET    /control/smtp/traffic                     counters and the last mails that came whole (query: count, wait_seconds)
POST   /control/smtp/release                     the final dots that are not answered yet get their answer
GET    /control/smtp/ca.pem                      the certificate of the authority that vouches for the mail server
GET    /control/threads/{order_id}               what buyer and seller wrote about an order
POST   /control/threads/{order_id}/answers       the seller answers in Seller Central
"""

import hashlib
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import Field

from services.sandbox.control.requests import ControlRequest
from services.sandbox.dependencies import InboundServerDep, MailRoomDep, SandboxDep
from services.sandbox.mail.buyer_mail import MAX_TEXT_CHARS
from services.sandbox.mail.received_replies import MAX_REPLIES, ReceivedReply, ReplyState
from services.sandbox.state.threads import File, ThreadMessage

router = APIRouter(prefix="/control")

_MAX_WAIT_SECONDS: Final = 60.0
_SHOWN_TRANSACTIONS: Final = 1_000


class Wanted(ControlRequest):
    """Which replies a caller asks for, and how long they wait for how many."""

    seller_id: str | None = None
    order_id: str | None = None
    message_id: str | None = None
    state: ReplyState | None = None
    count: int = Field(1, ge=1, le=MAX_REPLIES)
    wait_seconds: float = Field(0, ge=0, le=_MAX_WAIT_SECONDS)
    brief: bool = False

    def fits(self, reply: ReceivedReply) -> bool:
        return (
            reply.state is not ReplyState.ARRIVED
            and self.seller_id in {None, reply.seller.seller_id}
            and self.order_id in {None, reply.order.order_id}
            and self.state in {None, reply.state}
            and (self.message_id is None or self.message_id.strip("<>") == reply.message_id.strip("<>"))
        )


class Answer(ControlRequest):
    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)


@router.get("/replies")
async def list_replies(mail_room: MailRoomDep, wanted: Annotated[Wanted, Query()]) -> list[dict[str, Any]]:
    """Waits, at most `wait_seconds`, until there are `count` such replies of which it is known what has become of them.

    `brief` leaves out what parsing tells, which takes long for thousands.
    """
    found = await mail_room.replies.wait_for(wanted.fits, wanted.count, wanted.wait_seconds)
    return [_show_briefly(reply) if wanted.brief else _show(reply) for reply in found]


@router.post("/replies/release")
async def release_replies(mail_room: MailRoomDep, seller_id: str | None = None) -> dict[str, int]:
    return {"released": mail_room.release(lambda reply: seller_id in {None, reply.seller.seller_id})}


@router.get("/replies/{reply_id}")
async def read_reply(reply_id: str, mail_room: MailRoomDep) -> dict[str, Any]:
    return _show(_reply_or_404(mail_room.replies.get(reply_id)))


@router.get("/replies/{reply_id}/raw")
async def read_raw_reply(reply_id: str, mail_room: MailRoomDep) -> Response:
    return Response(_reply_or_404(mail_room.replies.get(reply_id)).raw, media_type="message/rfc822")


@router.get("/replies/{reply_id}/files/{number}")
async def read_file(reply_id: str, number: int, mail_room: MailRoomDep) -> Response:
    files = _reply_or_404(mail_room.replies.get(reply_id)).content.files
    if not 0 <= number < len(files):
        raise HTTPException(404, "no such file")
    return Response(files[number].content, media_type="application/octet-stream")


@router.delete("/replies", status_code=204)
async def forget_replies(mail_room: MailRoomDep, server: InboundServerDep) -> None:
    mail_room.forget()
    server.traffic.forget()


@router.get("/smtp/traffic")
async def read_traffic(
    server: InboundServerDep,
    count: Annotated[int, Query(ge=1)] = 1,
    wait_seconds: Annotated[float, Query(ge=0, le=_MAX_WAIT_SECONDS)] = 0,
) -> dict[str, Any]:
    """Waits, at most `wait_seconds`, until there were `count` mails that came whole."""
    traffic = server.traffic
    if wait_seconds:
        await traffic.wait_for(count, wait_seconds)
    return {
        "connections": traffic.connections,
        "tls_connections": traffic.tls_connections,
        "commands_refused": traffic.commands_refused,
        "answers": traffic.answers,
        "taken": traffic.taken,
        "taken_by_connection": traffic.taken_by_connection,
        "taken_by_message_id": traffic.taken_by_message_id,
        "transactions": [asdict(one) for one in list(traffic.transactions)[-_SHOWN_TRANSACTIONS:]],
    }


@router.post("/smtp/release")
async def release_final_dots(server: InboundServerDep) -> dict[str, int]:
    return {"released": server.release_stalled()}


@router.get("/smtp/ca.pem")
async def read_certificate(sandbox: SandboxDep) -> Response:
    return PlainTextResponse(sandbox.smtp_authority.certificate_pem(), media_type="application/x-pem-file")


@router.get("/threads/{order_id}")
async def read_thread(order_id: str, sandbox: SandboxDep) -> list[dict[str, Any]]:
    return [_show_message(message) for message in sandbox.threads.messages(order_id)]


@router.post("/threads/{order_id}/answers", status_code=201)
async def answer_in_seller_central(
    order_id: str, answer: Answer, sandbox: SandboxDep, mail_room: MailRoomDep
) -> list[dict[str, Any]]:
    """The seller answers on Seller Central's page."""
    found = sandbox.find_order(order_id)
    if found is None:
        raise HTTPException(404, "no such order")
    mail_room.answer_in_seller_central(*found, answer.text)
    return await read_thread(order_id, sandbox)


def _reply_or_404(reply: ReceivedReply | None) -> ReceivedReply:
    if reply is None:
        raise HTTPException(404, "no such reply")
    return reply


def _show(reply: ReceivedReply) -> dict[str, Any]:
    content = reply.content
    return {
        **_show_briefly(reply),
        "subject": content.header("subject"),
        "headers": [list(header) for header in content.headers],
        "text": content.text,
        "html": content.html,
        "files": [_show_file(file) for file in content.files],
        "readable": content.is_readable,
    }


def _show_briefly(reply: ReceivedReply) -> dict[str, Any]:
    return {
        "reply_id": reply.reply_id,
        "seller_id": reply.seller.seller_id,
        "country": reply.order.country,
        "order_id": reply.order.order_id,
        "received_at": reply.received_at.isoformat(),
        "connection": reply.connection,
        "tls": reply.tls,
        "envelope": {"from": reply.mail_from, "to": reply.recipient, "options": list(reply.mail_options)},
        "state": reply.state.value,
        "reason": reply.reason,
        "message_id": reply.message_id,
        "bytes": len(reply.raw),
        "sha256": hashlib.sha256(reply.raw).hexdigest(),
    }


def _show_file(file: File) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "content_type": file.content_type,
        "size": len(file.content),
        "sha256": file.sha256,
    }


def _show_message(message: ThreadMessage) -> dict[str, Any]:
    return {
        "author": message.author.value,
        "at": message.at.isoformat(),
        "text": message.text,
        "files": [_show_file(file) for file in message.files],
        "message_id": f"<{message.mail_message_id}>",
    }
