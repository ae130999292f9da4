"""The interface that gives the Amazon client its client secrets."""

from collections.abc import Sequence
from typing import Protocol

from pydantic import SecretStr


class Secrets(Protocol):
    """After a rotation two client secrets are valid for some days."""

    async def newest_first(self) -> Sequence[SecretStr]:
        """At least one."""
        ...


class OneSecret:
    """A secret that does not change."""

    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret

    async def newest_first(self) -> Sequence[SecretStr]:
        return [self._secret]
