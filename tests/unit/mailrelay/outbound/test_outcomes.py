"""What a session's end says of a reply: with which answer it is over, waits, or is in doubt, and whose fault it is."""

from datetime import UTC, datetime, timedelta

import pytest

from services.mailrelay.outbound.outcomes import (
    FIRST_DELAY,
    LONGEST_DELAY,
    PATIENCE,
    WAITS_FOR_US,
    Outcome,
    at_its_time,
    delay_after,
    outcome_of,
)
from shared.outgoing.connections import Reason
from shared.outgoing.smtp import Answer, SmtpFailed, Stage
from shared.tables import ReplyFailure, ReplyState, ReplyTransport

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OWN, PLATFORM = ReplyTransport.OWN, ReplyTransport.PLATFORM


def ended(stage: Stage, code: int = 0, words: str = "", *, of: ReplyTransport = PLATFORM) -> Outcome:
    answer = Answer(code, words) if code else None
    return outcome_of(SmtpFailed(stage, answer, None if code else Reason.CONNECT), of)


@pytest.mark.parametrize("transport", list(ReplyTransport))
@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.END])
def test_without_an_answer_before_the_final_dot_it_is_tried_again(stage: Stage, transport: ReplyTransport):
    outcome = ended(stage, of=transport)

    assert outcome.state is ReplyState.DELAYED
    assert outcome.is_our_fault is (transport is PLATFORM)
    assert not outcome.refuses_store


@pytest.mark.parametrize("transport", list(ReplyTransport))
def test_without_an_answer_after_the_final_dot_nobody_knows(transport: ReplyTransport):
    assert ended(Stage.END, of=transport) == Outcome(ReplyState.PERHAPS_SENT)


@pytest.mark.parametrize("transport", list(ReplyTransport))
@pytest.mark.parametrize("stage", [Stage.SENDER, Stage.RECIPIENT, Stage.CONTENT, Stage.END])
@pytest.mark.parametrize(
    "answer", ["421 4.3.2 going down", "451 4.7.1 greylisted", "452 4.2.2 full", "450 busy"]
)
def test_4xx_is_tried_again(stage: Stage, answer: str, transport: ReplyTransport):
    outcome = ended(stage, int(answer[:3]), answer[4:], of=transport)

    assert (outcome.state, outcome.is_our_fault, outcome.words) == (ReplyState.DELAYED, False, answer)


@pytest.mark.parametrize("code", [451, 550, 554])
@pytest.mark.parametrize("stage", [Stage.RECIPIENT, Stage.CONTENT, Stage.END])
def test_a_matter_of_policy_is_for_good_whatever_the_code(stage: Stage, code: int):
    assert ended(stage, code, "5.7.26 no").state is ReplyState.FAILED


@pytest.mark.parametrize("stage", [Stage.RECIPIENT, Stage.CONTENT, Stage.END])
def test_5xx_is_for_good_with_the_servers_words(stage: Stage):
    outcome = ended(stage, 554, "5.6.0 something\nelse")

    assert outcome == Outcome(ReplyState.FAILED, ReplyFailure.UNKNOWN, "554 5.6.0 something else")


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        (Stage.CONNECT, "554 5.7.1 your network is blocked"),
        (Stage.HELLO, "550 5.7.1 who are you"),
        (Stage.SIGN_IN, "535 5.7.8 authentication failed"),
        (Stage.SENDER, "530 5.7.0 Must issue a STARTTLS command first"),
        (Stage.SENDER, "530 5.7.1 Authentication required"),
        (Stage.SENDER, "550 5.7.1 authentication required"),
        (Stage.RECIPIENT, "554 5.7.1 <b@x.example>: Relay access denied"),
        (Stage.RECIPIENT, "553 5.7.1 <a@x.example>: Sender address rejected: not owned by user shop"),
        (Stage.END, "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
        (Stage.RECIPIENT, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"),
    ],
)
def test_a_way_that_is_shut_is_our_fault_or_the_stores(stage: Stage, answer: str):
    """Of the platform's smarthost no seller sees red; a store's own server refuses the store."""
    platform = ended(stage, int(answer[:3]), answer[4:])
    own = ended(stage, int(answer[:3]), answer[4:], of=OWN)

    assert (platform.state, platform.is_our_fault, platform.failure) == (ReplyState.DELAYED, True, None)
    assert (own.state, own.failure, own.refuses_store) == (ReplyState.FAILED, ReplyFailure.SMTP_REFUSED, True)


