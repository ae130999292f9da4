"""To whom Amazon has sent a mail: what its signed To and Cc name, against the address at which it came. Pure."""

from dataclasses import dataclass
from typing import Self

from services.mailrelay.authenticity.covered import Covered
from services.mailrelay.parsing.mailboxes import Mailbox
from shared.addresses import comparable_address


@dataclass(frozen=True, slots=True)
class Addressees:
    """Whom a mail names under its signature.

    `is_here`: the relay address at which it came is one of them. `is_elsewhere_at_ours`: none is, but another address of our mail domain.
    `others` are all that are named, each once, in the form in which they are compared.
    """

    is_here: bool
    is_elsewhere_at_ours: bool
    others: tuple[str, ...]

    @classmethod
    def of(cls, covered: Covered, rcpt_to: str) -> Self:
        """`rcpt_to` is the recipient in the envelope: a relay address, in whatever way somebody has written it."""
        local, _, domain = rcpt_to.lower().rstrip(".").rpartition("@")
        here = local.partition("+")[0], domain
        named = [(box, comparable_address(f"{box.local}@{box.domain}")) for box in covered.recipients]
        is_here = any(_relay_address(box) == here for box, _ in named)
        return cls(
            is_here=is_here,
            is_elsewhere_at_ours=not is_here and any(_relay_address(box)[1] == domain for box, _ in named),
            others=tuple(dict.fromkeys(address for _, address in named)),
        )


def _relay_address(box: Mailbox) -> tuple[str, str]:
    """A mailbox as the relay compares it: in any case, without a `+tag` and a final dot."""
    return box.local.lower().partition("+")[0], box.domain.lower().rstrip(".")
