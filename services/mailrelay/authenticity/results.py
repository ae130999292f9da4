"""The results of all checks, as the value of an Authentication-Results field (RFC 8601)."""

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from services.mailrelay.authenticity.arc import CheckedChain
from services.mailrelay.authenticity.dkim import CheckedSignature
from services.mailrelay.authenticity.macros import Sender

# RFC 8601 §2.5: whose results these are. They are for our own pages and never leave in a header.
AUTHSERV_ID: Final = "mailrelay"
NOTHING_CHECKED: Final = f"{AUTHSERV_ID}; none"

_TOKEN = re.compile(r"[A-Za-z0-9!#$&'*+.^_`{|}~@-]+")
_MAX_VALUE_CHARS: Final = 320

_RESULT = re.compile(r"([a-z0-9-]{1,20})=([a-z]{1,20})\b([^;]*)", re.IGNORECASE)
_PROPERTY = re.compile(r"([a-z]{1,20})\.([a-z-]{1,20})=(\S+)", re.IGNORECASE)
_COMMENT = re.compile(r"\([^()]{0,1000}\)")


@dataclass(frozen=True, slots=True)
class Results:
    """The results of DKIM, SPF, DMARC and ARC, each in the words of its RFC."""

    dkim: tuple[CheckedSignature, ...]
    spf: str
    dmarc: str
    arc: CheckedChain

    def to_field_value(self, sender: Sender, from_domain: str) -> str:
        """The results as the value of an Authentication-Results field."""
        spf_of = (
            f"smtp.mailfrom={_value(sender.mail_from)}"
            if sender.has_sender
            else f"smtp.helo={_value(sender.helo)}"
        )
        arc_of = f" arc.chain={_value(':'.join(self.arc.sealers))}" if self.arc.sealers else ""
        return "; ".join(
            [
                AUTHSERV_ID,
                *(map(_dkim, self.dkim) if self.dkim else ["dkim=none"]),
                f"spf={self.spf} {spf_of}",
                f"dmarc={self.dmarc} header.from={_value(from_domain)}",
                f"arc={self.arc.result}{arc_of}",
            ]
        )


def domains_that_passed(value: str, method: str, names: frozenset[str]) -> set[str]:
    """The domains that another receiver's field says have passed, from the properties with these names."""
    found: set[str] = set()
    for name, result, rest in _RESULT.findall(_COMMENT.sub(" ", value)):
        if name.lower() == method and result.lower() == "pass":
            found |= {
                text.strip('"').rpartition("@")[2].lower()
                for kind, prop, text in _PROPERTY.findall(rest)
                if f"{kind}.{prop}".lower() in names
            }
    return found


def signatures_that_passed(value: str) -> list[bool]:
    """Of each signature, in their order, whether results of our own (`Results.to_field_value`) say that it has passed."""
    # None of what stands there of a signature can hold what separates the entries.
    entries = value.split("; ")[1:]
    return [
        entry.startswith("dkim=pass ") for entry in takewhile(lambda one: one.startswith("dkim="), entries)
    ]


def _dkim(checked: CheckedSignature) -> str:
    signature = checked.signature
    reason = f' reason="{checked.fault.description}"' if checked.fault is not None else ""
    if not signature.domain:
        return f"dkim={checked.result}{reason}"
    return (
        f"dkim={checked.result}{reason} header.d={_value(signature.domain)} header.s={_value(signature.selector)} "
        f"header.a={_value(signature.algorithm)}"
    )


def _value(text: str) -> str:
    """The text as a token if it is one, else quoted; what is not printable ASCII is replaced."""
    text = "".join(c if " " <= c <= "~" else "?" for c in text[:_MAX_VALUE_CHARS])
    if _TOKEN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
