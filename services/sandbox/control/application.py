"""The application's client secret and what Amazon tells its developer.

POST   /control/client-secret/rotate           a new secret, as by hand in the developer portal
POST   /control/client-secret/expiry-notice    Amazon's reminder that the secret expires
GET    /control/notifications                  what Amazon would have put into the application's queue
"""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import Field

from services.sandbox.control.requests import ControlRequest
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.applications_api import announce_new_secret, announce_secret_expiry

router = APIRouter(prefix="/control")


class Rotate(ControlRequest):
    client_secret: str | None = Field(None, min_length=1, max_length=500)
    announce: bool = False


class ExpiryNotice(ControlRequest):
    days: int = Field(30, ge=0, le=180)


@router.post("/client-secret/rotate")
async def rotate_client_secret(
    sandbox: SandboxDep, rotate: Annotated[Rotate | None, Body()] = None
) -> dict[str, str]:
    """As by hand in the portal, where the new secret is shown; `announce` puts it among the notifications, too."""
    rotation = sandbox.client_secrets.rotate(sandbox.now(), rotate.client_secret if rotate else None)
    if rotate is not None and rotate.announce:
        announce_new_secret(sandbox, rotation)
    return {
        "client_secret": rotation.client_secret,
        "expires_at": rotation.expires_at.isoformat(),
        "old_valid_until": rotation.old_valid_until.isoformat(),
    }


@router.post("/client-secret/expiry-notice")
async def announce_expiry(
    sandbox: SandboxDep, notice: Annotated[ExpiryNotice | None, Body()] = None
) -> list[dict[str, Any]]:
    announce_secret_expiry(sandbox, sandbox.now() + timedelta(days=(notice or ExpiryNotice()).days))
    return list(sandbox.notifications)


@router.get("/notifications")
async def read_notifications(sandbox: SandboxDep) -> list[dict[str, Any]]:
    return list(sandbox.notifications)
