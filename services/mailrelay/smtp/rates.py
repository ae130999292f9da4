"""How much mail an address may get, and a network may send, within an hour: so that neither the queue nor the disk is filled by one.

Levels that empty by themselves: each mail and each byte raises them, and what stands above the limit is answered `452` until it has
sunk. The sender keeps such a mail and comes again. Trusted networks meet none of this; a network from which Amazon's mail has come
may do ten times as much and has levels of its own at each address, so that strangers' mail to an address keeps Amazon's out of none.
Pure but for what it counts: the clock is given.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.mailrelay.settings import RelaySettings

# The site of an IPv6 network, with its 65,536 networks, may do as much as four of them.
SITE_FACTOR: Final = 4
_PROVEN_FACTOR: Final = 10
# Of what an address may get, one network may send half, so that no single one keeps the others out.
_SHARE_OF_A_NETWORK: Final = 0.5
_HOUR: Final = 3600.0
# Some 200 bytes each; the one that was raised longest ago is forgotten first.
_REMEMBERED_LEVELS: Final = 100_000


@dataclass(frozen=True, slots=True)
class MailSource:
    """Where mail comes from. `networks`: the network, and its site if it has one, with what each may do beside one network. They are
    named by their texts, since each look at a network object's hash takes a microsecond."""

    networks: tuple[tuple[str, int], ...]
    is_proven: bool


@dataclass(slots=True)
class _Level:
    mails: float
    bytes: float
    raised_at: float


# Whose level it is, and how many mails and bytes an hour it may get.
_Limit = tuple[Hashable, float, float]


class Rates:
    """One a process: what came within the last hour."""

    def __init__(self, settings: RelaySettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._levels: OrderedDict[Hashable, _Level] = OrderedDict()

    def is_address_full(self, relay_address_id: UUID, source: MailSource) -> bool:
        """Whether no more mail of this source is taken for the address at the moment."""
        return self._is_any_full(self._of_address(relay_address_id, source))

    def is_network_full(self, source: MailSource) -> bool:
        """Whether no more mail of this source is taken at the moment, for whomever it is."""
        return self._is_any_full(self._of_network(source))

    def count(self, relay_address_ids: Sequence[UUID], source: MailSource, size: int) -> None:
        """A mail of this size was accepted for these addresses. Each has a row of its own; the text lies there once."""
        for limit in self._of_network(source):
            self._raise(limit, mails=len(relay_address_ids), size=size)
        for relay_address_id in relay_address_ids:
            for limit in self._of_address(relay_address_id, source):
                self._raise(limit, mails=1, size=size)
        while len(self._levels) > _REMEMBERED_LEVELS:
            self._levels.popitem(last=False)

    def _raise(self, limit: _Limit, *, mails: int, size: int) -> None:
        key, most_mails, most_bytes = limit
        now = self._clock()
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = _Level(0, 0, now)
        else:
            self._levels.move_to_end(key)
        drained = (now - level.raised_at) / _HOUR
        level.mails = max(0.0, level.mails - drained * most_mails) + mails
        level.bytes = max(0.0, level.bytes - drained * most_bytes) + size
        level.raised_at = now

    def _is_any_full(self, limits: Iterable[_Limit]) -> bool:
        for key, most_mails, most_bytes in limits:
            level = self._levels.get(key)
            if level is None:
                continue
            drained = (self._clock() - level.raised_at) / _HOUR
            # One more would not fit; the first always does.
            if level.mails - drained * most_mails > max(0.0, most_mails - 1):
                return True
            if level.bytes - drained * most_bytes >= most_bytes:
                return True
        return False

    def _of_address(self, relay_address_id: UUID, source: MailSource) -> Iterator[_Limit]:
        settings = self._settings
        factor = _PROVEN_FACTOR if source.is_proven else 1
        mails, size = settings.address_mails_per_hour * factor, settings.address_bytes_per_hour * factor
        yield (relay_address_id, source.is_proven), mails, size
        for network, _ in source.networks:
            yield (relay_address_id, network), mails * _SHARE_OF_A_NETWORK, size * _SHARE_OF_A_NETWORK

    def _of_network(self, source: MailSource) -> Iterator[_Limit]:
        settings = self._settings
        factor = _PROVEN_FACTOR if source.is_proven else 1
        for network, of_kind in source.networks:
            factor_of_kind = factor * of_kind
            yield (
                network,
                settings.network_mails_per_hour * factor_of_kind,
                settings.network_bytes_per_hour * factor_of_kind,
            )
