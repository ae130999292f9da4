"""The caller as the pages show them."""

from dataclasses import dataclass

from shared.tables import Account, User


@dataclass(frozen=True, slots=True)
class Me:
    """Whoever asks; a program has no user."""

    account: Account
    user: User | None
