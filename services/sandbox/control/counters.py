"""How often Amazon was called, and the way back to the start.

GET    /control/counters           the counters
POST   /control/counters/reset     the counters at zero
POST   /control/reset              everything as at the start
"""

from dataclasses import fields
from typing import Any

from fastapi import APIRouter

from services.sandbox.dependencies import (
    InboundServerDep,
    InboxDep,
    MailRoomDep,
    MailSenderDep,
    SandboxDep,
)
from services.sandbox.state.memory import Counters

router = APIRouter(prefix="/control")


@router.get("/counters")
async def read_counters(sandbox: SandboxDep) -> dict[str, Any]:
    return _show_counters(sandbox.counters)


@router.post("/counters/reset")
async def reset_counters(sandbox: SandboxDep) -> dict[str, Any]:
    sandbox.reset_counters()
    return _show_counters(sandbox.counters)


@router.post("/reset", status_code=204)
async def reset(
    sandbox: SandboxDep,
    sender: MailSenderDep,
    inbox: InboxDep,
    mail_room: MailRoomDep,
    server: InboundServerDep,
) -> None:
    mail_room.forget()
    server.traffic.forget()
    server.release_stalled()
    sender.forget()
    inbox.forget()
    sandbox.reset()


def _show_counters(counters: Counters) -> dict[str, Any]:
    return {counter.name: dict(getattr(counters, counter.name)) for counter in fields(counters)}
