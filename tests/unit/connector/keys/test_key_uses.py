"""What `keys status` says of each key."""

import pytest

from services.connector.keys.key_uses import KeyUse, explained


def use(key_id: str, wrapped: int, kind: str = "") -> KeyUse:
    return KeyUse(
        key_id,
        "current" in kind,
        "gone" not in kind,
        wrapped,
        None if not wrapped or "gone" in kind else "foreign" not in kind,
    )


@pytest.mark.parametrize(
    ("uses", "notes"),
    [
        ([use("k1", 0, "current")], ["the current one."]),
        ([use("k1", 2, "current")], ["the current one."]),
        # `rotate --later`, before the file is on every machine.
        ([use("k1", 2, "current"), use("k2", 0)], ["the current one.", "not in use yet"]),
        # A key that was rotated away is free only when nothing is wrapped with it.
        ([use("k1", 2), use("k2", 0, "current")], ["`keys rewrap` frees it.", "the current one."]),
        ([use("k1", 0), use("k2", 2, "current")], ["`keys retire k1`.", "the current one."]),
        (
            [use("k1", 0), use("k2", 2, "current"), use("k3", 0)],
            ["`keys retire k1`.", "the current one.", "`keys use k3`."],
        ),
        # Back to the older one: what is newer wraps something and is kept.
        ([use("k1", 0, "current"), use("k2", 2)], ["the current one.", "`keys rewrap` frees it."]),
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
    lines = explained(uses)

    assert len(lines) == len(notes)
    for line, each, note in zip(lines, uses, notes, strict=True):
        assert line.startswith(f"{each.key_id}: wraps {each.wrapped}, ")
        assert note in line
    if any(each.is_missing for each in uses):
        assert "retire" not in "".join(lines)
        assert "the current one" not in "".join(lines)
