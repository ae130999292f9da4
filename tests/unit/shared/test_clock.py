"""What a process knows of PostgreSQL's clock, and when it says that the two differ."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from shared.clock import TOLERANCE, Clock, ClocksDiffer, ClockUnknown

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)


def test_nothing_is_said_before_anybody_has_asked():
    clock = Clock()

    with pytest.raises(ClockUnknown):
        clock.now()
    assert math.isnan(clock.seconds_ahead())
    # Each who comes has to ask, as long as there is no answer.
    assert clock.is_to_be_asked()
    assert clock.is_to_be_asked()


def test_it_goes_on_from_what_was_answered_whatever_the_machine_says():
    clock = Clock()

    clock.learn(NOON, asked_at=NOON + timedelta(days=30), answered_at=NOON + timedelta(days=30))
    first, second = clock.now(), clock.now()

    assert NOON <= first <= second < NOON + timedelta(minutes=5)
    assert not clock.is_to_be_asked()


@pytest.mark.parametrize(
    ("asked", "answered", "ahead"),
    [
        (-1, 1, 0),
        # It took long, by a stop of this machine or of the other: that alone is no difference.
        (-600, 0, 0),
        (0, 600, 0),
        (59, 61, 59),
        (61, 62, 61),
        (-62, -61, -61),
        (2_592_000, 2_592_001, 2_592_000),
    ],
)
def test_clocks_differ_by_what_cannot_be_the_way_of_the_answer(asked: int, answered: int, ahead: int):
    clock = Clock()

    clock.learn(NOON, asked_at=NOON + asked * A_SECOND, answered_at=NOON + answered * A_SECOND)

    assert clock.seconds_ahead() == ahead
    if abs(ahead) > TOLERANCE.total_seconds():
        with pytest.raises(ClocksDiffer):
            clock.require_agreement()
    else:
        clock.require_agreement()


def test_clocks_that_agree_again_are_known_to_agree():
    clock = Clock()
    clock.learn(NOON, asked_at=NOON + timedelta(days=30), answered_at=NOON + timedelta(days=30))

    clock.learn(NOON + A_SECOND, asked_at=NOON + A_SECOND, answered_at=NOON + 2 * A_SECOND)

    clock.require_agreement()
    assert clock.seconds_ahead() == 0
