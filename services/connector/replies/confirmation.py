"""Whether a hand-over has stayed without proof for so long that somebody should look. Pure."""

from datetime import datetime, timedelta
from typing import Final

from shared.tables import ReplyState

# Amazon's notices come within minutes.
CONFIRMED_WITHIN: Final = timedelta(hours=1)


def is_unconfirmed(
    *,
    state: str,
    handed_over_at: datetime | None,
    store_confirmed_at: datetime | None,
    store_notice_at: datetime | None,
    now: datetime,
) -> bool:
    """Whether Amazon ought to have confirmed this reply by now. `store_confirmed_at`: when any reply of the store was last confirmed,
    by a notice or by a buyer who wrote again; `store_notice_at`: when by a notice.

    Of a store whose replies were never confirmed, nobody knows whether Amazon shows any of them; of one that has had a notice since,
    this reply's is missing. Without notices, a buyer who does not write again says nothing.
    """
    if state != ReplyState.HANDED_OVER or handed_over_at is None or now < handed_over_at + CONFIRMED_WITHIN:
        return False
    return store_confirmed_at is None or (store_notice_at is not None and store_notice_at > handed_over_at)
