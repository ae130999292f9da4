"""What counts as "the database is away"."""

import pytest

from shared.database import is_unavailable
from shared.driver import DatabaseTimedOut, DatabaseUnavailable


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (DatabaseUnavailable(), True),
        (DatabaseTimedOut(), True),
        (ValueError("ours"), False),
        # Of a file, or of another server: whose they are, nobody knows.
        (ConnectionResetError(), False),
        (TimeoutError(), False),
        (OSError(), False),
        (ExceptionGroup("tasks", [DatabaseUnavailable(), DatabaseTimedOut()]), True),
        (ExceptionGroup("tasks", [ExceptionGroup("inner", [DatabaseTimedOut()])]), True),
        (ExceptionGroup("tasks", [DatabaseUnavailable(), ValueError("ours")]), False),
    ],
    ids=repr,
)
def test_a_group_of_errors_is_away_if_all_of_them_are(error: Exception, is_away: bool):
    assert is_unavailable(error) is is_away
