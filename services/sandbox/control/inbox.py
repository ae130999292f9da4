"""The mails that came to the sandbox by SMTP, `/control/inbox`.

GET    /control/inbox                  the mails, oldest first (query: to, count, wait_seconds)
GET    /control/inbox/{mail_id}/raw    the bytes of one
DELETE /control/inbox                  forget them all
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Response

from services.sandbox.dependencies import InboxDep
from services.sandbox.mail.inbox import MAX_RECEIVED, ReceivedMail

router = APIRouter(prefix="/control")

_MAX_WAIT_SECONDS: Final = 60.0


@router.get("/inbox")
async def read_inbox(
    inbox: InboxDep,
    to: str | None = None,
    count: Annotated[int, Query(ge=1, le=MAX_RECEIVED)] = 1,
    wait_seconds: Annotated[float, Query(ge=0, le=_MAX_WAIT_SECONDS)] = 0,
) -> list[dict[str, Any]]:
    """Waits, at most `wait_seconds`, until there are `count` mails (to this address)."""
    mails = await inbox.wait_for(to, count, wait_seconds) if wait_seconds else inbox.mails_to(to)
    return [_show(mail) for mail in mails]


@router.get("/inbox/{mail_id}/raw")
async def read_raw_mail(mail_id: str, inbox: InboxDep) -> Response:
    mail = inbox.mails.get(mail_id)
    if mail is None:
        raise HTTPException(404, "no such mail")
    return Response(mail.raw, media_type="message/rfc822")


@router.delete("/inbox", status_code=204)
async def empty_inbox(inbox: InboxDep) -> None:
    inbox.forget()


def _show(mail: ReceivedMail) -> dict[str, Any]:
    return {
        "mail_id": mail.mail_id,
        "received_at": mail.received_at.isoformat(),
        "envelope": {"from": mail.mail_from, "to": list(mail.recipients)},
        "subject": mail.header("subject"),
        "headers": [list(header) for header in mail.headers],
        "text": mail.text,
        "bytes": len(mail.raw),
    }
