"""ARC (RFC 8617): what earlier receivers say that they found; each seal also covers all earlier ones."""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.mailrelay.authenticity.canonical import SignedMail, digest_of
from services.mailrelay.authenticity.covered import Covered
from services.mailrelay.authenticity.dkim import (
    MAX_SIGNATURE_BYTES,
    CheckedSignature,
    Signature,
    check_signature,
    read_seal,
    read_signature,
)
from services.mailrelay.authenticity.resolver import Resolver
from services.mailrelay.authenticity.tags import TagsUnreadable, read_tags
from services.mailrelay.parsing.structure import Field

# RFC 8617 §4.2.1 allows 50. Two forwarders make two; each more costs a question and a hash over all before it.
MAX_SETS: Final = 10

_RESULTS, _MESSAGE, _SEAL = "arc-authentication-results", "arc-message-signature", "arc-seal"
_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,2})[ \t\r\n]*;")


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of the right form, whose seals are not checked yet. `first_results` are the results that the first receiver noted."""

    sealers: tuple[str, ...]
    first_results: str
    to_check: tuple[Signature, ...]

    @property
    def covered(self) -> Covered | None:
        """What the newest forwarder has signed of the mail; None if it is not what it has signed."""
        newest = self.to_check[-1]
        return newest.covered if newest.fault is None else None


@dataclass(frozen=True, slots=True)
class CheckedChain:
    """A chain and what came of it: none, pass or fail (RFC 8617 §4.4), or temperror if a key could not be asked for."""

    result: str
    sealers: tuple[str, ...] = ()
    first_results: str = ""


def read_chain(mail: SignedMail, received_at: datetime) -> Chain | CheckedChain:
    """The chain of a mail, to be checked; or the result, if there is none or its form already breaks it."""
    try:
        sets = _sets(mail)
        if not sets:
            return CheckedChain("none")
        to_check: list[Signature] = []
        earlier: list[Field] = []
        for instance, (results, message, seal) in enumerate(sets, 1):
            tags = _tags(seal)
            if "h" in tags or tags["cv"].lower() != ("none" if instance == 1 else "pass"):
                return CheckedChain("fail")
            earlier += [results, message]
            to_check.append(read_seal(tags, digest_of(earlier, seal, "relaxed")))
            earlier.append(seal)
        newest = sets[-1][1]
        tags = _tags(newest)
        if "arc-seal" in tags["h"].lower():
            return CheckedChain("fail")
        to_check.append(read_signature(newest, tags, mail, received_at, identity=None))
    except (TagsUnreadable, KeyError):
        return CheckedChain("fail")
    first_results = sets[0][0].value.decode("utf-8", "replace")
    return Chain(tuple(seal.domain for seal in to_check[:-1]), first_results, tuple(to_check))


async def check_chain(chain: Chain | CheckedChain, resolver: Resolver) -> CheckedChain:
    """Check every seal, and the newest signature of the mail, with their signers' keys."""
    if isinstance(chain, CheckedChain):
        return chain
    checked: list[CheckedSignature] = await asyncio.gather(
        *(check_signature(one, resolver) for one in chain.to_check)
    )
    if any(one.fault is not None for one in checked):
        return CheckedChain("fail", chain.sealers)
    if any(one.is_unanswered for one in checked):
        return CheckedChain("temperror", chain.sealers)
    return CheckedChain("pass", chain.sealers, chain.first_results)


def _sets(mail: SignedMail) -> list[tuple[Field, Field, Field]]:
    """The three fields of each instance, from the first on. Raises TagsUnreadable if any is missing or there twice."""
    by_name = {name: _by_instance(mail.named(name)) for name in (_RESULTS, _MESSAGE, _SEAL)}
    instances = sorted(by_name[_SEAL])
    if any(sorted(fields) != instances for fields in by_name.values()):
        raise TagsUnreadable
    if instances != list(range(1, len(instances) + 1)):
        raise TagsUnreadable
    return [(by_name[_RESULTS][i], by_name[_MESSAGE][i], by_name[_SEAL][i]) for i in instances]


def _by_instance(fields: list[Field]) -> dict[int, Field]:
    if len(fields) > MAX_SETS or any(len(field.raw) > MAX_SIGNATURE_BYTES for field in fields):
        raise TagsUnreadable
    found = {_instance_of(field): field for field in fields}
    if len(found) != len(fields):
        raise TagsUnreadable
    return found


def _instance_of(field: Field) -> int:
    if field.name != _RESULTS:
        text = _tags(field)["i"]
    elif (match := _INSTANCE.match(field.value)) is not None:
        text = match.group(1).decode()
    else:
        raise TagsUnreadable
    if not (text.isascii() and text.isdecimal() and len(text) <= 2):
        raise TagsUnreadable
    return int(text)


def _tags(field: Field) -> dict[str, str]:
    try:
        return read_tags(field.value.decode("ascii"))
    except UnicodeDecodeError as error:
        raise TagsUnreadable from error
