"""What the checks ask of the DNS. Who answers, and from where, is not theirs to know."""

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
