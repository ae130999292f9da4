"""What a card says of an order: our copy, that one is coming, or why none is; never more than is known."""

from datetime import UTC, datetime, timedelta

import pytest

from services.connector.orders.card import (
    ASKING,
    FOUND,
    FRESH,
    UNKNOWN,
    CardState,
    CopyFacts,
    Hindrance,
    Lookup,
    StoreFacts,
    is_due,
    state_of,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
JUST = NOW - timedelta(seconds=30)
LATELY = NOW - timedelta(minutes=10)
LONG_AGO = NOW - timedelta(hours=1)
HEALTHY = StoreFacts()


@pytest.mark.parametrize(
    ("fetched_at", "lookup", "due"),
    [
        (None, None, True),
        (LATELY, None, False),
        (NOW - FRESH, None, False),
        (LONG_AGO, None, True),
        (None, Lookup(ASKING, JUST), False),
        (LONG_AGO, Lookup(ASKING, JUST), False),
        (None, Lookup(ASKING, LATELY), True),
        (None, Lookup(UNKNOWN, LATELY), False),
        (None, Lookup(UNKNOWN, LONG_AGO), True),
        (LONG_AGO, Lookup(FOUND, LATELY), False),
        (None, Lookup("amazon_unavailable", JUST), True),
        (LATELY, Lookup("amazon_unavailable", JUST), False),
        (None, Lookup("amazon_paused", JUST), True),
        (None, Lookup("role_missing", LATELY), False),
        (None, Lookup("role_missing", LONG_AGO), True),
    ],
    ids=str,
)
def test_amazon_is_asked_once_in_a_quarter_of_an_hour(
    fetched_at: datetime | None, lookup: Lookup | None, due: bool
):
    assert is_due(fetched_at, lookup, NOW) is due


@pytest.mark.parametrize(
    ("copy", "store", "state", "reason", "is_refreshing"),
    [
        (CopyFacts(), HEALTHY, CardState.FETCHING, None, True),
        (CopyFacts(lookup=Lookup(ASKING, JUST)), HEALTHY, CardState.FETCHING, None, True),
        (CopyFacts(lookup=Lookup("amazon_unavailable", JUST)), HEALTHY, CardState.FETCHING, None, True),
        (CopyFacts(lookup=Lookup(UNKNOWN, LATELY)), HEALTHY, CardState.UNKNOWN, None, False),
        (
            CopyFacts(lookup=Lookup(UNKNOWN, LATELY)),
            StoreFacts(is_stopped=True),
            CardState.UNKNOWN,
            None,
            False,
        ),
        (CopyFacts(), StoreFacts(is_stopped=True), CardState.UNAVAILABLE, Hindrance.STOPPED, False),
        (CopyFacts(), StoreFacts(has_grant=False), CardState.UNAVAILABLE, Hindrance.NOT_AUTHORIZED, False),
        (
            CopyFacts(lookup=Lookup("role_missing", LATELY)),
            StoreFacts(is_role_missing=True),
            CardState.UNAVAILABLE,
            Hindrance.ROLE_MISSING,
            False,
        ),
        (
            CopyFacts(lookup=Lookup("client_misconfigured", LATELY)),
            HEALTHY,
            CardState.UNAVAILABLE,
            Hindrance.FAILED,
            False,
        ),
        (CopyFacts(True, LATELY), StoreFacts(is_paused=True), CardState.KNOWN, None, False),
        (CopyFacts(True, LONG_AGO), StoreFacts(is_paused=True), CardState.KNOWN, Hindrance.PAUSED, False),
        (CopyFacts(True, LONG_AGO), HEALTHY, CardState.KNOWN, None, True),
        (CopyFacts(True, LATELY), HEALTHY, CardState.KNOWN, None, False),
    ],
    ids=str,
)
def test_what_is_said(
    copy: CopyFacts, store: StoreFacts, state: CardState, reason: Hindrance | None, is_refreshing: bool
):
    said = state_of(copy, store, NOW)

    assert (said.state, said.reason, said.is_refreshing) == (state, reason, is_refreshing)


@pytest.mark.parametrize(
    ("store", "asks"),
    [
        (HEALTHY, True),
        (StoreFacts(is_asked_for=True), False),
        (StoreFacts(is_paused=True), False),
        (StoreFacts(is_stopped=True), False),
    ],
    ids=str,
)
def test_who_looks_asks_if_nobody_does_and_nothing_hinders(store: StoreFacts, asks: bool):
    assert state_of(CopyFacts(), store, NOW).is_to_be_fetched is asks


def test_what_failed_is_tried_again_later():
    later = CopyFacts(lookup=Lookup("client_misconfigured", LONG_AGO))

    assert state_of(later, HEALTHY, NOW).is_to_be_fetched
