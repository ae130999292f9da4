"""SPF (RFC 7208): whether a domain lets this address send its mail.

Every question counts against the RFC's limits (§4.6.4), and against one of ours on all of them together.
"""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from services.mailrelay.authenticity.macros import Sender, expand
from services.mailrelay.authenticity.resolver import Kind, Resolver, Unanswered
from services.mailrelay.authenticity.spf_record import (
    MechanismTerm,
    RecordWrong,
    is_domain,
    is_spf,
    read_record,
)

MAX_LOOKUPS: Final = 10
MAX_VOID_LOOKUPS: Final = 2
# §4.6.4: the addresses of at most ten mail servers, or names of one address.
MAX_NAMES: Final = 10
# Ten `mx` with ten servers each would be a hundred: nobody needs as many, and each is a wait.
MAX_QUESTIONS: Final = 40

_RESULT_OF_QUALIFIER: Final = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class _PermanentError(Exception):
    """The domain's records are wrong, or need too many questions."""


async def check_host(resolver: Resolver, sender: Sender) -> str:
    """The result in the words of RFC 7208 §2.6: none, neutral, pass, fail, softfail, temperror or permerror."""
    if not is_domain(sender.domain):
        return "none"
    try:
        return await _Evaluation(resolver, sender).check(sender.domain)
    except (_PermanentError, RecordWrong):
        return "permerror"
    except Unanswered:
        return "temperror"


@dataclass(slots=True)
class _Evaluation:
    resolver: Resolver
    sender: Sender
    lookups: int = 0
    void_lookups: int = 0
    questions: int = 0

    async def check(self, domain: str) -> str:
        records = [text for text in await self._ask(domain, "TXT", counts_void=False) if is_spf(text)]
        if not records:
            return "none"
        if len(records) > 1:
            raise _PermanentError
        record = read_record(records[0])
        for term in record.terms:
            if await self._matches(term, domain):
                return _RESULT_OF_QUALIFIER[term.qualifier]
        if record.redirect is None:
            return "neutral"
        self._count_lookup()
        result = await self.check(self._target(record.redirect, domain))
        if result == "none":
            raise _PermanentError
        return result

    async def _matches(self, term: MechanismTerm, domain: str) -> bool:
        """Whether the mechanism matches the address of the sender (§5)."""
        if term.network is not None or term.name == "all":
            return term.network is None or self.sender.address in term.network
        self._count_lookup()
        target = domain if term.domain is None else self._target(term.domain, domain)
        match term.name:
            case "include":
                is_true = await self._includes(target)
            case "exists":
                is_true = bool(await self._ask(target, "A"))
            case "a":
                is_true = await self._has_address(target, term)
            case "mx":
                is_true = await self._has_mail_server(target, term)
            case _:  # "ptr"
                is_true = await self._is_named(target)
        return is_true

    async def _includes(self, target: str) -> bool:
        result = await self.check(target)
        if result == "none":
            raise _PermanentError
        return result == "pass"

    async def _has_address(self, name: str, term: MechanismTerm) -> bool:
        kind, prefix = self._kind, term.prefix4 if self._kind == "A" else term.prefix6
        networks = [ip_network(f"{text}/{prefix}", strict=False) for text in await self._ask(name, kind)]
        return any(self.sender.address in network for network in networks)

    async def _has_mail_server(self, name: str, term: MechanismTerm) -> bool:
        servers = [text.split()[-1] for text in await self._ask(name, "MX")]
        if len(servers) > MAX_NAMES:
            raise _PermanentError
        for server in servers:
            if server != "." and await self._has_address(server, term):
                return True
        return False

    async def _is_named(self, target: str) -> bool:
        """Whether the address has a name below the target (`ptr`, §5.5: nobody should publish it, but some do)."""
        names = await self._ask(self.sender.address.reverse_pointer, "PTR")
        for name in (name.lower().rstrip(".") for name in names[:MAX_NAMES]):
            is_below = f".{name}".endswith("." + target.lower().rstrip("."))
            if is_below and str(self.sender.address) in await self._ask(name, self._kind):
                return True
        return False

    @property
    def _kind(self) -> Kind:
        return "A" if self.sender.address.version == 4 else "AAAA"

    def _target(self, text: str, domain: str) -> str:
        target = expand(text, self.sender, domain)
        if not is_domain(target):
            raise _PermanentError
        return target

    def _count_lookup(self) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise _PermanentError

    async def _ask(self, name: str, kind: Kind, *, counts_void: bool = True) -> tuple[str, ...]:
        self.questions += 1
        if self.questions > MAX_QUESTIONS:
            raise _PermanentError
        found = await self.resolver.ask(name, kind)
        if not found and counts_void:
            self.void_lookups += 1
            if self.void_lookups > MAX_VOID_LOOKUPS:
                raise _PermanentError
        return found
