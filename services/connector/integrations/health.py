"""The lock and the reasons for it: facts in, checks and lock out. Nothing is read, called or opened here.

Red is only what the seller must act on and what really stops messages, orders or replies. Trouble at Amazon or on our side
never turns a lock red.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.connector.orders.sync_steps import late_since
from shared.tables import Lock, Summary

# Amazon's consent ends after 365 days; no call of Amazon's says when.
CONSENT_LIFETIME: Final = timedelta(days=365)
WARN_OF_CONSENT: Final = timedelta(days=30)
# Every code that a check may have, in the order in which checks of one state are listed.
CODES: Final = (
    "grant_missing",
    "grant_revoked",
    "consent_expiring",
    "no_participation",
    "role_missing",
    "account_suspended",
    "amazon_trouble",
    "service_trouble",
    "amazon_paused",
    "setup_incomplete",
    "mail_first",
    "mail_country_missing",
    "mail_not_authentic",
    "sender_not_approved",
    "smtp_failing",
    "orders_late",
    "report_columns_missing",
    "paused",
)
_PATIENCE_FOR_MAIL: Final = timedelta(days=3)
_PATIENCE_FOR_COUNTRY: Final = timedelta(days=14)
# A store or country sells if an order was placed within this time.
_SELLS: Final = timedelta(days=14)
_PATIENCE_FOR_ORDERS: Final = timedelta(hours=24)
_PATIENCE_FOR_FORWARDING: Final = timedelta(days=14)
_PATIENCE_FOR_ROLE: Final = timedelta(hours=24)
# A second refusal so long after the first is no slip.
_SMTP_REFUSED_AGAIN: Final = timedelta(minutes=10)
_IDLE_CHECKS: Final = 3
_IDLE_TIME: Final = timedelta(hours=24)
APPLICATION: Final = "application"
# The detail of `mail_not_authentic` where an administrator knows of the forwarding.
FORWARDED: Final = "forwarded"
# The detail of `setup_incomplete` where no country's messages wait for the open steps.
STEPS_LEFT: Final = "steps_left"
# The details of `account_suspended` where Amazon has told of the account itself, in its own words.
DEACTIVATED: Final = "DEACTIVATED"
AT_RISK: Final = "AT_RISK"


class CheckState(StrEnum):
    """`waiting` and `notice` inform, `amber` wants action some time, `red` stops the store."""

    RED = "red"
    AMBER = "amber"
    NOTICE = "notice"
    WAITING = "waiting"


class Who(StrEnum):
    """Who can mend what a check has found."""

    SELLER = "seller"
    OPERATOR = "operator"
    AMAZON = "amazon"
    NOBODY = "nobody"


class Action(StrEnum):
    """What the seller does about it; a page makes a button of it."""

    REAUTHORIZE = "reauthorize"
    OPEN_GUIDE = "open_guide"
    OPEN_SELLER_CENTRAL = "open_seller_central"
    APPROVE_SENDER = "approve_sender"
    OPEN_SMTP_SETTINGS = "open_smtp_settings"
    RESUME = "resume"


# Whoever can mend it, this is how a seller goes about it. A check without an entry leaves nothing to do.
ACTIONS: Final = {
    "grant_missing": Action.REAUTHORIZE,
    "grant_revoked": Action.REAUTHORIZE,
    "consent_expiring": Action.REAUTHORIZE,
    "no_participation": Action.OPEN_SELLER_CENTRAL,
    "role_missing": Action.REAUTHORIZE,
    "account_suspended": Action.OPEN_SELLER_CENTRAL,
    "setup_incomplete": Action.OPEN_GUIDE,
    "mail_first": Action.OPEN_GUIDE,
    "mail_country_missing": Action.OPEN_GUIDE,
    "mail_not_authentic": Action.OPEN_GUIDE,
    "sender_not_approved": Action.APPROVE_SENDER,
    "smtp_failing": Action.OPEN_SMTP_SETTINGS,
    "report_columns_missing": Action.OPEN_SELLER_CENTRAL,
    "paused": Action.RESUME,
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that fails for many stores at once. Scopes: application, lwa, sp-api:eu and so on."""

    scope: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """The stored facts of an integration from which its checks and its lock are decided. `newest_orders`: when the newest order of a
    country was placed. `orders_known_until`: what Amazon has changed of orders until then is here; `orders_completed_at`: when the last run ended;
    `orders_next_at`: when Amazon is asked again.
    """

    created_at: datetime
    is_named: bool
    open_steps: int
    # Of the countries in which the store sells, those with open steps from which no message has come.
    open_countries: Collection[str]
    has_grant: bool
    consented_at: datetime | None
    synced_at: datetime | None
    participating: Collection[str]
    suspended: Collection[str]
    last_message_at: datetime | None
    first_authentic_mail_at: datetime | None
    last_order_at: datetime | None
    # When Amazon first sent the mail by which it has the address confirmed.
    verification_mail_at: datetime | None = None
    # Without it, nothing is asked of Amazon: what it would say is no reason for anything.
    uses_api: bool = True
    # From here on: nothing, in a store without trouble.
    paused_at: datetime | None = None
    refused_at: datetime | None = None
    revoked_at: datetime | None = None
    delayed_since: datetime | None = None
    misdirected_mail_at: datetime | None = None
    forwarded_mail_at: datetime | None = None
    role_missing_since: datetime | None = None
    role_missing_operation: str | None = None
    idle_since: datetime | None = None
    idle_checks: int = 0
    sender_refused_at: datetime | None = None
    sender_refused_in: Collection[str] = ()
    reply_confirmed_at: datetime | None = None
    smtp_refused_since: datetime | None = None
    smtp_refused_at: datetime | None = None
    seen_countries: Collection[str] = ()
    newest_orders: Mapping[str, datetime] = field(default_factory=dict)
    orders_known_until: datetime | None = None
    orders_completed_at: datetime | None = None
    orders_next_at: datetime | None = None
    # Of the optional columns of the order report that are shown, those that the last one lacked; None while none has told.
    report_columns_missing: Collection[str] | None = None
    report_columns_checked_at: datetime | None = None
    troubles: Collection[Trouble] = ()
    # Amazon has told by itself that the account is so in these countries; `account_told_at`: when it last said something of it.
    deactivated: Collection[str] = ()
    at_risk: Collection[str] = ()
    account_told_at: datetime | None = None
    # Since when the operators have stopped all calls to Amazon.
    amazon_paused_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is not as it should be. `on`, `countries` and `detail` fill the text."""

    code: str
    state: CheckState
    since: datetime | None
    who: Who = Who.SELLER
    on: datetime | None = None
    countries: tuple[str, ...] = field(default=())
    detail: str = ""

    @property
    def action(self) -> Action | None:
        """What the seller does about it, or None where nothing is left to do."""
        return None if self.who is Who.NOBODY else ACTIONS.get(self.code)


@dataclass(frozen=True, slots=True)
class Health:
    """What lists and programs are told of a store: the lock, its state in one sentence, and the check that wants action first.

    `countries`: those that the sentence names. `changes_at`: when this may become otherwise by the passing of time alone.
    """

    lock: Lock
    summary: Summary
    countries: tuple[str, ...]
    worst: Check | None
    changes_at: datetime | None


def consent_expires_at(consented_at: datetime) -> datetime:
    """When Amazon ends the consent unless it is renewed."""
    return consented_at + CONSENT_LIFETIME


def checks_of(facts: Facts, now: datetime) -> tuple[Check, ...]:
    """Everything that is not in order, the most urgent first. A paused store is only said to be paused."""
    if facts.paused_at is not None:
        return (Check("paused", CheckState.NOTICE, facts.paused_at),)
    of_api = (
        _grant(facts, now),
        _consent(facts, now),
        _participation(facts, now),
        _role(facts, now),
        _suspension(facts),
        _orders(facts, now),
        _report_columns(facts),
        _amazon_trouble(facts),
        _amazon_paused(facts),
    )
    of_all = (
        _service_trouble(facts),
        _setup(facts),
        _first_mail(facts, now),
        _mail_of_countries(facts, now),
        _mail_elsewhere(facts, now),
        _sender(facts),
        _smtp(facts),
    )
    found = [check for check in (*(of_api if facts.uses_api else ()), *of_all) if check is not None]
    order = list(CheckState)
    return tuple(sorted(found, key=lambda check: order.index(check.state)))


def not_checked(facts: Facts, now: datetime) -> tuple[str, ...]:
    """The codes of which nothing can be said at present."""
    if facts.paused_at is not None:
        return tuple(code for code in CODES if code != "paused")
    unknown = set[str]()
    if facts.report_columns_missing is None and facts.uses_api:
        # The application may lack the role for such reports, or the store has no orders yet.
        unknown.add("report_columns_missing")
    if facts.reply_confirmed_at is None and facts.sender_refused_at is None:
        unknown.add("sender_not_approved")
    if facts.uses_api and facts.orders_completed_at is None and _orders(facts, now) is None:
        unknown.add("orders_late")
    return tuple(code for code in CODES if code in unknown)


def lock_of(facts: Facts, now: datetime) -> Lock:
    """Red if a check is red; else green once Amazon's mail has come and no country is open; else pending.

    Amazon's mail is an authentic message of a buyer, or the mail by which Amazon has the address confirmed. A box that somebody
    ticked proves nothing.
    """
    if any(check.state is CheckState.RED for check in checks_of(facts, now)):
        return Lock.RED
    has_mail = facts.last_message_at is not None or facts.verification_mail_at is not None
    return Lock.GREEN if facts.is_named and has_mail and not facts.open_countries else Lock.PENDING


def health_of(facts: Facts, now: datetime) -> Health:
    """The state of the whole, of which the lock is a part."""
    worst = _worst(facts, now)
    summary = _summary(facts, worst)
    names_countries = summary in (Summary.SETUP_OPEN, Summary.COUNTRIES_OPEN)
    countries = tuple(facts.open_countries) if names_countries else ()
    return Health(lock_of(facts, now), summary, countries, worst, _changes_at(facts, now))


def _worst(facts: Facts, now: datetime) -> Check | None:
    found = checks_of(facts, now)
    return found[0] if found and found[0].state in (CheckState.RED, CheckState.AMBER) else None


def _summary(facts: Facts, worst: Check | None) -> Summary:
    if facts.paused_at is not None:
        return Summary.PAUSED
    if worst is not None and worst.state is CheckState.RED:
        return Summary.ACTION_NEEDED
    if not facts.is_named:
        return Summary.UNNAMED
    if facts.last_message_at is not None:
        return Summary.COUNTRIES_OPEN if facts.open_countries else Summary.WORKING
    if facts.open_countries or (not facts.participating and facts.open_steps):
        return Summary.SETUP_OPEN
    return Summary.ADDRESS_CONFIRMED if facts.verification_mail_at is not None else Summary.NO_MESSAGE


def _changes_at(facts: Facts, now: datetime) -> datetime | None:
    """The next moment at which a patience ends: until then, only a new fact changes the lock or what wants action."""
    if facts.paused_at is not None:
        return None
    ends = [
        (facts.created_at, _PATIENCE_FOR_MAIL),
        (facts.last_order_at, _SELLS),
        (facts.misdirected_mail_at, _PATIENCE_FOR_FORWARDING),
        (facts.role_missing_since, _PATIENCE_FOR_ROLE),
        (facts.orders_known_until, _PATIENCE_FOR_ORDERS),
    ]
    if not facts.participating:
        ends.append((facts.idle_since or facts.synced_at, _IDLE_TIME))
    if facts.consented_at is not None:
        ends += [
            (facts.consented_at, CONSENT_LIFETIME - WARN_OF_CONSENT),
            (facts.consented_at, CONSENT_LIFETIME),
        ]
    moments = (begun + patience for begun, patience in ends if begun is not None)
    return min((moment for moment in moments if moment > now), default=None)


def _grant(facts: Facts, now: datetime) -> Check | None:
    if not facts.has_grant:
        return Check("grant_missing", CheckState.RED, facts.created_at)
    if _is_over(facts, now):
        return None  # that is why Amazon refuses, and another text says so
    if facts.revoked_at is not None:
        since = facts.refused_at or facts.revoked_at
        return Check("grant_revoked", CheckState.RED, since)
    if facts.refused_at is not None:
        return Check("grant_revoked", CheckState.NOTICE, facts.refused_at, who=Who.NOBODY)
    return None


def _consent(facts: Facts, now: datetime) -> Check | None:
    if not facts.has_grant or facts.consented_at is None:
        return None
    ends = consent_expires_at(facts.consented_at)
    if _is_over(facts, now):
        return Check("consent_expiring", CheckState.RED, ends, on=ends)
    if facts.revoked_at is None and now >= ends - WARN_OF_CONSENT:
        since = ends - WARN_OF_CONSENT
        return Check("consent_expiring", CheckState.AMBER, since, on=ends)
    return None


def _is_over(facts: Facts, now: datetime) -> bool:
    return facts.consented_at is not None and now >= consent_expires_at(facts.consented_at)


def _participation(facts: Facts, now: datetime) -> Check | None:
    if facts.participating or facts.synced_at is None:
        return None
    since = facts.idle_since or facts.synced_at
    is_certain = facts.idle_checks >= _IDLE_CHECKS and now - since >= _IDLE_TIME
    state = CheckState.RED if is_certain else CheckState.NOTICE
    return Check("no_participation", state, since)


def _role(facts: Facts, now: datetime) -> Check | None:
    since = facts.role_missing_since
    if since is None or now - since < _PATIENCE_FOR_ROLE:
        return None
    return Check(
        "role_missing",
        CheckState.AMBER,
        since,
        who=Who.OPERATOR,
        detail=facts.role_missing_operation or "",
    )


def _orders(facts: Facts, now: datetime) -> Check | None:
    """That Amazon does not let us ask any more is said elsewhere, with what the seller does about it."""
    if facts.orders_known_until is None or not facts.has_grant:
        return None
    if facts.revoked_at is not None or _is_over(facts, now):
        return None
    since = late_since(facts.orders_known_until, now)
    if since is None:
        return None
    is_long = now - since >= _PATIENCE_FOR_ORDERS
    state, who = (CheckState.AMBER, Who.OPERATOR) if is_long else (CheckState.NOTICE, Who.NOBODY)
    next_at = max(now, facts.orders_next_at or now) if facts.amazon_paused_since is None else None
    return Check("orders_late", state, since, who=who, on=next_at)


def _suspension(facts: Facts) -> Check | None:
    """The worst of what Amazon says: the account, then listings, then that the account may be next."""
    kinds = (
        (DEACTIVATED, facts.deactivated, CheckState.AMBER),
        ("", facts.suspended, CheckState.AMBER),
        (AT_RISK, facts.at_risk, CheckState.NOTICE),
    )
    for detail, countries, state in kinds:
        if countries:
            return Check(
                "account_suspended",
                state,
                facts.account_told_at if detail else None,
                on=facts.account_told_at if detail else None,
                countries=tuple(countries),
                detail=detail,
            )
    return None


def _amazon_trouble(facts: Facts) -> Check | None:
    begun = [trouble.since for trouble in facts.troubles if trouble.scope != APPLICATION]
    if facts.delayed_since is not None:
        begun.append(facts.delayed_since)
    return Check("amazon_trouble", CheckState.NOTICE, min(begun), who=Who.AMAZON) if begun else None


def _service_trouble(facts: Facts) -> Check | None:
    begun = [trouble.since for trouble in facts.troubles if trouble.scope == APPLICATION]
    return Check("service_trouble", CheckState.NOTICE, min(begun), who=Who.OPERATOR) if begun else None


def _amazon_paused(facts: Facts) -> Check | None:
    if facts.amazon_paused_since is None:
        return None
    return Check("amazon_paused", CheckState.NOTICE, facts.amazon_paused_since, who=Who.OPERATOR)


def _setup(facts: Facts) -> Check | None:
    if facts.is_named and facts.open_steps == 0:
        return None
    has_mail = facts.last_message_at is not None or facts.verification_mail_at is not None
    if facts.is_named and facts.participating and not facts.open_countries:
        # What is left is no country's: messages come, or will, without it.
        state = CheckState.NOTICE if has_mail else CheckState.WAITING
        return Check("setup_incomplete", state, facts.created_at, detail=STEPS_LEFT)
    return Check(
        "setup_incomplete", CheckState.WAITING, facts.created_at, countries=tuple(facts.open_countries)
    )


def _first_mail(facts: Facts, now: datetime) -> Check | None:
    if facts.last_message_at is not None or not facts.is_named:
        return None
    is_late = _sells(facts.last_order_at, now) and now - facts.created_at >= _PATIENCE_FOR_MAIL
    state = CheckState.AMBER if is_late else CheckState.WAITING
    return Check("mail_first", state, facts.created_at)


def _mail_elsewhere(facts: Facts, now: datetime) -> Check | None:
    """Amber only if nothing else has ever come: anybody can send somebody else's mail to a store that is in order."""
    misdirected_at, forwarded_at = facts.misdirected_mail_at, facts.forwarded_mail_at
    if misdirected_at is not None and now - misdirected_at < _PATIENCE_FOR_FORWARDING:
        is_all = facts.first_authentic_mail_at is None
        state = CheckState.AMBER if is_all else CheckState.NOTICE
        return Check("mail_not_authentic", state, misdirected_at)
    if forwarded_at is not None and now - forwarded_at < _PATIENCE_FOR_FORWARDING:
        return Check(
            "mail_not_authentic",
            CheckState.NOTICE,
            forwarded_at,
            detail=FORWARDED,
        )
    return None


