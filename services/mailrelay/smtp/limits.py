"""How much one client, one network and all of them together may ask of a process.

A client that delivers mail to known recipients meets no limit: an accepted mail forgives a session's commands and errors, and
the limit on harvesting addresses delays only the replies that follow an unknown recipient. Trusted networks (Amazon's ranges)
are held by no limit but memory, commands and time, and a part of all connections is kept free for them. Pure but for what it
counts: the clock is given.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from services.mailrelay.settings import RelaySettings
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.replies import Reply
from shared.errors import Expected

# What others leave free for trusted networks, of connections and of memory, when such networks are named.
_KEPT_FREE: Final = 0.25
# One network may take half of the memory, so that no single one keeps the others out.
_SHARE_OF_A_NETWORK: Final = 0.5
# A mail lies in memory as it came, sealed, and on its way to the database.
_COPIES: Final = 3
# Networks whose unknown recipients are remembered; the one that asked longest ago is forgotten first.
_REMEMBERED_NETWORKS: Final = 10_000

_IPV6_HOST_BITS: Final = 64

# Version and network number: an IPv4 address by itself, the /64 of an IPv6 one, which is what one customer has.
Network = tuple[int, int]


class LimitHit(StrEnum):
    """Why a client was slowed down or refused; the label of the metric."""

    CONNECTIONS = "connections"
    NETWORK_CONNECTIONS = "network_connections"
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


def network_of(address: IPv4Address | IPv6Address) -> Network:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return 6, int(address) >> _IPV6_HOST_BITS
        address = address.ipv4_mapped
    return 4, int(address)


class Limits:
    """One a process: what all clients hold together. Each client asks through a ClientQuota of its own."""

    def __init__(
        self,
        settings: RelaySettings,
        *,
        connection_limit: int,
        on_hit: Callable[[LimitHit], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.on_hit = on_hit
        self._connection_limit = connection_limit
        self._clock = clock
        self._use_by_network: dict[Network, _NetworkUse] = {}
        self._unknown_by_network: OrderedDict[Network, _UnknownRecipients] = OrderedDict()
        self._connections = 0
        self._memory = 0
        kept_free = _KEPT_FREE if settings.trusted_networks else 0
        self._connections_of_others = max(1, int(connection_limit * (1 - kept_free)))
        self._memory_of_others = int(settings.memory_budget_bytes * (1 - kept_free))
        self._memory_of_a_network = int(settings.memory_budget_bytes * _SHARE_OF_A_NETWORK)

    @property
    def memory_bytes(self) -> int:
        """The estimated memory of the mails in progress."""
        return self._memory

    def admit(self, address: IPv4Address | IPv6Address) -> "ClientQuota":
        """The quota of a new connection, which it releases when it ends. Raises LimitExceeded."""
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        real = address if mapped is None else mapped
        is_trusted = any(real in network for network in self.settings.trusted_networks)
        network = network_of(address)
        use = self._use_by_network.get(network) or _NetworkUse()
        connection_limit = self._connection_limit if is_trusted else self._connections_of_others
        if self._connections >= connection_limit:
            raise self.exceeded(LimitHit.CONNECTIONS)
        if not is_trusted and use.connections >= self.settings.network_connection_limit:
            raise self.exceeded(LimitHit.NETWORK_CONNECTIONS)
        self._connections += 1
        use.connections += 1
        self._use_by_network[network] = use
        return ClientQuota(self, network, is_trusted=is_trusted)

    def exceeded(self, hit: LimitHit) -> LimitExceeded:
        """Count a limit that was hit, and return the exception to raise."""
        self.on_hit(hit)
        return LimitExceeded(hit)

    def release_connection(self, network: Network) -> None:
        use = self._use_by_network[network]
        self._connections -= 1
        use.connections -= 1
        if use.connections == 0:
            del self._use_by_network[network]

    def has_memory_for(self, quota: "ClientQuota", more: int) -> bool:
        """Whether a client may hold so much more. A lone mail always may: refused once, it would be refused for ever."""
        if self._memory == quota.memory:
            return True
        if quota.is_trusted:
            return self._memory + more <= self.settings.memory_budget_bytes
        of_network = self._use_by_network[quota.network].memory
        is_alone = of_network == quota.memory
        return self._memory + more <= self._memory_of_others and (
            is_alone or of_network + more <= self._memory_of_a_network
        )

    def add_memory(self, network: Network, more: int) -> None:
        self._memory += more
        self._use_by_network[network].memory += more

    def count_unknown_recipient(self, network: Network) -> float:
        """How full the network's bucket of unknown recipients is with this one."""
        now = self._clock()
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

    def __init__(self, limits: Limits, network: Network, *, is_trusted: bool) -> None:
        self._limits = limits
        self.network = network
        self.is_trusted = is_trusted
        self.memory = 0
        self._commands = self._errors = 0
        self._exceeded: LimitHit | None = None

    def release(self) -> None:
        """The session has ended: its connection and its memory are free again."""
        self.release_memory()
        self._limits.release_connection(self.network)

    def count_command(self) -> None:
        """Count a command. Raises LimitExceeded when there were too many since the last accepted mail."""
        self._commands += 1
        if self._commands > self._limits.settings.command_limit:
            raise self._limits.exceeded(LimitHit.COMMANDS)

    def count_accepted_mail(self) -> None:
        """A mail was accepted: the commands and errors counted so far are forgotten."""
        self._commands = self._errors = 0
        self._exceeded = None

    def count_reply(self, reply: Reply) -> float:
        """Count what went wrong by the client's own fault; how many seconds the reply has to wait.

        What is our fault (4yz) is never held against the client.
        """
        if reply is replies.TOO_MANY_RECIPIENTS:
            self._limits.on_hit(LimitHit.RECIPIENTS)
        if self.is_trusted or reply.code < 500:
            return 0
        settings = self._limits.settings
        if reply is replies.UNKNOWN_ADDRESS:
            level = self._limits.count_unknown_recipient(self.network)
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
            self._limits.add_memory(self.network, more)
        return True

    def release_memory(self) -> None:
        """Give back the memory of a mail that is no longer held."""
        if self.memory:
            self._limits.add_memory(self.network, -self.memory)
            self.memory = 0
