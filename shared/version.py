"""The project's version. It is written in pyproject.toml alone."""

import tomllib
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

_PROJECT: Final = "replyco-amazon"


@cache
def version() -> str:
    """The version of a checkout that this code runs from, or else of the package that was installed."""
    beside = Path(__file__).parents[1] / "pyproject.toml"
    if beside.exists():
        project = tomllib.loads(beside.read_text("utf-8")).get("project", {})
        if project.get("name") == _PROJECT:
            return str(project["version"])
    return version_of(_PROJECT)
