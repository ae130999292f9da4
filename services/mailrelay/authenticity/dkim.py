"""DKIM (RFC 6376, RFC 8301, RFC 8463). First what needs only the mail, then what needs the signer's key.

Stricter than the RFC where it lets the receiver choose: a signature that leaves a part of the body unsigned (`l=`), that
leaves room for a second Subject above the signed one, or that leaves a Reply-To unsigned, proves nothing about what a reader
would see.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, get_args

from services.mailrelay.authenticity.canonical import Form, SignedMail, digest_of
from services.mailrelay.authenticity.covered import Covered
from services.mailrelay.authenticity.faults import Fault
from services.mailrelay.authenticity.keys import find_key
from services.mailrelay.authenticity.resolver import Resolver, Unanswered
from services.mailrelay.authenticity.tags import TagsUnreadable, bytes_of, read_tags, words_of
from services.mailrelay.parsing.structure import Field
from shared.crypto.signatures import KeyType

# Amazon's mails have two; a list or a forwarder adds one each.
MAX_SIGNATURES: Final = 8
# RFC 6376 names no bound. A signature by a key of 8,192 bits over a hundred fields has 4 KB.
MAX_SIGNATURE_BYTES: Final = 16 * 1024
# Clocks differ.
_SLACK: Final = timedelta(minutes=5)
# RFC 5322 §3.6 allows one of each, and a reader sees only one; the last one is not in RFC 5322 but changes what a reader sees.
_SINGLE: Final = frozenset(
    {"from", "sender", "reply-to", "to", "date", "subject", "message-id", "mime-version", "content-type"}
    | {"content-transfer-encoding"}
)
# Whoever has a true mail that lacks one of these could add their own: who gets the answer, what it is about, how it is read.
_SIGNED_IF_THERE: Final = frozenset({"reply-to", "subject", "content-type"})
_ALGORITHMS: Final[dict[str, KeyType]] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})+")
_SELECTOR = re.compile(r"(?=.{1,200}\Z)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature, as far as it can be checked without the key. One with a `fault` needs no key to be refused.

    `covered` is what it signs; None for a seal, which signs no mail.
    """

    domain: str
    selector: str
    algorithm: str
    identity_is_domain: bool
    digest: bytes
    value: bytes
    fault: Fault | None
    covered: Covered | None = None


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """A signature and what came of it: it has a fault, or the key could not be asked for, or (neither) it passed."""

    signature: Signature
    fault: Fault | None
    is_unanswered: bool = False

    @property
    def passed(self) -> bool:
        return self.fault is None and not self.is_unanswered

    @property
    def result(self) -> str:
        """The result in the words of RFC 8601 §2.7.1."""
        if self.is_unanswered:
            return "temperror"
        return "pass" if self.fault is None else self.fault.result


def read_signatures(mail: SignedMail, received_at: datetime) -> list[Signature]:
    """The signatures of a mail, the topmost one first."""
    return [_read(field, mail, received_at) for field in mail.named("dkim-signature")[:MAX_SIGNATURES]]


async def check_signature(signature: Signature, resolver: Resolver) -> CheckedSignature:
    """Check a signature with its signer's key."""
    if signature.fault is not None:
        return CheckedSignature(signature, signature.fault)
    try:
        key = await find_key(
            resolver,
            signature.domain,
            signature.selector,
            _ALGORITHMS[signature.algorithm],
            identity_is_domain=signature.identity_is_domain,
        )
    except Unanswered:
        return CheckedSignature(signature, None, is_unanswered=True)
    if isinstance(key, Fault):
        return CheckedSignature(signature, key)
    is_theirs = key.has_signed(signature.digest, signature.value)
    return CheckedSignature(signature, None if is_theirs else Fault.SIGNATURE_INVALID)


def _read(field: Field, mail: SignedMail, received_at: datetime) -> Signature:
    malformed = Signature("", "", "", False, b"", b"", Fault.SIGNATURE_MALFORMED)
    if len(field.raw) > MAX_SIGNATURE_BYTES:
        return malformed
    try:
        tags = read_tags(field.value.decode("ascii"))
        if tags["v"] != "1":
            return malformed
        return read_signature(field, tags, mail, received_at, identity=tags.get("i"))
    except (TagsUnreadable, KeyError, UnicodeDecodeError):
        return malformed


def read_signature(
    field: Field, tags: dict[str, str], mail: SignedMail, received_at: datetime, *, identity: str | None
) -> Signature:
    """A signature over header fields and body, whose tags are read. Raises TagsUnreadable or KeyError for tags that make no sense."""
    names = words_of(tags["h"])
    header_form, body_form = _forms(tags.get("c", "simple/simple"))
    chosen = mail.chosen(names)
    seal = read_seal(tags, digest_of(chosen, field, header_form))
    identity_domain = seal.domain if identity is None else identity.rpartition("@")[2].lower()
    if (
        "from" not in names
        or not (identity_domain == seal.domain or identity_domain.endswith(f".{seal.domain}"))
        or "dns/txt" not in words_of(tags.get("q", "dns/txt"))
    ):
        raise TagsUnreadable
    return replace(
        seal,
        identity_is_domain=identity_domain == seal.domain,
        fault=seal.fault or _fault(tags, names, mail, body_form, received_at),
        covered=Covered(frozenset(names), mail.in_their_order(chosen), bytes_of(tags["bh"])),
    )


def read_seal(tags: dict[str, str], digest: bytes) -> Signature:
    """A signature of something with this digest. Raises TagsUnreadable or KeyError."""
    domain, selector, algorithm = tags["d"].lower(), tags["s"].lower(), tags["a"].lower()
    if _DOMAIN.fullmatch(domain) is None or _SELECTOR.fullmatch(selector) is None:
        raise TagsUnreadable
    fault = None if algorithm in _ALGORITHMS else Fault.ALGORITHM_REFUSED
    return Signature(domain, selector, algorithm, True, digest, bytes_of(tags["b"]), fault)


def _fault(
    tags: dict[str, str], names: list[str], mail: SignedMail, body_form: Form, received_at: datetime
) -> Fault | None:
    if "x" in tags and _number(tags["x"]) < (received_at - _SLACK).timestamp():
        return Fault.SIGNATURE_EXPIRED
    body_hash, length = mail.body_hash(body_form)
    if "l" in tags and _number(tags["l"]) != length:
        return Fault.BODY_NOT_COVERED
    if bytes_of(tags["bh"]) != body_hash:
        return Fault.BODY_CHANGED
    if any(
        len(mail.named(name)) > names.count(name) for name in _SINGLE.intersection(names) | _SIGNED_IF_THERE
    ):
        return Fault.HEADER_ADDED
    return None


def _forms(value: str) -> tuple[Form, Form]:
    header, _, body = value.lower().partition("/")
    forms = {form: form for form in get_args(Form)}
    try:
        return forms[header], forms[body or "simple"]
    except KeyError as error:
        raise TagsUnreadable from error


def _number(value: str) -> int:
    # RFC 6376 §3.5: at most 76 digits for `l=`, and times until the year 200,000.
    if not (value.isascii() and value.isdecimal() and len(value) <= 76):
        raise TagsUnreadable
    return int(value)
