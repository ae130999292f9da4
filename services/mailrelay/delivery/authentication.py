"""Whose mail it is: asked for each mail before it is stored, outside every transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.mailrelay.authenticity import verdict as authenticity
from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.questions import Resolver
from services.mailrelay.authenticity.verdict import Examined, Verdict, examine, judge_claim
from services.mailrelay.delivery.unsealing import Opened
from services.mailrelay.parsing.mail import ParsedMail

# A batch waits for its slowest mail. An answer that takes longer is there when the mail is tried again.
BATCH_SECONDS: Final = 3.0
# A mail whose verdict does not come waits so long in all, and then goes to quarantine as what could not be checked.
PATIENCE: Final = timedelta(minutes=10)
_SHORTEST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(seconds=60)
# How long after which age a stored message is looked at again; older ones stay as they are.
_RECHECKS: Final = (
    (timedelta(minutes=20), timedelta(minutes=10)),
    (timedelta(hours=2), timedelta(hours=1)),
    (timedelta(hours=12), timedelta(hours=6)),
    (timedelta(days=7), timedelta(days=1)),
)


@dataclass(frozen=True, slots=True)
class Understood:
    """A mail that was opened and parsed."""

    opened: Opened
    mail: ParsedMail


async def judge(items: Sequence[Understood], resolver: Resolver) -> list[Verdict]:
    """Whether each mail is from whom it says. Raises SealBroken for an envelope that does not open."""
    examined = await asyncio.to_thread(lambda: [_examined(item) for item in items])
    return list(
        await asyncio.gather(*(authenticity.judge(one, resolver, seconds=BATCH_SECONDS) for one in examined))
    )


def _examined(item: Understood) -> Examined | Verdict:
    mail, taken = item.mail, item.opened.taken
    decided = judge_claim(mail.claim)
    if decided is not None or mail.from_domain is None:
        return decided or authenticity.NOT_FROM_AMAZON
    envelope = item.opened.envelope()
    sender = Sender.of(taken.peer_address, envelope.get("helo"), envelope.get("mail_from", ""))
    return examine(item.opened.raw, sender, mail.from_domain, taken.accepted_at)


def wait_before_storing(verdict: Verdict, accepted_at: datetime, now: datetime) -> timedelta | None:
    """How long to wait for a better verdict; None: store it with this one."""
    waited = now - accepted_at
    if not verdict.is_temporary or waited >= PATIENCE:
        return None
    return min(max(waited / 2, _SHORTEST_WAIT), _LONGEST_WAIT)


def recheck_at(verdict: Verdict, accepted_at: datetime, now: datetime) -> datetime | None:
    """When a stored message is looked at again: after minutes, hours, then every day for a week."""
    if not verdict.is_temporary:
        return None
    return next((now + delay for age, delay in _RECHECKS if now - accepted_at < age), None)
