"""What `keys status` says of each key."""

from datetime import UTC, datetime, timedelta

import pytest

from services.connector.keys.key_uses import DataKeyAges, KeyUse, explained, is_any_overdue
from shared.crypto.key_ages import KEY_LIFETIME

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
YOUNG = NOW - timedelta(days=1)


def use(key_id: str, wrapped: int, kind: str = "") -> KeyUse:
    return KeyUse(
        key_id,
        "current" in kind,
        "gone" not in kind,
        wrapped,
        None if not wrapped or "gone" in kind else "foreign" not in kind,
        YOUNG,
    )


@pytest.mark.parametrize(
    ("uses", "notes"),
    [
        ([use("k1", 0, "current")], ["the current one, made 2026-11-28, 1 day ago."]),
        ([use("k1", 2, "current")], ["the current one, made 2026-11-28, 1 day ago."]),
        # `rotate --later`, before the file is on every machine.
        (
            [use("k1", 2, "current"), use("k2", 0)],
            ["the current one, made 2026-11-28, 1 day ago.", "not in use yet"],
        ),
        # A key that was rotated away is free only when nothing is wrapped with it.
        (
            [use("k1", 2), use("k2", 0, "current")],
            ["`keys rewrap` frees it.", "the current one, made 2026-11-28, 1 day ago."],
        ),
        (
            [use("k1", 0), use("k2", 2, "current")],
            ["`keys retire k1`.", "the current one, made 2026-11-28, 1 day ago."],
        ),
        (
            [use("k1", 0), use("k2", 2, "current"), use("k3", 0)],
            ["`keys retire k1`.", "the current one, made 2026-11-28, 1 day ago.", "`keys use k3`."],
        ),
        # Back to the older one: what is newer wraps something and is kept.
        (
            [use("k1", 0, "current"), use("k2", 2)],
            ["the current one, made 2026-11-28, 1 day ago.", "`keys rewrap` frees it."],
        ),
        # Another installation's file: its first key has the same name.
        ([use("k1", 2, "current foreign")], ["NOT THE KEY OF THIS DATABASE"]),
        (
            [use("k1", 2, "foreign"), use("k2", 0, "current")],
            ["NOT THE KEY OF THIS DATABASE", "not to be changed"],
        ),
        # Another installation's file that has not even a key of the name.
        ([use("k1", 0, "current"), use("k7", 2, "gone")], ["not to be changed", "NOT IN THE FILE"]),
        (
            [use("k1", 0), use("k2", 3, "current"), use("k7", 2, "gone")],
            ["not to be changed", "not to be changed", "NOT IN THE FILE"],
        ),
    ],
)
def test_each_key_is_called_what_it_is(uses: list[KeyUse], notes: list[str]):
    lines = explained(uses, NOW)

    assert len(lines) == len(notes)
    for line, each, note in zip(lines, uses, notes, strict=True):
        assert line.startswith(f"{each.key_id}: wraps {each.wrapped}, ")
        assert note in line
    if any(each.is_missing for each in uses):
        assert "retire" not in "".join(lines)
        assert "the current one" not in "".join(lines)


@pytest.mark.parametrize(
    ("made_at", "told"),
    [
        (NOW - KEY_LIFETIME + timedelta(seconds=1), "364 days ago."),
        (NOW - KEY_LIFETIME, "365 days ago. OVERDUE after 365: `keys rotate`, then `keys rewrap`."),
        (None, "OVERDUE: nothing says when it was made; `keys rotate`, then `keys rewrap`."),
        # A clock that was wrong when it was made.
        (NOW + timedelta(days=2), "0 days ago."),
    ],
)
def test_the_key_that_wraps_is_overdue_after_twelve_months(made_at: datetime | None, told: str):
    old = KeyUse("k1", True, True, 2, True, made_at)
    none = DataKeyAges(0, 0, None)

    [line] = explained([old], NOW)

    assert line.endswith(told)
    assert is_any_overdue([old], none, NOW) == ("OVERDUE" in told)


def test_a_key_that_only_opens_is_not_overdue_and_a_data_key_that_seals_is():
    uses = [KeyUse("k1", False, True, 2, True, None), KeyUse("k2", True, True, 2, True, YOUNG)]

    assert not is_any_overdue(uses, DataKeyAges(3, 0, YOUNG), NOW)
    assert is_any_overdue(uses, DataKeyAges(3, 1, NOW - KEY_LIFETIME), NOW)
    assert DataKeyAges(3, 1, NOW - KEY_LIFETIME).told == (
        "3, the oldest made 2025-11-29. OVERDUE after 365 days: 1 of them, `keys rotate-data-keys`"
    )
