"""The truth table of the checks, and the lock that follows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.connector.http.language import Language
from services.connector.http.reading import reading_of_header
from services.connector.integrations.check_texts import text_of, title_of
from services.connector.integrations.health import (
    CODES,
    CheckState,
    Facts,
    Trouble,
    Who,
    checks_of,
    health_of,
    lock_of,
    not_checked,
)
from services.connector.integrations.not_checked_texts import NOT_CHECKED
from services.connector.integrations.summary_texts import summary_text
from shared.tables import Lock, Summary

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
READINGS = {language: reading_of_header(language, None) for language in Language}
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
# A store that is entirely in order.
FINE = Facts(
    created_at=NOW - 10 * DAY,
    is_named=True,
    open_steps=0,
    open_countries=(),
    has_grant=True,
    consented_at=NOW - 10 * DAY,
    synced_at=NOW - DAY / 2,
    participating=("DE", "FR"),
    suspended=(),
    last_message_at=NOW - DAY,
    first_authentic_mail_at=NOW - DAY,
    last_order_at=None,
)
WITH_ORDERS = replace(
    FINE,
    created_at=NOW - 20 * DAY,
    orders_known_until=NOW - 5 * MINUTE,
    orders_completed_at=NOW - 3 * MINUTE,
)


@pytest.mark.parametrize(
    ("facts", "lock", "checks"),
    [
        (FINE, "green", []),
        (
            replace(FINE, last_message_at=None, first_authentic_mail_at=None),
            "pending",
            [("mail_first", "waiting")],
        ),
        (replace(FINE, open_steps=2), "green", [("setup_incomplete", "notice")]),
        (
            replace(FINE, open_steps=2, open_countries=("FR",)),
            "pending",
            [("setup_incomplete", "waiting")],
        ),
        (
            replace(
                FINE, open_steps=2, open_countries=("FR",), last_message_at=None, first_authentic_mail_at=None
            ),
            "pending",
            [("setup_incomplete", "waiting"), ("mail_first", "waiting")],
        ),
        (
            replace(FINE, is_named=False, last_message_at=None, first_authentic_mail_at=None),
            "pending",
            [("setup_incomplete", "waiting")],
        ),
        (
            replace(FINE, last_message_at=None, first_authentic_mail_at=None, last_order_at=NOW - DAY),
            "pending",
            [("mail_first", "amber")],
        ),
        (
            replace(
                FINE,
                created_at=NOW - 2 * DAY,
                last_message_at=None,
                first_authentic_mail_at=None,
                last_order_at=NOW - DAY,
            ),
            "pending",
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
            replace(FINE, deactivated=("FR",), at_risk=("DE",), account_told_at=NOW),
            "green",
            [("account_suspended", "amber")],
        ),
        (replace(FINE, at_risk=("DE",), account_told_at=NOW), "green", [("account_suspended", "notice")]),
        (replace(FINE, amazon_paused_since=NOW), "green", [("amazon_paused", "notice")]),
        (replace(FINE, refused_at=NOW - MINUTE), "green", [("grant_revoked", "notice")]),
        (
            replace(FINE, refused_at=NOW - 2 * MINUTE, revoked_at=NOW - MINUTE),
            "red",
            [("grant_revoked", "red")],
        ),
        (
            replace(FINE, revoked_at=NOW - MINUTE, consented_at=NOW - 340 * DAY),
            "red",
            [("grant_revoked", "red")],
        ),
        (
            replace(FINE, revoked_at=NOW - MINUTE, consented_at=NOW - 366 * DAY),
            "red",
            [("consent_expiring", "red")],
        ),
        (replace(FINE, delayed_since=NOW - DAY), "green", [("amazon_trouble", "notice")]),
        (replace(FINE, troubles=(Trouble("lwa", NOW),)), "green", [("amazon_trouble", "notice")]),
        (replace(FINE, troubles=(Trouble("sp-api:eu", NOW),)), "green", [("amazon_trouble", "notice")]),
        (replace(FINE, troubles=(Trouble("application", NOW),)), "green", [("service_trouble", "notice")]),
        (
            replace(FINE, role_missing_since=NOW - DAY, role_missing_operation="getOrders"),
            "green",
            [("role_missing", "amber")],
        ),
        (
            replace(FINE, role_missing_since=NOW - DAY + MINUTE, role_missing_operation="getOrders"),
            "green",
            [],
        ),
        (
            replace(FINE, participating=(), idle_since=NOW - DAY, idle_checks=3),
            "red",
            [("no_participation", "red")],
        ),
        (
            replace(FINE, participating=(), idle_since=NOW - DAY, idle_checks=2),
            "green",
            [("no_participation", "notice")],
        ),
        (
            replace(FINE, participating=(), idle_since=NOW - DAY + MINUTE, idle_checks=5),
            "green",
            [("no_participation", "notice")],
        ),
        (
            replace(FINE, created_at=NOW - 14 * DAY, seen_countries=("DE",)),
            "green",
            [("mail_country_missing", "notice")],
        ),
        (replace(FINE, created_at=NOW - 13 * DAY, seen_countries=("DE",)), "green", []),
        (
            replace(WITH_ORDERS, seen_countries=("DE",), newest_orders={"DE": NOW, "FR": NOW - 13 * DAY}),
            "green",
            [("mail_country_missing", "notice")],
        ),
        (replace(WITH_ORDERS, seen_countries=("DE",), newest_orders={"FR": NOW - 14 * DAY}), "green", []),
        (replace(WITH_ORDERS, seen_countries=("DE",)), "green", []),
        (WITH_ORDERS, "green", []),
        (replace(WITH_ORDERS, orders_known_until=NOW - 60 * MINUTE), "green", []),
        (
            replace(WITH_ORDERS, orders_known_until=NOW - 61 * MINUTE),
            "green",
            [("orders_late", "notice")],
        ),
        (replace(WITH_ORDERS, orders_known_until=NOW - DAY), "green", [("orders_late", "amber")]),
        # Whoever withdraws the consent is told that, and not that we are late.
        (
            replace(WITH_ORDERS, orders_known_until=NOW - DAY, refused_at=NOW - DAY, revoked_at=NOW - DAY),
            "red",
            [("grant_revoked", "red")],
        ),
        (replace(FINE, created_at=NOW - 14 * DAY, seen_countries=("DE", "FR")), "green", []),
        (replace(FINE, paused_at=NOW - DAY), "green", [("paused", "notice")]),
        (replace(FINE, paused_at=NOW - DAY, revoked_at=NOW - DAY), "green", [("paused", "notice")]),
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


MESSAGE, CONFIRMED, NOTHING = "message", "confirmed", "nothing"


@pytest.mark.parametrize(
    ("named", "came", "open_countries", "red", "lock", "summary"),
    [
        (True, MESSAGE, (), False, "green", "working"),
        (True, MESSAGE, ("FR",), False, "pending", "countries_open"),
        (True, CONFIRMED, (), False, "green", "address_confirmed"),
        (True, CONFIRMED, ("FR",), False, "pending", "setup_open"),
        (True, NOTHING, (), False, "pending", "no_message"),
        (True, NOTHING, ("DE", "FR"), False, "pending", "setup_open"),
        (True, MESSAGE, (), True, "red", "action_needed"),
        (True, MESSAGE, ("FR",), True, "red", "action_needed"),
        (True, CONFIRMED, (), True, "red", "action_needed"),
        (True, NOTHING, (), True, "red", "action_needed"),
        (False, NOTHING, (), False, "pending", "unnamed"),
        (False, NOTHING, ("DE", "FR"), False, "pending", "unnamed"),
        (False, NOTHING, ("DE", "FR"), True, "red", "action_needed"),
    ],
)
def test_the_lock_never_says_more_than_is_known(
    *, named: bool, came: str, open_countries: tuple[str, ...], red: bool, lock: str, summary: str
):
    """Green takes a mail of Amazon's and every country: one country's mail, or ticks alone, are not enough."""
    at = NOW - DAY
    facts = replace(
        FINE,
        is_named=named,
        last_message_at=at if came == MESSAGE else None,
        first_authentic_mail_at=at if came == MESSAGE else None,
        verification_mail_at=at if came == CONFIRMED else None,
        open_countries=open_countries,
        open_steps=3 * len(open_countries),
        has_grant=not red,
    )

    health = health_of(facts, NOW)

    assert (health.lock, health.summary) == (lock, summary)
    assert health.lock is lock_of(facts, NOW)
    assert health.countries == (open_countries if summary in ("countries_open", "setup_open") else ())
    assert (health.worst is not None and health.worst.code == "grant_missing") is red


def test_a_mail_of_amazons_that_no_buyer_wrote_turns_no_lock_green():
    facts = replace(FINE, last_message_at=None)

    assert (lock_of(facts, NOW), health_of(facts, NOW).summary) == (Lock.PENDING, Summary.NO_MESSAGE)


def test_a_store_without_api_is_judged_by_its_mail_alone():
    facts = replace(
        FINE,
        uses_api=False,
        has_grant=False,
        consented_at=None,
        synced_at=None,
        suspended=("FR",),
        orders_known_until=NOW - 3 * DAY,
        revoked_at=NOW,
        role_missing_since=NOW - 2 * DAY,
        report_columns_missing=["is-prime"],
        amazon_paused_since=NOW,
        troubles=(Trouble("lwa", NOW),),
    )

    assert (checks_of(facts, NOW), lock_of(facts, NOW)) == ((), Lock.GREEN)
    assert set(not_checked(facts, NOW)) == {"sender_not_approved"}
    silent = replace(facts, last_message_at=None, open_countries=("FR",), open_steps=3)
    assert health_of(silent, NOW).summary is Summary.SETUP_OPEN
    assert health_of(replace(facts, sender_refused_at=NOW), NOW).lock is Lock.RED


def test_a_paused_store_is_said_to_be_paused_whatever_else_is_wrong():
    facts = replace(FINE, paused_at=NOW, has_grant=False)

    assert (health_of(facts, NOW).summary, health_of(facts, NOW).changes_at) == (Summary.PAUSED, None)


@pytest.mark.parametrize(
    "facts",
    [
        FINE,
        WITH_ORDERS,
        replace(FINE, consented_at=NOW - 334 * DAY),
        replace(FINE, consented_at=NOW - 360 * DAY),
        replace(FINE, created_at=NOW - DAY, last_message_at=None, last_order_at=NOW),
        replace(FINE, last_message_at=None, last_order_at=NOW - 13 * DAY),
        replace(FINE, participating=(), idle_since=NOW - DAY / 2, idle_checks=3),
        replace(FINE, role_missing_since=NOW - DAY / 2, role_missing_operation="x"),
        replace(FINE, first_authentic_mail_at=None, misdirected_mail_at=NOW - 13 * DAY),
    ],
)
def test_what_is_stored_of_the_health_stays_true_until_it_is_due(facts: Facts):
    """What a list shows is decided then, and whenever a fact changes; in between, time changes nothing of it."""

    def shown(at: datetime) -> tuple[object, ...]:
        health = health_of(facts, at)
        worst = health.worst
        return health.lock, health.summary, health.countries, worst and (worst.code, worst.state)

    due = health_of(facts, NOW).changes_at
    assert due is not None
    for hours in range(24 * 40):
        at = NOW + hours * timedelta(hours=1)
        if at >= due:
            break
        assert shown(at) == shown(NOW)
    assert shown(due - timedelta(microseconds=1)) == shown(NOW)


@pytest.mark.parametrize("language", list(Language))
def test_the_state_is_one_sentence_that_says_nothing_twice(language: Language):
    texts = {
        (summary, worst): summary_text(summary, ("FR", "IT"), worst, READINGS[language])
        for summary in Summary
        for worst in (None, "consent_expiring", "mail_first")
        if (summary is Summary.ACTION_NEEDED) <= (worst is not None)
    }

    assert all("{" not in text and text.endswith(".") for text in texts.values())
    assert len(set(texts.values())) >= len(Summary)
    expiring = title_of("consent_expiring", language, CheckState.AMBER)
    assert expiring in texts[Summary.WORKING, "consent_expiring"]
    assert expiring not in texts[Summary.ACTION_NEEDED, "consent_expiring"]
    assert texts[Summary.NO_MESSAGE, "mail_first"] == texts[Summary.NO_MESSAGE, None]


def test_the_sentence_names_some_countries_and_counts_many():
    some = summary_text(Summary.COUNTRIES_OPEN, ("FR", "IT"), None, READINGS[Language.DE])
    many = summary_text(
        Summary.COUNTRIES_OPEN, ("FR", "IT", "ES", "NL", "SE", "PL"), None, READINGS[Language.EN]
    )

    assert some == "Nachrichten kommen an. Für Frankreich und Italien fehlt noch die Einrichtung."
    assert many == "Messages arrive. Setup is not finished for France, Italy, Spain and 3 more countries yet."


EVERYTHING = [
    replace(FINE, misdirected_mail_at=NOW - DAY),
    replace(FINE, forwarded_mail_at=NOW - DAY),
    replace(
        FINE,
        has_grant=False,
        suspended=("DE",),
        participating=(),
        open_steps=1,
        last_message_at=None,
        first_authentic_mail_at=None,
    ),
    replace(FINE, consented_at=NOW - 340 * DAY, role_missing_since=NOW - DAY, role_missing_operation="x"),
    replace(FINE, consented_at=NOW - 366 * DAY),
    replace(FINE, refused_at=NOW, troubles=(Trouble("application", NOW), Trouble("lwa", NOW))),
    replace(FINE, refused_at=NOW, revoked_at=NOW, created_at=NOW - 20 * DAY, seen_countries=("DE",)),
    replace(FINE, participating=(), idle_since=NOW - DAY, idle_checks=3, paused_at=None),
    replace(FINE, paused_at=NOW),
    replace(FINE, report_columns_missing=["is-prime"], report_columns_checked_at=NOW),
]


@pytest.mark.parametrize("language", list(Language))
def test_every_check_says_what_it_is_and_what_to_do(language: Language):
    codes = set()
    for facts in EVERYTHING:
        for check in checks_of(facts, NOW):
            codes.add(check.code)
            text = text_of(check, READINGS[language], address="mabtekrud@replyco.email")
            assert (
                text.title == title_of(check.code, language, check.state) or check.state is CheckState.NOTICE
            )
            assert text.text
            assert text.cure
            assert "{" not in text.text
        for code in not_checked(facts, NOW):
            codes.add(code)
            assert NOT_CHECKED[code][language]
    assert codes == set(CODES)


def test_every_red_has_a_cure_that_the_seller_can_begin_himself():
    reds = [check for facts in EVERYTHING for check in checks_of(facts, NOW) if check.state is CheckState.RED]

    assert {check.code for check in reds} == {
        "grant_missing",
        "grant_revoked",
        "consent_expiring",
        "no_participation",
    }
    assert all(check.who is Who.SELLER and check.action is not None for check in reds)
    assert all(check.since is not None for check in reds)


def test_columns_that_a_report_lacked_are_named_until_one_has_them_all():
    lacking = replace(
        FINE, report_columns_missing=["gift-message-text", "is-prime"], report_columns_checked_at=NOW
    )
    complete = replace(FINE, report_columns_missing=[], report_columns_checked_at=NOW)

    (check,) = [check for check in checks_of(lacking, NOW) if check.code == "report_columns_missing"]
    assert (check.state, check.who, check.detail) == (
        CheckState.NOTICE,
        Who.SELLER,
        "gift-message-text, is-prime",
    )
    assert lock_of(lacking, NOW) is lock_of(FINE, NOW)
    assert "gift-message-text, is-prime" in text_of(check, READINGS[Language.EN], address="").text
    assert "report_columns_missing" not in [check.code for check in checks_of(complete, NOW)]
    assert "report_columns_missing" in not_checked(FINE, NOW)
    assert "report_columns_missing" not in (*not_checked(lacking, NOW), *not_checked(complete, NOW))


def test_what_is_said_of_orders_is_that_nothing_is_known_until_they_were_complete_once_or_are_late():
    first = replace(WITH_ORDERS, orders_completed_at=None)
    late = replace(first, orders_known_until=NOW - DAY)

    assert set(not_checked(FINE, NOW)) == {"sender_not_approved", "orders_late", "report_columns_missing"}
    assert set(not_checked(first, NOW)) == set(not_checked(FINE, NOW))
    assert "orders_late" not in not_checked(late, NOW)
    assert "orders_late" not in not_checked(WITH_ORDERS, NOW)


@pytest.mark.parametrize("language", list(Language))
def test_orders_that_are_late_say_when_they_are_tried_again_unless_nobody_tries(language: Language):
    late = replace(WITH_ORDERS, orders_known_until=NOW - DAY, orders_next_at=NOW + 7 * MINUTE)

    def said(facts: Facts) -> str:
        (check,) = [check for check in checks_of(facts, NOW) if check.code == "orders_late"]
        return text_of(check, READINGS[language], address="").text

    assert "12:07" in said(late)
    assert "12:00" in said(replace(late, orders_next_at=NOW - MINUTE)).split(".")[-2]
    assert said(replace(late, amazon_paused_since=NOW)).count(":") == 1


def test_a_store_that_sold_long_ago_only_is_not_asked_where_its_mail_is():
    silent = replace(FINE, last_message_at=None, first_authentic_mail_at=None)

    assert [check.state for check in checks_of(replace(silent, last_order_at=NOW - 13 * DAY), NOW)] == [
        "amber"
    ]
    assert [check.state for check in checks_of(replace(silent, last_order_at=NOW - 14 * DAY), NOW)] == [
        "waiting"
    ]


def test_of_a_paused_store_nothing_else_is_checked():
    paused = replace(FINE, paused_at=NOW, has_grant=False, participating=())

    assert set(not_checked(paused, NOW)) == set(CODES) - {"paused"}


def test_since_when_is_the_first_refusal_not_its_confirmation():
    facts = replace(FINE, refused_at=NOW - DAY, revoked_at=NOW)

    assert checks_of(facts, NOW)[0].since == NOW - DAY


def test_the_date_is_written_as_people_write_it():
    check = checks_of(replace(FINE, consented_at=datetime(2025, 12, 1, tzinfo=UTC)), NOW)[0]

    assert "1. Dezember 2026" in text_of(check, READINGS[Language.DE], address="mabtekrud@replyco.email").text
    assert "1 December 2026" in text_of(check, READINGS[Language.EN], address="mabtekrud@replyco.email").text


def test_mail_that_amazon_sends_elsewhere_is_said_and_turns_no_lock():
    """# F: amber only if nothing else has come, for anybody can send such mail to a store that is in order"""
    seen = NOW - timedelta(days=1)
    only = replace(FINE, first_authentic_mail_at=None, misdirected_mail_at=seen)
    beside = replace(FINE, misdirected_mail_at=seen)
    forwarded = replace(FINE, forwarded_mail_at=seen)
    long_ago = replace(
        FINE, misdirected_mail_at=NOW - timedelta(days=15), forwarded_mail_at=NOW - timedelta(days=15)
    )

    def states(facts: Facts) -> list[tuple[CheckState, str]]:
        return [(c.state, c.detail) for c in checks_of(facts, NOW) if c.code == "mail_not_authentic"]

    assert states(only) == [(CheckState.AMBER, "")]
    assert states(beside) == [(CheckState.NOTICE, "")]
    assert states(forwarded) == [(CheckState.NOTICE, "forwarded")]
    assert states(long_ago) == []
    assert lock_of(beside, NOW) is lock_of(FINE, NOW)


