"""What the checks ask of the DNS. Who answers, and from where, is not theirs to know."""

import asyncio
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["TXT", "A", "AAAA", "MX", "PTR"]


class Unanswered(Exception):
    """Nobody could say what stands at the name: a passing fault, and proof of nothing."""


class Resolver(Protocol):
    """Answers from the DNS."""

    async def ask(self, name: str, kind: Kind) -> tuple[str, ...]:
        """The records at a name: texts joined to one each (RFC 7208 §3.3), else names and addresses as text.

        Empty if there are none, or no such name. Raises Unanswered.
        """
        ...


@dataclass(frozen=True, slots=True)
class Until:
    """A resolver that is waited for until a time of the loop's clock and no longer, however many questions there are."""

    resolver: Resolver
    deadline: float

    async def ask(self, name: str, kind: Kind) -> tuple[str, ...]:
        """Raises Unanswered."""
        try:
            async with asyncio.timeout_at(self.deadline):
                return await self.resolver.ask(name, kind)
        except TimeoutError as error:
            raise Unanswered from error
