"""The macros of SPF records (RFC 7208 §7)."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self
from urllib.parse import quote

_MACRO = re.compile(r"%\{([slodiphv])([0-9]{0,3})(r?)([.\-+,/_=]*)\}|%([%_-])", re.IGNORECASE)
_LITERAL: Final = {"%": "%", "_": " ", "-": "%20"}
# §7.3: what is too long loses labels on the left.
_MAX_DOMAIN_CHARS: Final = 253


@dataclass(frozen=True, slots=True)
class Sender:
    """Who handed a mail to us: the address, the name that it greeted with, and whom it named as the sender."""

    address: IPv4Address | IPv6Address
    helo: str
    mail_from: str
    has_sender: bool

    @classmethod
    def of(cls, peer_address: str, helo: str | None, mail_from: str) -> Self:
        """A bounce has no sender; then it is the postmaster of the greeting's name (RFC 7208 §2.4)."""
        address = ip_address(peer_address)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        local, _, domain = mail_from.rpartition("@")
        identity = f"{local or 'postmaster'}@{domain}" if mail_from else f"postmaster@{helo or ''}"
        return cls(mapped or address, helo or "", identity, bool(mail_from))

    @property
    def domain(self) -> str:
        """The domain whose record says whether this address may send."""
        return self.mail_from.rpartition("@")[2].lower().rstrip(".")

    def values(self, domain: str) -> dict[str, str]:
        """The value of each macro letter in a record of this domain (§7.2)."""
        local, _, sender_domain = self.mail_from.rpartition("@")
        return {
            "s": self.mail_from,
            "l": local,
            "o": sender_domain,
            "d": domain,
            "i": _dotted(self.address),
            # The address's own name costs questions, and the RFC wants nobody to use it (§7.3).
            "p": "unknown",
            "v": "in-addr" if self.address.version == 4 else "ip6",
            "h": self.helo,
        }


def expand(text: str, sender: Sender, domain: str) -> str:
    """The name that a term of the domain's record means. The text is one that `spf_record` has read."""

    values = sender.values(domain)

    def replaced(match: re.Match[str]) -> str:
        letter, digits, reverse, delimiters, literal = match.groups()
        if literal is not None:
            return _LITERAL[literal]
        parts = re.split(f"[{re.escape(delimiters or '.')}]", values[letter.lower()])
        if reverse:
            parts.reverse()
        if digits:
            parts = parts[-int(digits) :]
        value = ".".join(parts)
        return quote(value, safe="-._~") if letter.isupper() else value

    name = _MACRO.sub(replaced, text).rstrip(".")
    while len(name) > _MAX_DOMAIN_CHARS and "." in name:
        name = name.partition(".")[2]
    return name


def _dotted(address: IPv4Address | IPv6Address) -> str:
    return str(address) if address.version == 4 else ".".join(address.exploded.replace(":", ""))
