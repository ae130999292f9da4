"""Fifty large mails at once, together several times as large as the memory that a relay may take for mails."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conftest import Database, Keys
from tests.faults.mailrelay.crowd import LargeMails, peak_mb
from tests.faults.mailrelay.load import ADDRESS, reachable, running, stored

_MB: Final = 1_048_576
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Large:
    """`grown_mb`: how much more memory the relay has had than before. `kept`: whether exactly what was accepted is stored, each mail once."""

    with_size: Counter[str]
    without_size: Counter[str]
    grown_mb: float
    budget_mb: int
    kept: bool

    @property
    def is_right(self) -> bool:
        """Mails were accepted, the others are to come later, and the relay kept to what it may take."""
        return (
            self.kept
            and self.grown_mb < self.budget_mb
            and all(
                codes["250"] > 0 and set(codes) <= {"250", "452", "421"} and codes.total() == _AT_ONCE
                for codes in (self.with_size, self.without_size)
            )
        )


async def large_at_once(
    database: Database, keys: Keys, folder: Path, *, megabytes: int, budget_mb: int
) -> Large:
    """Fifty mails of this size that say so before, and then fifty that do not."""
    settings = {
        "memory_budget_bytes": str(budget_mb * _MB),
        "trusted_networks": "127.0.0.0/8",
        "commit_timeout_seconds": "30",
    }
    async with running(database, keys, folder / "log", **settings) as relay:
        await reachable(relay)
        before = peak_mb(relay.accepting.pid)
        size = megabytes * _MB
        with_size = LargeMails(relay.port, ADDRESS, size=size, says_size=True, name="with-size")
        await with_size.deliver(_AT_ONCE)
        without_size = LargeMails(relay.port, ADDRESS, size=size, says_size=False, name="without-size")
        await without_size.deliver(_AT_ONCE)
        grown_mb = peak_mb(relay.accepting.pid) - before
    accepted = with_size.accepted | without_size.accepted
    kept = await stored(database, keys) == dict.fromkeys(accepted.items(), 1)
    return Large(with_size.codes, without_size.codes, grown_mb, budget_mb, kept)
