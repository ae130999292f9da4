"""The lanes of accepted mail, which relay and mail worker agree on."""

from enum import StrEnum


class Lane(StrEnum):
    """Accepted mail is worked on in lanes that do not wait for each other (docs/adr/0017)."""

    QUICK = "quick"
    """It claims to be Amazon's, or comes from where Amazon's mail has come from, and lies in its row."""
    LARGE = "large"
    """The same, in the blob store."""
    OTHER = "other"
    """Nothing says so far that it is Amazon's."""
    SLOW = "slow"
    """It has failed in its lane: it took too long to parse, or ended what worked on it."""
