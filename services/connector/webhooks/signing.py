"""Webhooks are signed as https://www.standardwebhooks.com says, so that receivers verify them with a library that exists."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from standardwebhooks import Webhook as Signer

_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """`whsec_` and 256 random bits in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def body_of(kind: str, at: datetime, ids: Mapping[str, str]) -> str:
    """What is sent: ids only. The same delivery has the same body each time."""
    timestamp = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": timestamp, "data": dict(ids)}, separators=(",", ":"))


def signed_headers(event_id: UUID, body: str, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """A signature by each secret: while one is being replaced, a receiver that knows either is content."""
    at = now.astimezone(UTC)
    signatures = [Signer(secret).sign(str(event_id), at, body) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "Replyco-Webhooks/1",
        "webhook-id": str(event_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
