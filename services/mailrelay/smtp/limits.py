"""How much one client, one network and all of them together may ask of a process.

A client that delivers mail to known recipients meets no limit: an accepted mail forgives a session's commands and errors, and
the limit on harvesting addresses delays only the replies that follow an unknown recipient. Trusted networks (Amazon's ranges)
are held by no limit but memory, commands and time, and a part of all connections is kept free for them and for the networks from
which Amazon's mail has come. When the others' connections are all taken, those that have brought nothing make way for new ones.
Pure but for what it counts: the clock is given.
"""

import functools
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Final
from uuid import UUID

from services.mailrelay.settings import RelaySettings
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.rates import SITE_FACTOR, MailSource, Rates
from services.mailrelay.smtp.replies import Reply
from shared.errors import Expected
from shared.networks import Address, Network, network_of, site_of

# What others leave free for trusted networks, of connections and of memory, when such networks are named.
_KEPT_FREE: Final = 0.25
# One network may take half of the memory, so that no single one keeps the others out.
_SHARE_OF_A_NETWORK: Final = 0.5
# A mail lies in memory as it came, sealed, and on its way to the database.
_COPIES: Final = 3
# Networks whose unknown recipients are remembered; the one that asked longest ago is forgotten first.
_REMEMBERED_NETWORKS: Final = 10_000

# So many connections make way at once, so that not each new one has to look for another.
_MAKE_WAY: Final = 0.05
# A mail that takes longer to arrive than this is no reason to keep a connection while others find no place.
_HURRY_SECONDS: Final = 30.0


class LimitHit(StrEnum):
    """Why a client was slowed down or refused; the label of the metric."""

    CONNECTIONS = "connections"
    NETWORK_CONNECTIONS = "network_connections"
    MADE_WAY = "made_way"
    ADDRESS_RATE = "address_rate"
    NETWORK_RATE = "network_rate"
    COMMANDS = "commands"
    RECIPIENTS = "recipients"
    ERRORS_DELAYED = "errors_delayed"
    ERRORS = "errors"
    HARVEST_DELAYED = "harvest_delayed"
    HARVEST = "harvest"
    DATA_RATE = "data_rate"
    MEMORY = "memory"
    FILE_DESCRIPTORS = "file_descriptors"


_REPLIES: Final = {
    LimitHit.CONNECTIONS: replies.TOO_MANY_CONNECTIONS,
    LimitHit.NETWORK_CONNECTIONS: replies.TOO_MANY_CONNECTIONS,
    LimitHit.COMMANDS: replies.TOO_MANY_COMMANDS,
    LimitHit.ERRORS: replies.TOO_MANY_ERRORS,
    LimitHit.HARVEST: replies.TOO_MANY_UNKNOWN,
}


class MemoryExhausted(Expected):
    """The mails in progress take all the memory that they may."""

    code = "memory_exhausted"


class LimitExceeded(Exception):
    """The session has to end with `reply`."""

    def __init__(self, hit: LimitHit) -> None:
        super().__init__(hit)
        self.hit = hit

    @property
    def reply(self) -> Reply:
        return _REPLIES[self.hit]


@functools.lru_cache(maxsize=8192)
def _networks_of(address: Address) -> tuple[Network, tuple[tuple[str, int], ...]]:
    """The network that an address belongs to, and what its mail is counted for (MailSource.networks)."""
    network, site = network_of(address), site_of(address)
    counted = ((str(network), 1),)
    return network, counted if site is None else (*counted, (str(site), SITE_FACTOR))


@dataclass(slots=True)
class _NetworkUse:
    """What the open sessions of one network hold."""

    connections: int = 0
    memory: int = 0


@dataclass(slots=True)
class _UnknownRecipients:
    """Unknown recipients that a network named: a bucket that empties within `unknown_recipient_window_seconds`."""

    level: float
    counted_at: float


