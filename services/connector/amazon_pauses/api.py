"""Route: what everybody may know of the service."""

from services.connector.amazon_pauses.schemas import StatusAnswer
from services.connector.dependencies import AnyCaller, PauseSwitchDep
from services.connector.http.routers import api_router

router = api_router("accounts")


@router.get("/status", summary="Read the state of the service")
async def read_status(_caller: AnyCaller, switch: PauseSwitchDep) -> StatusAnswer:
    """Whether calls to Amazon are paused. Cheap enough to be asked twice a minute."""
    return StatusAnswer(amazon_paused_since=await switch.paused_since())
