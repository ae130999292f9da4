"""Codes of authenticator apps."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.crypto.totp import STEP_SECONDS, code_at, matching_step, new_secret

# RFC 6238 appendix B, SHA-1; its codes have eight digits, and ours are their last six.
SECRET = b"12345678901234567890"
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_codes_of_the_rfc(seconds: int, code: str):
    at = datetime.fromtimestamp(seconds, UTC)

    assert code_at(SECRET, at) == code
    assert matching_step(SECRET, code, at) == seconds // STEP_SECONDS


def test_a_clock_may_be_off_by_one_step():
    now = datetime(2026, 11, 28, 12, 0, 10, tzinfo=UTC)
    current = int(now.timestamp()) // STEP_SECONDS

    steps = [
        matching_step(SECRET, code_at(SECRET, now + timedelta(seconds=STEP_SECONDS * off)), now)
        for off in (-2, -1, 0, 1, 2)
    ]

    assert steps == [None, current - 1, current, current + 1, None]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "१२३४५६", "\ud800"])
def test_what_is_no_code_matches_nothing(code: str):
    assert matching_step(SECRET, code, datetime(2026, 11, 28, tzinfo=UTC)) is None


def test_a_secret_has_160_bits():
    assert len(new_secret()) * 8 == 160
    assert new_secret() != new_secret()
