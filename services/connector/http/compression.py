"""Answers that are read are sent compressed to whoever takes that: JSON shrinks to a fifth, which a phone notices.

What holds a secret of the session (`/me`) goes as it is: beside something that a stranger may have chosen, its compressed
length would tell of the secret (BREACH). What is shown once, such as a new key, answers a POST, which is never compressed.
"""

import gzip
from typing import Final

from services.connector.http.middleware import AsgiApp, Message, Receive, Scope, Send, header_of, reads_api
from services.connector.http.paths import API_PREFIX

# Below it the headers are most of what is sent.
_LEAST_BYTES: Final = 1000
_LEVEL: Final = 5
_PLAIN: Final = frozenset({f"{API_PREFIX}/me"})


def takes_gzip(accepted: str) -> bool:
    """What an Accept-Encoding header says of gzip."""
    for part in accepted.lower().split(","):
        coding, _, quality = part.replace(" ", "").partition(";")
        if coding == "gzip":
            return quality.rstrip("0") not in {"q=", "q=0."}
    return False


class Compressed:
    """Compresses what a GET of the REST API reads, if it is JSON that comes in one piece."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not reads_api(scope) or scope["path"] in _PLAIN:
            await self._app(scope, receive, send)
            return
        takes = takes_gzip(header_of(scope, b"accept-encoding"))
        start: Message | None = None

        async def compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if _is_json(message):
                    start = message
                    return
            elif start is not None:
                begun, start = start, None
                body = message.get("body", b"")
                if not message.get("more_body") and len(body) >= _LEAST_BYTES:
                    _vary(begun)
                    if takes:
                        message["body"] = gzip.compress(body, _LEVEL, mtime=0)
                        _describe(begun, len(message["body"]))
                await send(begun)
            await send(message)

        await self._app(scope, receive, compressed)


def _is_json(start: Message) -> bool:
    names = {name.lower() for name, _ in start["headers"]}
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return (
        start["status"] == 200
        and b"content-encoding" not in names
        and any(kind.startswith(b"application/json") for kind in kinds)
    )


def _vary(start: Message) -> None:
    """For caches: what is sent depends on what is taken."""
    known = b", ".join(value for name, value in start["headers"] if name.lower() == b"vary")
    rest = [(name, value) for name, value in start["headers"] if name.lower() != b"vary"]
    start["headers"] = [*rest, (b"vary", known + b", Accept-Encoding" if known else b"Accept-Encoding")]


def _describe(start: Message, length: int) -> None:
    def changed(name: bytes, value: bytes) -> bytes:
        if name.lower() == b"content-length":
            return str(length).encode()
        # Other bytes are another representation: only a weak tag may stand for both (RFC 9110 section 8.8.1).
        if name.lower() == b"etag" and not value.startswith(b"W/"):
            return b"W/" + value
        return value

    start["headers"] = [(name, changed(name, value)) for name, value in start["headers"]]
    start["headers"].append((b"content-encoding", b"gzip"))
