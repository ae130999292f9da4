"""Whether a mail that says it is Amazon's is: the only door of this room."""

from dataclasses import dataclass
from datetime import datetime

from services.mailrelay.authenticity.questions import Resolver
from shared.tables import Authenticity


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is a stable code, and the key of its text on the page; `results`, the value of an Authentication-Results field
    (RFC 8601). `is_temporary`: another try may say more.
    """

    authenticity: Authenticity
    reason: str
    results: str
    is_temporary: bool = False


async def authenticate(
    raw: bytes,
    *,
    peer_address: str,
    helo: str | None,
    mail_from: str,
    from_domain: str,
    received_at: datetime,
    resolver: Resolver,
) -> Verdict:
    """Check a mail whose one From is in a domain of Amazon's. Never raises.

    `mail_from` is the envelope's sender, empty for a bounce; `received_at`, when we accepted it: what a signature says of time
    is held to that, however late we come to look.
    """
    del raw, peer_address, helo, mail_from, from_domain, received_at, resolver
    return Verdict(Authenticity.UNCHECKABLE, "not_built", "mailrelay; none")
