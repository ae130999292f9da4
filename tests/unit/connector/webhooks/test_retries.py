"""When a delivery is tried again."""

from datetime import timedelta

import pytest

from services.connector.webhooks.retries import delay_after


def test_tries_come_later_and_later_over_three_days_and_end():
    delays = [delay_after(attempts, 0.0) for attempts in range(1, 11)]

    assert delays[:4] == [
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
    ]
    waits = [delay for delay in delays if delay is not None]
    assert waits == sorted(waits)
    assert timedelta(days=3) < sum(waits, timedelta()) < timedelta(days=4)
    assert delays[-1] is None


@pytest.mark.parametrize("attempts", range(1, 10))
def test_chance_spreads_what_failed_together(attempts):
    first, last = delay_after(attempts, 0.0), delay_after(attempts, 0.999)

    assert first is not None
    assert last is not None
    assert first < last < first * 1.2


def test_a_delivery_that_was_claimed_too_often_is_over():
    assert delay_after(99, 0.5) is None
