"""Route: the event stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import Header
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from services.connector.accounts.callers import Caller
from services.connector.accounts.revalidation import is_still_allowed
from services.connector.dependencies import AnyCaller, HubDep, SessionsDep
from services.connector.events import service
from services.connector.events.bounds import StreamBounds
from services.connector.events.hub import RESYNC, Subscription, frame, frame_of
from services.connector.http.routers import api_router
from shared.database import Sessions, is_unavailable

log = structlog.get_logger()
router = api_router("events")

_RETRY_MILLISECONDS: Final = 2_000

_EXAMPLE: Final = (
    "retry: 2000\nevent: ready\ndata: {}\n\n"
    "id: 0199f3a2-7c21-7b1d-8a44-5e2c9d0f1a3b\n"
    'event: message.received\ndata: {"ids": {"integration_id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d", '
    '"conversation_id": "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e", "message_id": "0199f3a2-7c20-7e4d-8f33-3a0c8b2d1e4f"}}\n\n'
    ": keep-alive\n\n"
)
# As OpenAPI 3.2 describes each event; who knows only 3.1 has the example.
_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "id": {"type": "string", "description": "Send the last one as Last-Event-ID to resume."},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer", "description": "Milliseconds to wait before connecting anew."},
    },
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events.",
        "content": {"text/event-stream": {"itemSchema": _EVENT, "example": _EXAMPLE}},
    }
}


class EventStream(StreamingResponse):
    """Frees the subscription as soon as the listener is gone, even before the first byte."""

    def __init__(
        self, subscription: Subscription, sessions: Sessions, last_event_id: str | None, bounds: StreamBounds
    ) -> None:
        super().__init__(
            _frames(subscription, sessions, last_event_id, bounds),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._subscription = subscription
        self._send_seconds = bounds.send_seconds

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: Message) -> None:
            async with asyncio.timeout(self._send_seconds):
                await send(message)

        with self._subscription:
            try:
                await super().__call__(scope, receive, bounded)
            except TimeoutError:
                log.info("event_stream_stalled")


@router.get("/events", summary="Follow events", response_class=StreamingResponse, responses=_RESPONSES)
async def follow_events(
    *,
    caller: AnyCaller,
    sessions: SessionsDep,
    hub: HubDep,
    last_event_id: Annotated[
        str | None, Header(max_length=100, description="The `id` of the last event that was received.")
    ] = None,
) -> EventStream:
    """Server-sent events with ids only; read what they name.

    `ready` comes first: read what you show after it, and you miss nothing. A client that was cut off sends `Last-Event-ID`, as browsers do
    by themselves: then `resumed` comes first and what was missed follows, perhaps with events that are known already. `resync`,
    first or later: events were missed, read again what you show. `authorization.changed`, `integration.changed` come
    to those who may view general.admin, `webhook.disabled` to those who may view general.programs, `order.changed` to those who may view
    inbox.orders, `message.received`, `conversation.changed` and all of
    replies to those who may view inbox.messages. The
    stream ends soon after the session, or when the caller may do less. A session or an API key may have eight streams at a time
    (`too_many_streams`).
    """
    # From here on, new events wait in the subscription while the missed ones are read, so that none is lost in between.
    return EventStream(hub.subscribe(caller), sessions, last_event_id, hub.bounds)


async def _frames(
    subscription: Subscription, sessions: Sessions, last_event_id: str | None, bounds: StreamBounds
) -> AsyncIterator[str]:
    opening = await _opening(subscription.caller, sessions, last_event_id, most_replayed=bounds.most_replayed)
    yield f"retry: {_RETRY_MILLISECONDS}\n" + opening
    loop = asyncio.get_running_loop()
    while True:
        check_at = loop.time() + bounds.keep_alive_seconds
        # Checked here, too: a stream that is never idle must not outlive its caller's rights.
        while loop.time() < check_at:
            text = await _next_until(subscription, check_at)
            if text is None:
                return
            if text:
                yield text
        if not await _is_welcome(subscription, sessions):
            return
        yield ": keep-alive\n\n"


async def _opening(
    caller: Caller, sessions: Sessions, last_event_id: str | None, *, most_replayed: int
) -> str:
    """The events with which a stream begins: `ready`, or `resumed` and the missed ones, or `resync`."""
    if last_event_id is None:
        return frame("ready", {})
    try:
        missed = await service.missed_events(
            sessions, caller, UUID(last_event_id), await sessions.now(), most=most_replayed
        )
    except ValueError:
        return RESYNC
    except Exception as error:
        if is_unavailable(error):
            return RESYNC
        raise
    return RESYNC if missed is None else frame("resumed", {}) + "".join(map(frame_of, missed))


async def _next_until(subscription: Subscription, moment: float) -> str | None:
    """The next events, None at the end, empty when the moment has come."""
    try:
        async with asyncio.timeout_at(moment):
            return await subscription.next()
    except TimeoutError:
        return ""


async def _is_welcome(subscription: Subscription, sessions: Sessions) -> bool:
    try:
        return await is_still_allowed(sessions, subscription.caller, await sessions.now())
    except Exception as error:
        # Without a database no event comes either; the next round asks again.
        if is_unavailable(error):
            return True
        raise
