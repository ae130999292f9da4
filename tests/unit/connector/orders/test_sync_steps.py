"""What is asked of Amazon next for a store, and what an answer changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.connector.orders.sync_steps import (
    LOOK_BACK,
    OVERLAP,
    PAUSE,
    Changes,
    Failure,
    Question,
    Sync,
    after_failure,
    after_page,
    after_refused_token,
    late_since,
    question_of,
    run_due_at,
)
from shared.driver import new_id

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
CURSOR = NOW - 5 * MINUTE
# A store whose last run has just ended, and whose history is there.
SYNC = Sync(
    integration_id=new_id(),
    account_id=new_id(),
    claimed_until=NOW + 5 * MINUTE,
    cursor_at=CURSOR,
    run_after=None,
    run_before=None,
    run_token=None,
    run_token_at=None,
    completed_at=NOW - PAUSE,
    look_back_at=NOW + DAY,
    failing_since=None,
    late_since=None,
    history_from=NOW - 730 * DAY,
    history_until=NOW - 730 * DAY,
    history_after=NOW - 760 * DAY,
    history_token=None,
    history_token_at=None,
    history_done_at=NOW - DAY,
    is_revoked=False,
)
IN_HISTORY = replace(
    SYNC, history_done_at=None, history_until=NOW - 30 * DAY, history_after=NOW - 60 * DAY, completed_at=NOW
)


def page(
    sync: Sync, *, token: str | None = None, told: datetime | None = NOW - 2 * MINUTE, now: datetime = NOW
) -> Changes:
    return after_page(sync, question_of(sync, now), told_before=told, next_token=token, now=now)


def moved(sync: Sync, changes: Changes) -> Sync:
    known = {name: value for name, value in changes.items() if hasattr(sync, name)}
    return replace(sync, **known)


def test_a_run_begins_a_little_before_the_end_of_the_last_one():
    assert question_of(SYNC, NOW) == Question(updated_after=CURSOR - OVERLAP)


def test_the_next_page_is_asked_for_at_once_with_the_same_parameters():
    changes = page(SYNC, token="second")
    later = NOW + 30 * MINUTE

    assert changes["next_at"] == NOW
    assert "cursor_at" not in changes
    assert question_of(moved(SYNC, changes), later) == Question(
        updated_after=CURSOR - OVERLAP, token="second"
    )


def test_a_run_that_is_complete_moves_the_cursor_to_where_its_first_page_ended():
    first = moved(SYNC, page(SYNC, token="second", told=NOW - 2 * MINUTE))
    later = NOW + 30 * MINUTE

    changes = page(first, told=later - 2 * MINUTE, now=later)

    assert (changes["cursor_at"], changes["completed_at"]) == (NOW - 2 * MINUTE, later)
    assert (changes["run_token"], changes["run_after"], changes["next_at"]) == (None, None, later + PAUSE)


@pytest.mark.parametrize("told", [None, CURSOR - DAY])
def test_an_answer_that_does_not_say_up_to_when_it_reaches_moves_the_cursor_carefully_and_never_back(
    told: datetime | None,
):
    assert page(SYNC, told=told)["cursor_at"] == CURSOR


def test_a_token_that_is_a_day_old_is_not_sent():
    old = replace(SYNC, run_token="old", run_token_at=NOW - DAY, run_after=CURSOR - OVERLAP)
    old_window = replace(IN_HISTORY, history_token="old", history_token_at=NOW - DAY)

    assert question_of(old, NOW).token is None
    assert question_of(old_window, NOW) == Question(
        created_after=NOW - 60 * DAY, created_before=NOW - 30 * DAY
    )


def test_a_token_that_amazon_refuses_begins_the_run_again_at_once():
    sync = moved(SYNC, page(SYNC, token="second"))

    again = moved(sync, after_refused_token(sync, question_of(sync, NOW), NOW))

    assert question_of(again, NOW) == Question(updated_after=CURSOR - OVERLAP)


def test_a_page_of_the_history_that_amazon_refuses_halves_its_window():
    sync = replace(IN_HISTORY, history_token="second", history_token_at=NOW)

    changes = after_refused_token(sync, question_of(sync, NOW), NOW)

    assert changes["history_after"] == NOW - 45 * DAY
    assert question_of(moved(sync, changes), NOW).token is None


def test_a_run_that_looks_back_reaches_further_and_comes_again_after_an_hour():
    sync = replace(SYNC, look_back_at=NOW)

    question, changes = question_of(sync, NOW), page(sync)

    assert question.updated_after == CURSOR - LOOK_BACK
    assert changes["look_back_at"] == NOW + timedelta(hours=1)
    assert "look_back_at" not in page(SYNC)


def test_a_look_back_that_takes_long_comes_more_seldom():
    sync = moved(replace(SYNC, look_back_at=NOW), page(replace(SYNC, look_back_at=NOW), token="second"))
    later = NOW + timedelta(hours=1)

    assert page(sync, now=later)["look_back_at"] > later + timedelta(hours=6)


def test_while_there_is_history_a_page_of_it_is_asked_for_between_two_runs():
    sync, now = IN_HISTORY, NOW
    kinds: list[str] = []
    for _ in range(20):
        question = question_of(sync, now)
        kinds.append("history" if question.is_of_history else "run")
        # Windows that never end: there is always a next page.
        token = "next" if question.is_of_history else None
        changes = after_page(sync, question, told_before=now - 2 * MINUTE, next_token=token, now=now)
        sync = moved(sync, changes)
        now = changes["next_at"]

    assert (
        kinds == [*["history"] * 5, "run", *["history"] * 4, "run", *["history"] * 4, "run"] + ["history"] * 4
    )
    assert (now - NOW) / 20 > 179 * timedelta(seconds=1), "Amazon allows one call in 178.6 seconds"


@pytest.mark.parametrize(
    "changed",
    [
        {"completed_at": None},
        {"run_token": "second", "run_token_at": NOW, "run_after": CURSOR},
        {"failing_since": NOW - MINUTE},
        {"completed_at": NOW - 15 * MINUTE},
    ],
)
def test_runs_come_before_the_history(changed: Changes):
    sync = replace(IN_HISTORY, **changed)

    assert run_due_at(sync, NOW) <= NOW
    assert not question_of(sync, NOW).is_of_history


def test_the_history_goes_back_window_by_window_that_grow_while_one_page_holds_them_and_ends():
    sync, lengths = IN_HISTORY, []
    for _ in range(20):
        question = replace(question_of(replace(sync, completed_at=NOW), NOW))
        assert question.created_after is not None
        assert question.created_before is not None
        lengths.append((question.created_before - question.created_after).days)
        sync = moved(sync, after_page(sync, question, told_before=None, next_token=None, now=NOW))
        if sync.history_done_at is not None:
            break

    assert lengths == [30, 60, 120, 240, 250]
    assert sync.history_until == sync.history_from


def test_a_window_of_several_pages_is_followed_by_one_of_the_same_length():
    sync = replace(IN_HISTORY, history_token="last", history_token_at=NOW)

    changes = page(sync)

    assert (changes["history_until"], changes["history_after"]) == (NOW - 60 * DAY, NOW - 90 * DAY)
    assert changes["history_token"] is None


def failed(sync: Sync, failure: Failure) -> Changes:
    return after_failure(sync, question_of(sync, NOW), failure, NOW, spread=1)


@pytest.mark.parametrize(
    ("failing_for", "is_refusal", "wait"),
    [
        (None, False, 1 * MINUTE),
        (4 * MINUTE, False, 4 * MINUTE),
        (DAY, False, 15 * MINUTE),
        (None, True, 5 * MINUTE),
        (DAY, True, 60 * MINUTE),
    ],
)
def test_what_fails_is_tried_again_ever_more_seldom(
    failing_for: timedelta | None, wait: timedelta, *, is_refusal: bool
):
    since = None if failing_for is None else NOW - failing_for
    changes = failed(replace(SYNC, failing_since=since), Failure("away", is_refusal=is_refusal))

    assert changes == {"failing_since": since or NOW, "failure": "away", "next_at": NOW + wait}


def test_whose_turn_it_is_not_has_not_failed():
    assert failed(SYNC, Failure("throttled", wait=3 * MINUTE)) == {"next_at": NOW + 3 * MINUTE}


def test_a_page_of_the_history_that_fails_holds_up_no_run():
    sync = replace(IN_HISTORY, completed_at=NOW - 14 * MINUTE)

    assert failed(sync, Failure("refused", is_refusal=True)) == {"next_at": NOW + MINUTE}


def test_what_amazon_gives_ends_the_failing():
    changes = page(replace(SYNC, failing_since=NOW - DAY), token="second")

    assert (changes["failing_since"], changes["failure"]) == (None, None)


@pytest.mark.parametrize(("age", "is_late"), [(60 * MINUTE, False), (61 * MINUTE, True)])
def test_orders_are_late_when_they_are_known_up_to_more_than_an_hour_ago(age: timedelta, *, is_late: bool):
    assert (late_since(NOW - age, NOW) == NOW - age) is is_late


def test_an_answer_that_reaches_into_the_future_moves_the_cursor_no_further_than_now():
    """Else no change would be asked for until then."""
    changes = page(SYNC, told=NOW + 365 * DAY)

    assert changes["cursor_at"] == NOW
