"""The lock and the reasons for it: facts in, checks and lock out. Nothing is read, called or opened here.

Red is only what the seller must act on and what really stops messages, orders or replies. Trouble at Amazon or on our side
never turns a lock red.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.tables import Lock

# Amazon's consent ends after 365 days; there is no call that tells when.
CONSENT_LIFETIME: Final = timedelta(days=365)
_WARN_OF_CONSENT: Final = timedelta(days=30)
_PATIENCE_FOR_MAIL: Final = timedelta(days=3)


class CheckState(StrEnum):
    """`waiting` and `notice` inform, `amber` wants action some time, `red` stops the store."""

    WAITING = "waiting"
    NOTICE = "notice"
    AMBER = "amber"
    RED = "red"


class Who(StrEnum):
    """Who can do something about it."""

    SELLER = "seller"
    OPERATOR = "operator"
    AMAZON = "amazon"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an integration."""

    created_at: datetime
    is_named: bool
    open_steps: int
    has_grant: bool
    consented_at: datetime | None
    synced_at: datetime | None
    participating: Collection[str]
    suspended: Collection[str]
    last_message_at: datetime | None
    last_order_at: datetime | None


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is not as it should be. `on` and `countries` fill the text."""

    code: str
    state: CheckState
    since: datetime | None
    who: Who = Who.SELLER
    on: datetime | None = None
    countries: tuple[str, ...] = field(default=())


def consent_expires_at(consented_at: datetime) -> datetime:
    """When Amazon ends the consent unless it is renewed."""
    return consented_at + CONSENT_LIFETIME


def checks_of(facts: Facts, now: datetime) -> tuple[Check, ...]:
    """Everything that is not in order, the most urgent first."""
    found = [
        check
        for check in (
            _grant(facts),
            _consent(facts, now),
            _participation(facts),
            _suspension(facts),
            _setup(facts),
            _first_mail(facts, now),
        )
        if check is not None
    ]
    order = (CheckState.RED, CheckState.AMBER, CheckState.NOTICE, CheckState.WAITING)
    return tuple(sorted(found, key=lambda check: order.index(check.state)))


def lock_of(facts: Facts, now: datetime) -> Lock:
    """Red if a check is red; else pending until the guide is ticked off or the first mail has come; else green."""
    if any(check.state is CheckState.RED for check in checks_of(facts, now)):
        return Lock.RED
    is_set_up = facts.is_named and (facts.open_steps == 0 or facts.last_message_at is not None)
    return Lock.GREEN if is_set_up else Lock.PENDING


def next_lock(current: Lock, facts: Facts, now: datetime, *, step_was_opened: bool = False) -> Lock:
    """The lock after something has changed.

    What is green does not fall back to pending by itself: Amazon may have added a country, or the mail worker may have
    seen a mail that is no buyer's message. Only the seller takes it back, by opening a step.
    """
    lock = lock_of(facts, now)
    if lock is Lock.PENDING and current is Lock.GREEN and not step_was_opened:
        return Lock.GREEN
    return lock


def _grant(facts: Facts) -> Check | None:
    return None if facts.has_grant else Check("grant_missing", CheckState.RED, facts.created_at)


def _consent(facts: Facts, now: datetime) -> Check | None:
    if not facts.has_grant or facts.consented_at is None:
        return None
    ends = consent_expires_at(facts.consented_at)
    if now >= ends:
        return Check("consent_expiring", CheckState.RED, ends, on=ends)
    if now >= ends - _WARN_OF_CONSENT:
        return Check("consent_expiring", CheckState.AMBER, ends - _WARN_OF_CONSENT, on=ends)
    return None


def _participation(facts: Facts) -> Check | None:
    if facts.participating or facts.synced_at is None:
        return None
    return Check("no_participation", CheckState.NOTICE, facts.synced_at)


def _suspension(facts: Facts) -> Check | None:
    if not facts.suspended:
        return None
    return Check("account_suspended", CheckState.AMBER, None, countries=tuple(facts.suspended))


def _setup(facts: Facts) -> Check | None:
    if facts.is_named and facts.open_steps == 0:
        return None
    return Check("setup_incomplete", CheckState.WAITING, facts.created_at)


def _first_mail(facts: Facts, now: datetime) -> Check | None:
    if facts.last_message_at is not None or not facts.is_named:
        return None
    is_late = facts.last_order_at is not None and now - facts.created_at >= _PATIENCE_FOR_MAIL
    return Check("mail_first", CheckState.AMBER if is_late else CheckState.WAITING, facts.created_at)
