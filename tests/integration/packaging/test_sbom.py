"""The bill of materials that lies in the image."""

import json
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from deploy.dependencies.pins import RUN_TIME, pins
from deploy.image.sbom import sbom


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Where the packages of an environment lie in which the project is installed."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return [str(folder), *sys.path]


@pytest.fixture(scope="module")
def bill(installed: list[str]) -> dict[str, Any]:
    return sbom(distributions(path=installed))


def test_every_package_is_in_the_bill_with_what_it_needs(bill: dict[str, Any]):
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


def test_nothing_that_runs_is_missing_in_the_bill(bill: dict[str, Any]):
    components = {each["name"]: each for each in bill["components"]}
    # Of one package another one stands in for another Python.
    pinned = [(name, version) for name, version in pins(RUN_TIME) if not name.startswith("fasttext-predict")]

    assert len(pinned) > 60
    assert [(name, version) for name, version in pinned if components[name]["version"] != version] == []
    assert [name for name, _ in pinned if not components[name].get("licenses")] == []


def test_the_same_packages_make_the_same_bill(installed: list[str], bill: dict[str, Any]):
    assert json.dumps(sbom(distributions(path=installed))) == json.dumps(bill)


def test_a_bill_without_the_project_is_refused():
    with pytest.raises(SystemExit, match="replyco-amazon is not installed here"):
        sbom(distributions(path=[]))
