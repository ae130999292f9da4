"""The page on which people read what came to the sandbox by SMTP, `/inbox`."""

from html import escape
from typing import Final

from fastapi import APIRouter, Response

from services.sandbox.dependencies import InboxDep, LanguageDep
from services.sandbox.html_page import page

router = APIRouter()

INBOX_PATH: Final = "/inbox"
_SHOWN: Final = 50

_TEXTS: Final = {
    "de": {
        "title": "Posteingang",
        "what": "Alles, was an diese Sandbox für andere als Käufer gesendet wurde, das Neueste zuerst. Nichts davon geht weiter.",
        "none": "Noch ist nichts gekommen.",
    },
    "en": {
        "title": "Inbox",
        "what": "Everything that was sent to this sandbox for others than buyers, the newest first. Nothing of it goes anywhere.",
        "none": "Nothing has come yet.",
    },
}


@router.get(INBOX_PATH)
async def inbox_page(language: LanguageDep, inbox: InboxDep) -> Response:
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
