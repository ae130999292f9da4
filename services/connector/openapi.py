"""The API's description of itself: what FastAPI derives from the routes, and what it cannot know."""

from typing import Any, Final

from services.connector.dependencies import only_reads
from services.connector.replies.limits import UPLOADS

DESCRIPTION: Final = """\
Everything that the pages do, for programs and other frontends.

Callers are signed-in users (cookie) or programs with an API key (`Authorization: Bearer rk_…`). Failures are
`application/problem+json` (RFC 9457) with a stable `code`; their sentences are German or English by `Accept-Language`.
Lists take `limit` and `cursor` and answer `next_cursor`.

Formats of our own: `cursor` (from `next_cursor`), `etag` (from `ETag`, or `*`), `line` (without control characters), `integration-name`
(the same, with something to see in it), `time-zone` (of the IANA database), `search` (see its parameter).
"""

TAGS: Final[list[dict[str, Any]]] = [
    {"name": "accounts", "description": "Signing in and out, the caller, API keys."},
    {"name": "authorization", "description": "Connecting a store: marketplaces and attempts."},
    {"name": "integrations", "description": "Connected stores: lock, checks, name, address, setup steps."},
    {"name": "inbox", "description": "Conversations with buyers, their messages and attachments."},
    {"name": "orders", "description": "Orders of connected stores, as Amazon told them last."},
    {
        "name": "replies",
        "description": "Answers to buyers, templates for them, and notes between colleagues.",
    },
    {"name": "events", "description": "What happens, as server-sent events."},
    {"name": "webhooks", "description": "What happens, as signed requests to a program's address."},
]

_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; title and detail are for people. Some codes have further members.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "Where the code is described.", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "The fields that are wrong; only with the code invalid_request.",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
            },
        },
    },
    "examples": [
        {
            "type": "/api/v1/problems#not_found",
            "title": "Not found",
            "status": 404,
            "detail": "There is nothing here, or it belongs to somebody else.",
            "code": "not_found",
        }
    ],
}


_IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "With it, the same request is done once within 24 hours; its repetition gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


def servers(public_url: str | None) -> list[dict[str, str]]:
    """Where the API is: at its public address, or, unknown, at the one from which the description came."""
    return [{"url": public_url or "/"}]


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the schema that the routes refer to, and the Idempotency-Key of every route that changes something."""
    document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    for path, operations in document["paths"].items():
        post = operations.get("post", {})
        parameters = post.get("parameters", [])
        changes = any(not only_reads(scopes) for way in post.get("security", []) for scopes in way.values())
        is_upload = UPLOADS.path.fullmatch(path) is not None
        if changes and not is_upload and _IDEMPOTENCY_KEY not in parameters:
            post["parameters"] = [*parameters, _IDEMPOTENCY_KEY]
    return document
