"""How often a second step may fail: whoever knows the password shall not find the six digits by trying.

Counted before the code is looked at. A browser that has signed in as this user before has a count of its own, which nobody else can use
up. Every other try is counted by user and network, and by the user alone for a day: beyond that only recovery codes are taken from
browsers that nobody knows, which cannot be guessed. So a user who is attacked still gets in: with the browser that they always use, a
recovery code, or a passkey.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.connector.http.client_networks import network_of

MAX_PER_BROWSER: Final = 10
MAX_PER_NETWORK: Final = 10
# Three of a million codes are good at a time: a stranger's chance is 0.03 % a day.
MAX_OF_STRANGERS: Final = 100
STRANGERS_WINDOW: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StepOrigin:
    """Whose second step it is, and from where. `browser_id`: the browser has signed in as this user before."""

    user_id: UUID
    client_address: str
    browser_id: UUID | None

    @property
    def own_key(self) -> bytes:
        if self.browser_id is not None:
            return _key("second step: browser", str(self.browser_id))
        return _key("second step: user and network", str(self.user_id), network_of(self.client_address))

    @property
    def most(self) -> int:
        return MAX_PER_BROWSER if self.browser_id is not None else MAX_PER_NETWORK

    @property
    def user_key(self) -> bytes:
        return _key("second step: user", str(self.user_id))


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
