"""How far an order has come, as steps: never more than Amazon has said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.connector.orders.timeline import Progress, Step, StepState, TimelineStep, timeline_of

_AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
_DAY = timedelta(days=1)
_PLACED = Progress(
    status="UNSHIPPED",
    is_paid=False,
    purchased_at=_AT,
    paid_at=None,
    ship_by=_AT + _DAY,
    shipped_at=None,
    deliver_by=_AT + 4 * _DAY,
    delivered_at=None,
)


def _steps(**known: Any) -> list[tuple[Step, StepState]]:
    return [(step.step, step.state) for step in timeline_of(replace(_PLACED, **known))]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"status": "PENDING"}, "purchased:done confirmed:open shipped:open delivered:open"),
        ({"status": "PENDING_AVAILABILITY"}, "purchased:done confirmed:open shipped:open delivered:open"),
        ({}, "purchased:done confirmed:done shipped:open delivered:open"),
        ({"is_paid": True}, "purchased:done confirmed:done paid:done shipped:open delivered:open"),
        ({"status": "PARTIALLY_SHIPPED"}, "purchased:done confirmed:done shipped:partly delivered:open"),
        ({"status": "SHIPPED"}, "purchased:done confirmed:done shipped:done delivered:open"),
        (
            {"status": "SHIPPED", "delivered_at": _AT + 3 * _DAY},
            "purchased:done confirmed:done shipped:done delivered:done",
        ),
        ({"status": "CANCELLED"}, "purchased:done cancelled:done"),
        ({"status": "CANCELLED", "is_paid": True}, "purchased:done paid:done cancelled:done"),
        ({"status": "UNFULFILLABLE"}, "purchased:done unfulfillable:done"),
        # Of a word that nobody knows, nothing follows.
        ({"status": "SOMETHING_NEW"}, "purchased:done"),
        ({"status": "SOMETHING_NEW", "shipped_at": _AT}, "purchased:done shipped:done"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_steps_say_what_amazon_has_said(known, expected):
    assert " ".join(f"{step}:{state}" for step, state in _steps(**known)) == expected


def test_a_promise_is_told_until_it_is_kept():
    shipped = replace(_PLACED, status="SHIPPED", shipped_at=_AT + _DAY)

    assert timeline_of(_PLACED)[2] == TimelineStep(Step.SHIPPED, StepState.OPEN, until=_AT + _DAY)
    assert timeline_of(shipped)[2:] == [
        TimelineStep(Step.SHIPPED, StepState.DONE, at=_AT + _DAY),
        TimelineStep(Step.DELIVERED, StepState.OPEN, until=_AT + 4 * _DAY),
    ]
