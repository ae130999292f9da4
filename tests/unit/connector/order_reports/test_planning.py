"""Which order reports are asked for, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.connector.order_reports.planning import (
    ALL_ORDERS,
    ORDER_REPORT,
    Known,
    SyncFacts,
    Wanted,
    wanted_reports,
)

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
_WHOLE_HISTORY = Known(ALL_ORDERS, "stored", NOW - 540 * DAY, NOW - 510 * DAY, NOW - 10 * DAY, None)


def order_report(age: timedelta, state: str = "stored", failure: str | None = None) -> Known:
    return Known(ORDER_REPORT, state, NOW - age - 30 * DAY, NOW - age, NOW - age, failure)


def of_order_report(*known: Known, sync: SyncFacts | None = None) -> list[Wanted]:
    return wanted_reports([_WHOLE_HISTORY, *known], sync or SyncFacts(), NOW)


def test_a_new_store_wants_a_month_of_both():
    assert wanted_reports([], SyncFacts(), NOW) == [
        Wanted(ORDER_REPORT, NOW - 30 * DAY, NOW),
        Wanted(ALL_ORDERS, NOW - 30 * DAY, NOW),
    ]


@pytest.mark.parametrize("state", ["asked", "ready"])
def test_one_report_of_a_type_is_under_way_at_a_time(state):
    known = [order_report(3 * DAY, state), replace_state(_WHOLE_HISTORY, state)]

    assert wanted_reports(known, SyncFacts(), NOW) == []


def replace_state(known: Known, state: str) -> Known:
    return known._replace(state=state, data_from=NOW - 30 * DAY)


def test_the_order_report_comes_once_a_day_with_an_overlap():
    assert of_order_report(order_report(23 * HOUR)) == []
    assert of_order_report(order_report(25 * HOUR)) == [Wanted(ORDER_REPORT, NOW - 25 * HOUR - 2 * DAY, NOW)]


def test_what_a_damaged_report_did_not_tell_is_asked_for_again():
    whole, damaged = order_report(50 * HOUR), order_report(25 * HOUR, failure="report_damaged")

    assert of_order_report(whole, damaged) == [Wanted(ORDER_REPORT, NOW - 50 * HOUR - 2 * DAY, NOW)]


def test_while_columns_are_missing_it_comes_every_two_hours_and_with_a_month():
    lacking = SyncFacts(columns_missing=["is-prime"])

    assert of_order_report(order_report(HOUR), sync=lacking) == []
    assert of_order_report(order_report(3 * HOUR), sync=lacking) == [
        Wanted(ORDER_REPORT, NOW - 30 * DAY, NOW)
    ]


def test_without_the_role_it_is_tried_once_a_week():
    refused = order_report(3 * DAY, "failed", "restricted_role_missing")

    assert of_order_report(refused, sync=SyncFacts(role_missing_at=NOW - 3 * DAY)) == []
    assert len(of_order_report(refused, sync=SyncFacts(role_missing_at=NOW - 8 * DAY))) == 1


def test_after_a_failure_it_is_tried_sooner():
    assert of_order_report(order_report(5 * HOUR, "failed", "fatal")) == []
    assert len(of_order_report(order_report(7 * HOUR, "failed", "fatal"))) == 1


def history(known: list[Known], sync: SyncFacts | None = None) -> list[Wanted]:
    return wanted_reports([order_report(HOUR), *known], sync or SyncFacts(), NOW)


def month(number: int, state: str = "stored", failure: str | None = None) -> Known:
    return Known(
        ALL_ORDERS, state, NOW - (number + 1) * 30 * DAY, NOW - number * 30 * DAY, NOW - HOUR, failure
    )


def test_the_history_goes_back_to_what_is_kept_and_no_further():
    known = [month(0)]
    asked = []
    while wanted := history(known):
        asked += wanted
        known.append(Known(ALL_ORDERS, "no_data", wanted[0].data_from, wanted[0].data_to, NOW - HOUR, None))

    assert len(asked) == 17
    assert asked[-1].data_from == NOW - 540 * DAY


def test_a_month_that_failed_for_good_is_passed_over():
    assert history([month(0), month(1, "failed", "fatal")])[0].data_to == NOW - 60 * DAY


def test_what_was_refused_for_want_of_a_role_waits_a_day_and_is_asked_again():
    refused = month(1, "failed", "role_missing")

    assert history([month(0)._replace(created_at=NOW - 26 * HOUR), refused]) == []
    later = refused._replace(created_at=NOW - 25 * HOUR)
    assert history([month(0)._replace(created_at=NOW - 26 * HOUR), later])[0].data_to == NOW - 30 * DAY


def test_when_the_sp_api_lags_behind_all_orders_helps_out():
    late = SyncFacts(late_since=NOW - 7 * HOUR, cursor_at=NOW - 3 * DAY)
    done = _WHOLE_HISTORY

    assert history([done], replace(late, late_since=NOW - HOUR)) == []
    assert history([done], late) == [Wanted(ALL_ORDERS, NOW - 5 * DAY, NOW)]
    assert history([done, done._replace(created_at=NOW - 2 * HOUR)], late) == []
