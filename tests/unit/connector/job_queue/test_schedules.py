"""When recurring work is due next."""

from datetime import UTC, datetime, time, timedelta

import pytest

from services.connector.job_queue.schedules import DailyAt, Every, retry_wait

NIGHT = DailyAt(time(3, 17))


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 3, 1, 3, 16, tzinfo=UTC), datetime(2026, 3, 1, 3, 17, tzinfo=UTC)),
        (datetime(2026, 3, 1, 3, 17, tzinfo=UTC), datetime(2026, 3, 2, 3, 17, tzinfo=UTC)),
        (datetime(2026, 2, 28, 23, 59, tzinfo=UTC), datetime(2026, 3, 1, 3, 17, tzinfo=UTC)),
    ],
)
def test_daily_work_is_due_at_its_time(now: datetime, due: datetime):
    assert now + NIGHT.wait(now) == due


def test_other_work_is_due_so_long_after_its_end():
    assert Every(timedelta(minutes=5)).wait(datetime(2026, 3, 1, tzinfo=UTC)) == timedelta(minutes=5)


def test_what_fails_on_and_on_waits_an_hour_at_the_most():
    assert [retry_wait(failures) / timedelta(minutes=1) for failures in (1, 2, 3, 6, 7, 2_000_000)] == [
        1,
        2,
        4,
        32,
        60,
        60,
    ]
