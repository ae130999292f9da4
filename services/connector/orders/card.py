"""What a conversation's card says of an order, and whether Amazon is to be asked again. Pure.

Whoever looks never waits for Amazon: they see our copy and how old it is, and why no newer one is coming.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from services.connector.http.language import Language

# An older copy is fetched anew when somebody looks.
FRESH: Final = timedelta(minutes=15)
# Amazon has been asked by then, or whoever was to ask has been killed.
ASKED_WITHIN: Final = timedelta(minutes=1)
# What came of a question (OrderLookup): beside these there are the codes of failures.
FOUND: Final = "found"
ASKING: Final = "asking"
UNKNOWN: Final = "order_unknown"
# It was put off: by Amazon, or by the operators.
_UNANSWERED: Final = frozenset({ASKING, "amazon_unavailable", "amazon_paused"})


class CardState(StrEnum):
    """`known`: here is our copy. `fetching`: Amazon is being asked, and there is no copy yet. `unknown`: Amazon knows no such order.
    `unavailable`: there is no copy, and none is coming; the reason says why.
    """

    KNOWN = "known"
    FETCHING = "fetching"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"


class Hindrance(StrEnum):
    """Why Amazon is not asked about a store's orders, the surest first."""

    DISCONNECTED = "disconnected"
    NOT_AUTHORIZED = "not_authorized"
    STOPPED = "stopped"
    """The operators have stopped all calls to Amazon."""
    PAUSED = "paused"
    ROLE_MISSING = "role_missing"
    """Amazon does not give us the orders of this store."""
    FAILED = "failed"
    """It was tried and failed for a reason that is ours to find."""


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What hinders a conversation's store, and whether somebody is asking Amazon for its orders already."""

    is_disconnected: bool = False
    has_grant: bool = True
    is_stopped: bool = False
    is_paused: bool = False
    is_role_missing: bool = False
    is_asked_for: bool = False
    has_failed: bool = False


class Lookup(NamedTuple):
    """When Amazon was last asked for one order, and what came of it: one of the three below, or the code of the failure."""

    outcome: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """Our copy of an order. `is_there`: there is one. `fetched_at`: when the SP-API last said it. `lookup`: when it was last asked for it alone."""

    is_there: bool = False
    fetched_at: datetime | None = None
    lookup: Lookup | None = None


@dataclass(frozen=True, slots=True)
class OrderState:
    """`reason`: why no newer copy is coming; with a copy that is fresh, None. `is_refreshing`: one is on its way."""

    state: CardState
    reason: Hindrance | None
    is_refreshing: bool
    is_to_be_fetched: bool


def why_not_asked(store: StoreFacts) -> Hindrance | None:
    """The first reason why Amazon is not asked, or None."""
    reasons = {
        Hindrance.DISCONNECTED: store.is_disconnected,
        Hindrance.NOT_AUTHORIZED: not store.has_grant,
        Hindrance.STOPPED: store.is_stopped,
        Hindrance.PAUSED: store.is_paused,
        Hindrance.ROLE_MISSING: store.is_role_missing,
        Hindrance.FAILED: store.has_failed,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def is_due(fetched_at: datetime | None, lookup: Lookup | None, now: datetime) -> bool:
    """Whether Amazon is to be asked for an order: not while it is, nor within the quarter of an hour after it has said something of it."""
    if lookup is not None and lookup.outcome == ASKING and now - lookup.asked_at < ASKED_WITHIN:
        return False
    is_answered = lookup is not None and lookup.outcome not in _UNANSWERED
    answered_at = lookup.asked_at if lookup is not None and is_answered else None
    known_at = max((at for at in (fetched_at, answered_at) if at is not None), default=None)
    return known_at is None or now - known_at > FRESH


def state_of(copy: CopyFacts, store: StoreFacts, now: datetime) -> OrderState:
    """What is said of one order of a conversation."""
    outcome = FOUND if copy.lookup is None else copy.lookup.outcome
    is_asked_for = is_due(copy.fetched_at, copy.lookup, now)
    hindrance = why_not_asked(store)
    has_answer = copy.is_there or outcome == UNKNOWN
    has_failed = outcome not in {FOUND, UNKNOWN, *_UNANSWERED}
    reason = None
    if is_asked_for or not has_answer:
        reason = hindrance or (Hindrance.FAILED if has_failed else None)
    if copy.is_there:
        state = CardState.KNOWN
    elif outcome == UNKNOWN:
        state = CardState.UNKNOWN
    else:
        state = CardState.FETCHING if reason is None else CardState.UNAVAILABLE
    return OrderState(
        state,
        reason,
        is_refreshing=reason is None and (is_asked_for or outcome == ASKING),
        is_to_be_fetched=is_asked_for and hindrance is None and not store.is_asked_for,
    )


@dataclass(frozen=True, slots=True)
class HindranceText:
    """A reason in one language."""

    title: str
    cure: str


_TEXTS: Final = {
    Hindrance.DISCONNECTED: {
        Language.DE: HindranceText(
            "Dieser Store ist getrennt.", "Unter Integrationen lässt er sich wiederherstellen."
        ),
        Language.EN: HindranceText("This store is disconnected.", "Restore it under Integrations."),
    },
    Hindrance.NOT_AUTHORIZED: {
        Language.DE: HindranceText(
            "Amazon erlaubt uns nicht mehr, die Daten dieses Stores zu lesen.",
            "Unter Integrationen lässt sich der Store noch einmal verbinden.",
        ),
        Language.EN: HindranceText(
            "Amazon no longer allows us to read the data of this store.",
            "Connect the store again under Integrations.",
        ),
    },
    Hindrance.STOPPED: {
        Language.DE: HindranceText(
            "Der Betreiber hat alle Anfragen an Amazon angehalten.",
            "Nachrichten kommen weiter an. Bestellungen folgen, sobald er sie wieder freigibt.",
        ),
        Language.EN: HindranceText(
            "The operator has stopped all requests to Amazon.",
            "Messages still arrive. Orders follow as soon as requests are allowed again.",
        ),
    },
    Hindrance.PAUSED: {
        Language.DE: HindranceText(
            "Dieser Store ist pausiert: Bei Amazon wird nichts abgefragt.",
            "Unter Integrationen lässt er sich fortsetzen.",
        ),
        Language.EN: HindranceText(
            "This store is paused: nothing is asked of Amazon.", "Resume it under Integrations."
        ),
    },
    Hindrance.ROLE_MISSING: {
        Language.DE: HindranceText(
            "Amazon gibt uns die Bestellungen dieses Stores nicht heraus.",
            "Zu sehen ist sie in Seller Central. Unter Integrationen steht, was hilft.",
        ),
        Language.EN: HindranceText(
            "Amazon does not give us the orders of this store.",
            "Look in Seller Central. What helps is said under Integrations.",
        ),
    },
    Hindrance.FAILED: {
        Language.DE: HindranceText(
            "Die Abfrage bei Amazon ist fehlgeschlagen.",
            "Zu sehen ist sie in Seller Central. Unser Betrieb sieht den Fehler.",
        ),
        Language.EN: HindranceText(
            "Asking Amazon has failed.", "Look in Seller Central. The operator can see the failure."
        ),
    },
}


def hindrance_text(reason: Hindrance, language: Language) -> HindranceText:
    """What a person is told."""
    return _TEXTS[reason][language]
