"""An attempt as its page shows it, from what is stored."""

from datetime import datetime
from typing import Final
from uuid import UUID

from services.connector.accounts.callers import Caller
from services.connector.authorization.attempts import (
    AttemptHint,
    AttemptProblem,
    AttemptStatus,
    AttemptView,
    CallbackProblem,
    status_of,
)
from services.connector.authorization.queries import AttemptRow
from shared.marketplaces import Region

_WRONG_STORES: Final = frozenset(
    {AttemptProblem.WRONG_ACCOUNT, AttemptProblem.OTHER_SELLER, AttemptProblem.STORE_DIFFERS}
)


def view_of(row: AttemptRow, now: datetime, *, consent_url: str | None, has_others: bool) -> AttemptView:
    """`consent_url` is shown while the attempt waits, and then no more."""
    status = status_of(row.outcome, row.consumed_at, row.expires_at, now)
    problem = AttemptProblem(row.problem_code) if row.problem_code is not None else None
    if status is AttemptStatus.FAILED and problem is None:
        problem = AttemptProblem.INTERRUPTED
    return AttemptView(
        id=row.id,
        reconnects=row.reconnects,
        country=row.country,
        region=Region(row.region),
        status=status,
        expires_at=row.expires_at,
        consent_url=consent_url if status is AttemptStatus.WAITING else None,
        integration_id=row.integration_id,
        problem=problem,
        right_region=Region(row.right_region) if row.right_region is not None else None,
        right_store=row.right_store,
        hint=_hint(row, status, problem, has_others=has_others),
    )


def _hint(
    row: AttemptRow, status: AttemptStatus, problem: AttemptProblem | None, *, has_others: bool
) -> AttemptHint | None:
    """Where the hint to sign out at Amazon helps: before a further consent, and after one of a store that was not meant."""
    before = status is AttemptStatus.WAITING and has_others
    by_surprise = status is AttemptStatus.REAUTHORIZED and row.seller_id_expected is None
    is_needed = before or by_surprise or problem in _WRONG_STORES
    return AttemptHint.SIGN_OUT_FIRST if is_needed else None


def shown_instead(
    row: AttemptRow, caller: Caller | None, browser_hash: bytes, now: datetime
) -> UUID | CallbackProblem:
    """What a callback leads to that has consumed nothing: its attempt's page, or why that is not for this browser."""
    if row.browser_hash != browser_hash:
        return CallbackProblem.OTHER_BROWSER
    if caller is None or row.user_id != caller.user_id:
        return CallbackProblem.SIGN_IN_AGAIN
    # Of one whose time is over, its own page knows where it begins anew.
    if row.consumed_at is not None or now >= row.expires_at:
        return row.id
    return CallbackProblem.SIGN_IN_AGAIN
