"""How far an order has come, as steps: only what Amazon has said, and until when the next one is promised. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """In their order. `confirmed`: Amazon has released it to be shipped, its payment being authorized."""

    PURCHASED = "purchased"
    CONFIRMED = "confirmed"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    UNFULFILLABLE = "unfulfillable"


class StepState(StrEnum):
    DONE = "done"
    PARTLY = "partly"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of an order's way. `status` is Amazon's word, also one that we do not know."""

    status: str
    is_paid: bool
    purchased_at: datetime | None
    paid_at: datetime | None
    ship_by: datetime | None
    shipped_at: datetime | None
    deliver_by: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """`at`: when it was done, where Amazon says so. `until`: by when it is promised, while it is not done."""

    step: Step
    state: StepState
    at: datetime | None = None
    until: datetime | None = None


_WAITING: Final = frozenset({"PENDING_AVAILABILITY", "PENDING"})
_ENDED: Final = {"CANCELLED": Step.CANCELLED, "UNFULFILLABLE": Step.UNFULFILLABLE}
_SHIPPING: Final = {
    "UNSHIPPED": StepState.OPEN,
    "PARTIALLY_SHIPPED": StepState.PARTLY,
    "SHIPPED": StepState.DONE,
}


def timeline_of(known: Progress) -> list[TimelineStep]:
    """The steps of an order, the first one first. Of a status that nobody knows, only what else is known."""
    steps = [TimelineStep(Step.PURCHASED, StepState.DONE, at=known.purchased_at)]
    if known.status in _WAITING:
        steps.append(TimelineStep(Step.CONFIRMED, StepState.OPEN))
    elif known.status in _SHIPPING:
        steps.append(TimelineStep(Step.CONFIRMED, StepState.DONE))
    if known.is_paid:
        steps.append(TimelineStep(Step.PAID, StepState.DONE, at=known.paid_at))
    if known.status in _ENDED:
        steps.append(TimelineStep(_ENDED[known.status], StepState.DONE))
        return steps
    if known.shipped_at is not None or known.status in _SHIPPING or known.status in _WAITING:
        state = _SHIPPING.get(known.status, StepState.OPEN if known.shipped_at is None else StepState.DONE)
        until = None if state is StepState.DONE else known.ship_by
        steps.append(TimelineStep(Step.SHIPPED, state, at=known.shipped_at, until=until))
    if known.delivered_at is not None:
        steps.append(TimelineStep(Step.DELIVERED, StepState.DONE, at=known.delivered_at))
    elif known.status in _SHIPPING or known.status in _WAITING:
        steps.append(TimelineStep(Step.DELIVERED, StepState.OPEN, until=known.deliver_by))
    return steps
