"""What a connection to PostgreSQL is worth, by what both of its ends see."""

import pytest

from services.connector.compliance.checks import State, database_transit


@pytest.mark.parametrize(
    ("version", "asked", "is_here", "is_unsafe", "state"),
    [
        ("TLSv1.3", "verify-full", False, False, State.OK),
        ("TLSv1.2", None, False, True, State.OK),
        ("TLSv1.1", "require", False, False, State.TO_DO),
        (None, None, False, True, State.TO_DO),
        (None, None, True, False, State.OK),
        # A tunnel or a proxy: the settings name this machine, or TLS, and PostgreSQL sees neither.
        (None, None, False, False, State.TO_SHOW),
        (None, "verify-full", True, False, State.TO_SHOW),
        (None, "disable", True, True, State.TO_DO),
    ],
)
def test_tls_to_the_database(
    version: str | None, asked: str | None, *, is_here: bool, is_unsafe: bool, state: State
):
    assert database_transit(version, asked, is_here=is_here, is_unsafe=is_unsafe).state is state
