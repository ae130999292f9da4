"""What the control API's requests have in common."""

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict

from services.sandbox.state.memory import Sandbox
from services.sandbox.state.sellers import Seller


class ControlRequest(BaseModel):
    """The body of a call; fields that it does not have are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def seller_or_404(sandbox: Sandbox, seller_id: str) -> Seller:
    """The seller of this id; a caller that names another one gets a 404."""
    seller = sandbox.sellers.get(seller_id)
    if seller is None:
        raise HTTPException(404, "no such seller")
    return seller
