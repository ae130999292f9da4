"""What came by SMTP, as JSON for tests (`/control/inbox`) and as a page for people (`/inbox`).

GET    /control/inbox                  the mails, oldest first (query: to, count, wait_seconds)
GET    /control/inbox/{mail_id}/raw    the bytes of one
DELETE /control/inbox                  forget them all
"""

from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Response

from services.sandbox.dependencies import MailInbox, PageLanguage
from services.sandbox.mail.inbox import MAX_RECEIVED, ReceivedMail
from services.sandbox.pages.frame import page

router = APIRouter()

INBOX_PATH: Final = "/inbox"
_MAX_WAIT_SECONDS: Final = 60.0
_SHOWN: Final = 50

_TEXTS: Final = {
    "de": {
        "title": "Posteingang",
        "what": "Alles, was an den Eingangsserver dieser Sandbox gesendet wurde, das Neueste zuerst. Nichts davon geht weiter.",
        "none": "Noch ist nichts gekommen.",
    },
    "en": {
        "title": "Inbox",
        "what": "Everything that was sent to this sandbox's inbound server, the newest first. Nothing of it goes anywhere.",
        "none": "Nothing has come yet.",
    },
}


@router.get("/control/inbox")
async def read_inbox(
    inbox: MailInbox,
    to: str | None = None,
    count: Annotated[int, Query(ge=1, le=MAX_RECEIVED)] = 1,
    wait_seconds: Annotated[float, Query(ge=0, le=_MAX_WAIT_SECONDS)] = 0,
) -> list[dict[str, Any]]:
    """Waits, at most `wait_seconds`, until there are `count` mails (to this address)."""
    mails = await inbox.wait_for(to, count, wait_seconds) if wait_seconds else inbox.to(to)
    return [_show(mail) for mail in mails]


@router.get("/control/inbox/{mail_id}/raw")
async def read_raw_mail(mail_id: str, inbox: MailInbox) -> Response:
    mail = inbox.mails.get(mail_id)
    if mail is None:
        raise HTTPException(404, "no such mail")
    return Response(mail.raw, media_type="message/rfc822")


@router.delete("/control/inbox", status_code=204)
async def empty_inbox(inbox: MailInbox) -> None:
    inbox.forget()


@router.get(INBOX_PATH)
async def inbox_page(language: PageLanguage, inbox: MailInbox) -> Response:
    texts = _TEXTS[language]
    newest = list(reversed(inbox.mails.values()))[:_SHOWN]
    shown = "".join(
        f"<h2>{escape(mail.header('subject') or '…')}</h2>"
        f"<p><code>{escape(mail.mail_from)}</code> → <code>{escape(', '.join(mail.recipients))}</code>, "
        f"{mail.received_at:%Y-%m-%d %H:%M:%S} UTC</p><pre>{escape(mail.text)}</pre>"
        for mail in newest
    )
    body = f'<p>{texts["what"]}</p><div id="mails">{shown or texts["none"]}</div>'
    return page(language, texts["title"], body)


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
