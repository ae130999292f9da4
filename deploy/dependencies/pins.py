"""What the files of requirements pin, by the markers of the machines that the roles run on."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.markers import Marker

ROOT: Final = Path(__file__).parents[2]
# All of requirements.txt, and what traces need.
RUN_TIME: Final = ROOT / "requirements-tracing.txt"
DEVELOPMENT: Final = ROOT / "requirements-development.txt"
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: ; ([^\\]+?))?(?: \\)?$")
# Where the roles run: Linux, and every Python that `requires-python` allows.
_PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")


def pins(file: Path) -> Iterator[tuple[str, str]]:
    """Name and version of each package that is installed from this file somewhere on Linux; two versions may be of two Pythons."""
    for line in file.read_text("utf-8").splitlines():
        pin = _PIN.match(line)
        if pin is not None and (pin[3] is None or _is_for_linux(Marker(pin[3]))):
            yield pin[1], pin[2]


def _is_for_linux(marker: Marker) -> bool:
    return any(
        marker.evaluate(
            {
                "sys_platform": "linux",
                "platform_system": "Linux",
                "os_name": "posix",
                "python_version": version,
                "python_full_version": f"{version}.{patch}",
            }
        )
        for version in _PYTHONS
        for patch in (0, 20)
    )
