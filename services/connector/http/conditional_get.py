"""Conditional reading (RFC 9110 section 13.1.2): a client that has the answer already gets 304 if it is still the same.

A route names a version in its ETag, and two answers of one version may differ: a lock turns, the language is another one. So a
read answer's tag gets a digest of the answer behind the version: `"7.5feceb66ffc86f38"`. If-Match heeds the version alone.
"""

import hashlib
from typing import Final

from services.connector.http.etags import is_among, with_digest
from services.connector.http.middleware import AsgiApp, Message, Receive, Scope, Send, header_of, reads_api

# The headers that a 304 repeats; the others describe content, which it has not.
_KEPT: Final = frozenset({b"etag", b"cache-control", b"content-language", b"vary"})


class ConditionalGet:
    """Holds an answer with an ETag back until it is complete; others go through as they come."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not reads_api(scope):
            await self._app(scope, receive, send)
            return
        known = header_of(scope, b"if-none-match")
        start: Message | None = None
        content = bytearray()

        async def tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if message["status"] == 200 and any(
                    name.lower() == b"etag" for name, _ in message["headers"]
                ):
                    start = message
                    return
            elif start is not None:
                content.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                is_known = _tag(start, bytes(content), known)
                await send(start)
                await send({"type": "http.response.body", "body": b"" if is_known else bytes(content)})
                return
            await send(message)

        await self._app(scope, receive, tagged)


def _tag(start: Message, content: bytes, known: str) -> bool:
    """Complete the tag; whether it is among the known ones: then the answer is made a 304."""
    digest = hashlib.sha256(content).hexdigest()[:16]
    headers = [
        (name, with_digest(value.decode(), digest).encode() if name.lower() == b"etag" else value)
        for name, value in start["headers"]
    ]
    tag = next(value.decode() for name, value in headers if name.lower() == b"etag")
    is_known = is_among(tag, known)
    if is_known:
        start["status"] = 304
        headers = [(name, value) for name, value in headers if name.lower() in _KEPT]
    start["headers"] = headers
    return is_known
