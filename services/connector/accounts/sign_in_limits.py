"""How often a sign-in may fail, and for whom that counts: nobody's failures keep another person out.

Counted before the password is looked at, so that parallel attempts cannot slip through together. A browser that has signed in as
this user before has a count of its own, which nobody else can use up. Every other attempt is counted by e-mail address and network
together; by its network, against whoever tries many addresses; and by the address alone, against whoever tries from many networks.
That last count refuses nobody: while it is high, each network has only two tries at this address instead of ten.

Keys are hashes: the table of failures holds neither addresses nor networks.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.connector.http.client_networks import WIDE, network_of, wide_network_of
from shared.errors import Expected

WINDOW: Final = timedelta(minutes=15)
MAX_PER_BROWSER: Final = 10
MAX_PER_EMAIL_AND_NETWORK: Final = 10
MAX_PER_EMAIL_AND_NETWORK_UNDER_ATTACK: Final = 2
# From so many failures on, whatever the networks, somebody guesses.
UNDER_ATTACK: Final = 100
# Many honest people may sit behind one address.
MAX_PER_NETWORK: Final = 150
MAX_PER_WIDE_NETWORK: Final = WIDE * MAX_PER_NETWORK
# How many attempts one process counts at once, for each holds a connection to the database; and how many wait for that, and for
# being hashed. Whoever finds the line full comes again after so many seconds.
COUNTED_AT_ONCE: Final = 3
MOST_WAITING: Final = 256
RETRY_SECONDS: Final = 10


class TooManySignIns(Expected):
    """Sign-in is refused for a while, whatever the password; it does not tell whether the e-mail address exists."""

    code = "too_many_sign_ins"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class SignInOrigin:
    """Who tries to sign in, from where. `browser_id`: the browser has signed in as this user before."""

    email: str
    client_address: str
    browser_id: UUID | None

    @property
    def lane(self) -> str:
        """With whom an attempt waits in line: its browser, or everybody else of its network."""
        return str(self.browser_id) if self.browser_id else wide_network_of(self.client_address)

    @property
    def browser_key(self) -> bytes:
        return _key("browser", str(self.browser_id))

    @property
    def pair_key(self) -> bytes:
        return _key("email and network", self.email, network_of(self.client_address))

    @property
    def network_key(self) -> bytes:
        return _key("network", network_of(self.client_address))

    @property
    def wide_network_key(self) -> bytes:
        return _key("wide network", wide_network_of(self.client_address))

    @property
    def email_key(self) -> bytes:
        return _key("email", self.email)


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
