"""What is asked of Amazon next for a store, and what an answer changes in how far its orders are known. Pure.

Amazon lets one search a store's orders once in three minutes, twenty times in a row after a rest. A run asks for whatever has changed
since the last one; between runs, while there is history left, a page of it. Runs come first: a page of history is asked for only when no
run is due, and later than a run's next page would be.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

# Between two calls when nothing presses: a little more than Amazon asks for, so that tokens gather for what will.
PAUSE: Final = timedelta(seconds=200)
# Between two runs while the history is being filled: four pages of it in between.
_PAUSE_OF_RUNS_IN_HISTORY: Final = timedelta(minutes=15)
# A run begins before the end of the last one: Amazon's index is not updated in one moment.
OVERLAP: Final = timedelta(minutes=10)
# From time to time it begins long before, for orders that Amazon shows late: found if that is no more than two hours.
LOOK_BACK: Final = timedelta(hours=3)
_LOOK_BACK_EVERY: Final = timedelta(hours=1)
# A look back that takes long, because the store sells much, comes more seldom.
_LOOK_BACK_SHARE: Final = 6
# Orders that are older than this are late.
LATE: Final = timedelta(hours=1)
# Amazon forgets a page's token after a day.
_TOKEN_LIFE: Final = timedelta(hours=23)
# Windows of the history grow while one page holds them.
FIRST_WINDOW: Final = timedelta(days=30)
_LONGEST_WINDOW: Final = timedelta(days=366)
_SHORTEST_WINDOW: Final = timedelta(hours=1)
# After Amazon gave no usable answer, and after it refused: as long as it has lasted, within these bounds.
_AWAY: Final = (timedelta(minutes=1), timedelta(minutes=15))
_REFUSED: Final = (timedelta(minutes=5), timedelta(hours=1))

Changes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sync:
    """A store's row of order_syncs as it was claimed."""

    integration_id: UUID
    account_id: UUID
    claimed_until: datetime
    cursor_at: datetime
    run_after: datetime | None
    run_before: datetime | None
    run_token: str | None
    run_token_at: datetime | None
    completed_at: datetime | None
    look_back_at: datetime
    failing_since: datetime | None
    late_since: datetime | None
    history_from: datetime
    history_until: datetime
    history_after: datetime
    history_token: str | None
    history_token_at: datetime | None
    history_done_at: datetime | None
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A search: what was changed since `updated_after`, or placed between the two other times; with a token, its next page."""

    updated_after: datetime | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    token: str | None = None

    @property
    def is_of_history(self) -> bool:
        return self.created_after is not None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no page. `wait`: how long it is not our turn, which says nothing against anybody. `is_refusal`: Amazon does not want to."""

    code: str
    wait: timedelta | None = None
    is_refusal: bool = False


def question_of(sync: Sync, now: datetime) -> Question:
    """What to ask for now."""
    if sync.history_done_at is not None or now >= run_due_at(sync, now):
        if sync.run_token is not None and _is_good(sync.run_token_at, now):
            return Question(updated_after=sync.run_after, token=sync.run_token)
        reaches_back = LOOK_BACK if now >= sync.look_back_at else OVERLAP
        return Question(updated_after=sync.cursor_at - reaches_back)
    token = sync.history_token if _is_good(sync.history_token_at, now) else None
    return Question(created_after=sync.history_after, created_before=sync.history_until, token=token)


def run_due_at(sync: Sync, now: datetime) -> datetime:
    """When the next page of a run is due: now, if one is under way or the last one failed."""
    if sync.completed_at is None or sync.run_token is not None or sync.failing_since is not None:
        return now
    if sync.completed_at > now:
        # By a clock that was ahead.
        return now
    pause = PAUSE if sync.history_done_at is not None else _PAUSE_OF_RUNS_IN_HISTORY
    return sync.completed_at + pause


def _is_good(token_at: datetime | None, now: datetime) -> bool:
    return token_at is not None and now - token_at < _TOKEN_LIFE


def after_page(
    sync: Sync, question: Question, *, told_before: datetime | None, next_token: str | None, now: datetime
) -> Changes:
    """What a page that is stored changes. `told_before`: until when Amazon says that its answer reaches."""
    if question.is_of_history:
        return _after_page_of_history(sync, question, next_token=next_token, now=now)
    # All pages of a run are of the moment at which it began.
    began_at = sync.run_before if question.token is not None else told_before
    # Whatever Amazon says, what has not happened yet is not known: a cursor in the future would pass over all until then.
    before = max(sync.cursor_at, min(began_at or now - OVERLAP, now))
    changes: Changes = {"failing_since": None, "failure": None}
    if next_token is not None:
        run = {"run_after": question.updated_after, "run_before": before}
        return changes | run | {"run_token": next_token, "run_token_at": now, "next_at": now}
    changes |= no_run() | {"cursor_at": before, "completed_at": now, "next_at": now + PAUSE}
    if question.updated_after is not None and question.updated_after <= sync.cursor_at - LOOK_BACK:
        took = max(now - before, timedelta(0))
        changes["look_back_at"] = now + max(_LOOK_BACK_EVERY, took * _LOOK_BACK_SHARE)
    return changes


def _after_page_of_history(
    sync: Sync, question: Question, *, next_token: str | None, now: datetime
) -> Changes:
    changes: Changes = {"next_at": min(now + PAUSE, max(now, run_due_at(sync, now)))}
    if next_token is not None:
        return changes | {"history_token": next_token, "history_token_at": now}
    length = sync.history_until - sync.history_after
    if question.token is None:
        length = min(length * 2, _LONGEST_WINDOW)
    changes |= no_page_of_history() | {"history_until": sync.history_after}
    changes["history_after"] = max(sync.history_from, sync.history_after - length)
    if sync.history_after <= sync.history_from:
        changes["history_done_at"] = now
    return changes


def after_refused_token(sync: Sync, question: Question, now: datetime) -> Changes:
    """Amazon does not know this page any more: the run begins again where the last one ended, the window of the history in half its size."""
    if not question.is_of_history:
        return no_run() | {"next_at": now}
    length = max((sync.history_until - sync.history_after) / 2, _SHORTEST_WINDOW)
    after = max(sync.history_from, sync.history_until - length)
    return no_page_of_history() | {"history_after": after, "next_at": now + PAUSE}


def after_failure(
    sync: Sync, question: Question, failure: Failure, now: datetime, *, spread: float
) -> Changes:
    """When to try again. `spread`, about 1, keeps apart what failed together."""
    changes: Changes = {}
    if failure.wait is not None:
        wait = failure.wait
    else:
        shortest, longest = _REFUSED if failure.is_refusal else _AWAY
        lasted = now - sync.failing_since if sync.failing_since is not None else timedelta(0)
        wait = min(max(lasted, shortest), longest) * spread
        if not question.is_of_history:
            changes = {"failing_since": sync.failing_since or now, "failure": failure.code}
    if question.is_of_history:
        # The next run finds out for itself.
        return {"next_at": min(now + wait, max(now, run_due_at(sync, now)))}
    return changes | {"next_at": now + wait}


def no_run() -> Changes:
    """No run is under way."""
    return {"run_after": None, "run_before": None, "run_token": None, "run_token_at": None}


def no_page_of_history() -> Changes:
    """The window of the history is at its beginning."""
    return {"history_token": None, "history_token_at": None}


def late_since(cursor_at: datetime, now: datetime) -> datetime | None:
    """Since when orders are missing, if that is too long ago."""
    return cursor_at if now - cursor_at > LATE else None
