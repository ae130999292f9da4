"""Print the software bill of materials (CycloneDX 1.6, JSON) of the Python environment that runs this.

It says what is really installed, with licences, and nothing of the base image, whose maker has a list of their own.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from typing import Any, Final

_PROJECT: Final = "replyco-amazon"


def sbom(installed: Iterable[Distribution]) -> dict[str, Any]:
    """The bill for these packages. The same packages make the same bill, byte by byte."""
    found = {_name(each): each for each in installed}
    components = {name: _component(name, each) for name, each in sorted(found.items())}
    if _PROJECT not in components:
        raise SystemExit(f"{_PROJECT} is not installed here.")
    project = components.pop(_PROJECT) | {"type": "application"}
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([project, components], sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": project},
        "components": list(components.values()),
        "dependencies": [
            {
                "ref": _ref(name, each),
                "dependsOn": sorted(_ref(other, found[other]) for other in _needs(each) if other in found),
            }
            for name, each in sorted(found.items())
        ],
    }


def _component(name: str, installed: Distribution) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _ref(name, installed),
        "name": name,
        "version": installed.version,
        "purl": _ref(name, installed),
    }
    if licence := licence_of(installed):
        component["licenses"] = [licence]
    return component


def licence_of(installed: Distribution) -> dict[str, Any] | None:
    """What a package tells of its licence, in one of the two forms of the format; None if it tells none."""
    told = installed.metadata
    if "License-Expression" in told:
        return {"expression": told["License-Expression"]}
    classified = [
        value.rpartition(" :: ")[2]
        for value in told.get_all("Classifier") or []
        if value.startswith("License :: ") and value != "License :: OSI Approved"
    ]
    # Some packages put the whole text of a licence there.
    lines = "".join(told.get_all("License") or []).strip().splitlines()
    name = " AND ".join(sorted(set(classified))) or (lines[0] if len(lines) == 1 else "")
    return {"license": {"name": name}} if name else None


def _needs(installed: Distribution) -> set[str]:
    """Whom it names as required. A package of an extra that is not installed is none of the environment."""
    return {
        _normalized(match[0])
        for requirement in installed.requires or []
        if (match := re.match(r"[A-Za-z0-9._-]+", requirement))
    }


def _ref(name: str, installed: Distribution) -> str:
    return f"pkg:pypi/{name}@{installed.version}"


def _name(installed: Distribution) -> str:
    return _normalized(installed.metadata["Name"])


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    json.dump(sbom(distributions()), sys.stdout, indent=2)
    print()
