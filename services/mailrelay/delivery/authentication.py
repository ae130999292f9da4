"""Whether each mail of a batch is from whom it says, and how long to wait for the DNS to tell: outside every transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.mailrelay.authenticity.addressees import Addressees
from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.resolver import Resolver
from services.mailrelay.authenticity.verdict import (
    NOT_FROM_AMAZON,
    Examined,
    Verdict,
    covered_as_decided,
    decide,
    decide_claim,
    examine,
)
from services.mailrelay.delivery.unsealing import UnsealedMail
from services.mailrelay.parsing.claimed_sender import ClaimedSender, claimed_sender
from shared.crypto.envelope import AccountKeys
from shared.tables import Authenticity

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
    """A mail that was unsealed, and whose sender was checked. The verdict may be that nobody could say."""

    unsealed: UnsealedMail
    sender: ClaimedSender
    verdict: Verdict
    addressees: Addressees | None
    """Whom the mail names under its signature; None if nothing is signed."""

    @property
    def identity(self) -> bytes:
        """By what a copy of the mail is recognised: by what of it is signed, else by all but the lines of its way."""
        covered = self.verdict.covered
        return self.sender.digest if covered is None else covered.identity

    @property
    def is_proven(self) -> bool:
        return self.verdict.authenticity is Authenticity.AUTHENTIC

    @property
    def is_elsewhere(self) -> bool:
        """Whether something of the mail is signed, and that does not name the relay address at which it came."""
        return self.addressees is not None and not self.addressees.is_here

    @property
    def is_elsewhere_at_ours(self) -> bool:
        return self.addressees is not None and self.addressees.is_elsewhere_at_ours

    @property
    def sent_to(self) -> tuple[str, ...]:
        """Whom the mail names instead."""
        return self.addressees.others if self.addressees is not None and self.is_elsewhere else ()

    def sent_to_keys(self, keys: AccountKeys) -> list[bytes]:
        """Keyed hashes of them, as `forwarded_mailboxes` has them."""
        return [keys.lookup_hash("mailbox", address) for address in self.sent_to]

    def readable(self) -> bytes:
        """What may be read of the mail: what is signed of it, if anything is; else all."""
        covered = self.verdict.covered
        return self.unsealed.raw if covered is None else covered.alone_in(self.unsealed.raw)


async def authenticate_batch(unsealed: Sequence[UnsealedMail], resolver: Resolver) -> list[AuthenticatedMail]:
    """Check each mail's sender. Raises SealBroken for an envelope that does not open."""
    examined = await asyncio.to_thread(lambda: [_examine(mail) for mail in unsealed])
    verdicts = await asyncio.gather(*(decide(one, resolver, seconds=BATCH_SECONDS) for _, one in examined))
    return [
        AuthenticatedMail(mail, sender, verdict, _addressees(mail, verdict))
        for mail, (sender, _), verdict in zip(unsealed, examined, verdicts, strict=True)
    ]


def _addressees(mail: UnsealedMail, verdict: Verdict) -> Addressees | None:
    return None if verdict.covered is None else Addressees.of(verdict.covered, mail.envelope()["rcpt_to"])


def _examine(unsealed: UnsealedMail) -> tuple[ClaimedSender, Examined | Verdict]:
    claimed = claimed_sender(unsealed.raw)
    decided = decide_claim(claimed.claim)
    if decided is not None or claimed.domain is None:
        return claimed, decided or NOT_FROM_AMAZON
    envelope, queued = unsealed.envelope(), unsealed.queued
    sender = Sender.of(queued.peer_address, envelope.get("helo"), envelope.get("mail_from", ""))
    return claimed, examine(unsealed.raw, sender, claimed.domain, queued.accepted_at)


def readable_as_decided(raw: bytes, received_at: datetime, reason: str | None, results: str) -> bytes:
    """What may be read of a mail (`AuthenticatedMail.readable`) that got this verdict before. Asks nobody."""
    sender = claimed_sender(raw)
    if decide_claim(sender.claim) is not None or sender.domain is None:
        return raw
    covered = covered_as_decided(raw, sender.domain, received_at, reason, results)
    return raw if covered is None else covered.alone_in(raw)


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
