"""What an attempt to send a reply has come to, from how its SMTP session ended. Pure.

The server's word decides: 5xx is for good, and so is everything that RFC 3463 calls a matter of policy (5.7.x); 4xx and the network pass. A
fault of the way itself is the reply's fault only where the store has chosen the way: what the platform's own smarthost holds against us is for
its operators, and no seller sees red for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.mailrelay.outbound.reasons import clean_words, reason_of, status_in
from shared.outgoing.smtp import Answer, SmtpFailed, Stage
from shared.tables import ReplyFailure, ReplyState, ReplyTransport

# As long as an agent may be left in doubt, and below the 24 hours that Amazon gives for an answer.
PATIENCE: Final = timedelta(hours=4)
FIRST_DELAY: Final = timedelta(seconds=15)
LONGEST_DELAY: Final = timedelta(minutes=15)
_JITTER: Final = 0.25
_TOO_LARGE: Final = 552
_MUST_SIGN_IN: Final = frozenset({530, 534, 535, 538})
# Said with the recipient, too: Postfix waits for it before it refuses a sender.
_TAKES_NOTHING_FROM_US: Final = re.compile(
    r"\brelay(?:ing)?\b.{0,40}\b(?:denied|not (?:allowed|permitted)|prohibited)|\bunable to relay\b"
    r"|\b(?:authentication|auth|log ?in|sign ?in)\b.{0,20}\brequired\b"
    r"|\bsender address rejected\b|\bnot owned by user\b|\bpermissions? to send as\b|\bnot allowed to send as\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a reply after an attempt.

    `words`: the server's, cleaned. `is_our_fault`: the platform's smarthost does not do its work for us. `refuses_store`: the store's own
    server takes nothing from it, whatever the mail says. `counts`: whether it was an attempt, or only our own parts were away.
    """

    state: ReplyState
    failure: ReplyFailure | None = None
    words: str | None = None
    is_our_fault: bool = False
    refuses_store: bool = False
    counts: bool = True
    due_at: datetime | None = None


HANDED_OVER: Final = Outcome(ReplyState.HANDED_OVER)
# One of our own parts is away: the database, the blob store. It is no attempt.
WAITS_FOR_US: Final = Outcome(ReplyState.DELAYED, counts=False)


def failed(failure: ReplyFailure, words: str | None = None) -> Outcome:
    return Outcome(ReplyState.FAILED, failure, words)


def outcome_of(failure: SmtpFailed, transport: ReplyTransport) -> Outcome:
    """What a session that failed says of the reply."""
    is_own = transport is ReplyTransport.OWN
    if failure.answer is None:
        return _without_answer(failure, is_own=is_own)
    if _is_of_the_way(failure.stage, failure.answer):
        return _of_the_way(failure.stage, failure.answer, is_own=is_own)
    words = clean_words(failure.answer)
    if not _is_final(failure.answer):
        return Outcome(ReplyState.DELAYED, words=words)
    # A mail's size is told as early as its sender is named.
    is_size = failure.answer.code == _TOO_LARGE or (status_in(failure.answer) or "").startswith("5.3.")
    if is_own and failure.stage is Stage.SENDER and not is_size:
        return Outcome(ReplyState.FAILED, ReplyFailure.SMTP_REFUSED, words, refuses_store=True)
    reason = reason_of(failure.answer)
    if is_own and reason is ReplyFailure.SENDER_NOT_APPROVED:
        # It speaks for itself: what Amazon thinks of the sender comes later, by mail.
        return Outcome(ReplyState.FAILED, ReplyFailure.SMTP_REFUSED, words, refuses_store=True)
    return failed(reason, words)


def _without_answer(failure: SmtpFailed, *, is_own: bool) -> Outcome:
    """The network, TLS, or time."""
    if failure.stage is Stage.END:
        return Outcome(ReplyState.PERHAPS_SENT)
    words = f"TLS: {failure.words}" if failure.words else None
    return Outcome(ReplyState.DELAYED, words=words, is_our_fault=not is_own)


def _of_the_way(stage: Stage, answer: Answer, *, is_own: bool) -> Outcome:
    """The server takes nothing from us, now or ever."""
    if not is_own:
        return Outcome(ReplyState.DELAYED, words=clean_words(answer), is_our_fault=True)
    # Whoever names a server may not read through us what it says before TLS has proven that it is a mail server of this name.
    words = clean_words(answer) if _BEFORE_ANY_MAIL.get(stage, True) else None
    # STARTTLS that is not offered may be offered tomorrow; the test of the server says what is wrong.
    if _is_final(answer) and stage is not Stage.TLS:
        return Outcome(ReplyState.FAILED, ReplyFailure.SMTP_REFUSED, words, refuses_store=True)
    return Outcome(ReplyState.DELAYED, words=words)


def _is_final(answer: Answer) -> bool:
    return answer.code >= 500 or (status_in(answer) or "").startswith("5.7.")


def at_its_time(
    outcome: Outcome, *, first_attempt_at: datetime, attempts: int, now: datetime, jitter: float
) -> Outcome:
    """A delayed outcome with its next time, or failed for good once our patience is over. `jitter` is between 0 and 1."""
    if outcome.state is not ReplyState.DELAYED or outcome.due_at is not None:
        return outcome
    give_up_at = first_attempt_at + PATIENCE
    if outcome.counts and now >= give_up_at:
        return Outcome(
            ReplyState.FAILED, ReplyFailure.TEMPORARY, outcome.words, is_our_fault=outcome.is_our_fault
        )
    due_at = now + delay_after(attempts if outcome.counts else 1, jitter)
    return Outcome(
        ReplyState.DELAYED,
        words=outcome.words,
        is_our_fault=outcome.is_our_fault,
        counts=outcome.counts,
        # The last attempt is at the end of our patience.
        due_at=min(due_at, give_up_at) if outcome.counts else due_at,
    )


def delay_after(attempts: int, jitter: float) -> timedelta:
    """How long to wait after so many attempts: twice as long each time, spread so that not all come back at once."""
    delay: timedelta = min(FIRST_DELAY * 2 ** min(max(attempts - 1, 0), 10), LONGEST_DELAY)
    return delay * (1 - _JITTER + 2 * _JITTER * jitter)


def _is_of_the_way(stage: Stage, answer: Answer) -> bool:
    """Whether the server speaks of us, not of this mail."""
    if stage in _BEFORE_ANY_MAIL:
        return True
    return answer.code in _MUST_SIGN_IN or _TAKES_NOTHING_FROM_US.search(answer.words) is not None


# What comes before the first mail, and whether what the server says there may be shown.
_BEFORE_ANY_MAIL: Final[Mapping[Stage, bool]] = {
    Stage.CONNECT: False,
    Stage.TLS: False,
    Stage.HELLO: False,
    Stage.SIGN_IN: True,
}
