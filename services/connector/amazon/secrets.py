"""The interface that gives the Amazon client its client secrets."""

from collections.abc import Sequence
from typing import Protocol

from pydantic import SecretStr


class Secrets(Protocol):
    """The client secrets that may be valid: after a rotation there are two for some days."""

    async def newest_first(self) -> Sequence[SecretStr]:
        """The secrets, at least one, the newest first."""
        ...


class OneSecret:
    """A secret that does not change."""

    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret

    async def newest_first(self) -> Sequence[SecretStr]:
        return [self._secret]
