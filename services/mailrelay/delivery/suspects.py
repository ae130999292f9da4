"""Who has sent mail that could not be parsed in its lane's time: the next of it does not cost the others that time again.

Kept in the process for some minutes. A network is remembered together with the account that it wrote to, because networks from which
Amazon's mail comes carry strangers' mail as well; one that is not known for Amazon's mail, once it has done so to several accounts,
is remembered for all of them. Whoever is here has its mail worked on in the slow lane, in turns as everywhere, and nothing worse.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

from shared.networks import Network

REMEMBERED_SECONDS: Final = 600.0
_ACCOUNTS_FOR_ALL: Final = 3
_REMEMBERED_NETWORKS: Final = 10_000
_REMEMBERED_ACCOUNTS: Final = 1000


class Suspects:
    """One a process; the clock is given."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When what a network did to an account is forgotten.
        self._until: OrderedDict[Network, OrderedDict[UUID, float]] = OrderedDict()

    def note(self, network: Network, account_id: UUID) -> None:
        """A mail of this network to this account could not be parsed in its lane's time."""
        accounts = self._until.setdefault(network, OrderedDict())
        accounts[account_id] = self._clock() + REMEMBERED_SECONDS
        for known, most in ((accounts, _REMEMBERED_ACCOUNTS), (self._until, _REMEMBERED_NETWORKS)):
            if len(known) > most:
                known.popitem(last=False)
        self._until.move_to_end(network)

    def knows(self, network: Network) -> bool:
        """Whether there is anything to remember about it."""
        return network in self._until

    def has(self, network: Network, account_id: UUID, *, is_proven: bool) -> bool:
        """Whether mail of this network to this account goes into the slow lane. `is_proven`: Amazon's mail comes from there."""
        accounts = self._until.get(network)
        if accounts is None:
            return False
        now = self._clock()
        if accounts.get(account_id, now) > now:
            return True
        return not is_proven and sum(until > now for until in accounts.values()) >= _ACCOUNTS_FOR_ALL
