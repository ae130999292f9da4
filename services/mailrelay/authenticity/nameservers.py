"""Answers from name servers: cached for as long as they say, and asked for once by all who wait for the same.

Most of Amazon's mail needs the same few records, so that an ordinary mail asks nothing. When the servers are dead, one question
finds it out and all others are told at once; a domain whose own servers are slow is told apart from that by asking for the root,
which every living resolver knows.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdtypes.txtbase
import dns.resolver

from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.authenticity.resolver import Kind, Unanswered
from shared.availability import Dependency
from shared.errors import CannotStart

# A recursive resolver gives up on a domain's own servers after a few seconds.
QUESTION_SECONDS: Final = 4.0
_SERVER_SECONDS: Final = 2.0
# The question for the root, which every resolver can answer at once.
_PROBE_SECONDS: Final = 1.5
# Dead servers are tried again after this.
DEAD_SECONDS: Final = 10.0
# A record may say that it must not be kept at all: a batch of mails still shares it.
SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 3600
# A signer's new key may be asked for before it is published.
NOTHING_SECONDS: Final = 60
UNANSWERED_SECONDS: Final = 5
MAX_CACHED: Final = 10_000
# A key of 8,192 bits has 1,400. Longer answers are asked for each time.
MAX_CACHED_CHARS: Final = 4096
MAX_ASKING: Final = 100
# Questions whose answers are only noted down have slots of their own: strangers decide how many there are, and how slow.
MAX_NOTING: Final = 30

# What cannot be a name has no records.
_NO_NAME: Final = (
    dns.name.LabelTooLong,
    dns.name.EmptyLabel,
    dns.name.NameTooLong,
    dns.name.BadEscape,
    UnicodeError,
)

_Question = tuple[str, Kind]


@dataclass(frozen=True, slots=True)
class _CachedAnswer:
    texts: tuple[str, ...] | None
    """None: the question was not answered."""
    until: float


class NoNameServers(CannotStart):
    """No name server is configured, and the machine itself has none."""


class NameServers:
    """A resolver that asks the given name servers, or those of the machine, and caches what they answer."""

    def __init__(
        self,
        servers: Sequence[tuple[str, int]],
        metrics: DnsMetrics,
        *,
        question_seconds: float = QUESTION_SECONDS,
        max_asking: int = MAX_ASKING,
        max_cached: int = MAX_CACHED,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without servers, those of the machine are asked. Raises NoNameServers."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration as error:
            raise NoNameServers(
                "This machine names no name servers (/etc/resolv.conf). Set REPLYCO_NAMESERVERS to some, such as 192.0.2.53."
            ) from error
        if servers:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(address, port) for address, port in servers
            ]
        # A key does not fit into the 512 bytes that are certain; this much passes everywhere (RFC 9715).
        self._resolver.use_edns(0, 0, 1232)
        self._resolver.timeout = min(_SERVER_SECONDS, question_seconds)
        self._question_seconds = question_seconds
        self._metrics = metrics
        self._now = now
        self._cache: OrderedDict[_Question, _CachedAnswer] = OrderedDict()
        self._pending: dict[tuple[_Question, bool], asyncio.Task[_CachedAnswer]] = {}
        self._slots = {True: asyncio.Semaphore(max_asking), False: asyncio.Semaphore(MAX_NOTING)}
        self._max_cached = max_cached
        self._probing = asyncio.Lock()
        self._answers = 0
        self._reached = Dependency("name_servers")
        self._dead_until = 0.0

    async def ask(self, name: str, kind: Kind, *, proves: bool = True) -> tuple[str, ...]:
        """Answer from the cache, else ask the servers, once for all who wait for the same. Raises Unanswered."""
        question = name.lower().rstrip("."), kind
        found = self._recall(question)
        if found is None:
            task = self._pending.get((question, True)) or self._pending.get((question, proves))
            if task is None:
                task = self._pending[question, proves] = asyncio.create_task(
                    self._find(question, self._slots[proves])
                )
                task.add_done_callback(lambda _task: self._pending.pop((question, proves), None))
            # A caller that gives up does not cancel the question for the others.
            found = await asyncio.shield(task)
        return _texts(found)

    async def close(self) -> None:
        """Cancel the questions that are under way."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _recall(self, question: _Question) -> _CachedAnswer | None:
        found = self._cache.get(question)
        if found is not None and found.until > self._now():
            self._cache.move_to_end(question)
            self._metrics.remembered.inc()
            return found
        if self._dead_until > self._now():
            return _CachedAnswer(None, 0.0)
        return None

    async def _find(self, question: _Question, slots: asyncio.Semaphore) -> _CachedAnswer:
        began = time.perf_counter()
        # Nobody waits longer: questions about slow domains must not stand for hours before others.
        try:
            async with asyncio.timeout(self._question_seconds):
                await slots.acquire()
        except TimeoutError:
            return _CachedAnswer(None, 0.0)
        try:
            found = await self._ask_servers(question)
        finally:
            slots.release()
        self._metrics.seconds.observe(time.perf_counter() - began)
        self._metrics.asked.labels("unanswered" if found.texts is None else "answered").inc()
        if sum(map(len, found.texts or ())) <= MAX_CACHED_CHARS:
            self._cache[question] = found
            self._cache.move_to_end(question)
            if len(self._cache) > self._max_cached:
                self._cache.popitem(last=False)
        return found

    async def _ask_servers(self, question: _Question) -> _CachedAnswer:
        unanswered = _CachedAnswer(None, self._now() + UNANSWERED_SECONDS)
        if self._dead_until > self._now():
            return unanswered
        answers = self._answers
        try:
            answer = await self._resolve(dns.name.from_text(question[0]), question[1], self._question_seconds)
        except (dns.resolver.NXDOMAIN, *_NO_NAME):
            return _CachedAnswer((), self._now() + NOTHING_SECONDS)
        except (dns.exception.DNSException, OSError):
            await self._find_out_whether_dead(answers)
            return unanswered
        if answer.rrset is None:
            return _CachedAnswer((), self._now() + NOTHING_SECONDS)
        seconds = min(max(answer.rrset.ttl, SHORTEST_SECONDS), LONGEST_SECONDS)
        return _CachedAnswer(tuple(_as_text(value) for value in answer.rrset), self._now() + seconds)

    async def _resolve(
        self, name: dns.name.Name, kind: Kind | Literal["NS"], seconds: float
    ) -> dns.resolver.Answer:
        try:
            answer = await self._resolver.resolve(
                name, kind, raise_on_no_answer=False, search=False, lifetime=seconds
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoNameservers) as error:
            # `errors` has what each server said; a server that could not be reached said nothing.
            if isinstance(error, dns.resolver.NXDOMAIN) or any(said[4] for said in error.kwargs["errors"]):
                self._note_answer()
            raise
        self._note_answer()
        return answer

    def _note_answer(self) -> None:
        self._answers += 1
        self._reached.answers()

    async def _find_out_whether_dead(self, answers: int) -> None:
        """A question was not answered. If any other was meanwhile, or the root is known, the servers live."""
        async with self._probing:
            if self._answers > answers or self._dead_until > self._now():
                return
            with contextlib.suppress(dns.exception.DNSException, OSError):
                await self._resolve(dns.name.root, "NS", min(_PROBE_SECONDS, self._question_seconds))
            if self._answers == answers:
                self._dead_until = self._now() + DEAD_SECONDS
                self._metrics.dead.inc()
                self._reached.is_away()


def _texts(found: _CachedAnswer) -> tuple[str, ...]:
    if found.texts is None:
        raise Unanswered
    return found.texts


def _as_text(value: dns.rdata.Rdata) -> str:
    if isinstance(value, dns.rdtypes.txtbase.TXTBase):
        return b"".join(value.strings).decode("utf-8", "replace")
    return value.to_text()
