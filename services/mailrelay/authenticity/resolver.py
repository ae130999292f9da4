"""What the checks may ask the DNS. They do not know who answers, nor from where."""

import asyncio
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["TXT", "A", "AAAA", "MX", "PTR"]


class Unanswered(Exception):
    """The DNS did not say whether there are such records: a temporary failure, which proves nothing."""


class Resolver(Protocol):
    """Answers questions to the DNS."""

    async def ask(self, name: str, kind: Kind, *, proves: bool = True) -> tuple[str, ...]:
        """The records at a name: texts joined to one each (RFC 7208 §3.3), else names and addresses as text.

        Empty if there are none, or no such name. `proves` says whether the answer could prove a mail: such a question never waits
        for one whose answer is only noted down. Raises Unanswered.
        """
        ...


@dataclass(frozen=True, slots=True)
class ResolverWithDeadline:
    """A resolver that is waited for until `deadline` (of the event loop's clock), however many questions there are.

    `proves` says of all its questions whether their answers could prove a mail.
    """

    resolver: Resolver
    deadline: float
    proves: bool = True

    async def ask(self, name: str, kind: Kind, *, proves: bool = True) -> tuple[str, ...]:
        """Ask, and wait until the deadline at most. Raises Unanswered."""
        try:
            async with asyncio.timeout_at(self.deadline):
                return await self.resolver.ask(name, kind, proves=self.proves and proves)
        except TimeoutError as error:
            raise Unanswered from error
