"""The application's client secret at Amazon: after a rotation the old one is valid for seven more days."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

OLD_SECRET_LIFE: Final = timedelta(days=7)
NEW_SECRET_LIFE: Final = timedelta(days=180)
MAX_OLD_SECRETS: Final = 10


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation as Amazon announces it: the new secret, its end, and the end of the old one."""

    client_secret: str
    expires_at: datetime
    old_valid_until: datetime


class ClientSecrets:
    """The current secret and the old ones with their ends.

    The first one never expires by itself, because tests that move the clock by a year are about the consent; the scenario
    `token-invalid-client` refuses it.
    """

    def __init__(self, first: str) -> None:
        self.current = first
        self.old: dict[str, datetime] = {}

    def accepts(self, client_secret: str, now: datetime) -> bool:
        valid = [self.current, *(secret for secret, until in self.old.items() if now < until)]
        return any(hmac.compare_digest(client_secret.encode(), secret.encode()) for secret in valid)

    def rotate(self, now: datetime, new: str | None = None) -> Rotation:
        self.old[self.current] = now + OLD_SECRET_LIFE
        while len(self.old) > MAX_OLD_SECRETS:
            self.old.pop(next(iter(self.old)))
        rotation = Rotation(
            new or f"amzn1.oa2-cs.v1.{secrets.token_hex(32)}", now + NEW_SECRET_LIFE, self.old[self.current]
        )
        self.current = rotation.client_secret
        self.old.pop(self.current, None)
        return rotation
