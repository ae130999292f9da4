"""What `pip install` of the project's wheel brings."""

import configparser
import importlib
import shutil
import subprocess
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import typer

from shared.version import version

ROOT = Path(__file__).parents[3]
_PACKAGES = ("services", "shared", "migrations")
# It stands in for Amazon while one develops.
_LEFT_OUT = "services/sandbox/"


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("git's list of files is needed: this is no clone, or git is not installed")
    # What a change has added counts before it is committed.
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *_PACKAGES],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    ours = {
        name
        for name in listed.stdout.split("\0")
        if name and not name.startswith(_LEFT_OUT) and (ROOT / name).exists()
    }

    packed = {name for name in _names(wheel) if ".dist-info/" not in name}

    assert packed == ours


def test_the_version_stands_in_one_place(wheel: Path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert version() == project["version"]
    assert _metadata(wheel)["Version"] == project["version"]
    assert f"-{project['version']}-py3-none-any" in wheel.name


def test_the_wheel_asks_for_what_the_project_asks_for(wheel: Path):
    asked = _metadata(wheel).get_all("Requires-Dist") or []

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert len([each for each in asked if "extra ==" not in each]) == len(project["dependencies"])
    assert not [each for each in asked if "sandbox" in each]


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("replyco-connector", "services.connector.__main__"),
        ("replyco-mailrelay", "services.mailrelay.__main__"),
        ("replyco-migrations", "migrations.__main__"),
    ],
)
def test_each_command_is_the_one_that_python_runs_by_its_module(wheel: Path, command: str, module: str):
    scripts = configparser.ConfigParser()
    scripts.read_string(_text(wheel, "entry_points.txt"))

    assert scripts["console_scripts"][command] == f"{module}:cli"
    assert isinstance(importlib.import_module(module).cli, typer.Typer)


def _names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as packed:
        return [name for name in packed.namelist() if not name.endswith("/")]


def _text(wheel: Path, file: str) -> str:
    (name,) = (name for name in _names(wheel) if name.endswith(f".dist-info/{file}"))
    with zipfile.ZipFile(wheel) as packed:
        return packed.read(name).decode()


def _metadata(wheel: Path):
    return Parser().parsestr(_text(wheel, "METADATA"))
