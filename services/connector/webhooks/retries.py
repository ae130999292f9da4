"""When a delivery that has failed is tried again, and when a receiver that always fails is given up."""

from datetime import timedelta
from typing import Final

_DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
# Not all that failed together come again together.
_JITTER: Final = 0.2

GIVEN_UP_AFTER: Final = timedelta(days=5)
"""A webhook to which nothing could be delivered for so long is disabled."""

PAUSED_AT_MOST: Final = timedelta(days=7)
"""For so long deliveries wait for a webhook that is disabled; then they are dead."""


def delay_after(attempts: int, chance: float) -> timedelta | None:
    """How long to wait after so many tries, `chance` being between 0 and 1; None after the last."""
    if attempts > len(_DELAYS):
        return None
    return _DELAYS[attempts - 1] * (1 + _JITTER * chance)
