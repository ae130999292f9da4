"""The bill of materials that lies in the image."""

import json
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

from deploy.image.sbom import sbom


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Where the packages of an environment lie in which the project is installed."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return [str(folder), *sys.path]


def test_every_package_is_in_the_bill_with_what_it_needs(installed: list[str]):
    bill = sbom(distributions(path=installed))

    components = {component["name"]: component for component in bill["components"]}
    assert bill["metadata"]["component"]["name"] == "replyco-amazon"
    assert components["pydantic"]["purl"] == f"pkg:pypi/pydantic@{components['pydantic']['version']}"
    assert components["pydantic"]["licenses"] == [{"expression": "MIT"}]
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert components["pydantic-core"]["bom-ref"] in needs[components["pydantic"]["bom-ref"]]
    refs = {bill["metadata"]["component"]["bom-ref"], *(each["bom-ref"] for each in components.values())}
    assert needs.keys() == refs
    assert {needed for each in needs.values() for needed in each} <= refs
    # Who looks for a licence finds one for each, in one of the two forms of the format.
    for component in components.values():
        for licence in component.get("licenses", ()):
            assert licence.get("expression") or licence["license"]["name"], component["name"]


def test_the_same_packages_make_the_same_bill(installed: list[str]):
    first, second = (json.dumps(sbom(distributions(path=installed))) for _ in range(2))

    assert first == second


def test_a_bill_without_the_project_is_refused():
    with pytest.raises(SystemExit, match="replyco-amazon is not installed here"):
        sbom(distributions(path=[]))
