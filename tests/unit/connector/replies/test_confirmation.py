"""When it is said of a reply that Amazon has not confirmed it: never more than is known."""

from datetime import UTC, datetime, timedelta

import pytest

from services.connector.replies.confirmation import is_unconfirmed

SENT = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
BEFORE, AFTER = SENT - timedelta(days=1), SENT + timedelta(minutes=20)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("confirmed_at", "notice_at", "waited", "said"),
    [
        # No reply of the store was ever confirmed.
        (None, None, HOUR, True),
        (None, None, HOUR - timedelta(seconds=1), False),
        # Other replies had their notice since.
        (AFTER, AFTER, HOUR, True),
        # The notices came before: Amazon may be late for everybody.
        (BEFORE, BEFORE, HOUR, False),
        # Only buyers who wrote again have confirmed: this one need not write.
        (AFTER, None, HOUR, False),
        (AFTER, BEFORE, HOUR, False),
    ],
)
def test_only_what_ought_to_be_there_is_missed(
    confirmed_at: datetime | None, notice_at: datetime | None, waited: timedelta, *, said: bool
):
    assert said is is_unconfirmed(
        state="handed_over",
        handed_over_at=SENT,
        store_confirmed_at=confirmed_at,
        store_notice_at=notice_at,
        now=SENT + waited,
    )


@pytest.mark.parametrize("state", ["queued", "sending", "confirmed", "failed", "perhaps_sent", "delayed"])
def test_of_another_state_it_is_not_said(state: str):
    assert not is_unconfirmed(
        state=state, handed_over_at=SENT, store_confirmed_at=None, store_notice_at=None, now=SENT + 2 * HOUR
    )
