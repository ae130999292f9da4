"""What counts as "the database is away"."""

import pytest

from shared.database import is_unavailable


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (ValueError("ours"), False),
        (ExceptionGroup("tasks", [ConnectionResetError(), TimeoutError()]), True),
        (ExceptionGroup("tasks", [ExceptionGroup("inner", [TimeoutError()])]), True),
        (ExceptionGroup("tasks", [ConnectionResetError(), ValueError("ours")]), False),
    ],
    ids=repr,
)
def test_a_group_of_errors_is_away_if_all_of_them_are(error: Exception, is_away: bool):
    assert is_unavailable(error) is is_away
