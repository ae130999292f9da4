"""What a conversation's card says of an order, and whether Amazon is to be asked again. Pure.

Whoever looks never waits for Amazon: they see our copy and how old it is, and why no newer one is coming.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.connector.http.language import Language

# An older copy is fetched anew when somebody looks.
FRESH: Final = timedelta(minutes=15)


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


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """Our copy of an order. `is_there`: an order, rather than a note that there is none. `gone_at`: Amazon no longer knows it."""

    is_there: bool = False
    fetched_at: datetime | None = None
    gone_at: datetime | None = None


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


def state_of(copy: CopyFacts, store: StoreFacts, now: datetime) -> OrderState:
    """What is said of one order of a conversation."""
    asked_at = max((at for at in (copy.fetched_at, copy.gone_at) if at is not None), default=None)
    is_fresh = asked_at is not None and now - asked_at <= FRESH
    reason = None if is_fresh else why_not_asked(store)
    is_coming = not is_fresh and reason is None
    if copy.is_there:
        state = CardState.KNOWN
    elif copy.gone_at is not None:
        state = CardState.UNKNOWN
    else:
        state = CardState.UNAVAILABLE if reason is not None else CardState.FETCHING
    return OrderState(
        state, reason, is_refreshing=is_coming, is_to_be_fetched=is_coming and not store.is_asked_for
    )


@dataclass(frozen=True, slots=True)
class HindranceText:
    """A reason in one language."""

    title: str
    cure: str


_TEXTS: Final = {
    Hindrance.DISCONNECTED: {
        Language.DE: HindranceText(
            "Dieser Store ist getrennt.", "Stellen Sie ihn unter Integrationen wieder her."
        ),
        Language.EN: HindranceText("This store is disconnected.", "Restore it under Integrations."),
    },
    Hindrance.NOT_AUTHORIZED: {
        Language.DE: HindranceText(
            "Amazon erlaubt uns nicht mehr, die Daten dieses Stores zu lesen.",
            "Verbinden Sie den Store unter Integrationen noch einmal.",
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
            "Setzen Sie ihn unter Integrationen fort.",
        ),
        Language.EN: HindranceText(
            "This store is paused: nothing is asked of Amazon.", "Resume it under Integrations."
        ),
    },
    Hindrance.ROLE_MISSING: {
        Language.DE: HindranceText(
            "Amazon gibt uns die Bestellungen dieses Stores nicht heraus.",
            "Sehen Sie in Seller Central nach. Unter Integrationen steht, was hilft.",
        ),
        Language.EN: HindranceText(
            "Amazon does not give us the orders of this store.",
            "Look in Seller Central. What helps is said under Integrations.",
        ),
    },
    Hindrance.FAILED: {
        Language.DE: HindranceText(
            "Die Abfrage bei Amazon ist fehlgeschlagen.",
            "Sehen Sie in Seller Central nach. Der Betreiber sieht den Fehler.",
        ),
        Language.EN: HindranceText(
            "Asking Amazon has failed.", "Look in Seller Central. The operator can see the failure."
        ),
    },
}


def hindrance_text(reason: Hindrance, language: Language) -> HindranceText:
    """What a person is told."""
    return _TEXTS[reason][language]
