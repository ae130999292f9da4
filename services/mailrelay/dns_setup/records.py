"""Which DNS records a domain of relay addresses needs, and whether what was found there will do. Pure.

Replies come from relay addresses: their signatures (DKIM) and the server that brings them (SPF) have to be the domain's, as its DMARC
record has all else refused.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Final

from services.mailrelay.authenticity.keys import read_record
from shared.crypto.dkim_keys import DkimKey

_POLICY_MAX_AGE_SECONDS: Final = 604_800
# RFC 8461 §3.2: a year.
_POLICY_LONGEST_AGE_SECONDS: Final = 31_557_600

# RFC 1035 §3.3: a string has at most 255 bytes; a longer text is several (RFC 6376 §3.6.2.2).
_STRING_BYTES: Final = 255

NO_DKIM: Final = "DKIM: REPLYCO_DKIM_KEY_FILE names no key, so replies are not signed here. `python -m services.mailrelay keys dkim create` makes one."
NO_SMARTHOST: Final = (
    "SPF: the record says that no server sends for this domain. Once replies go out through a smarthost, set REPLYCO_SMARTHOST_SPF to what "
    "its operator says belongs into the record, such as include:spf.smarthost.example."
)


class RecordStatus(Enum):
    RIGHT = "right"
    WRONG = "wrong"
    MISSING = "missing"
    UNCHECKED = "could not be checked"


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to set. `value` is None where only the operator knows it. `is_satisfied_by` says whether the records found at its name will do."""

    name: str
    kind: str
    value: str | None
    reason: str
    is_satisfied_by: Callable[[Sequence[str]], bool]
    # Text records of other kinds may stand at the same name; only those that begin so are looked at.
    prefix: str = ""
    is_optional: bool = False

    @property
    def strings(self) -> tuple[str, ...]:
        """The value of a text record, cut into strings that the DNS takes."""
        value = self.value or ""
        return tuple(value[start : start + _STRING_BYTES] for start in range(0, len(value), _STRING_BYTES))


@dataclass(frozen=True, slots=True)
class RecordCheck:
    record: DnsRecord
    status: RecordStatus
    found: tuple[str, ...] = ()


def records_for(
    domain: str, hostname: str, *, smarthost_spf: str | None = None, dkim_keys: Sequence[DkimKey] = ()
) -> tuple[DnsRecord, ...]:
    """Everything to set but the PTR records, which depend on the host's addresses (`pointer_for`).

    `smarthost_spf`: the mechanisms that let the smarthost send for the domain; `dkim_keys`: every key that signs, will sign or has signed.
    """
    domain, hostname = _plain(domain), _plain(hostname)
    senders = [] if smarthost_spf is None else smarthost_spf.split()
    reports = f"mailto:postmaster@{domain}"
    return (
        DnsRecord(
            domain,
            "MX",
            f"10 {hostname}.",
            "where mail for the domain goes",
            lambda found: _names(found, hostname),
        ),
        DnsRecord(hostname, "A", None, "the relay's public IPv4 address", _any),
        DnsRecord(
            hostname, "AAAA", None, "the relay's public IPv6 address, if it has one", _any, is_optional=True
        ),
        _text(
            domain,
            " ".join(["v=spf1", *senders, "-all"]),
            "the smarthost sends for this domain, and nobody else"
            if senders
            else "nobody sends for this domain",
            "v=spf1",
            lambda found: _lets_send(found[0], senders),
        ),
        *(dkim_record(key, domain) for key in dkim_keys),
        _text(
            f"_dmarc.{domain}",
            f"v=DMARC1; p=reject; rua={reports}",
            "forged mail is refused by others, and they report it",
            "v=DMARC1",
            lambda found: _tags(found[0]).get("p", "").lower() == "reject",
        ),
        _text(
            f"_mta-sts.{domain}",
            f"v=STSv1; id={policy_id(hostname)}",
            "senders fetch the MTA-STS policy; a new id makes them fetch it again",
            "v=STSv1",
            lambda found: _is_id(_tags(found[0]).get("id", "")),
        ),
        DnsRecord(policy_host(domain), "A", None, "the web server that serves the MTA-STS policy", _any),
        _text(
            f"_smtp._tls.{domain}",
            f"v=TLSRPTv1; rua={reports}",
            "senders report when TLS failed",
            "v=TLSRPTv1",
            lambda found: bool(_tags(found[0]).get("rua")),
        ),
    )


def dkim_record(key: DkimKey, domain: str) -> DnsRecord:
    """The record of a key that replies are signed with. It is right if whoever checks a signature would take our key from it."""

    def has_our_key(found: Sequence[str]) -> bool:
        # Several records under one name are undefined (RFC 6376 §3.6.2.2).
        return len(found) == 1 and read_record(found[0], "rsa", identity_is_domain=True) == key.public

    return _text(
        key.record_name(_plain(domain)),
        key.record,
        "what replies are signed with is checked with it",
        "",
        has_our_key,
    )


