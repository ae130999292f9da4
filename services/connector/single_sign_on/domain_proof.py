"""How an account proves that a mail domain is its own: by a TXT record that only whoever keeps the domain's DNS can set."""

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype

from shared.crypto.envelope import AccountKeys

# The texts of a name. Raises OSError.
AskTexts = Callable[[str], Awaitable[Sequence[str]]]

_SECONDS: Final = 4.0
_PREFIX: Final = "replyco-domain="
_TOKEN_BYTES: Final = 18


def record_name(domain: str) -> str:
    return f"_replyco.{domain}"


def record_value(keys: AccountKeys, domain: str) -> str:
    """The same whenever it is asked for: nothing needs to be stored, and no other account has it."""
    token = urlsafe_b64encode(keys.lookup_hash("oidc_domain", domain)[:_TOKEN_BYTES]).decode()
    return _PREFIX + token


def is_proven(texts: Iterable[str], value: str) -> bool:
    return any(text.strip() == value for text in texts)


async def ask_texts(name: str, *, servers: Sequence[tuple[str, int]] = ()) -> Sequence[str]:
    """Ask for the TXT records of a name: these name servers, or the machine's. Raises OSError."""
    try:
        resolver = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in servers]
        answer = await resolver.resolve(
            f"{name}.", dns.rdatatype.TXT, search=False, lifetime=_SECONDS, raise_on_no_answer=False
        )
    except dns.exception.DNSException as error:
        raise OSError("no answer from DNS") from error
    return [b"".join(each.strings).decode("ascii", "replace") for each in answer]
