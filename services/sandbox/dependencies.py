"""What routes ask for: the sandbox's state, its mail, the host from the path and the reader's language.

All are coroutines though they wait for nothing, because FastAPI would send plain functions to a thread.
"""

from typing import Annotated, Literal, cast

from fastapi import Depends, HTTPException, Request

from services.sandbox.amazon_hosts import SELLER_CENTRAL_HOSTS
from services.sandbox.mail.inbox import Inbox
from services.sandbox.mail.mail_room import MailRoom
from services.sandbox.mail.sender import MailSender
from services.sandbox.mail.smtp_server import InboundServer
from services.sandbox.state.memory import Sandbox

Language = Literal["de", "en"]

# No browser sends a longer Accept-Language header (RFC 9110 §12.5.4).
_MAX_ACCEPT_LANGUAGE_CHARS = 500


async def get_sandbox(request: Request) -> Sandbox:
    return cast("Sandbox", request.app.state.sandbox)


async def get_mail_sender(request: Request) -> MailSender:
    return cast("MailSender", request.app.state.sender)


async def get_inbox(request: Request) -> Inbox:
    return cast("Inbox", request.app.state.inbox)


async def get_mail_room(request: Request) -> MailRoom:
    return cast("MailRoom", request.app.state.mail_room)


async def get_inbound_server(request: Request) -> InboundServer:
    return cast("InboundServer", request.app.state.inbound_server)


async def get_language(request: Request) -> Language:
    return preferred_language(request)


def preferred_language(request: Request) -> Language:
    """German if the browser prefers it to English, else English."""
    header = request.headers.get("accept-language", "")[:_MAX_ACCEPT_LANGUAGE_CHARS]
    weights = {"de": 0.0, "en": 0.0}
    for entry in header.split(","):
        tag, _, parameter = entry.strip().partition(";")
        primary = tag.partition("-")[0].lower()
        if primary in weights:
            weights[primary] = max(weights[primary], _quality(parameter))
    return "de" if weights["de"] > weights["en"] else "en"


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


async def seller_central_host(host: str) -> str:
    """The host in the first segment of the path; 404 if it is no Seller Central host of Amazon's."""
    if host not in SELLER_CENTRAL_HOSTS:
        raise HTTPException(404)
    return host


SandboxDep = Annotated[Sandbox, Depends(get_sandbox)]
MailSenderDep = Annotated[MailSender, Depends(get_mail_sender)]
InboxDep = Annotated[Inbox, Depends(get_inbox)]
MailRoomDep = Annotated[MailRoom, Depends(get_mail_room)]
InboundServerDep = Annotated[InboundServer, Depends(get_inbound_server)]
LanguageDep = Annotated[Language, Depends(get_language)]
SellerCentralHost = Annotated[str, Depends(seller_central_host)]