def pointer_for(address: str, hostname: str) -> DnsRecord:
    """The PTR record of one of the host's addresses. It is set where the address is rented."""
    hostname = _plain(hostname)
    return DnsRecord(
        ip_address(address).reverse_pointer,
        "PTR",
        f"{hostname}.",
        f"the name of {address}",
        lambda found: [_plain(name) for name in found] == [hostname],
    )


def policy_for(hostname: str) -> str:
    """The MTA-STS policy file (RFC 8461 §3.2). It begins with `testing`: failures are reported, mail still comes."""
    return f"version: STSv1\nmode: testing\nmx: {_plain(hostname)}\nmax_age: {_POLICY_MAX_AGE_SECONDS}\n"


def policy_host(domain: str) -> str:
    """The web server's name that senders ask (RFC 8461 §3.3)."""
    return f"mta-sts.{_plain(domain)}"


def policy_file(domain: str, hostname: str) -> DnsRecord:
    """The policy as a record: its name is the URL, what is found are its lines."""
    return DnsRecord(
        f"https://{policy_host(domain)}/.well-known/mta-sts.txt",
        "HTTPS",
        policy_for(hostname),
        "senders insist on TLS as it says",
        lambda found: _names_host(found, _plain(hostname)),
    )


def policy_id(hostname: str) -> str:
    """The policy's id, which changes with its text (RFC 8461 §3.1: up to 32 letters and digits)."""
    return hashlib.sha256(policy_for(hostname).encode()).hexdigest()[:16]


def check_record(record: DnsRecord, answer: Sequence[str] | None) -> RecordCheck:
    """Compare a record with what the DNS answered; None stands for no answer."""
    if answer is None:
        return RecordCheck(record, RecordStatus.UNCHECKED)
    found = tuple(value for value in answer if value.lower().startswith(record.prefix.lower()))
    if not found:
        return RecordCheck(record, RecordStatus.RIGHT if record.is_optional else RecordStatus.MISSING)
    # Two SPF, DMARC, MTA-STS or TLS-RPT records count as none (RFC 7208 §4.5, 7489 §6.6.3, 8461 §3.1, 8460 §3).
    is_right = (not record.prefix or len(found) == 1) and record.is_satisfied_by(found)
    return RecordCheck(record, RecordStatus.RIGHT if is_right else RecordStatus.WRONG, found)


def _text(
    name: str, value: str, reason: str, prefix: str, is_satisfied_by: Callable[[Sequence[str]], bool]
) -> DnsRecord:
    return DnsRecord(name, "TXT", value, reason, is_satisfied_by, prefix=prefix)


def _any(_found: Sequence[str]) -> bool:
    return True


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _names(found: Sequence[str], hostname: str) -> bool:
    """Whether one of the MX records names the relay: a second one may stand beside it, at any preference."""
    return any(_plain(value.rpartition(" ")[2]) == hostname for value in found)


def _lets_send(found: str, senders: Sequence[str]) -> bool:
    """Whether an SPF record lets these send, and in the end nobody else. Where there are some, others may stand beside them."""
    words, wanted = found.lower().split(), {sender.lower() for sender in senders}
    named = {word.removeprefix("+") for word in words[1:-1]}
    return (
        words[:1] == ["v=spf1"]
        and words[-1] == "-all"
        and not named & {"all", "?all", "~all"}
        and named >= wanted
        and (bool(wanted) or not named)
    )


def _is_id(value: str) -> bool:
    return 0 < len(value) <= 32 and value.isascii() and value.isalnum()


def _names_host(policy: Sequence[str], hostname: str) -> bool:
    """Whether the policy does something, and names the relay among its hosts (RFC 8461 §3.2, §4.1)."""
    fields = [
        (name.strip(), content.strip()) for name, _, content in (line.partition(":") for line in policy)
    ]
    single = dict(reversed(fields))
    age = single.get("max_age", "")
    hosts = [_plain(content) for name, content in fields if name == "mx"]
    return (
        single.get("version") == "STSv1"
        and single.get("mode") in {"testing", "enforce"}
        and age.isascii()
        and age.isdigit()
        and int(age[:20]) <= _POLICY_LONGEST_AGE_SECONDS
        and (hostname in hosts or f"*.{hostname.partition('.')[2]}" in hosts)
    )


def _tags(value: str) -> dict[str, str]:
    """The tags of a record such as `v=DMARC1; p=reject`."""
    tags = (tag.partition("=") for tag in value.split(";"))
    return {name.strip().lower(): content.strip() for name, _, content in tags}