@pytest.mark.parametrize(
    ("stage", "is_shown"), [(Stage.CONNECT, False), (Stage.HELLO, False), (Stage.SIGN_IN, True)]
)
def test_what_stands_at_a_port_is_shown_only_once_it_has_proven_its_name(stage: Stage, is_shown: bool):
    outcome = ended(stage, 535, "5.7.8 canary", of=OWN)

    assert ("canary" in (outcome.words or "")) is is_shown


def test_a_sign_in_that_is_put_off_is_tried_again():
    assert ended(Stage.SIGN_IN, 454, "4.7.0 temporary", of=OWN).state is ReplyState.DELAYED


def test_a_sender_that_the_stores_own_server_refuses_is_told_as_such():
    outcome = ended(Stage.SENDER, 553, "5.7.1 Sender address rejected: not owned by user shop", of=OWN)

    assert (outcome.failure, outcome.refuses_store) == (ReplyFailure.SMTP_REFUSED, True)


@pytest.mark.parametrize(
    "answer", ["552 5.3.4 too big", "552 message size exceeds fixed maximum message size"]
)
def test_a_size_that_is_refused_with_the_sender_is_no_refusal_of_the_store(answer: str):
    outcome = ended(Stage.SENDER, 552, answer[4:], of=OWN)

    assert (outcome.failure, outcome.refuses_store) == (ReplyFailure.TOO_LARGE, False)


def test_a_certificate_that_does_not_hold_is_said_in_our_own_words():
    failure = SmtpFailed(Stage.TLS, None, Reason.TLS, "certificate has expired")

    assert outcome_of(failure, OWN).words == "TLS: certificate has expired"


@pytest.mark.parametrize(("attempts", "times"), [(1, 1), (2, 2), (3, 4), (5, 16)])
def test_each_wait_is_twice_as_long_as_the_one_before(attempts: int, times: int):
    assert delay_after(attempts, 0.5) == FIRST_DELAY * times


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("attempts", [1, 4, 20, 10**6])
def test_no_wait_is_longer_than_a_quarter_over_its_bound(attempts: int, jitter: float):
    assert FIRST_DELAY * 0.75 <= delay_after(attempts, jitter) <= LONGEST_DELAY * 1.25


def delayed(*, first_before: timedelta, outcome: Outcome | None = None, attempts: int = 30) -> Outcome:
    return at_its_time(
        outcome or Outcome(ReplyState.DELAYED, words="450 busy"),
        first_attempt_at=NOW - first_before,
        attempts=attempts,
        now=NOW,
        jitter=0.5,
    )


def test_the_last_attempt_is_at_the_end_of_our_patience():
    outcome = delayed(first_before=PATIENCE - timedelta(minutes=1))

    assert (outcome.state, outcome.due_at) == (ReplyState.DELAYED, NOW + timedelta(minutes=1))


def test_after_four_hours_it_has_failed_with_the_last_words():
    outcome = delayed(first_before=timedelta(hours=4))

    assert (outcome.state, outcome.failure, outcome.words) == (
        ReplyState.FAILED,
        ReplyFailure.TEMPORARY,
        "450 busy",
    )


def test_what_is_away_on_our_side_costs_no_patience():
    outcome = delayed(first_before=timedelta(days=1), outcome=WAITS_FOR_US)

    assert outcome.state is ReplyState.DELAYED
    assert outcome.due_at is not None
    assert outcome.due_at > NOW
