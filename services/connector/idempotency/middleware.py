"""Keeps the answer to a request that was claimed on its way in, before anybody sees it, and sends a kept one again."""

from typing import Any, Final, Protocol

from services.connector.http.middleware import AsgiApp, Message, Receive, Scope, Send
from services.connector.idempotency.replay import Headers, Replay

# The key under which the caller check stores the claim for the middleware.
CLAIM: Final = "replyco.idempotency"


class ClaimedRequest(Protocol):
    """A request that was claimed, and whose answer is to be kept."""

    async def finish(self, status: int, headers: Headers, body: bytes) -> None:
        """Keep the answer; called once, when it is known."""


class Idempotent:
    """Holds the answer to a claimed request back until it is kept. Other answers pass as they come.

    It stands next to the routes, so that an answer which is sent again gets the same headers from the edge as any other.
    """

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        claims: list[ClaimedRequest] = []
        scope[CLAIM] = claims
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if not claims:
                await send(message)
                return
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await claims.pop().finish(*_answer(held))
                for part in held:
                    await send(part)

        try:
            await self._app(scope, receive, hold)
        except Replay as replay:
            await _send_again(replay, send)
        finally:
            # No answer came of it: a bug, or the end of this process.
            if claims:
                await claims.pop().finish(500, [], b"")


async def _send_again(replay: Replay, send: Send) -> None:
    headers = [
        (b"content-length", str(len(replay.body)).encode()),
        *replay.headers,
        (b"idempotent-replayed", b"true"),
    ]
    await send({"type": "http.response.start", "status": replay.status, "headers": headers})
    await send({"type": "http.response.body", "body": replay.body})


def _answer(messages: list[Message]) -> tuple[int, Headers, bytes]:
    start: dict[str, Any] = dict(messages[0])
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return start["status"], list(start["headers"]), body
