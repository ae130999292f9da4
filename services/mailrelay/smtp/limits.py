"""How much one client, one network and all of them together may ask of a process.

Whoever delivers known mail meets no brake: an accepted mail forgives a session's commands and errors, and the harvest brake
touches only the replies that follow an unknown recipient. Trusted networks (Amazon's ranges) are held by no limit but memory,
commands and time, and a part of all places is kept free for them. Pure but for what it counts: the clock is given.
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
# Of the memory one network may take half: a single one keeps nobody out.
_SHARE_OF_A_NETWORK: Final = 0.5
# A mail lies in memory as it came, sealed, and on its way to the database.
_COPIES: Final = 3
# Networks whose unknown recipients are remembered; the one that asked longest ago is forgotten first.
_REMEMBERED_NETWORKS: Final = 10_000

_IPV6_HOST_BITS: Final = 64

# Version and network number: an IPv4 address by itself, the /64 of an IPv6 one, which is what one customer has.
Network = tuple[int, int]


class Bite(StrEnum):
    """Why somebody was slowed down or refused; the label of the metric."""

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
    Bite.CONNECTIONS: replies.TOO_MANY_CONNECTIONS,
    Bite.NETWORK_CONNECTIONS: replies.TOO_MANY_CONNECTIONS,
    Bite.COMMANDS: replies.TOO_MANY_COMMANDS,
    Bite.ERRORS: replies.TOO_MANY_ERRORS,
    Bite.HARVEST: replies.TOO_MANY_UNKNOWN,
}


class MemoryExhausted(Expected):
    """Mails in flight take all the memory that they may."""

    code = "memory_exhausted"


class Enough(Exception):
    """The session has to end with `reply`."""

    def __init__(self, bite: Bite) -> None:
        super().__init__(bite)
        self.bite = bite

    @property
    def reply(self) -> Reply:
        return _REPLIES[self.bite]


@dataclass(slots=True)
class _Use:
    """What the sessions of one network have at the moment."""

    connections: int = 0
    memory: int = 0


@dataclass(slots=True)
class _Guesses:
    """Unknown recipients of a network: a bucket that `unknown_recipient_window_seconds` empties."""

    level: float
    counted_at: float


def network_of(address: IPv4Address | IPv6Address) -> Network:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return 6, int(address) >> _IPV6_HOST_BITS
        address = address.ipv4_mapped
    return 4, int(address)


class Limits:
    """One a process."""

    def __init__(
        self,
        settings: RelaySettings,
        *,
        connection_limit: int,
        on_bite: Callable[[Bite], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.on_bite = on_bite
        self._connection_limit = connection_limit
        self._clock = clock
        self._uses: dict[Network, _Use] = {}
        self._guesses: OrderedDict[Network, _Guesses] = OrderedDict()
        self._connections = 0
        self._memory = 0
        kept_free = _KEPT_FREE if settings.trusted_networks else 0
        self._connections_of_others = max(1, int(connection_limit * (1 - kept_free)))
        self._memory_of_others = int(settings.memory_budget_bytes * (1 - kept_free))
        self._memory_of_a_network = int(settings.memory_budget_bytes * _SHARE_OF_A_NETWORK)

    @property
    def memory_bytes(self) -> int:
        """What mails in flight are reckoned to hold."""
        return self._memory

    def admit(self, address: IPv4Address | IPv6Address) -> "Guest":
        """The client of a new connection, until it leaves. Raises Enough."""
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        real = address if mapped is None else mapped
        is_trusted = any(real in network for network in self.settings.trusted_networks)
        network = network_of(address)
        use = self._uses.get(network) or _Use()
        places = self._connection_limit if is_trusted else self._connections_of_others
        if self._connections >= places:
            raise self.bitten(Bite.CONNECTIONS)
        if not is_trusted and use.connections >= self.settings.network_connection_limit:
            raise self.bitten(Bite.NETWORK_CONNECTIONS)
        self._connections += 1
        use.connections += 1
        self._uses[network] = use
        return Guest(self, network, is_trusted=is_trusted)

    def bitten(self, bite: Bite) -> Enough:
        self.on_bite(bite)
        return Enough(bite)

    def leave(self, network: Network) -> None:
        use = self._uses[network]
        self._connections -= 1
        use.connections -= 1
        if use.connections == 0:
            del self._uses[network]

    def fits(self, guest: "Guest", more: int) -> bool:
        """Whether a guest may hold so much more. A lone mail always may: refused once, it would be refused for ever."""
        if self._memory == guest.memory:
            return True
        if guest.is_trusted:
            return self._memory + more <= self.settings.memory_budget_bytes
        of_network = self._uses[guest.network].memory
        is_alone = of_network == guest.memory
        return self._memory + more <= self._memory_of_others and (
            is_alone or of_network + more <= self._memory_of_a_network
        )

    def hold(self, network: Network, more: int) -> None:
        self._memory += more
        self._uses[network].memory += more

    def guessed(self, network: Network) -> float:
        """One more unknown recipient: how many there are now."""
        now = self._clock()
        guesses = self._guesses.setdefault(network, _Guesses(0, now))
        self._guesses.move_to_end(network)
        drained = (now - guesses.counted_at) / self.settings.unknown_recipient_window_seconds
        guesses.level = max(0, guesses.level - drained * self.settings.unknown_recipient_limit) + 1
        guesses.counted_at = now
        if len(self._guesses) > _REMEMBERED_NETWORKS:
            self._guesses.popitem(last=False)
        return guesses.level


class Guest:
    """One session, as the limits see it."""

    def __init__(self, limits: Limits, network: Network, *, is_trusted: bool) -> None:
        self._limits = limits
        self.network = network
        self.is_trusted = is_trusted
        self.memory = 0
        self._commands = self._errors = 0
        self._slow: Bite | None = None
        self._end: Bite | None = None

    def leave(self) -> None:
        self.let_go()
        self._limits.leave(self.network)

    def command(self) -> None:
        """Raises Enough when there were too many since the last accepted mail."""
        self._commands += 1
        if self._commands > self._limits.settings.command_limit:
            raise self._limits.bitten(Bite.COMMANDS)

    def delivered(self) -> None:
        """An accepted mail: this is no idler."""
        self._commands = self._errors = 0
        self._end = None

    def told(self, reply: Reply) -> None:
        """Counts what went wrong by the client's own fault. What is ours (4yz) is never held against it."""
        if reply is replies.TOO_MANY_RECIPIENTS:
            self._limits.on_bite(Bite.RECIPIENTS)
        if self.is_trusted or reply.code < 500:
            return
        settings = self._limits.settings
        if reply is replies.UNKNOWN_ADDRESS:
            level = self._limits.guessed(self.network)
            self._slow = Bite.HARVEST_DELAYED if level > settings.unknown_recipient_delay_from else None
            self._end = Bite.HARVEST if level > settings.unknown_recipient_limit else None
        else:
            self._errors += 1
            self._slow = Bite.ERRORS_DELAYED if self._errors > settings.error_delay_from else None
            self._end = Bite.ERRORS if self._errors > settings.error_limit else None

    def pause_seconds(self) -> float:
        """How long the last reply has to wait."""
        if self._slow is None:
            return 0
        self._limits.on_bite(self._slow)
        self._slow = None
        return self._limits.settings.delay_seconds

    def stay(self, *, has_recipient: bool) -> None:
        """Raises Enough when the last reply was one too many. A mail that has a known recipient is let through."""
        if self._end is not None and not has_recipient:
            raise self._limits.bitten(self._end)

    def hold(self, mail_bytes: int) -> bool:
        """Memory for a mail of this size, instead of what was held so far. False: there is none."""
        more = mail_bytes * _COPIES - self.memory
        if more > 0:
            if not self._limits.fits(self, more):
                self._limits.on_bite(Bite.MEMORY)
                return False
            self.memory += more
            self._limits.hold(self.network, more)
        return True

    def let_go(self) -> None:
        """The mail is no longer in memory."""
        if self.memory:
            self._limits.hold(self.network, -self.memory)
            self.memory = 0
