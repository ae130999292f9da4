"""An SPF record as its terms (RFC 7208 §4.6, §5, §6). Pure."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

_VERSION = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_MACROS = r"%\{[slodiphvSLODIPHV](?:[1-9][0-9]{0,2})?[rR]?[.\-+,/_=]*\}|%[%_-]"
_DOMAIN_SPEC = rf"(?:[!-$&-.0-~]|{_MACROS})+"
_MODIFIER = re.compile(rf"([A-Za-z][A-Za-z0-9_.-]*)=((?:[!-$&-~]|{_MACROS})*)")
_MECHANISM = re.compile(
    rf"([+?~-]?)([A-Za-z][A-Za-z0-9_.-]*)(?::({_DOMAIN_SPEC}))?(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{{0,2}}))?"
)
_NETWORK = re.compile(r"([+?~-]?)(ip[46]):([0-9A-Fa-f.:]+(?:/[0-9]{1,3})?)", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)[^.\s@]{1,63}(?:\.[^.\s@]{1,63})*\.[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*\.?"
)

_WITH_PREFIX: Final = frozenset({"a", "mx"})
_MAY_NAME: Final = frozenset({"a", "mx", "ptr"})
_MUST_NAME: Final = frozenset({"include", "exists"})


class RecordWrong(ValueError):
    """The record breaks the grammar; the result is `permerror` (§4.6)."""


@dataclass(frozen=True, slots=True)
class MechanismTerm:
    """One mechanism of a record, with its qualifier and what follows its name."""

    qualifier: str
    name: str
    domain: str | None = None
    prefix4: int = 32
    prefix6: int = 128
    network: IPv4Network | IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Mechanisms in their order, and where to go on if none is true."""

    terms: tuple[MechanismTerm, ...]
    redirect: str | None


def is_spf(text: str) -> bool:
    """Whether it is a record of this version at all; other texts at the name are none of ours (§4.5)."""
    return _VERSION.match(text) is not None


def is_domain(name: str) -> bool:
    """Whether it is a name of several labels that can be asked for (§4.3)."""
    return _DOMAIN.fullmatch(name) is not None


@lru_cache(maxsize=128)  # few senders send nearly everything
def read_record(text: str) -> Record:
    """Raises RecordWrong for any term that is wrong, also behind one that would be true (§4.6)."""
    if not text.isascii():
        raise RecordWrong
    terms: list[MechanismTerm] = []
    modifiers: dict[str, str] = {}
    for word in text.split(" ")[1:]:
        if not word:
            continue
        modifier = _MODIFIER.fullmatch(word)
        if modifier is None:
            terms.append(_mechanism(word))
            continue
        name = modifier.group(1).lower()
        if name in {"redirect", "exp"} and (name in modifiers or not modifier.group(2)):
            raise RecordWrong
        modifiers[name] = modifier.group(2)
    return Record(tuple(terms), modifiers.get("redirect"))


def _mechanism(word: str) -> MechanismTerm:
    network = _NETWORK.fullmatch(word)
    if network is not None:
        return _network_mechanism(*network.groups())
    match = _MECHANISM.fullmatch(word)
    if match is None:
        raise RecordWrong
    qualifier, name, domain, prefix4, prefix6 = match.groups()
    name = name.lower()
    if name not in {"all", *_MAY_NAME, *_MUST_NAME} or (domain is None and name in _MUST_NAME):
        raise RecordWrong
    if (domain is not None and name == "all") or (
        (prefix4 or prefix6) is not None and name not in _WITH_PREFIX
    ):
        raise RecordWrong
    prefix = int(prefix4 or 32), int(prefix6 or 128)
    if prefix[0] > 32 or prefix[1] > 128:
        raise RecordWrong
    return MechanismTerm(qualifier or "+", name, domain, *prefix)


def _network_mechanism(qualifier: str, name: str, text: str) -> MechanismTerm:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise RecordWrong from error
    if str(network.version) != name[-1]:
        raise RecordWrong
    return MechanismTerm(qualifier or "+", name.lower(), network=network)
