"""A clock that jumps in running processes: libfaketime lies about the time of day and leaves the monotonic clock alone."""

from pathlib import Path

REASON = "libfaketime is not installed (Debian: apt-get install faketime)"
# Of several threads, as our processes have.
_LIBRARY = "faketime/libfaketimeMT.so.1"


class Clock:
    """`environment` makes a process look at this clock."""

    def __init__(self, file: Path, library: Path) -> None:
        self._file = file
        self.jump("+0")
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else a thread that waits for Python's lock until a moment of the monotonic clock is told at once that it has passed, and asks again:
            # several threads of a process take the processor six times as long.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def jump(self, to: str) -> None:
        """So far from the real time, such as `-1d` or `+1h`."""
        new = self._file.with_suffix(".new")
        new.write_text(to)
        new.replace(self._file)


def installed() -> Path | None:
    """The library, where Debian puts it."""
    return next((path for path in Path("/usr/lib").glob(f"*/{_LIBRARY}")), None)