class Limits:
    """One a process: what all clients hold together. Each client asks through a ClientQuota of its own.

    `proven_networks` tells from which networks Amazon's mail has come.
    """

    def __init__(
        self,
        settings: RelaySettings,
        *,
        connection_limit: int,
        on_hit: Callable[[LimitHit], None],
        proven_networks: Callable[[], Set[Network]] = frozenset,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.on_hit = on_hit
        self.rates = Rates(settings, clock)
        self.clock = clock
        self._proven_networks = proven_networks
        self._connection_limit = connection_limit
        self._use_by_network: dict[str, _NetworkUse] = {}
        self._unknown_by_network: OrderedDict[str, _UnknownRecipients] = OrderedDict()
        self._open: set[ClientQuota] = set()
        self._memory = 0
        self._memory_of_a_network = int(settings.memory_budget_bytes * _SHARE_OF_A_NETWORK)

    @property
    def memory_bytes(self) -> int:
        """The estimated memory of the mails in progress."""
        return self._memory

    def admit(self, address: Address, *, make_way: Callable[[], None]) -> "ClientQuota":
        """The quota of a new connection, which it releases when it ends. Raises LimitExceeded.

        `make_way` ends the connection, when others need its place more.
        """
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        real = address if mapped is None else mapped
        is_trusted = any(real in network for network in self.settings.trusted_networks)
        network, counted = _networks_of(address)
        source = MailSource(counted, network in self._proven_networks())
        limit = self._connection_limit
        if not (is_trusted or source.is_proven):
            limit = max(1, int(limit * self._share_of_others()))
        if not is_trusted and any(
            self._use_of(each).connections >= self.settings.network_connection_limit * factor
            for each, factor in source.networks
        ):
            raise self.exceeded(LimitHit.NETWORK_CONNECTIONS)
        if len(self._open) >= limit:
            self._make_room()
        if len(self._open) >= limit:
            raise self.exceeded(LimitHit.CONNECTIONS)
        quota = ClientQuota(self, source, make_way, is_trusted=is_trusted)
        for each, _ in source.networks:
            self._use_by_network.setdefault(each, _NetworkUse()).connections += 1
        self._open.add(quota)
        return quota

    def _share_of_others(self) -> float:
        """What is left for networks from which no mail of Amazon's is known to come."""
        return 1 - _KEPT_FREE if self.settings.trusted_networks or self._proven_networks() else 1

    def _use_of(self, network: str) -> _NetworkUse:
        return self._use_by_network.get(network) or _NetworkUse()

    def _make_room(self) -> None:
        """End connections that have brought nothing, the silent first, and first of the networks that hold most of them."""
        now = self.clock()
        ranked: dict[int, list[ClientQuota]] = {}
        for quota in self._open:
            rank = quota.rank_to_make_way(now)
            if rank is not None:
                ranked.setdefault(rank, []).append(quota)
        if not ranked:
            return
        first = ranked[min(ranked)]
        held = Counter(quota.widest_network for quota in first)
        first.sort(key=lambda quota: (-held[quota.widest_network], quota.active_at))
        for quota in first[: max(1, int(self._connection_limit * _MAKE_WAY))]:
            self.on_hit(LimitHit.MADE_WAY)
            self._open.discard(quota)
            quota.make_way()

    def exceeded(self, hit: LimitHit) -> LimitExceeded:
        """Count a limit that was hit, and return the exception to raise."""
        self.on_hit(hit)
        return LimitExceeded(hit)

    def release_connection(self, quota: "ClientQuota") -> None:
        self._open.discard(quota)
        for network, _ in quota.source.networks:
            use = self._use_by_network[network]
            use.connections -= 1
            if use.connections == 0:
                del self._use_by_network[network]

    def has_memory_for(self, quota: "ClientQuota", more: int) -> bool:
        """Whether a client may hold so much more. A lone mail always may: refused once, it would be refused for ever."""
        if self._memory == quota.memory:
            return True
        budget = self.settings.memory_budget_bytes
        if quota.is_trusted:
            return self._memory + more <= budget
        # Of an IPv6 client its site counts: a network is too easily had.
        of_network = self._use_by_network[quota.widest_network].memory
        is_alone = of_network == quota.memory
        of_others = budget if quota.is_known else int(budget * self._share_of_others())
        return self._memory + more <= of_others and (
            is_alone or of_network + more <= self._memory_of_a_network
        )

    def add_memory(self, quota: "ClientQuota", more: int) -> None:
        self._memory += more
        for network, _ in quota.source.networks:
            self._use_by_network[network].memory += more

    def count_unknown_recipient(self, source: MailSource) -> float:
        """How full the bucket of unknown recipients is with this one: the network's, or, as far as it may hold more, its site's."""
        return max(self._count_unknown_of(network) / factor for network, factor in source.networks)

    def _count_unknown_of(self, network: str) -> float:
        now = self.clock()
        unknown = self._unknown_by_network.setdefault(network, _UnknownRecipients(0, now))
        self._unknown_by_network.move_to_end(network)
        drained = (now - unknown.counted_at) / self.settings.unknown_recipient_window_seconds
        unknown.level = max(0, unknown.level - drained * self.settings.unknown_recipient_limit) + 1
        unknown.counted_at = now
        if len(self._unknown_by_network) > _REMEMBERED_NETWORKS:
            self._unknown_by_network.popitem(last=False)
        return unknown.level


class ClientQuota:
    """What one session may still ask for. The Dialogue counts its commands and replies, a Transaction reserves memory."""

    def __init__(
        self, limits: Limits, source: MailSource, make_way: Callable[[], None], *, is_trusted: bool
    ) -> None:
        self._limits = limits
        self.source = source
        self.make_way = make_way
        self.is_trusted = is_trusted
        self.memory = 0
        # When the client last gave a command.
        self.active_at = limits.clock()
        self._receiving_since: float | None = None
        self._mails = 0
        self._commands = self._errors = 0
        self._exceeded: LimitHit | None = None

    @property
    def is_known(self) -> bool:
        """Whether Amazon's mail comes from there: an operator has said so, or it was proven."""
        return self.is_trusted or self.source.is_proven

    @property
    def widest_network(self) -> str:
        """The site, where there is one."""
        return self.source.networks[-1][0]

    def rank_to_make_way(self, now: float) -> int | None:
        """How soon the connection may be ended for others: 0 first, None never.

        None stays whose mail is on its way, and who is known; a client between two mails loses nothing, it connects again.
        """
        if self.is_known:
            return None
        if self._receiving_since is not None:
            return 2 if now - self._receiving_since > _HURRY_SECONDS else None
        return 1 if self._mails else 0

    def release(self) -> None:
        """The session has ended: its connection and its memory are free again."""
        self.release_memory()
        self._limits.release_connection(self)

    def may_send_to(self, relay_address_id: UUID) -> bool:
        """Whether mail for this address is taken at the moment."""
        if self.is_trusted:
            return True
        for hit, is_full in (
            (LimitHit.NETWORK_RATE, self._limits.rates.is_network_full(self.source)),
            (LimitHit.ADDRESS_RATE, self._limits.rates.is_address_full(relay_address_id, self.source)),
        ):
            if is_full:
                self._limits.on_hit(hit)
                return False
        return True

    def count_mail(self, relay_address_ids: Sequence[UUID], size: int) -> None:
        """A mail was accepted for these addresses."""
        self._mails += 1
        if not self.is_trusted:
            self._limits.rates.count(relay_address_ids, self.source, size)

    def count_command(self) -> None:
        """Count a command. Raises LimitExceeded when there were too many since the last accepted mail."""
        self.active_at = self._limits.clock()
        self._commands += 1
        if self._commands > self._limits.settings.command_limit:
            raise self._limits.exceeded(LimitHit.COMMANDS)

    def count_accepted_mail(self) -> None:
        """A mail was accepted: the commands and errors counted so far are forgotten."""
        self._commands = self._errors = 0
        self._exceeded = None

    def count_reply(self, reply: Reply) -> float:
        """Count what went wrong by the client's own fault; how many seconds the reply has to wait.

        What is our fault (4yz) is not held against the client, but for addresses that we do not know after a restore: whoever guesses is
        as slow as ever.
        """
        if reply.code < 400:
            return 0
        if reply is replies.TOO_MANY_RECIPIENTS:
            self._limits.on_hit(LimitHit.RECIPIENTS)
        is_unknown = reply in {replies.UNKNOWN_ADDRESS, replies.ADDRESS_UNCERTAIN}
        if self.is_trusted or (reply.code < 500 and not is_unknown):
            return 0
        settings = self._limits.settings
        if is_unknown:
            level = self._limits.count_unknown_recipient(self.source)
            self._exceeded = LimitHit.HARVEST if level > settings.unknown_recipient_limit else None
            is_delayed, delay = level > settings.unknown_recipient_delay_from, LimitHit.HARVEST_DELAYED
        else:
            self._errors += 1
            self._exceeded = LimitHit.ERRORS if self._errors > settings.error_limit else None
            is_delayed, delay = self._errors > settings.error_delay_from, LimitHit.ERRORS_DELAYED
        if not is_delayed:
            return 0
        self._limits.on_hit(delay)
        return settings.delay_seconds

    def require_within_limits(self, *, has_recipient: bool) -> None:
        """Raises LimitExceeded when the last reply was one too many. A mail that has a known recipient is let through."""
        if self._exceeded is not None and not has_recipient:
            raise self._limits.exceeded(self._exceeded)

    def reserve_memory(self, mail_bytes: int) -> bool:
        """Memory for a mail of this size, instead of what was reserved so far. False: there is none."""
        more = mail_bytes * _COPIES - self.memory
        if more > 0:
            if not self._limits.has_memory_for(self, more):
                self._limits.on_hit(LimitHit.MEMORY)
                return False
            self.memory += more
            if self._receiving_since is None:
                self._receiving_since = self._limits.clock()
            self._limits.add_memory(self, more)
        return True

    def release_memory(self) -> None:
        """Give back the memory of a mail that is no longer held."""
        self._receiving_since = None
        if self.memory:
            self._limits.add_memory(self, -self.memory)
            self.memory = 0
