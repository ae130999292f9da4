"""The interface of the stop switch: whoever is about to ask Amazon for anything asks it first."""

from typing import Protocol


class StopSwitch(Protocol):
    """Whether the operators let this application call Amazon."""

    async def refuse_if_paused(self) -> None:
        """Raises AmazonPaused while they do not."""
        ...


class NeverPaused:
    """A switch that nobody can turn."""

    async def refuse_if_paused(self) -> None:
        return
