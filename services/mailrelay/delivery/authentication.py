"""Whether each mail of a batch is from whom it says, and how long to wait for the DNS to tell: outside every transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.resolver import Resolver
from services.mailrelay.authenticity.verdict import (
    NOT_FROM_AMAZON,
    Examined,
    Verdict,
    decide,
    decide_claim,
    examine,
)
from services.mailrelay.delivery.unsealing import UnsealedMail
from services.mailrelay.parsing.mail import ParsedMail

# A batch waits for its slowest mail. An answer that takes longer is there when the mail is tried again.
BATCH_SECONDS: Final = 3.0
# A mail whose verdict does not come waits so long in all, and then goes to quarantine as what could not be checked.
PATIENCE: Final = timedelta(minutes=10)
_SHORTEST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(seconds=60)
# How long after which age a stored message is rechecked; older ones stay as they are.
_RECHECKS: Final = (
    (timedelta(minutes=20), timedelta(minutes=10)),
    (timedelta(hours=2), timedelta(hours=1)),
    (timedelta(hours=12), timedelta(hours=6)),
    (timedelta(days=7), timedelta(days=1)),
)


@dataclass(frozen=True, slots=True)
class AuthenticatedMail:
    """A mail that was unsealed and parsed, and whose sender was checked. The verdict may be that nobody could say."""

    unsealed: UnsealedMail
    parsed: ParsedMail
    verdict: Verdict


async def authenticate_batch(
    unsealed: Sequence[UnsealedMail], parsed: Sequence[ParsedMail], resolver: Resolver
) -> list[AuthenticatedMail]:
    """Check each mail's sender. Raises SealBroken for an envelope that does not open."""
    examined = await asyncio.to_thread(
        lambda: [_examine(mail, content) for mail, content in zip(unsealed, parsed, strict=True)]
    )
    verdicts = await asyncio.gather(*(decide(one, resolver, seconds=BATCH_SECONDS) for one in examined))
    return [AuthenticatedMail(*mail) for mail in zip(unsealed, parsed, verdicts, strict=True)]


def _examine(unsealed: UnsealedMail, parsed: ParsedMail) -> Examined | Verdict:
    decided = decide_claim(parsed.claim)
    if decided is not None or parsed.from_domain is None:
        return decided or NOT_FROM_AMAZON
    envelope, queued = unsealed.envelope(), unsealed.queued
    sender = Sender.of(queued.peer_address, envelope.get("helo"), envelope.get("mail_from", ""))
    return examine(unsealed.raw, sender, parsed.from_domain, queued.accepted_at)


def wait_before_storing(verdict: Verdict, accepted_at: datetime, now: datetime) -> timedelta | None:
    """How long to wait for a better verdict; None means that the mail is stored with this one."""
    waited = now - accepted_at
    if not verdict.is_temporary or waited >= PATIENCE:
        return None
    return min(max(waited / 2, _SHORTEST_WAIT), _LONGEST_WAIT)


def recheck_at(verdict: Verdict, accepted_at: datetime, now: datetime) -> datetime | None:
    """When a stored message is rechecked: after minutes, hours, then every day for a week. None if another check could change nothing."""
    if not verdict.is_temporary:
        return None
    return next((now + delay for age, delay in _RECHECKS if now - accepted_at < age), None)
