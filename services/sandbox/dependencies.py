"""What the routes share: the sandbox's state, the host from the path and the reader's language."""

from typing import Annotated, Literal, cast

from fastapi import Depends, HTTPException, Request

from services.sandbox.amazon_hosts import SELLER_CENTRAL_HOSTS
from services.sandbox.mail.inbox import Inbox
from services.sandbox.mail.sender import MailSender
from services.sandbox.state.memory import Sandbox

Language = Literal["de", "en"]

# The dependencies are coroutines though they wait for nothing: plain functions would each be sent to a thread.
# RFC 9110 §12.5.4; a header longer than this is no browser's.
_MAX_ACCEPT_LANGUAGE_CHARS = 500


async def the_sandbox(request: Request) -> Sandbox:
    return cast("Sandbox", request.app.state.sandbox)


async def mail_sender(request: Request) -> MailSender:
    return cast("MailSender", request.app.state.sender)


async def the_inbox(request: Request) -> Inbox:
    return cast("Inbox", request.app.state.inbox)


async def the_language(request: Request) -> Language:
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
    """The first segment of the path. Any host that is not one of Amazon's is unknown here."""
    if host not in SELLER_CENTRAL_HOSTS:
        raise HTTPException(404)
    return host


SandboxDep = Annotated[Sandbox, Depends(the_sandbox)]
MailSenderDep = Annotated[MailSender, Depends(mail_sender)]
InboxDep = Annotated[Inbox, Depends(the_inbox)]
LanguageDep = Annotated[Language, Depends(the_language)]
SellerCentralHost = Annotated[str, Depends(seller_central_host)]