def test_a_sender_that_amazon_refuses_turns_the_lock_red_until_a_reply_gets_through():
    refused = replace(FINE, sender_refused_at=NOW - DAY, sender_refused_in=("DE", "FR"))

    [check] = [check for check in checks_of(refused, NOW) if check.code == "sender_not_approved"]
    texts = {
        language: text_of(check, READINGS[language], address="mabtekrud@replyco.email").text
        for language in Language
    }

    assert (check.state, check.since, lock_of(refused, NOW)) == (CheckState.RED, NOW - DAY, Lock.RED)
    assert "mabtekrud@replyco.email" in texts[Language.DE]
    assert "(Deutschland, Frankreich)" in texts[Language.DE]
    assert "(Germany, France)" in texts[Language.EN]


def test_of_the_sender_nothing_is_known_before_the_first_reply_came_through_or_back():
    assert "sender_not_approved" in not_checked(replace(FINE, reply_confirmed_at=None), NOW)
    assert "sender_not_approved" not in not_checked(replace(FINE, reply_confirmed_at=NOW), NOW)
    assert "sender_not_approved" not in not_checked(replace(FINE, sender_refused_at=NOW), NOW)


@pytest.mark.parametrize(
    ("minutes", "state", "lock"),
    [(0, CheckState.NOTICE, Lock.GREEN), (9, CheckState.NOTICE, Lock.GREEN), (10, CheckState.RED, Lock.RED)],
)
def test_the_own_smtp_server_is_red_when_it_refuses_again_after_ten_minutes(minutes, state, lock):
    since = NOW - DAY
    facts = replace(FINE, smtp_refused_since=since, smtp_refused_at=since + timedelta(minutes=minutes))

    [check] = [check for check in checks_of(facts, NOW) if check.code == "smtp_failing"]

    assert (check.state, check.since, lock_of(facts, NOW)) == (state, since, lock)