def _sender(facts: Facts) -> Check | None:
    if facts.sender_refused_at is None:
        return None
    return Check(
        "sender_not_approved",
        CheckState.RED,
        facts.sender_refused_at,
        countries=tuple(facts.sender_refused_in),
    )


def _smtp(facts: Facts) -> Check | None:
    since, last = facts.smtp_refused_since, facts.smtp_refused_at
    if since is None or last is None:
        return None
    state = CheckState.RED if last - since >= _SMTP_REFUSED_AGAIN else CheckState.NOTICE
    return Check("smtp_failing", state, since)


def _mail_of_countries(facts: Facts, now: datetime) -> Check | None:
    silent = tuple(country for country in facts.participating if country not in facts.seen_countries)
    if facts.orders_completed_at is not None:
        silent = tuple(country for country in silent if _sells(facts.newest_orders.get(country), now))
    if not facts.seen_countries or not silent or now - facts.created_at < _PATIENCE_FOR_COUNTRY:
        return None
    return Check(
        "mail_country_missing",
        CheckState.NOTICE,
        facts.created_at,
        countries=silent,
    )


def _report_columns(facts: Facts) -> Check | None:
    if not facts.report_columns_missing:
        return None
    return Check(
        "report_columns_missing",
        CheckState.NOTICE,
        None,
        on=facts.report_columns_checked_at,
        detail=", ".join(facts.report_columns_missing),
    )


def _sells(last_order_at: datetime | None, now: datetime) -> bool:
    """Whether an order was placed lately."""
    return last_order_at is not None and now - last_order_at < _SELLS
