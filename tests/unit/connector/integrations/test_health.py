"""The truth table of the checks, and the lock that follows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.connector.integrations.check_texts import text_of
from services.connector.integrations.health import Facts, checks_of, lock_of, next_lock
from services.connector.language import Language
from shared.tables import Lock

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
# A store that is entirely in order.
FINE = Facts(
    created_at=NOW - 10 * DAY,
    is_named=True,
    open_steps=0,
    has_grant=True,
    consented_at=NOW - 10 * DAY,
    synced_at=NOW - DAY / 2,
    participating=("DE", "FR"),
    suspended=(),
    last_message_at=NOW - DAY,
    last_order_at=None,
)


@pytest.mark.parametrize(
    ("facts", "lock", "checks"),
    [
        (FINE, "green", []),
        (replace(FINE, last_message_at=None), "green", [("mail_first", "waiting")]),
        (replace(FINE, open_steps=2), "green", [("setup_incomplete", "waiting")]),
        (
            replace(FINE, open_steps=2, last_message_at=None),
            "pending",
            [("setup_incomplete", "waiting"), ("mail_first", "waiting")],
        ),
        (replace(FINE, is_named=False, last_message_at=None), "pending", [("setup_incomplete", "waiting")]),
        (
            replace(FINE, last_message_at=None, last_order_at=NOW - DAY),
            "green",
            [("mail_first", "amber")],
        ),
        (
            replace(FINE, created_at=NOW - 2 * DAY, last_message_at=None, last_order_at=NOW - DAY),
            "green",
            [("mail_first", "waiting")],
        ),
        (replace(FINE, has_grant=False), "red", [("grant_missing", "red")]),
        (replace(FINE, has_grant=False, consented_at=None), "red", [("grant_missing", "red")]),
        (replace(FINE, consented_at=NOW - 334 * DAY), "green", []),
        (replace(FINE, consented_at=NOW - 335 * DAY), "green", [("consent_expiring", "amber")]),
        (replace(FINE, consented_at=NOW - 364 * DAY), "green", [("consent_expiring", "amber")]),
        (replace(FINE, consented_at=NOW - 365 * DAY), "red", [("consent_expiring", "red")]),
        (replace(FINE, participating=()), "green", [("no_participation", "notice")]),
        (replace(FINE, participating=(), synced_at=None), "green", []),
        (replace(FINE, suspended=("FR",)), "green", [("account_suspended", "amber")]),
        (
            replace(FINE, has_grant=False, suspended=("FR",), open_steps=1, participating=()),
            "red",
            [
                ("grant_missing", "red"),
                ("account_suspended", "amber"),
                ("no_participation", "notice"),
                ("setup_incomplete", "waiting"),
            ],
        ),
    ],
)
def test_facts_lead_to_lock_and_checks(facts: Facts, lock: str, checks: list[tuple[str, str]]):
    assert [(check.code, check.state.value) for check in checks_of(facts, NOW)] == checks
    assert lock_of(facts, NOW) == lock


OPEN = replace(FINE, open_steps=2, last_message_at=None)


@pytest.mark.parametrize(
    ("current", "facts", "step_was_opened", "lock"),
    [
        (Lock.PENDING, OPEN, False, "pending"),
        (Lock.PENDING, FINE, False, "green"),
        (Lock.GREEN, OPEN, False, "green"),
        (Lock.GREEN, OPEN, True, "pending"),
        (Lock.GREEN, replace(FINE, open_steps=2), True, "green"),
        (Lock.GREEN, replace(OPEN, has_grant=False), False, "red"),
        (Lock.RED, OPEN, False, "pending"),
        (Lock.RED, FINE, False, "green"),
    ],
)
def test_green_falls_back_to_pending_only_by_the_sellers_own_hand(
    *, current: Lock, facts: Facts, step_was_opened: bool, lock: str
):
    assert next_lock(current, facts, NOW, step_was_opened=step_was_opened) == lock


@pytest.mark.parametrize("language", list(Language))
def test_every_check_says_what_it_is_and_what_to_do(language: Language):
    everything = [
        replace(
            FINE, has_grant=False, suspended=("DE",), participating=(), open_steps=1, last_message_at=None
        ),
        replace(FINE, consented_at=NOW - 340 * DAY),
    ]

    codes = set()
    for facts in everything:
        for check in checks_of(facts, NOW):
            codes.add(check.code)
            text = text_of(check, language)
            assert text.title
            assert text.cure
            assert "{" not in text.text
    assert len(codes) == 6


def test_the_date_is_written_as_people_write_it():
    check = checks_of(replace(FINE, consented_at=datetime(2025, 12, 1, tzinfo=UTC)), NOW)[0]

    assert "1. Dezember 2026" in text_of(check, Language.DE).text
    assert "December 1, 2026" in text_of(check, Language.EN).text
