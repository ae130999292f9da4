"""Application Management: rotateApplicationClientSecret. The new secret is never in the answer, only in the queue."""

import secrets
import uuid
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from services.sandbox.amazon_hosts import API_HOSTS
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.operation import Operation, refused, require_application, success
from services.sandbox.state.client_secrets import Rotation
from services.sandbox.state.memory import Sandbox

router = APIRouter()

ROTATE: Final = Operation(
    "rotateApplicationClientSecret",
    rate=0.0167,
    burst=1,
    scope="sellingpartnerapi::client_credential:rotation",
)
_NOT_ENROLLED: Final = (
    "Application is not enrolled for rotation notification. "
    "Please update application notification preference in Developer console."
)


async def _rotate(request: Request, sandbox: SandboxDep) -> Response:
    await require_application(request, sandbox, ROTATE)
    if sandbox.scenarios.happens("rotation-not-enrolled"):
        raise refused(400, "InvalidInput", _NOT_ENROLLED, "not_enrolled")
    announce_new_secret(sandbox, sandbox.client_secrets.rotate(sandbox.now()))
    return success(sandbox, ROTATE, status=204)


def announce_new_secret(sandbox: Sandbox, rotation: Rotation) -> None:
    """Put Amazon's message with the new secret among the notifications."""
    payload = {
        "clientId": sandbox.settings.client_id,
        "newClientSecret": rotation.client_secret,
        "newClientSecretExpiryTime": _text(rotation.expires_at),
        "oldClientSecretExpiryTime": _text(rotation.old_valid_until),
    }
    _notify(sandbox, "APPLICATION_OAUTH_CLIENT_NEW_SECRET", {"applicationOAuthClientNewSecret": payload})


def announce_secret_expiry(sandbox: Sandbox, expires_at: datetime) -> None:
    """Put Amazon's reminder that the secret is to be rotated among the notifications."""
    payload = {
        "clientId": sandbox.settings.client_id,
        "clientSecretExpiryTime": _text(expires_at),
        "clientSecretExpiryReason": "PERIODIC_ROTATION",
    }
    _notify(
        sandbox, "APPLICATION_OAUTH_CLIENT_SECRET_EXPIRY", {"applicationOAuthClientSecretExpiry": payload}
    )


def _notify(sandbox: Sandbox, kind: str, payload: dict[str, Any]) -> None:
    now = _text(sandbox.now())
    notice = {
        "notificationVersion": "1.0",
        "notificationType": kind,
        "payloadVersion": "1.0",
        "eventTime": now,
        "payload": payload,
        "notificationMetadata": {
            "applicationId": sandbox.settings.application_id,
            "subscriptionId": f"subscription-id-{secrets.token_hex(8)}",
            "publishTime": now,
            "notificationId": str(uuid.uuid4()),
        },
    }
    sandbox.notifications.append(notice)
    sandbox.notices.tell_application(notice)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


for _host in API_HOSTS:
    router.add_api_route(f"/{_host}/applications/2023-11-30/clientSecret", _rotate, methods=["POST"])
