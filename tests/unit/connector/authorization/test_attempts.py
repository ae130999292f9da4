"""An attempt's states and secrets."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from services.connector.authorization.attempts import (
    AttemptProblem,
    Callback,
    LoginParameters,
    hash_of,
    is_token,
    new_browser_token,
    state_of,
    status_of,
)
from services.connector.authorization.problem_texts import PROBLEM_TEXTS
from services.connector.http.language import Language
from services.connector.sign_in.schemas import SignInRequest
from shared.crypto.envelope import AccountKeys
from shared.driver import new_id

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("outcome", "consumed_at", "expires_at", "status"),
    [
        (None, None, NOW + MINUTE, "waiting"),
        (None, None, NOW, "expired"),
        (None, NOW - MINUTE, NOW + MINUTE, "completing"),
        (None, NOW - MINUTE, NOW - MINUTE, "completing"),
        (None, NOW - 2 * MINUTE, NOW + MINUTE, "failed"),
        ("connected", NOW - MINUTE, NOW - MINUTE, "connected"),
        ("reauthorized", NOW - 9 * MINUTE, NOW - MINUTE, "reauthorized"),
        ("failed", NOW, NOW + MINUTE, "failed"),
    ],
)
def test_a_status_follows_from_what_is_stored(
    outcome: str | None, consumed_at: datetime | None, expires_at: datetime, status: str
):
    assert status_of(outcome, consumed_at, expires_at, NOW) == status


def keys(lookup: bytes = b"l" * 32) -> AccountKeys:
    return AccountKeys(UUID(int=1), UUID(int=2), {}, lookup)


def test_a_state_belongs_to_one_attempt_one_browser_and_one_account():
    attempt_id, browser = new_id(), new_browser_token()
    states = {
        state_of(keys(), attempt_id, browser),
        state_of(keys(), new_id(), browser),
        state_of(keys(), attempt_id, new_browser_token()),
        state_of(keys(b"m" * 32), attempt_id, browser),
    }

    assert len(states) == 4
    assert all(is_token(state) for state in states)
    assert state_of(keys(), attempt_id, browser) in states
    assert len({hash_of(state) for state in states}) == 4


@pytest.mark.parametrize("value", [None, "", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "\n", "é" * 43])
def test_what_cannot_be_ours_is_recognised(value: str | None):
    assert not is_token(value)


@pytest.mark.parametrize("problem", list(AttemptProblem))
def test_every_problem_has_a_text_in_both_languages(problem: AttemptProblem):
    for language in Language:
        title, detail = PROBLEM_TEXTS[problem][language]
        assert title
        assert detail


def test_nothing_that_is_secret_shows_in_a_repr():
    shown = [
        Callback(state="canary", code=SecretStr("canary"), seller_id="A1"),
        LoginParameters(amazon_callback_uri="canary", amazon_state="canary", seller_id="A1", version=""),
        SignInRequest(email="a@b.example", password="canary"),
    ]

    assert "canary" not in repr(shown)
