"""The mails that a store's owner gets, in the owner's language and time zone. Plain text, with the way to the cure."""

from datetime import datetime
from email.message import EmailMessage
from typing import Final
from uuid import UUID

from services.connector.accounts.letters import addressed
from services.connector.http.language import Language
from services.connector.http.reading import reading_of_zone
from services.connector.http.support_contact import support_line
from services.connector.integrations.check_texts import text_of
from services.connector.integrations.health import Check

_BODY: Final = {
    Language.DE: """\
Guten Tag {person},

für „{store}“ gibt es etwas zu tun: {title}.

{text}

{cure}
{link}

Seit: {since}

Diese Nachricht kommt nur einmal. Auf der Seite oben steht jederzeit, wie es aussieht.
Replyco
{help}""",
    Language.EN: """\
Hello {person},

“{store}” needs your attention: {title}.

{text}

{cure}
{link}

Since: {since}

This message is sent only once. The page above always shows the current state.
Replyco
{help}""",
}


def compose(
    check: Check,
    *,
    notice_id: UUID,
    store: str,
    person: str,
    address: str,
    reply_address: str,
    language: Language,
    time_zone: str,
    sender: str,
    support_contact: str | None,
    link: str,
    now: datetime,
) -> EmailMessage:
    """`reply_address`: what the store's replies come from."""
    reading = reading_of_zone(language, time_zone)
    text = text_of(check, reading, address=reply_address)
    message = addressed(address, f"{store}: {text.title}", notice_id=notice_id, sender=sender, now=now)
    message.set_content(
        _BODY[language].format(
            person=person,
            store=store,
            title=text.title,
            text=text.text,
            cure=text.cure,
            link=link,
            since=reading.moment(check.since or now),
            help=support_line(support_contact, language),
        )
    )
    return message
