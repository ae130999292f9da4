"""Levels include the lower ones."""

import pytest

from shared.permissions import Level


@pytest.mark.parametrize(
    ("has", "needed", "may"),
    [
        (Level.NONE, Level.VIEW, False),
        (Level.VIEW, Level.VIEW, True),
        (Level.VIEW, Level.EDIT, False),
        (Level.EDIT, Level.VIEW, True),
        (Level.EDIT, Level.EDIT, True),
    ],
)
def test_a_level_includes_the_lower_ones(has: Level, needed: Level, may: bool):
    assert has.includes(needed) is may
